//! Why the capture of the panel cannot run as it stands, said where it can be mended.

use kvlens_datasets::DatasetError;
use kvlens_sessions::SessionError;

/// A part of the capture panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapturePart {
    /// The field of the model.
    Model,
    /// What the prompts are.
    Prompts,
    /// All of it together.
    Whole,
}

/// A refusal with the part of the panel that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureRefusal {
    /// The part.
    pub about: CapturePart,
    /// What is wrong and what to do.
    pub sentence: String,
}

impl CaptureRefusal {
    /// Of an error of an estimate.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        let part = |link: &(dyn std::error::Error + 'static)| {
            if link.is::<DatasetError>() {
                return Some(CapturePart::Prompts);
            }
            match link.downcast_ref()? {
                SessionError::Checkpoint { .. }
                | SessionError::Config { .. }
                | SessionError::MissingTensor { .. }
                | SessionError::TensorShape { .. }
                | SessionError::TensorFormat { .. }
                | SessionError::Tokenizer { .. }
                | SessionError::Device { .. }
                | SessionError::Hub { .. }
                | SessionError::HubConnection { .. } => Some(CapturePart::Model),
                SessionError::Prompt { .. } | SessionError::Dataset(_) => {
                    Some(CapturePart::Prompts)
                }
                _ => None,
            }
        };
        Self {
            about: error.chain().find_map(part).unwrap_or(CapturePart::Whole),
            sentence: format!("{error:#}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_knows_which_part_of_the_panel_it_is_about() {
        let about = |error: SessionError| CaptureRefusal::of(&error.into()).about;
        let reason = String::new;
        let model = SessionError::Checkpoint {
            reason: reason(),
            path: "nowhere.gguf".into(),
        };
        assert_eq!(about(model), CapturePart::Model);
        let prompt = SessionError::Prompt {
            sample: reason(),
            reason: reason(),
        };
        assert_eq!(about(prompt), CapturePart::Prompts);
        let memory = SessionError::Memory { reason: reason() };
        assert_eq!(about(memory), CapturePart::Whole);
    }
}
