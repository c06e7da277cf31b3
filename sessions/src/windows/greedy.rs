//! Decoding greedily on a cache: to look ahead, to draft, or to see what an eviction does to the answer.

use candle_core::Tensor;

use crate::SessionError;
use crate::model::{KvCache, Model, RowCapture, top_token};
use crate::prefill::RunControl;

/// Where to decode and how far.
pub(crate) struct GreedyRun<'a> {
    pub(crate) model: &'a Model,
    /// The token behind the prompt is the best of these, `[vocabulary]`.
    pub(crate) first_logits: Tensor,
    /// Rotary position of the first token that is fed.
    pub(crate) first_position: u32,
    /// Tokens to feed at most.
    pub(crate) most_tokens: usize,
    /// Go on after an end-of-text token.
    pub(crate) ignore_eos: bool,
}

impl GreedyRun<'_> {
    /// Feeds the best token, then the best behind it, and so on, and gives the ids that were fed. The first
    /// is fed whatever it is; the run ends before a later one that ends the text. Ties go to the lower id.
    pub(crate) fn run(
        self,
        cache: &mut KvCache,
        mut capture: Option<&mut RowCapture>,
        control: &mut RunControl<'_>,
    ) -> Result<Vec<u32>, SessionError> {
        let mut ids = vec![top_token(&self.first_logits)?];
        loop {
            control.cancel.check()?;
            let Some(&token) = ids.last() else {
                return Ok(ids);
            };
            let position = self.first_position + ids.len() as u32 - 1;
            let stream = self.model.forward(
                &self.model.embed(&[token])?,
                &[position],
                cache,
                capture.as_deref_mut(),
            )?;
            (control.on_tokens)(ids.len(), self.most_tokens);
            if ids.len() >= self.most_tokens {
                return Ok(ids);
            }
            let next = top_token(&self.model.last_logits(&stream)?)?;
            if !self.ignore_eos && self.model.is_end_of_text(next) {
                return Ok(ids);
            }
            ids.push(next);
        }
    }
}
