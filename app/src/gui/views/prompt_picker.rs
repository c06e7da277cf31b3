//! Which prompts of a file or a task are taken, and what they turn out to be.

use egui::{CollapsingHeader, ComboBox, DragValue, Grid, TextEdit, Ui};
use kvlens_datasets::{BadRows, Format, PromptChoices, QuestionPlace, TooLong, builtin_tasks};

use super::View;
use super::task_options::task_options_ui;
use crate::gui::capture_settings::CaptureSettings;

/// What may be chosen for a prompt that is too long, with the words for it.
const TOO_LONG: [(TooLong, &str); 4] = [
    (TooLong::Refuse, "refuse all"),
    (TooLong::LeaveOut, "leave out"),
    (TooLong::CutMiddle, "cut the middle"),
    (TooLong::CutLeft, "cut the left"),
];

/// Draws what stands below the field of a file or task.
pub(super) fn picker_ui(ui: &mut Ui, view: &View<'_>, edited: &mut CaptureSettings) {
    ui.horizontal(|ui| {
        tasks_ui(ui, edited);
        layouts_ui(ui, &mut edited.data);
    });
    task_options_ui(ui, &mut edited.data);
    CollapsingHeader::new("Which of them")
        .id_salt("which prompts")
        .show(ui, |ui| choices_ui(ui, &mut edited.prompts));
    preview_ui(ui, view);
}

fn tasks_ui(ui: &mut Ui, edited: &mut CaptureSettings) {
    ui.menu_button("Tasks", |ui| {
        egui::ScrollArea::vertical().show(ui, |ui| {
            for task in builtin_tasks() {
                let text = format!("{}   {}", task.name, task.summary);
                let options = task.options.join("\n");
                if ui.button(text).on_hover_text(options).clicked() {
                    edited.add_data(task.name);
                    ui.close();
                }
            }
        });
    })
    .response
    .on_hover_text("Tasks that are generated; options follow a colon, such as niah:length=1k..8k/4,depth=0..1/5");
}

fn layouts_ui(ui: &mut Ui, data: &mut String) {
    ui.menu_button("Layout", |ui| {
        for format in Format::ALL {
            if ui.button(format.name()).clicked() {
                // the last line is the one that was typed or chosen last
                let (before, last) = data.rsplit_once('\n').unwrap_or(("", data.as_str()));
                let path = last
                    .split_once(':')
                    .filter(|(name, _)| Format::from_name(name).is_some());
                let path = path.map_or(last, |(_, path)| path);
                let line = format!("{format}:{path}");
                *data = match before {
                    "" => line,
                    before => format!("{before}\n{line}"),
                };
                ui.close();
            }
        }
    })
    .response
    .on_hover_text("Read the file or folder as this benchmark's, whatever it looks like");
}

fn choices_ui(ui: &mut Ui, choices: &mut PromptChoices) {
    Grid::new("which prompts").num_columns(2).show(ui, |ui| {
        limit_ui(ui, &mut choices.limit);
        ui.end_row();
        place_ui(ui, &mut choices.question);
        ui.end_row();
        too_long_ui(ui, &mut choices.too_long);
        ui.end_row();
    });
    fields_ui(ui, &mut choices.field);
    let mut leaves_out = choices.bad_rows == BadRows::LeaveOut;
    if ui
        .checkbox(&mut leaves_out, "Leave out rows that are no prompt")
        .changed()
    {
        choices.bad_rows = match leaves_out {
            true => BadRows::LeaveOut,
            false => BadRows::Refuse,
        };
    }
}

/// Which fields of a file are what, where the names do not say it. An entry is taken over as it is typed.
fn fields_ui(ui: &mut Ui, fields: &mut Vec<String>) {
    let id = ui.scope_id().with("fields");
    let known = fields.join(" ");
    let mut typed = ui
        .data(|data| data.get_temp::<String>(id))
        .filter(|typed| {
            typed
                .split_whitespace()
                .eq(fields.iter().map(String::as_str))
        })
        .unwrap_or(known);
    let name = ui.label("Fields of a file");
    let edited = ui
        .add(
            TextEdit::singleline(&mut typed)
                .hint_text("question=ask answer=gold")
                .desired_width(f32::INFINITY),
        )
        .labelled_by(name.id)
        .on_hover_text(
            "ROLE=FIELD with spaces between, where the names of the fields do not say it",
        );
    if edited.changed() {
        *fields = typed.split_whitespace().map(str::to_owned).collect();
    }
    ui.data_mut(|data| data.insert_temp(id, typed));
}

fn limit_ui(ui: &mut Ui, limit: &mut Option<usize>) {
    let mut is_limited = limit.is_some();
    if ui.checkbox(&mut is_limited, "At most").changed() {
        *limit = is_limited.then_some(16);
    }
    if let Some(limit) = limit {
        ui.add(
            DragValue::new(limit)
                .range(1..=1_000_000)
                .suffix(" prompts"),
        );
    }
}

fn place_ui(ui: &mut Ui, place: &mut Option<QuestionPlace>) {
    let words = |place: Option<QuestionPlace>| match place {
        None => "where it stands",
        Some(QuestionPlace::Absent) => "absent, asked afterwards",
        Some(place) => place.label(),
    };
    ui.label("Question");
    ComboBox::from_id_salt("question place")
        .selected_text(words(*place))
        .show_ui(ui, |ui| {
            let places = QuestionPlace::ALL.map(Some);
            for choice in std::iter::once(None).chain(places) {
                ui.selectable_value(place, choice, words(choice));
            }
        })
        .response
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Question"));
}

fn too_long_ui(ui: &mut Ui, too_long: &mut TooLong) {
    let words = TOO_LONG.iter().find(|(choice, _)| choice == too_long);
    ui.label("Too long");
    ComboBox::from_id_salt("too long")
        .selected_text(words.map_or("", |(_, words)| words))
        .show_ui(ui, |ui| {
            for (choice, words) in TOO_LONG {
                ui.selectable_value(too_long, choice, words);
            }
        })
        .response
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Too long"));
}

/// What was read: by task, in tokens, and which fields as what.
fn preview_ui(ui: &mut Ui, view: &View<'_>) {
    let Some(preview) = &view.data.capture_prompts else {
        return;
    };
    for task in &preview.tasks {
        ui.weak(task.line());
    }
    if preview.has_more {
        ui.weak("These are the first; the capture reads them all.");
    }
    for line in &preview.report {
        ui.weak(line.trim());
    }
    if !preview.first.is_empty() {
        CollapsingHeader::new("The first prompt")
            .id_salt("first prompt")
            .show(ui, |ui| ui.label(&preview.first));
    }
}
