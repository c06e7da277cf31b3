//! What the tensors of a language model are called in safetensors files.
//!
//! Inside, they have the names that `AutoModelForCausalLM` gives them (`model.layers.0...`, `lm_head.weight`). A file
//! that was saved from the model without its output layer lacks the first word, and one with a part for pictures has
//! the language model under a name of its own; transformers loads all of them.

/// What stands before the names of layers and embedding: as usual, without the output layer, and beside a part for
/// pictures as transformers 5 and as transformers 4 save it.
const PREFIXES: [&str; 4] = [
    USUAL_PREFIX,
    "",
    "model.language_model.",
    "language_model.model.",
];

const USUAL_PREFIX: &str = "model.";

/// The token embedding.
pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";

/// The output layer.
pub(crate) const OUTPUT: &str = "lm_head.weight";

/// The names in the files of one checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TensorNames {
    prefix: &'static str,
}

impl TensorNames {
    /// By where the token embedding stands.
    pub(crate) fn find(is_there: impl Fn(&str) -> bool) -> Self {
        let found = PREFIXES.into_iter().find(|prefix| {
            let names = Self { prefix };
            is_there(&names.stored(EMBEDDING))
        });
        Self {
            prefix: found.unwrap_or(USUAL_PREFIX),
        }
    }

    /// The name in the files.
    pub(crate) fn stored(self, name: &str) -> String {
        match name.strip_prefix(USUAL_PREFIX) {
            Some(rest) => format!("{}{rest}", self.prefix),
            None => format!("{}{name}", self.before_output()),
        }
    }

    /// The name inside of a tensor in the files, if it is one of the language model.
    pub(crate) fn of_stored(self, stored: &str) -> Option<String> {
        if stored.strip_prefix(self.before_output()) == Some(OUTPUT) {
            return Some(OUTPUT.to_owned());
        }
        let rest = stored.strip_prefix(self.prefix)?;
        Some(format!("{USUAL_PREFIX}{rest}"))
    }

    fn before_output(self) -> &'static str {
        match self.prefix {
            "language_model.model." => "language_model.",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for (embedding, layer, output) in [
            ("model.embed_tokens.weight", "model.layers.0.x", OUTPUT),
            ("embed_tokens.weight", "layers.0.x", OUTPUT),
            (
                "model.language_model.embed_tokens.weight",
                "model.language_model.layers.0.x",
                OUTPUT,
            ),
            (
                "language_model.model.embed_tokens.weight",
                "language_model.model.layers.0.x",
                "language_model.lm_head.weight",
            ),
        ] {
            let names = TensorNames::find(|name| name == embedding);
            for (inside, stored) in [
                (EMBEDDING, embedding),
                ("model.layers.0.x", layer),
                (OUTPUT, output),
            ] {
                assert_eq!(names.stored(inside), stored);
                assert_eq!(names.of_stored(stored).as_deref(), Some(inside));
            }
        }
        let names = TensorNames::find(|name| name.starts_with("model.language_model."));
        assert_eq!(names.of_stored("model.vision_tower.x"), None);
        assert_eq!(
            names.stored("model.norm.weight"),
            "model.language_model.norm.weight"
        );
    }
}
