//! Rows that are run behind the prompt over its full cache, in one pass: pseudo tokens, drafts, soft tokens.

use candle_core::Tensor;

use super::run::Run;
use crate::SessionError;
use crate::model::{Adapters, KeptQueries};
use crate::observation::QueryRows;

/// Rows to run behind the prompt.
pub(super) struct Appended<'a> {
    /// `[R, hidden]`.
    pub(super) embeddings: Tensor,
    /// Rotary position of the first row; the others follow.
    pub(super) first_position: u32,
    /// Low-rank additions that act on these rows alone.
    pub(super) adapters: Option<&'a Adapters>,
}

impl Appended<'_> {
    /// Runs the rows. A row sees the prompt and the rows before it; they go through all layers as tokens do.
    /// The prompt's own keys are not touched, and the next taker of the cache finds the rows gone.
    pub(super) fn run(self, run: &mut Run<'_>) -> Result<QueryRows, SessionError> {
        let mut cancel = run.control.cancel.clone();
        let prompt_tokens = run.prompt_tokens();
        let (config, decoder) = (run.config(), run.model.decoder());
        let rows = self.embeddings.dim(0)?;
        let positions: Vec<u32> = (self.first_position..).take(rows).collect();
        let mut kept = KeptQueries::new(config.layers, prompt_tokens);
        let cache = run.prefilled.prompt_cache();
        decoder.forward(
            &self.embeddings,
            &positions,
            cache,
            self.adapters,
            &mut [&mut cancel, &mut kept],
        )?;
        (run.control.on_tokens)(rows, rows);
        let visible_keys = (prompt_tokens as u32 + 1..).take(rows).collect();
        let kept = kept.finish(decoder, cache)?;
        let rows = QueryRows::new(kept, positions, visible_keys)?;
        run.fed(config, rows.count(), prompt_tokens, 0);
        run.held(cached_bytes(run, &rows));
        Ok(rows)
    }
}

/// What the rows' own keys and values take.
pub(super) fn cached_bytes(run: &Run<'_>, rows: &QueryRows) -> usize {
    let config = run.config();
    let element = rows.queries().dtype().size_in_bytes();
    2 * config.layers * config.kv_heads * config.head_dim * rows.count() * element
}
