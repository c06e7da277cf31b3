//! A window: what is said of it as data, and who observes.

use kvlens_analysis::{KeepRule, Scoring};

use super::run::{Observed, Run};
use crate::SessionError;
use crate::footprint::{RunShape, WindowMemory};
use crate::model::{Model, ModelSource};
use crate::observation::{Cost, Evidence, Observation, ObservationInfo};
use crate::prefill::{Needs, Prefilled, RunControl};
use crate::stopwatch::Stopwatch;

/// Looks at a prompt: a set of queries, per layer and query head, whose attention over the prompt keys serves as a
/// forecast of the decode stage (or is the decode stage); or scores that stand in their place.
pub trait Observe: Send + Sync {
    /// What prefill must keep for it, and the room that it needs behind the prompt.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Whether it can observe a prompt of T tokens at all; asked before anything runs.
    ///
    /// # Errors
    /// A sentence saying why not.
    fn check_prompt(&self, _prompt_tokens: usize) -> Result<(), SessionError> {
        Ok(())
    }

    /// Memory that it takes besides what all windows share, from the shapes. Unless it says otherwise: the rows of its
    /// [`needs`](Self::needs), and running those that it puts behind the prompt.
    ///
    /// # Errors
    /// A sentence saying why what it loads besides the model cannot be found or read.
    fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        let needs = self.needs();
        let of_prompt = needs.last_rows.min(run.prompt_tokens);
        let rows = of_prompt.saturating_add(needs.extra_tokens);
        Ok(run.observed_by_rows(rows, needs.extra_tokens))
    }

    /// SHA-256 of the weights that were loaded for it besides the model's own, for the manifest.
    fn loaded_weights_sha256(&self) -> Vec<String> {
        Vec::new()
    }

    /// The queries (or scores) that this window observes the prompt with. What it runs, holds or looks at besides is
    /// told to `run`, which counts.
    ///
    /// What it feeds to the model joins the cache behind the prompt; it takes the cache from
    /// [`Prefilled::prompt_cache`], which forgets what earlier windows left there.
    ///
    /// # Errors
    /// [`SessionError::Cancelled`], or a sentence saying why the window cannot observe this prompt.
    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError>;
}

/// A window before its model is there: what it will load can be asked for its size.
pub(super) trait Unloaded: Send + Sync {
    /// What prefill will have to keep with the model from `source`.
    fn needs_with(&self, source: &ModelSource) -> Result<Needs, SessionError>;

    /// Memory that the window will take, what it loads included.
    fn footprint(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError>;

    /// Loads what the window needs besides the prompt.
    fn load(self: Box<Self>, model: &Model) -> Result<Box<dyn Observe>, SessionError>;
}

/// Most windows load nothing.
impl<T: Observe + 'static> Unloaded for T {
    fn needs_with(&self, _source: &ModelSource) -> Result<Needs, SessionError> {
        Ok(self.needs())
    }

    fn footprint(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        self.memory(run)
    }

    fn load(self: Box<Self>, _model: &Model) -> Result<Box<dyn Observe>, SessionError> {
        Ok(self)
    }
}

/// What is said of a window beside its observation.
#[derive(Debug, Clone)]
struct Description {
    label: String,
    scoring: Scoring,
    keep_rule: KeepRule,
    gives_rows: bool,
}

/// A window as it was typed.
pub struct Window {
    description: Description,
    kind: Box<dyn Unloaded>,
}

impl Description {
    fn new(gives_rows: bool) -> Self {
        Self {
            label: String::new(),
            scoring: Scoring::default(),
            keep_rule: KeepRule::default(),
            gives_rows,
        }
    }
}

impl Window {
    /// One that observes by rows of queries. Until it is told otherwise, its scoring is the mean over the rows of their
    /// attention, not pooled, and it keeps no token whatever its score. The registry gives it its label.
    pub fn by_rows(observer: impl Observe + 'static) -> Self {
        Self::new(true, observer)
    }

    /// One that observes by scores that are ready; else like [`by_rows`](Self::by_rows).
    pub fn by_scores(observer: impl Observe + 'static) -> Self {
        Self::new(false, observer)
    }

    pub(super) fn new(gives_rows: bool, kind: impl Unloaded + 'static) -> Self {
        Self {
            description: Description::new(gives_rows),
            kind: Box::new(kind),
        }
    }

    /// With the scoring that it was published with.
    #[must_use]
    pub fn scored(mut self, scoring: Scoring) -> Self {
        self.description.scoring = scoring;
        self
    }

    /// With the tokens that its eviction rule keeps whatever their score.
    #[must_use]
    pub fn keeping(mut self, rule: impl Into<KeepRule>) -> Self {
        self.description.keep_rule = rule.into();
        self
    }

    /// With a name in place of the label that was typed.
    pub(super) fn named(self, name: &str) -> Self {
        self.labelled(name)
    }

    /// With the label that was typed, unless it has a name.
    pub(super) fn labelled(mut self, label: &str) -> Self {
        if self.description.label.is_empty() {
            label.clone_into(&mut self.description.label);
        }
        self
    }

    /// The window as it was typed.
    pub fn label(&self) -> &str {
        &self.description.label
    }

    /// The scoring that it was published with.
    pub fn scoring(&self) -> Scoring {
        self.description.scoring
    }

    /// What its eviction rule keeps whatever the score.
    pub fn keep_rule(&self) -> KeepRule {
        self.description.keep_rule
    }

    /// Whether it observes by rows of queries, and not by scores that are ready.
    pub(crate) fn gives_rows(&self) -> bool {
        self.description.gives_rows
    }

    /// What prefill will have to keep for it with the model from `source`, and the room that it will need behind the
    /// prompt.
    ///
    /// # Errors
    /// A sentence saying why what it loads besides the model cannot be found or read.
    pub fn needs(&self, source: &ModelSource) -> Result<Needs, SessionError> {
        self.kind.needs_with(source)
    }

    /// Memory that it takes besides what all windows share, from the shapes.
    pub(crate) fn memory(&self, run: &RunShape<'_>) -> Result<WindowMemory, SessionError> {
        self.kind.footprint(run)
    }

    /// The window for a model, with what it needs besides the prompt.
    ///
    /// # Errors
    /// A sentence saying why it cannot be used with this model.
    pub fn ready(self, model: &Model) -> Result<ReadyWindow, SessionError> {
        Ok(ReadyWindow {
            observer: self.kind.load(model)?,
            description: self.description,
        })
    }
}

/// A window that can observe prompts of one model.
pub struct ReadyWindow {
    description: Description,
    observer: Box<dyn Observe>,
}

impl ReadyWindow {
    /// One that observes by rows and loads nothing, with what holds of every window unless it says otherwise.
    pub(crate) fn new(label: &str, observer: impl Observe + 'static) -> Self {
        Self {
            description: Description {
                label: label.to_owned(),
                ..Description::new(true)
            },
            observer: Box::new(observer),
        }
    }

    #[must_use]
    pub(crate) fn scored(mut self, scoring: Scoring) -> Self {
        self.description.scoring = scoring;
        self
    }

    /// The window as it was typed.
    pub fn label(&self) -> &str {
        &self.description.label
    }

    /// What prefill must keep for it, and the room that it needs behind the prompt.
    pub fn needs(&self) -> Needs {
        self.observer.needs()
    }

    /// Whether it can observe a prompt of T tokens at all; asked before anything runs.
    ///
    /// # Errors
    /// A sentence saying why not.
    pub(crate) fn check_prompt(&self, prompt_tokens: usize) -> Result<(), SessionError> {
        self.observer.check_prompt(prompt_tokens)
    }

    /// SHA-256 of the weights that were loaded for it besides the model's own.
    pub fn loaded_weights_sha256(&self) -> Vec<String> {
        self.observer.loaded_weights_sha256()
    }

    /// Observes a prompt, and says what that cost.
    ///
    /// # Errors
    /// [`SessionError::Cancelled`], or a sentence saying why the window cannot observe this prompt.
    pub fn observe(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        control: &mut RunControl<'_>,
    ) -> Result<Observation, SessionError> {
        control.cancel.check()?;
        let watch = Stopwatch::start(model.decoder().device())?;
        let mut run = Run::new(model, prefilled, control);
        let observed = self.observer.observe(&mut run)?;
        let cost = run.cost(&observed, watch.seconds()?);
        self.described(observed, cost)
    }

    fn described(&self, observed: Observed, cost: Cost) -> Result<Observation, SessionError> {
        let description = self.description.clone();
        if !description.scoring.weight.is_none() && !observed.evidence.is_attention() {
            return Err(SessionError::Plan {
                reason: format!(
                    "window '{}' gives no attention that values could weigh; leave out weight=",
                    description.label
                ),
            });
        }
        let info = ObservationInfo {
            label: description.label,
            scoring: description.scoring,
            keep_rule: description.keep_rule,
            token_ids: observed.token_ids,
            ready_made: match &observed.evidence {
                Evidence::Queries(_) | Evidence::Reduced(_) => None,
                Evidence::Scores(scores) => Some(scores.kind()),
            },
            reduced: None,
            cost,
        };
        Observation::new(info, observed.evidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CancelFlag;
    use crate::model::{DeviceChoice, DtypeChoice};
    use crate::windows::parse_window;

    /// Asked past the look that is taken before a window begins: on a long prompt scoring is the longest part of one that
    /// feeds no token.
    #[test]
    fn a_raised_flag_ends_what_a_window_has_begun() {
        let model = Model::load(&ModelSource::Demo, DeviceChoice::Cpu, DtypeChoice::F32).unwrap();
        let (calm, raised) = (CancelFlag::default(), CancelFlag::default());
        raised.cancel();
        for label in ["tova", "knorm", "expected", "laq", "draft", "dapq"] {
            let window = parse_window(&label.parse().unwrap()).unwrap();
            let window = window.ready(&model).unwrap();
            let ids: Vec<u32> = (5..69).collect();
            let mut control = RunControl {
                cancel: &calm,
                on_tokens: &mut |_, _| {},
            };
            let mut prefilled =
                Prefilled::run(&model, &ids, &window.needs(), &mut control).unwrap();
            control.cancel = &raised;
            let mut run = Run::new(&model, &mut prefilled, &mut control);
            let stopped = window.observer.observe(&mut run);
            assert!(
                matches!(stopped, Err(SessionError::Cancelled)),
                "{label} went on"
            );
        }
    }
}
