//! What the environment says of a display; only opening a window tells for sure.

/// What to say when no display is named.
pub const MISSING: &str = "there is no display (neither WAYLAND_DISPLAY nor DISPLAY is set), so the \
     workbench cannot open; everything else works";

/// The display that windows would open on, if one is named. Other systems than Linux and its kin
/// always have one.
pub fn named() -> Option<String> {
    if !cfg!(all(unix, not(target_os = "macos"))) {
        return Some("the system's own".to_owned());
    }
    ["WAYLAND_DISPLAY", "WAYLAND_SOCKET", "DISPLAY"]
        .into_iter()
        .find_map(|name| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
            Some(format!("{name}={value}"))
        })
}
