//! Whether this program has a window.

use crate::jobs::window::WindowRequest;

/// Opens the window, or takes a picture of it.
///
/// # Errors
/// A script that cannot be read, no display, a picture that cannot be written.
#[cfg(feature = "gui")]
pub fn open_window(request: &WindowRequest) -> anyhow::Result<()> {
    crate::gui::open(request)
}

/// Says what to build.
///
/// # Errors
/// Always.
#[cfg(not(feature = "gui"))]
pub fn open_window(_request: &WindowRequest) -> anyhow::Result<()> {
    anyhow::bail!(
        "this kvlens was built without its window, so the workbench cannot open; everything else works; \
         `cargo build --release -p kvlens` builds one with it (the feature `gui`, which is on unless \
         --no-default-features is given)"
    )
}
