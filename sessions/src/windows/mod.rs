//! Observation windows: who asks the prompt's keys, one file per kind of window.
//!
//! A window makes queries; everything after that is shared. A new window is a file beside this one that
//! implements [`ObservationWindow`], and one entry in `registry.rs`.

mod decode;
mod label;
mod last_prompt;
mod registry;

use kvlens_analysis::{ForcedKeep, Scoring};

pub use decode::{Decode, DecodePlan};
pub use label::WindowLabel;
pub use last_prompt::LastPrompt;
pub use registry::{WindowKind, parse_windows, registered};

use crate::SessionError;
use crate::model::Model;
use crate::observation::Observation;
use crate::prefill::{Prefilled, RunControl};

/// Label of the oracle: the decode stage itself.
pub const DECODE_LABEL: &str = "decode";

/// A set of queries, per layer and query head, whose attention over the prompt keys serves as a forecast
/// of the decode stage (or, for [`Decode`], is the decode stage).
pub trait ObservationWindow: Send {
    /// The window as it was typed.
    fn label(&self) -> &str;

    /// How many of the last prompt tokens' queries prefill must keep for this window.
    fn prompt_rows(&self) -> usize {
        0
    }

    /// How many tokens the window may put behind the prompt: the room that the cache needs.
    fn extra_tokens(&self) -> usize {
        0
    }

    /// The scoring that the window was published with.
    fn scoring(&self) -> Scoring;

    /// Tokens that the window's eviction rule keeps whatever their score.
    fn forced_keep(&self) -> ForcedKeep;

    /// The queries that this window observes the prompt with.
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
}
