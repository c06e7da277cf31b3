//! Observation windows: who asks the prompt's keys, one file per kind of window.
//!
//! A window makes queries, or scores that are ready; everything after that is shared. A new window is a file
//! beside this one that implements [`ObservationWindow`], and one entry in `registry.rs`.

mod appended;
mod dapq;
mod decode;
mod draft;
mod expected_attention;
mod h2o;
mod key_norm;
mod last_prompt;
mod lookahead;
mod pseudo_tokens;
mod random;
mod registry;
mod seed;
mod soft_tokens;
mod streaming;
mod tova;
mod trained;
pub(crate) mod trained_file;
mod union;
mod union_ranks;

use kvlens_analysis::{ForcedKeep, KeepRule, Pooling, RowReduction, Scoring};

pub use dapq::DapQ;
pub use decode::Decode;
pub use draft::Draft;
pub use expected_attention::ExpectedAttention;
pub use h2o::H2o;
pub use key_norm::KeyNorm;
pub use last_prompt::LastPrompt;
pub use lookahead::Lookahead;
pub use random::Random;
pub use registry::{WindowKind, expand_all, parse_window, parse_windows, registered};
pub use soft_tokens::SoftTokens;
pub use streaming::Streaming;
pub use tova::Tova;
pub use trained::{Trained, TrainedMethod};
pub use union::Union;

pub use crate::label::{WindowLabel, WindowOptions};
pub use crate::plan::DecodePlan;

use crate::SessionError;
use crate::footprint::{RunShape, WindowMemory};
use crate::model::Model;
use crate::observation::{Cost, Observation, ObservationInfo};
use crate::prefill::{Needs, Prefilled, RunControl};

/// Label of the oracle: the decode stage itself.
pub const DECODE_LABEL: &str = "decode";

/// A set of queries, per layer and query head, whose attention over the prompt keys serves as a forecast
/// of the decode stage (or, for [`Decode`], is the decode stage); or scores that stand in their place.
pub trait ObservationWindow: Send + Sync {
    /// The window as it was typed.
    fn label(&self) -> &str;

    /// What prefill must keep for this window, and the room that it needs behind the prompt.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// The scoring that the window was published with: the mean over the rows of their attention, not pooled.
    fn scoring(&self) -> Scoring {
        Scoring::default()
    }

    /// Tokens that the window's eviction rule keeps at every budget, whatever their score: none.
    fn forced_keep(&self) -> ForcedKeep {
        ForcedKeep::default()
    }

    /// All that the rule keeps whatever the score, where that depends on the budget.
    fn keep_rule(&self) -> KeepRule {
        self.forced_keep().into()
    }

    /// Whether it observes by rows of queries, and not by scores that are ready.
    fn gives_rows(&self) -> bool {
        true
    }

    /// Whether it can observe a prompt of T tokens at all; asked before anything runs.
    ///
    /// # Errors
    /// A sentence saying why not.
    fn check_prompt(&self, _prompt_tokens: usize) -> Result<(), SessionError> {
        Ok(())
    }

    /// Loads what the window needs besides the prompt. Called once, before the first sample.
    ///
    /// # Errors
    /// A sentence saying why the window cannot be used with this model.
    fn prepare(&mut self, _model: &Model) -> Result<(), SessionError> {
        Ok(())
    }

    /// SHA-256 of the weights that [`prepare`](Self::prepare) loaded besides the model's own, for the manifest.
    fn loaded_weights_sha256(&self) -> Vec<String> {
        Vec::new()
    }

    /// Memory that the window takes besides what all windows share, from the shapes. Unless a window says
    /// otherwise: the rows of its [`needs`](Self::needs), and running those that it puts behind the prompt.
    ///
    /// # Errors
    /// A sentence saying why what it loads besides the model cannot be found or read.
    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let needs = self.needs();
        let of_prompt = needs.last_rows.min(run.prompt_tokens);
        let rows = of_prompt.saturating_add(needs.extra_tokens);
        Ok(run.observed_by_rows(rows, needs.extra_tokens))
    }

    /// The queries (or scores) that this window observes the prompt with.
    ///
    /// What it feeds to the model joins the cache behind the prompt; it takes the cache from
    /// [`Prefilled::prompt_cache`], which forgets what earlier windows left there.
    ///
    /// # Errors
    /// [`SessionError::Cancelled`], or a sentence saying why the window cannot observe this prompt.
    fn observe(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        control: &mut RunControl<'_>,
    ) -> Result<Observation, SessionError>;

    /// What stands beside the tensors of an observation by this window.
    fn info(&self, token_ids: Vec<u32>, cost: Cost) -> ObservationInfo {
        ObservationInfo {
            label: self.label().to_owned(),
            scoring: self.scoring(),
            keep_rule: self.keep_rule(),
            token_ids,
            ready_made: None,
            cost,
        }
    }
}

/// SnapKV's scoring in its LongBench configurations, which LAQ's repository takes over: sum over the rows,
/// max pooling with kernel 7, each query head on its own.
fn snapkv_scoring() -> Scoring {
    Scoring {
        reduce: RowReduction::Sum,
        pool: Pooling::Max { kernel: 7 },
        ..Scoring::default()
    }
}
