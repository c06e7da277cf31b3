//! Rows that are run behind the prompt over its full cache, in one pass: pseudo tokens, drafts, soft tokens.

use candle_core::Tensor;

use crate::SessionError;
use crate::model::{Adapters, KeptQueries, Model};
use crate::observation::{Cost, QueryRows};
use crate::prefill::{Prefilled, RunControl};

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
    pub(super) fn run(
        self,
        model: &Model,
        prefilled: &mut Prefilled,
        control: &mut RunControl<'_>,
    ) -> Result<QueryRows, SessionError> {
        let mut cancel = control.cancel.clone();
        let prompt_tokens = prefilled.prompt_tokens();
        let rows = self.embeddings.dim(0)?;
        let positions: Vec<u32> = (self.first_position..).take(rows).collect();
        let mut kept = KeptQueries::new(model.config().layers, prompt_tokens);
        let cache = prefilled.prompt_cache();
        let decoder = model.decoder();
        decoder.forward(
            &self.embeddings,
            &positions,
            cache,
            self.adapters,
            &mut [&mut cancel, &mut kept],
        )?;
        (control.on_tokens)(rows, rows);
        let visible_keys = (prompt_tokens as u32 + 1..).take(rows).collect();
        let rows = kept.finish(decoder, cache)?;
        QueryRows::new(rows, positions, visible_keys)
    }
}

/// What so many appended rows cost beyond the prefill, but for the time.
pub(super) fn cost_of_appended(model: &Model, rows: &QueryRows, prompt_tokens: usize) -> Cost {
    let config = model.config();
    let count = rows.count();
    let element = rows.queries().dtype().size_in_bytes();
    Cost {
        rows: count,
        seconds: 0.0,
        flops: config.forward_flops(count, prompt_tokens, 0)
            + config.scoring_flops(count, prompt_tokens),
        extra_tokens: count,
        peak_bytes: 2 * config.layers * config.kv_heads * config.head_dim * count * element
            + rows.bytes(),
    }
}
