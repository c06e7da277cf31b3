//! The one forward pass over the prompt that every window shares.

use candle_core::{Device, Tensor};

use crate::attention_rows::PromptKeys;
use crate::model::{CapturedRows, KvCache, Model, RowCapture};
use crate::{CancelFlag, SessionError};

/// Tokens that go through the layers together: bounds the activations, and is how often Cancel is looked at.
const CHUNK_TOKENS: usize = 512;

/// Whether to stop, and where to tell how far a job is.
pub struct RunControl<'a> {
    /// Looked at between chunks and steps.
    pub cancel: &'a CancelFlag,
    /// Called with tokens done and tokens in all.
    pub on_tokens: &'a mut dyn FnMut(usize, usize),
}

/// A prompt after its forward pass: the full cache, the queries of its last rows, the next token's logits.
#[derive(Debug)]
pub struct Prefilled {
    prompt_ids: Vec<u32>,
    cache: KvCache,
    last_rows: CapturedRows,
    last_logits: Tensor,
}

impl Prefilled {
    /// Runs the prompt. Keeps the queries of the last `kept_rows` tokens in every layer, and makes room for
    /// `extra_tokens` behind the prompt.
    ///
    /// # Errors
    /// [`SessionError::Cancelled`], or what the model says of the prompt.
    pub fn run(
        model: &Model,
        prompt_ids: &[u32],
        kept_rows: usize,
        extra_tokens: usize,
        control: &mut RunControl<'_>,
    ) -> Result<Self, SessionError> {
        let total = prompt_ids.len();
        let mut cache = model.new_cache(total + extra_tokens)?;
        let mut capture = RowCapture::new(
            model.config().layers,
            total.saturating_sub(kept_rows.max(1)),
        );
        let mut last_stream = None;
        for chunk in prompt_ids.chunks(CHUNK_TOKENS) {
            control.cancel.check()?;
            let first = cache.len();
            let positions: Vec<u32> = (first..first + chunk.len())
                .map(|position| position as u32)
                .collect();
            let embeddings = model.embed(chunk)?;
            last_stream =
                Some(model.forward(&embeddings, &positions, &mut cache, Some(&mut capture))?);
            (control.on_tokens)(cache.len(), total);
        }
        let last_stream = last_stream.ok_or_else(|| SessionError::Plan {
            reason: "an empty prompt cannot be run".to_owned(),
        })?;
        Ok(Self {
            prompt_ids: prompt_ids.to_vec(),
            last_logits: model.last_logits(&last_stream)?,
            last_rows: capture.finish()?,
            cache,
        })
    }

    /// T: prompt tokens.
    pub fn prompt_tokens(&self) -> usize {
        self.prompt_ids.len()
    }

    /// The prompt's token ids.
    pub fn prompt_ids(&self) -> &[u32] {
        &self.prompt_ids
    }

    /// Logits `[vocabulary]` of the token after the prompt.
    pub fn last_logits(&self) -> &Tensor {
        &self.last_logits
    }

    /// Queries and log-sum-exps of the last `rows` prompt tokens.
    pub(crate) fn last_rows(&self, rows: usize) -> Result<CapturedRows, SessionError> {
        self.last_rows.last(rows)
    }

    /// The prompt's keys, for scoring observations on them.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the device fails.
    pub fn keys_for_scoring(&self, model: &Model) -> Result<PromptKeys, SessionError> {
        let config = model.config();
        let keys = (0..config.layers)
            .map(|layer| {
                Ok(self
                    .cache
                    .keys(layer, self.prompt_tokens())?
                    .to_device(&Device::Cpu)?)
            })
            .collect::<Result<Vec<_>, SessionError>>()?;
        PromptKeys::new(Tensor::stack(&keys, 0)?, config.sliding_windows.clone())
    }

    /// The cache holding the prompt alone: whatever an earlier window put behind it is forgotten.
    pub fn prompt_cache(&mut self) -> &mut KvCache {
        self.cache.truncate(self.prompt_ids.len());
        &mut self.cache
    }
}
