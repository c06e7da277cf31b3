//! Rows of a training step: token ids, and what the prediction of each counts in the loss.

use kvlens_datasets::{TrainingCorpus, TrainingDocument};
use tokenizers::Tokenizer;

use super::plan::{LossWeights, TrainingPlan, TrainingStage};
use super::tokenizer::{BEGIN_ID, END_ID};
use crate::SessionError;
use crate::training::random::{Draws, Purpose};

/// A prediction that the loss looks at: after this token of the row comes `target`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Prediction {
    /// Index in the row of the token before.
    pub(crate) after: usize,
    pub(crate) target: u32,
    pub(crate) weight: f32,
    /// Whether the target is part of an answer's value.
    pub(crate) is_value: bool,
}

/// One sequence of T tokens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) ids: Vec<u32>,
    pub(crate) predictions: Vec<Prediction>,
}

/// Makes the rows of one stage, each from its number alone.
pub(crate) struct RowSource<'a> {
    tokenizer: &'a Tokenizer,
    corpus: TrainingCorpus,
    stage: TrainingStage,
    weights: LossWeights,
    vocabulary: usize,
    seed: u64,
}

/// Documents that are tried for one row: one that turns out too long in tokens is left out.
const ATTEMPTS: u64 = 16;

/// Kind of a token, as far as the loss goes.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Wording,
    Value,
}

impl<'a> RowSource<'a> {
    /// # Errors
    /// What the corpus says of the mixture or the length.
    pub(crate) fn new(
        plan: &TrainingPlan,
        stage: &TrainingStage,
        tokenizer: &'a Tokenizer,
    ) -> Result<Self, SessionError> {
        let mixture: Vec<(&str, u32)> = stage
            .mixture
            .as_ref()
            .unwrap_or(&plan.mixture)
            .iter()
            .map(|(task, weight)| (task.as_str(), *weight))
            .collect();
        // room for the marks of beginning and end, and for words of more than one token
        let length = stage.sequence_tokens - stage.sequence_tokens / 24 - 6;
        Ok(Self {
            tokenizer,
            corpus: TrainingCorpus::new(length, plan.seed, &mixture)?
                .with_questions(stage.opening_percent, stage.most_questions),
            stage: stage.clone(),
            weights: plan.loss_weights,
            vocabulary: tokenizer.get_vocab_size(true),
            seed: plan.seed,
        })
    }

    /// The row of this number, counted over the whole run.
    pub(crate) fn row(&self, number: u64) -> Result<Row, SessionError> {
        let mut draws = Draws::new(self.seed, Purpose::Rows, number);
        if draws.unit() < self.stage.repeated_share {
            return Ok(self.repeated(&mut draws));
        }
        for attempt in 0..ATTEMPTS {
            let document = self.corpus.document(number * ATTEMPTS + attempt);
            let (mut ids, mut kinds) = self.encode(&document)?;
            if ids.len() <= self.stage.sequence_tokens {
                let used = ids.len();
                ids.resize(self.stage.sequence_tokens, END_ID);
                kinds.truncate(used);
                return Ok(Row {
                    predictions: self.predictions(&ids, &kinds, &mut draws),
                    ids,
                });
            }
        }
        Err(SessionError::Plan {
            reason: format!(
                "no document of the mixture fits {} tokens; the tokenizer makes too many tokens of a word",
                self.stage.sequence_tokens
            ),
        })
    }

    /// The document's tokens with the end mark after every answer, and what kind each is.
    fn encode(&self, document: &TrainingDocument) -> Result<(Vec<u32>, Vec<Kind>), SessionError> {
        let mut ids = vec![BEGIN_ID];
        let mut kinds = vec![Kind::Text];
        let mut written = 0;
        for answer in &document.answers {
            self.append(document.text.get(written..answer.span.start), &mut ids)?;
            kinds.resize(ids.len(), Kind::Text);
            let mut inside = answer.span.start;
            for value in &answer.values {
                // the blank before a value belongs to the value's first token
                let start = value.start.saturating_sub(1).max(inside);
                self.append(document.text.get(inside..start), &mut ids)?;
                kinds.resize(ids.len(), Kind::Wording);
                self.append(document.text.get(start..value.end), &mut ids)?;
                kinds.resize(ids.len(), Kind::Value);
                inside = value.end;
            }
            self.append(document.text.get(inside..answer.span.end), &mut ids)?;
            ids.push(END_ID);
            kinds.resize(ids.len(), Kind::Wording);
            written = answer.span.end;
        }
        Ok((ids, kinds))
    }

    fn append(&self, text: Option<&str>, ids: &mut Vec<u32>) -> Result<(), SessionError> {
        let text = text.unwrap_or("");
        let encoding =
            self.tokenizer
                .encode_fast(text, false)
                .map_err(|error| SessionError::Tokenizer {
                    reason: format!("a training text cannot be encoded ({error})"),
                })?;
        ids.extend_from_slice(encoding.get_ids());
        Ok(())
    }

    fn predictions(&self, ids: &[u32], kinds: &[Kind], draws: &mut Draws) -> Vec<Prediction> {
        let weights = self.weights;
        let mut predictions = Vec::new();
        for (after, (&target, &kind)) in ids.iter().zip(kinds).skip(1).enumerate() {
            let weight = match kind {
                Kind::Value => weights.values,
                Kind::Wording => weights.wording,
                Kind::Text if draws.unit() < weights.text_share => {
                    weights.text / weights.text_share
                }
                Kind::Text => continue,
            };
            predictions.push(Prediction {
                after,
                target,
                weight: weight as f32,
                is_value: kind == Kind::Value,
            });
        }
        predictions
    }

    /// Random tokens, a segment of which comes again and again: a dense signal for induction heads.
    fn repeated(&self, draws: &mut Draws) -> Row {
        let length = self.stage.sequence_tokens;
        let period = length / 4 + draws.below(length / 4);
        let segment: Vec<u32> = (0..period)
            .map(|_| (END_ID as usize + 1 + draws.below(self.vocabulary - 2)) as u32)
            .collect();
        let ids: Vec<u32> = std::iter::once(BEGIN_ID)
            .chain(segment.iter().copied().cycle())
            .take(length)
            .collect();
        // the first token of a repetition cannot be told yet
        let predictions = (period + 1..length - 1)
            .filter_map(|after| {
                let target = *ids.get(after + 1)?;
                Some(Prediction {
                    after,
                    target,
                    weight: self.weights.wording as f32,
                    is_value: false,
                })
            })
            .collect();
        Row { ids, predictions }
    }
}
