//! The budget: one slider on a logarithmic scale, and the number as it was typed.

use egui::{Id, RichText, Slider, Ui};
use kvlens_analysis::Budget;

use super::View;
use crate::gui::command::{Commands, LookCommand};
use crate::gui::widgets::typed::TypedField;

/// Draws the bar.
pub fn budget_bar_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    ui.horizontal(|ui| {
        let name = ui
            .strong("Budget")
            .on_hover_text("Prompt tokens that each head may keep");
        entry_ui(ui, view, name.id, commands);
        let Some(&largest) = view.derived.budgets().last() else {
            ui.weak("opens with a sample");
            return;
        };
        let tokens = view.derived.budget_tokens();
        let percent = 100.0 * tokens as f64 / largest as f64;
        ui.label(RichText::new(format!("{tokens:>5} tokens · {percent:>5.1} %")).monospace());
        ui.spacing_mut().slider_width = (ui.available_width() - 12.0).max(80.0);
        let mut wanted = tokens;
        let slider = Slider::new(&mut wanted, 1..=largest)
            .logarithmic(true)
            .show_value(false);
        let response = ui
            .add(slider)
            .on_hover_text("Drag, or press the arrow keys (one step) or [ and ] (sixteen)");
        response.widget_info(|| egui::WidgetInfo::slider(true, wanted as f64, "Budget in tokens"));
        if response.changed() && wanted != tokens {
            commands.send(LookCommand::SetBudget(Budget::Tokens(wanted)));
        }
    });
}

/// The budget as text: `64` or `5%`.
fn entry_ui(ui: &mut Ui, view: &View<'_>, name: Id, commands: &mut Commands) {
    let field = TypedField {
        id: "budget draft",
        label: name,
        current: view.settings.choices.budget.to_string(),
        hint: "",
        help: "A number of tokens such as 64, or a share such as 5%",
        width: 56.0,
        error: view.theme.error,
    };
    let typed = field.show(ui, |text| {
        text.parse::<Budget>().map_err(|error| error.to_string())
    });
    if let Some(budget) = typed {
        commands.send(LookCommand::SetBudget(budget));
    }
}
