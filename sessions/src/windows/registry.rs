//! The windows that can be typed. A new kind of window is one entry of [`KINDS`].

use super::{DECODE_LABEL, LastPrompt, ObservationWindow, WindowLabel};
use crate::SessionError;

/// A kind of window, for help texts and choosers.
pub struct WindowKind {
    /// What stands before the colon.
    pub name: &'static str,
    /// How it is written with its options.
    pub syntax: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Makes the window from what was typed.
    build: fn(&WindowLabel) -> Result<Box<dyn ObservationWindow>, SessionError>,
}

const KINDS: &[WindowKind] = &[WindowKind {
    name: "last",
    syntax: "last[:W]",
    summary: "the queries of the last W prompt tokens (SnapKV's observation window; W = 32)",
    build: |label| Ok(Box::new(LastPrompt::from_label(label)?)),
}];

/// Every kind of window, in the order of help texts.
pub fn registered() -> &'static [WindowKind] {
    KINDS
}

/// Makes windows from what was typed. `all` stands for every kind with its defaults.
///
/// # Errors
/// [`SessionError::Plan`] for a name that is not registered, an option that is wrong, or a label twice.
pub fn parse_windows(labels: &[String]) -> Result<Vec<Box<dyn ObservationWindow>>, SessionError> {
    let wrong = |reason: String| Err(SessionError::Plan { reason });
    let typed = labels.iter().flat_map(|label| match label.as_str() {
        "all" => KINDS.iter().map(|kind| kind.name.to_owned()).collect(),
        _ => vec![label.clone()],
    });
    let mut windows: Vec<Box<dyn ObservationWindow>> = Vec::new();
    for text in typed {
        let label: WindowLabel = text.parse()?;
        if windows.iter().any(|window| window.label() == text) {
            return wrong(format!("window '{text}' is there twice"));
        }
        if label.name() == DECODE_LABEL {
            return wrong(
                "the oracle 'decode' is always captured; leave it out of the windows".to_owned(),
            );
        }
        let Some(kind) = KINDS.iter().find(|kind| kind.name == label.name()) else {
            let known: Vec<_> = KINDS.iter().map(|kind| kind.syntax).collect();
            return wrong(format!(
                "there is no window '{}' (there is: {})",
                label.name(),
                known.join(", ")
            ));
        };
        windows.push((kind.build)(&label)?);
    }
    if windows.is_empty() {
        return wrong("no window was given; give at least one, such as last:32".to_owned());
    }
    Ok(windows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(labels: &[&str]) -> Result<Vec<String>, String> {
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        parse_windows(&labels)
            .map(|windows| {
                windows
                    .iter()
                    .map(|window| window.label().to_owned())
                    .collect()
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn labels_stay_as_typed() {
        assert_eq!(
            parse(&["last:8", "last:w=16"]).unwrap(),
            ["last:8", "last:w=16"]
        );
        assert_eq!(parse(&["all"]).unwrap().len(), registered().len());
    }

    #[test]
    fn unknown_doubled_and_oracle_windows_are_refused() {
        assert!(parse(&["lats:8"]).unwrap_err().contains("last[:W]"));
        assert!(parse(&["last:8", "last:8"]).unwrap_err().contains("twice"));
        assert!(parse(&["decode"]).unwrap_err().contains("always captured"));
        assert!(parse(&[]).unwrap_err().contains("no window"));
    }
}
