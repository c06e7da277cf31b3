//! What commands about the choices of all views do.

use kvlens_analysis::Budget;

use super::Workbench;
use crate::gui::command::LookCommand;
use crate::gui::data::Severity;
use crate::gui::head_numbers::{HeadNumber, HeadTable};
use crate::gui::head_words::HeadWords;
use crate::gui::lanes::JobKey;
use crate::gui::state::{MapScope, SelectionChange};

impl Workbench {
    pub(super) fn apply_look(&mut self, command: LookCommand) {
        let choices = &mut self.settings.choices;
        match command {
            LookCommand::Undo => self.undo(),
            LookCommand::Redo => self.redo(),
            LookCommand::SetBudget(budget) => choices.budget = budget,
            LookCommand::StepBudget(step) => self.step_budget(step),
            LookCommand::SetMetric(metric) => choices.metric = metric,
            LookCommand::SetByLayer(by_layer) => choices.by_layer = by_layer,
            LookCommand::SelectHeads { heads, change } => choices.select(&heads, change),
            LookCommand::SelectHeadsBy(text) => self.select_heads_by(&text),
            LookCommand::SetHeadSort(sort) => choices.head_sort = sort,
            LookCommand::SelectAllHeads => choices.heads.clear(),
            LookCommand::Pin(head) => choices.pinned = head,
            LookCommand::SetMapKind(kind) => choices.map_kind = kind,
            LookCommand::SetMapScope(scope) => self.set_map_scope(scope),
            LookCommand::SetWindow(label) => choices.window = Some(label),
            LookCommand::SetBaseline(label) => choices.baseline = label,
            LookCommand::SetMinus(label) => choices.minus = label,
            LookCommand::ToggleWindow(label) => {
                if !choices.hidden_windows.remove(&label) {
                    choices.hidden_windows.insert(label);
                }
            }
            LookCommand::SetAttentionScale(scale) => {
                choices.attention_scale = scale.clamp(1e-3, 1e3);
            }
            LookCommand::SetDecodeStep(step) => choices.decode_step = step,
            LookCommand::StepDecode(step) => self.step_decode(step),
            LookCommand::SetHiddenWindows(labels) => choices.hidden_windows = labels,
            LookCommand::SetTokenHeat(heat) => choices.token_heat = heat,
            LookCommand::SetHeatScale(scale) => choices.heat_scale = scale,
            LookCommand::SetMeasureOptions(options) => {
                let shown = self.data.shown().map(|shown| shown.options);
                let is_in_force =
                    self.settings.choices.measure == options && shown == Some(options);
                self.settings.choices.measure = options;
                if !is_in_force {
                    self.measure_again();
                }
            }
            LookCommand::SetDrift(drift) => choices.drift = drift,
            LookCommand::SetDecodeCache(cache) => choices.decode_cache = cache,
            LookCommand::SetQueries(part) => choices.queries = part,
            LookCommand::SetCurvesOver(over) => choices.curves_over = over,
            LookCommand::SetMargin(margin) => choices.margin = margin,
            LookCommand::SetProfile(number) => choices.profile = number,
            LookCommand::SetEvidence(part) => choices.evidence = part,
            LookCommand::SetFidelity(fidelity) => choices.fidelity = fidelity,
            LookCommand::ScrollToToken(token) => self.scroll_to = Some(token),
            LookCommand::ScrollToNeeded => {
                let shown = self.data.shown();
                let spans = shown.map(|shown| shown.sample.record.evidence_tokens.iter());
                let first = spans.and_then(|spans| spans.map(|span| span.start).min());
                self.scroll_to = first.or(self.scroll_to);
            }
        }
    }

    /// Selects the heads that the words mean in the sample on show; where they mean none the selection stays.
    fn select_heads_by(&mut self, text: &str) {
        let Some(session) = &self.data.session else {
            return;
        };
        let (info, choices) = (&session.info, &mut self.settings.choices);
        let words = match HeadWords::read(text, info.layers, info.query_heads) {
            Ok(words) => words,
            Err(wrong) => return self.note(Severity::Warning, wrong),
        };
        let heads = match (words.places(), &session.shown) {
            (Some(places), _) => places,
            (None, Some(shown)) => {
                let profile = &self.data.answers.profile;
                let profile = profile.value().filter(|it| it.is_of(shown.version));
                let profile = profile.map(|profile| &**profile);
                let table = HeadTable::of_choices(info, shown, choices, profile);
                if let Some(number @ HeadNumber::Profile(_)) = words.unsaid(&table) {
                    let text = format!(
                        "The heads have no {} yet: open the view Head profile, which measures it",
                        number.label()
                    );
                    return self.note(Severity::Warning, text);
                }
                words.choose(&table, HeadNumber::Metric(choices.metric))
            }
            (None, None) => return,
        };
        if heads.is_empty() && words.places().is_none() {
            let text = format!("No head is one of '{text}'; the selection stays as it is");
            return self.note(Severity::Warning, text);
        }
        choices.select(&heads, SelectionChange::Replace);
    }

    fn set_map_scope(&mut self, scope: MapScope) {
        self.settings.choices.map_scope = scope;
        // what was cancelled or failed is asked again
        if !self.data.is_comparing_samples() {
            self.retry(&JobKey::CompareSamples);
        }
    }

    /// Within the steps that were captured.
    fn step_decode(&mut self, step: i32) {
        let Some(shown) = self.data.shown() else {
            return;
        };
        let last = shown.sample.record.generated_ids.len().saturating_sub(1);
        let now = self.settings.choices.decode_step.min(last);
        let next = now.saturating_add_signed(step as isize).min(last);
        self.settings.choices.decode_step = next;
    }

    fn step_budget(&mut self, step: i32) {
        let budgets = self.derived.budgets();
        let Some(last) = budgets.len().checked_sub(1) else {
            return;
        };
        let index = self
            .derived
            .budget_index
            .saturating_add_signed(step as isize)
            .min(last);
        if let Some(tokens) = budgets.get(index) {
            self.settings.choices.budget = Budget::Tokens(*tokens);
        }
    }
}
