//! Hands addresses to the desktop: folders to its file manager, links to its browser.

use std::process::{Command, Stdio};

use egui::OutputCommand;

/// The desktop's own program that opens what it is given.
const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else if cfg!(windows) {
    "explorer"
} else {
    "xdg-open"
};

/// Begins an address of a file.
const FILE: &str = "file://";

/// Takes the addresses that were asked for in this frame.
pub(super) fn take_addresses(context: &egui::Context) -> Vec<String> {
    context.output_mut(|output| {
        let mut taken = Vec::new();
        output.commands.retain(|command| match command {
            OutputCommand::OpenUrl(open) => {
                taken.push(open.url.clone());
                false
            }
            _ => true,
        });
        taken
    })
}

/// Opens an address, and does not wait for it.
///
/// # Errors
/// A sentence that names the address, where the desktop has no program for it.
pub(super) fn open(address: &str) -> Result<(), String> {
    let target = address.strip_prefix(FILE).unwrap_or(address);
    let mut opener = Command::new(OPENER);
    opener.arg(target).stdin(Stdio::null());
    opener.stdout(Stdio::null()).stderr(Stdio::null());
    let started = opener.spawn().and_then(|mut child| {
        let waiting = std::thread::Builder::new().name("kvlens-opener".to_owned());
        // what has ended is waited for, so that nothing is left of it
        waiting.spawn(move || child.wait())
    });
    match started {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "{OPENER} cannot be started ({error}); look at {target}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_once_and_the_rest_stays() {
        let context = egui::Context::default();
        context.copy_text("a text".to_owned());
        context.open_url(egui::OpenUrl::new_tab("file:///a b"));
        assert_eq!(take_addresses(&context), ["file:///a b"]);
        assert_eq!(take_addresses(&context), [""; 0]);
        let kept = context.output(|output| output.commands.clone());
        assert!(kept == [OutputCommand::CopyText("a text".to_owned())]);
    }
}
