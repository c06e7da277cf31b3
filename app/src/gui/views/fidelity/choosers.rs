//! What is measured, and what is shown of it.

use egui::{Button, ComboBox, Response, Role, TextEdit, Ui, WidgetInfo};
use kvlens_analysis::SampleGroup;

use crate::gui::command::{Commands, JobCommand};
use crate::gui::derived::fidelity::FidelityCurves;
use crate::gui::lanes::JobKey;
use crate::gui::question_choices::{FidelityChoices, FidelityMetric, FidelityPlot};
use crate::gui::questions::QuestionKind;
use crate::gui::views::View;
use crate::gui::views::question_state::job_of;
use crate::gui::widgets::segmented::segmented;

/// Width of the field of budgets.
const BUDGETS_WIDTH: f32 = 150.0;

/// What is measured: samples, budgets, and the button.
pub(super) fn run_ui(
    ui: &mut Ui,
    view: &View<'_>,
    choices: &mut FidelityChoices,
    commands: &mut Commands,
) {
    let describe = |response: Response, all: bool| {
        response.on_hover_text(match all {
            true => "Measure and show every sample of the session, as means",
            false => "Measure and show the open sample",
        })
    };
    let name = |all: bool| if all { "All samples" } else { "This sample" };
    if let Some(all) = segmented(ui, choices.all_samples, &[false, true], name, describe) {
        choices.all_samples = all;
    }
    let label = ui.label("Budgets");
    let parsed = choices.parsed_budgets();
    let color = parsed.is_err().then_some(view.theme.error);
    let field = TextEdit::singleline(&mut choices.budgets)
        .desired_width(BUDGETS_WIDTH)
        .hint_text("5%, 64")
        .text_color_opt(color);
    let field = ui.add(field).labelled_by(label.id);
    let help = match &parsed {
        Ok(_) => "Budgets in tokens or as shares of the prompt, separated by commas",
        Err(reason) => reason,
    };
    field.on_hover_text(help);
    let is_running = job_of(view, QuestionKind::Fidelity).is_some();
    if is_running {
        if ui
            .button("Cancel fidelity")
            .on_hover_text("What is measured stays")
            .clicked()
        {
            commands.send(JobCommand::CancelJob(JobKey::Question(
                QuestionKind::Fidelity,
            )));
        }
        return;
    }
    let button = ui
        .add_enabled(parsed.is_ok(), Button::new("Measure fidelity"))
        .on_hover_text(
            "Loads the model and decodes once for each shown window and budget, on what the window would keep",
        )
        .on_disabled_hover_text("Type the budgets first, such as 5%, 10%");
    if button.clicked() {
        commands.send(JobCommand::Ask(QuestionKind::Fidelity));
    }
}

pub(super) fn plot_choices_ui(ui: &mut Ui, choices: &mut FidelityChoices) {
    let describe = |response: Response, plot: FidelityPlot| {
        response.on_hover_text(match plot {
            FidelityPlot::Budget => "The metric at every budget, a curve for each window",
            FidelityPlot::Answers => "What the model says on each evicted cache of the open sample",
            FidelityPlot::Recall => {
                "A point for each window and budget: does foreseeing more change the output less?"
            }
        })
    };
    let plots = FidelityPlot::ALL;
    if let Some(plot) = segmented(ui, choices.plot, &plots, FidelityPlot::label, describe) {
        choices.plot = plot;
    }
    if choices.plot == FidelityPlot::Answers {
        return;
    }
    ComboBox::from_id_salt("fidelity metric")
        .selected_text(choices.metric.label())
        .show_ui(ui, |ui| {
            for metric in FidelityMetric::ALL {
                ui.selectable_value(&mut choices.metric, metric, metric.label())
                    .on_hover_text(explain(metric));
            }
        })
        .response
        .on_hover_text(explain(choices.metric))
        .widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, "Fidelity metric"));
}

fn explain(metric: FidelityMetric) -> &'static str {
    match metric {
        FidelityMetric::Divergence => {
            "How far the evicted cache's next-token distribution is from the full cache's, mean over the steps; 0 is no change"
        }
        FidelityMetric::Agreement => {
            "Share of the steps at which both caches find the same token most likely"
        }
        FidelityMetric::AnswerNll => {
            "Mean negative log-likelihood of the reference answer's tokens; lower is likelier"
        }
        FidelityMetric::Score => {
            "Share of the task that the free generation on the evicted cache gets right"
        }
    }
}

/// Which of the measured groups the curves are of: prompts of another task, or with the question elsewhere, are not
/// averaged with them.
pub(super) fn group_ui(ui: &mut Ui, curves: &FidelityCurves, choices: &mut FidelityChoices) {
    let Some(group) = &curves.group else { return };
    let text = group_text(group);
    if !choices.all_samples || curves.groups.len() < 2 {
        ui.weak(text).on_hover_text(
            "Task and place of the question; prompts of different ones are not averaged together",
        );
        return;
    }
    ComboBox::from_id_salt("fidelity group")
        .selected_text(text)
        .show_ui(ui, |ui| {
            for known in &curves.groups {
                if ui
                    .selectable_label(known == group, group_text(known))
                    .clicked()
                {
                    choices.group = Some(known.clone());
                }
            }
        })
        .response
        .on_hover_text(
            "Task and place of the question; prompts of different ones are not averaged together",
        )
        .widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, "Group of samples"));
}

fn group_text(group: &SampleGroup) -> String {
    match group.question_place.as_deref() {
        Some(place) => format!("{}, question {place}", group.task),
        None => group.task.clone(),
    }
}
