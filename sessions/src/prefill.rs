//! The one forward pass over the prompt that every window shares.

mod column_sums;
mod needs;
mod query_moments;

use std::sync::OnceLock;

use candle_core::Tensor;

use crate::attention_rows::PromptKeys;
use crate::cached_values::CachedValues;
use crate::decode_keys::{DecodeKeys, behind};
use crate::model::{CapturedRows, KeptQueries, KvCache, LayerTap, Model, view_on_cpu};
use crate::observation::QueryRows;
use crate::{CancelFlag, SessionError};

pub(crate) use column_sums::ColumnSums;
pub use needs::Needs;
use needs::Passes;
pub(crate) use query_moments::{HeadMoments, QueryMoments};

/// Tokens that go through the layers together: bounds the activations.
pub(crate) const CHUNK_TOKENS: usize = 512;

/// Whether to stop, and where to tell how far a job is.
pub struct RunControl<'a> {
    /// Looked at between layers and steps.
    pub cancel: &'a CancelFlag,
    /// Called with tokens done and tokens in all.
    pub on_tokens: &'a mut dyn FnMut(usize, usize),
}

/// A prompt after its forward pass: the full cache, the next token's logits, and what windows asked to be
/// kept of all or of the last rows.
#[derive(Debug)]
pub struct Prefilled {
    prompt_ids: Vec<u32>,
    cache: KvCache,
    last_rows: CapturedRows,
    last_logits: Tensor,
    passes: Passes,
    /// On the CPU, once somebody asked for them.
    keys: OnceLock<PromptKeys>,
    decode_ids: Option<Vec<u32>>,
}

impl Prefilled {
    /// Runs the prompt and keeps, on the way, what the windows need.
    ///
    /// # Errors
    /// [`SessionError::Cancelled`], or what the model says of the prompt.
    pub fn run(
        model: &Model,
        prompt_ids: &[u32],
        needs: &Needs,
        control: &mut RunControl<'_>,
    ) -> Result<Self, SessionError> {
        let (total, layers) = (prompt_ids.len(), model.config().layers);
        let mut cache = model.new_cache(total, needs.extra_tokens)?;
        let first_of_last = total.saturating_sub(needs.last_rows.max(1));
        let mut last_rows = KeptQueries::new(layers, first_of_last);
        let mut passes = Passes::new(needs, model.decoder(), total);
        let mut cancel = control.cancel.clone();
        let mut last_stream = None;
        for chunk in prompt_ids.chunks(CHUNK_TOKENS) {
            cancel.check()?;
            let positions: Vec<u32> = (cache.len() as u32..).take(chunk.len()).collect();
            let embeddings = model.embed(chunk)?;
            let mut taps: Vec<&mut dyn LayerTap> = vec![&mut cancel, &mut last_rows];
            taps.extend(passes.taps());
            last_stream = Some(model.forward(&embeddings, &positions, &mut cache, &mut taps)?);
            (control.on_tokens)(cache.len(), total);
        }
        passes.finish()?;
        let last_stream = last_stream.ok_or_else(|| SessionError::Plan {
            reason: "an empty prompt cannot be run".to_owned(),
        })?;
        Ok(Self {
            prompt_ids: prompt_ids.to_vec(),
            last_logits: model.last_logits(&last_stream)?,
            last_rows: last_rows.finish(model.decoder(), &cache)?,
            cache,
            passes,
            keys: OnceLock::new(),
            decode_ids: None,
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

    /// The tokens of the decode stage, once it was observed.
    ///
    /// # Errors
    /// [`SessionError::Internal`] before that.
    pub(crate) fn decode_ids(&self) -> Result<&[u32], SessionError> {
        self.decode_ids
            .as_deref()
            .ok_or_else(|| SessionError::Internal {
                reason: "the tokens of the decode stage were asked for before it was observed"
                    .to_owned(),
            })
    }

    pub(crate) fn set_decode_ids(&mut self, ids: Vec<u32>) {
        self.decode_ids = Some(ids);
    }

    /// The last `count` rows of the prompt, as they were kept for the windows.
    ///
    /// # Errors
    /// [`SessionError::Internal`] for no row or more than were asked to be kept.
    pub fn last_rows(&self, count: usize) -> Result<QueryRows, SessionError> {
        // it refuses more rows than it kept, which are no more than the prompt has
        let rows = self.last_rows.last(count)?;
        let end = self.prompt_tokens() as u32;
        let first = end - count as u32;
        QueryRows::new(rows, (first..end).collect(), (first + 1..=end).collect())
    }

    /// Attention that all prompt rows paid to each prompt token, if a window needed it.
    pub(crate) fn column_sums(&self) -> Result<&ColumnSums, SessionError> {
        self.passes.column_sums()
    }

    /// Mean and covariance of the queries of all prompt rows but the first `skipped`, if a window needed them.
    pub(crate) fn query_moments(&self, skipped: usize) -> Result<&QueryMoments, SessionError> {
        self.passes.query_moments(skipped)
    }

    /// The prompt's keys, for scoring observations on them where they are: on a GPU rows come to them.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the device fails.
    pub fn keys_for_scoring(&self, model: &Model) -> Result<PromptKeys, SessionError> {
        if !model.decoder().kernels().scores_with_keys {
            return self.keys_on_host(model);
        }
        let keys = self.keys_by(model, |view| Ok(view.clone()))?;
        Ok(keys.scored_there())
    }

    /// The prompt's keys, for whoever keeps them: brought to the CPU once, if they are not there.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the device fails.
    pub(crate) fn keys_on_host(&self, model: &Model) -> Result<PromptKeys, SessionError> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys.clone());
        }
        let keys = self.keys_by(model, view_on_cpu)?;
        Ok(self.keys.get_or_init(|| keys).clone())
    }

    fn keys_by(
        &self,
        model: &Model,
        take: impl Fn(&Tensor) -> Result<Tensor, SessionError>,
    ) -> Result<PromptKeys, SessionError> {
        let config = model.config();
        let layers = (0..config.layers)
            .map(|layer| take(&self.cache.keys(layer, self.prompt_tokens())?))
            .collect::<Result<Vec<_>, SessionError>>()?;
        PromptKeys::new(layers, config.query_heads, config.sliding_windows.clone())
    }

    /// The prompt's values of a layer, `[G, T, D]`, a view.
    pub(crate) fn values(&self, layer: usize) -> Result<Tensor, SessionError> {
        self.cache.values(layer, self.prompt_tokens())
    }

    /// The cache holding the prompt and what was just put behind it, so many tokens; whatever else is forgotten.
    pub(crate) fn cache_behind(&mut self, tokens: usize) -> &mut KvCache {
        self.cache.truncate(self.prompt_ids.len() + tokens);
        &mut self.cache
    }

    /// Keys of the decode stage, once it was observed and before a window forgets them.
    pub(crate) fn decode_keys(&self) -> Result<DecodeKeys, SessionError> {
        DecodeKeys::of(&self.cache, self.prompt_tokens())
    }

    /// Its values, L entries `[G, R, D]`, likewise.
    pub(crate) fn decode_values(&self) -> Result<Vec<Tensor>, SessionError> {
        behind(&self.cache, self.prompt_tokens(), |layer, len| {
            self.cache.values(layer, len)
        })
    }

    /// The prompt's values with what the decode stage put behind it.
    pub(crate) fn cached_values(
        &self,
        model: &Model,
        decode_keys: DecodeKeys,
        decode_values: Vec<Tensor>,
    ) -> Result<CachedValues, SessionError> {
        let (decoder, tokens) = (model.decoder(), self.prompt_tokens());
        CachedValues::of(decoder, &self.cache, tokens, decode_keys, decode_values)
    }

    /// The cache holding the prompt alone: whatever an earlier window put behind it is forgotten.
    pub fn prompt_cache(&mut self) -> &mut KvCache {
        self.cache.truncate(self.prompt_ids.len());
        &mut self.cache
    }
}
