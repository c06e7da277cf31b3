//! Which prompts of a file or a task are taken, and what they turn out to be.

use egui::{CollapsingHeader, ComboBox, DragValue, Grid, RichText, TextEdit, Ui};
use kvlens_datasets::{BadRows, Format, PromptChoices, QuestionPlace, TooLong, builtin_tasks};

use super::View;
use super::task_options::task_options_ui;
use crate::gui::capture_settings::CaptureSettings;
use crate::gui::command::{CaptureCommand, Commands};
use crate::gui::widgets::name_list::{Named, name_list};

/// What may be chosen for a prompt that is too long, with the words for it.
const TOO_LONG: [(TooLong, &str); 4] = [
    (TooLong::Refuse, "refuse all"),
    (TooLong::LeaveOut, "leave out"),
    (TooLong::CutMiddle, "cut the middle"),
    (TooLong::CutLeft, "cut the left"),
];

/// Files and tasks, one a line, and the buttons that add one more.
pub(super) fn data_ui(
    ui: &mut Ui,
    edited: &mut CaptureSettings,
    name: egui::Id,
    commands: &mut Commands,
) {
    let rows = edited.data.lines().count().max(1);
    ui.add(
        TextEdit::multiline(&mut edited.data)
            .hint_text("prompts.jsonl or task:options")
            .desired_rows(rows)
            .desired_width(f32::INFINITY),
    )
    .labelled_by(name)
    .on_hover_text("Several files or tasks stand one a line; all are captured into one session");
    ui.horizontal_wrapped(|ui| {
        let browse = ui.button("Browse…").on_hover_text("Add a file of prompts");
        if browse.clicked() {
            commands.send(CaptureCommand::AskForPrompts);
        }
        tasks_ui(ui, edited);
        formats_ui(ui, &mut edited.data);
    });
}

/// Draws what stands below the field of a file or task.
pub(super) fn picker_ui(ui: &mut Ui, view: &View<'_>, edited: &mut CaptureSettings) {
    task_options_ui(ui, &mut edited.data);
    CollapsingHeader::new("Which of them")
        .id_salt("which prompts")
        .show(ui, |ui| choices_ui(ui, &mut edited.prompts));
    preview_ui(ui, view);
}

fn tasks_ui(ui: &mut Ui, edited: &mut CaptureSettings) {
    ui.menu_button("Tasks", |ui| {
        let tasks = builtin_tasks();
        let names: Vec<Named<'_>> = tasks
            .iter()
            .map(|task| Named {
                name: task.name,
                summary: task.summary,
                help: task.options.join("\n"),
            })
            .collect();
        if let Some(task) = name_list(ui, &names).and_then(|number| tasks.get(number)) {
            edited.add_data(task.name);
            ui.close();
        }
    })
    .response
    .on_hover_text("Tasks that are generated; options follow a colon, such as niah:length=1k..8k/4,depth=0..1/5");
}

fn formats_ui(ui: &mut Ui, data: &mut String) {
    ui.menu_button("Read as", |ui| {
        let names = Format::ALL.map(|format| Named {
            name: format.name(),
            summary: summary(format),
            help: format!("{}:FILE or {}:FOLDER", format.name(), format.name()),
        });
        let chosen = name_list(ui, &names).and_then(|number| Format::ALL.get(number));
        if let Some(format) = chosen {
            read_last_as(*format, data);
            ui.close();
        }
    })
    .response
    .on_hover_text("Take the file or folder for this benchmark's, whatever its fields look like");
}

/// What a file of this format is.
fn summary(format: Format) -> &'static str {
    match format {
        Format::KvLens => "samples that this program wrote",
        Format::LongBenchV2 => "LongBench v2: questions with four choices",
        Format::LongBench => "LongBench and LongBench-E: long documents with a question",
        Format::InfiniteBench => "InfiniteBench: documents of 100,000 tokens and more",
        Format::BabiLong => "BABILong: facts between the sentences of books",
        Format::LooGle => "LooGLE: long documents, short and long dependencies",
        Format::LEval => "L-Eval: long documents with several instructions",
        Format::Ruler => "RULER: needles, tracing, counting, as its scripts prepare them",
        Format::Plain => "any other rows, by the names of their fields",
    }
}

/// Names the format before the path of the last line, which is the one that was typed or chosen last.
fn read_last_as(format: Format, data: &mut String) {
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

/// How lines begin that say which fields of a file were read as what.
const FIELDS: [&str; 2] = ["read: ", "prompts: "];

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
    for line in preview.report.iter().map(|line| line.trim()) {
        let text = RichText::new(line).weak();
        // which fields are what is long, and seldom asked for
        match FIELDS.iter().any(|fields| line.starts_with(fields)) {
            true => ui
                .add(egui::Label::new(text).truncate())
                .on_hover_text(line),
            false => ui.label(text),
        };
    }
    if !preview.first.is_empty() {
        CollapsingHeader::new("The first prompt")
            .id_salt("first prompt")
            .show(ui, |ui| ui.label(&preview.first));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_last_line_is_read_as_what_was_chosen() {
        let read = |data: &str| {
            let mut data = data.to_owned();
            read_last_as(Format::LongBench, &mut data);
            data
        };
        assert_eq!(read("mine.jsonl"), "longbench:mine.jsonl");
        assert_eq!(read("plain:mine.jsonl"), "longbench:mine.jsonl");
        assert_eq!(
            read("niah:length=1k\na.json"),
            "niah:length=1k\nlongbench:a.json"
        );
    }
}
