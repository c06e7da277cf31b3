//! What commands about the choices of all views do.

use kvlens_analysis::Budget;

use super::Workbench;
use crate::gui::command::LookCommand;
use crate::gui::lanes::JobKey;
use crate::gui::state::MapScope;

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
            LookCommand::SelectAllHeads => choices.heads.clear(),
            LookCommand::Pin(head) => choices.pinned = head,
            LookCommand::SetMapKind(kind) => choices.map_kind = kind,
            LookCommand::SetMapScope(scope) => self.set_map_scope(scope),
            LookCommand::SetWindow(label) => choices.window = Some(label),
            LookCommand::SetMinus(label) => choices.minus = label,
            LookCommand::ToggleWindow(label) => {
                if !choices.hidden_windows.remove(&label) {
                    choices.hidden_windows.insert(label);
                }
            }
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
            LookCommand::SetQueries(part) => choices.queries = part,
            LookCommand::SetFidelity(fidelity) => choices.fidelity = fidelity,
            LookCommand::ScrollToToken(token) => self.scroll_to = Some(token),
        }
    }

    fn set_map_scope(&mut self, scope: MapScope) {
        self.settings.choices.map_scope = scope;
        // what was cancelled or failed is asked again
        if !self.data.is_comparing_samples() {
            self.retry(&JobKey::CompareSamples);
        }
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
