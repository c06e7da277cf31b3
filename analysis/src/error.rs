//! What can be wrong with the numbers or the words that a caller hands in.

use thiserror::Error;

/// A refusal of this crate's numerics; every variant reads as a sentence for the user.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum AnalysisError {
    /// A flat buffer does not hold what its dimensions say.
    #[error("{what} holds {found} values, its dimensions {dimensions} need {expected}")]
    Length {
        /// The buffer in words.
        what: &'static str,
        /// The dimensions as `[rows 4, tokens 7]`.
        dimensions: String,
        /// Values that the dimensions need.
        expected: usize,
        /// Values that were given.
        found: usize,
    },
    /// A dimension that must be at least one is zero.
    #[error("there must be at least one of: {what}")]
    Empty {
        /// The dimension in words.
        what: &'static str,
    },
    /// One head does not fit the others of its importance.
    #[error("layer {layer}, head {head} has {found} prompt tokens where {expected} were expected")]
    HeadLength {
        /// Layer of the head.
        layer: usize,
        /// The head.
        head: usize,
        /// Tokens that the first head has.
        expected: usize,
        /// Tokens that this head has.
        found: usize,
    },
    /// A layer has another number of heads than the first layer.
    #[error("layer {layer} has {found} heads where {expected} were expected")]
    HeadCount {
        /// The layer.
        layer: usize,
        /// Heads of the first layer.
        expected: usize,
        /// Heads of this layer.
        found: usize,
    },
    /// The query heads do not divide into groups.
    #[error("{query_heads} query heads cannot be shared evenly by {kv_heads} key/value heads")]
    Grouping {
        /// Query heads of the model.
        query_heads: usize,
        /// Key/value heads of the model.
        kv_heads: usize,
    },
    /// A score is not a number, or infinite.
    #[error(
        "the score of layer {layer}, head {head}, token {token} is {value}, not a finite number"
    )]
    NotFinite {
        /// Layer of the score.
        layer: usize,
        /// Head of the score.
        head: usize,
        /// Position of the token in the prompt.
        token: usize,
        /// The offending value, as text.
        value: String,
    },
    /// A number that is not finite, where it is not a score of an importance.
    #[error("{what} of {place} is {value}, not a finite number")]
    NotANumber {
        /// What the number is, in words.
        what: &'static str,
        /// Where it stands, as `token 3` or `window 1, sample 0, head 7`.
        place: String,
        /// The offending value, as text.
        value: String,
    },
    /// A setting outside the values that make sense.
    #[error("{what} must lie {bounds}, not at {value}")]
    OutOfBounds {
        /// The setting in words.
        what: &'static str,
        /// The bounds in words, as `between 0 and 1`.
        bounds: &'static str,
        /// The value as given.
        value: String,
    },
    /// A pooling kernel that has no middle, or is zero.
    #[error("a pooling kernel must be an odd number of tokens, not {kernel}")]
    Kernel {
        /// The kernel as given.
        kernel: usize,
    },
    /// The prompt is longer than token indices can count.
    #[error("a prompt of {prompt_tokens} tokens is too long to rank")]
    PromptTooLong {
        /// Length of the prompt.
        prompt_tokens: usize,
    },
    /// Two sides of a comparison have different dimensions or exempt other tokens.
    #[error("the {what} of the two sides differ: {oracle} for the oracle, {window} for the window")]
    Mismatch {
        /// The property that differs.
        what: &'static str,
        /// The oracle's value.
        oracle: String,
        /// The other side's value.
        window: String,
    },
    /// A budget of no tokens, or of more than the prompt has.
    #[error("a budget of {budget} tokens does not lie between 1 and the prompt's {prompt_tokens}")]
    BudgetOutOfRange {
        /// The budget in tokens.
        budget: usize,
        /// Length of the prompt.
        prompt_tokens: usize,
    },
    /// A budget was asked for that a comparison was not made at.
    #[error("the comparison holds no curve point at a budget of {budget} tokens")]
    BudgetNotCompared {
        /// The budget in tokens.
        budget: usize,
    },
    /// A word that names no choice.
    #[error("{what} `{given}` is unknown; write {expected}")]
    Unknown {
        /// What the word should name.
        what: &'static str,
        /// The word.
        given: String,
        /// The spelling of the choices.
        expected: &'static str,
    },
}

/// Refuses a number that is not finite and says where it stands.
pub(crate) fn finite(
    what: &'static str,
    values: &[f32],
    place: impl Fn(usize) -> String,
) -> Result<(), AnalysisError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(AnalysisError::NotANumber {
            what,
            place: place(index),
            value: values[index].to_string(),
        }),
    }
}
