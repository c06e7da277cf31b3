//! The capture panel: what to run, and how far it is.

use egui::text::LayoutJob;
use egui::{
    Button, ComboBox, DragValue, Grid, ProgressBar, RichText, ScrollArea, TextEdit, TextStyle, Ui,
};

use kvlens_sessions::estimate::readable_bytes;

use super::View;
use super::prompt_picker::{data_ui, picker_ui};
use super::running::resume_ui;
use crate::gui::capture_refusal::CapturePart;
use crate::gui::capture_settings::{CaptureSettings, PromptSource};
use crate::gui::command::{CaptureCommand, Commands, JobCommand};
use crate::gui::data::{Job, Progress};
use crate::gui::widgets::name_list::{Named, name_list};
use crate::gui::widgets::path_field::{model_field, path_field};
use crate::gui::widgets::segmented::segmented;
use crate::gui::widgets::steady::steady;
use crate::gui::window_options::{Label, WindowOption, options_of, word};

const MAX_DECODE_TOKENS: usize = 4096;

const LONGEST_BAR: f32 = 360.0;

/// Draws the panel. Fields are edited on a copy, which becomes the settings by a command.
pub fn capture_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let mut edited = view.settings.capture.clone();
    ui.add_space(4.0);
    ui.heading("Capture");
    ui.horizontal_wrapped(|ui| following_ui(ui, view, commands));
    // Run and progress stay in sight, however many windows there are.
    egui::Panel::bottom("capture run")
        .show_separator_line(false)
        .resizable(false)
        .show(ui, |ui| run_ui(ui, view, commands));
    // the bar stands beside what is scrolled, not over the buttons at its right
    let scroll = &mut ui.spacing_mut().scroll;
    scroll.floating_allocated_width = scroll.bar_width;
    ScrollArea::vertical()
        .id_salt("capture")
        .auto_shrink(false)
        .show(ui, |ui| {
            ui.add_enabled_ui(view.data.capture_job().is_none(), |ui| {
                model_ui(ui, view, &mut edited, commands);
                steady(ui, "prompts of a capture", |ui| {
                    prompts_ui(ui, view, &mut edited, commands);
                });
                steady(ui, "windows of a capture", |ui| {
                    windows_ui(ui, &mut edited, view.theme.error);
                });
                steady(ui, "decode stage of a capture", |ui| {
                    decode_ui(ui, &mut edited);
                });
                out_ui(ui, &mut edited);
            });
        });
    if edited != view.settings.capture {
        commands.send(CaptureCommand::EditCapture(Box::new(edited)));
    }
}

/// Fills the panel from the open session, and copies what it would run.
fn following_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let session = view.data.session.as_ref();
    let has_plan = session.is_some_and(|session| session.info.plan.is_some());
    let follow = ui
        .add_enabled(has_plan, Button::new("As this session").small())
        .on_hover_text("Fill the panel with the model, prompts and windows of the open session");
    follow.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Button, has_plan, "Capture as the open session")
    });
    if follow.clicked() {
        commands.send(CaptureCommand::FollowSession);
    }
    let copy = ui
        .small_button("Copy command")
        .on_hover_text("Copy the command line that runs this capture");
    copy.widget_info(|| {
        egui::WidgetInfo::labeled(
            egui::Role::Button,
            true,
            "Copy the command line of the capture",
        )
    });
    if copy.clicked() {
        commands.send(CaptureCommand::CopyCapture);
    }
}

fn section(ui: &mut Ui, title: &str) -> egui::Response {
    ui.add_space(8.0);
    ui.strong(title)
}

/// A model to type, with a button at its right that asks for it; says whether that was pressed.
fn model_name_ui(ui: &mut Ui, path: &mut String, hint: &str, name: egui::Id) -> bool {
    let row = egui::Layout::right_to_left(egui::Align::Center);
    let size = egui::vec2(ui.available_width(), ui.spacing().interact_size.y);
    ui.allocate_ui_with_layout(size, row, |ui| {
        let browse = ui.button("Browse…").clicked();
        let width = ui.available_width();
        let field = model_field(ui, hint, path, hint, width).labelled_by(name);
        // a long one is cut in its field
        if !path.is_empty() {
            field.on_hover_text(path.as_str());
        }
        browse
    })
    .inner
}

/// Why the capture cannot run as it stands, beside the part of the panel that it is about.
fn refusal_ui(ui: &mut Ui, view: &View<'_>, about: CapturePart) {
    if let Some(sentence) = view.data.capture_refusal(about) {
        ui.label(RichText::new(sentence).color(view.theme.error));
    }
}

fn model_ui(ui: &mut Ui, view: &View<'_>, edited: &mut CaptureSettings, commands: &mut Commands) {
    let title = section(ui, "Model").on_hover_text(
        "demo, the folder of a checkpoint, or a hub id such as org/name, which is fetched if it is not here",
    );
    if model_name_ui(
        ui,
        &mut edited.model,
        "demo, a folder or org/name",
        title.id,
    ) {
        commands.send(CaptureCommand::AskForModel);
    }
    refusal_ui(ui, view, CapturePart::Model);
    let recent_models = &view.settings.recent_models;
    if !recent_models.is_empty() {
        ui.menu_button("Recent models", |ui| {
            for model in recent_models {
                if ui.button(model).clicked() {
                    edited.model.clone_from(model);
                    ui.close();
                }
            }
        });
    }
    Grid::new("device").num_columns(2).show(ui, |ui| {
        choice(
            ui,
            "Device",
            &mut edited.device,
            &["auto", "cpu", "cuda", "metal"],
        );
        ui.end_row();
        choice(
            ui,
            "Number type",
            &mut edited.dtype,
            &["auto", "f32", "f16", "bf16"],
        );
        ui.end_row();
    });
}

fn choice(ui: &mut Ui, name: &str, current: &mut String, choices: &[&str]) {
    ui.label(name);
    ComboBox::from_id_salt(name)
        .selected_text(current.as_str())
        .show_ui(ui, |ui| {
            for choice in choices {
                ui.selectable_value(current, (*choice).to_owned(), *choice);
            }
        })
        .response
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, name));
}

fn prompts_ui(ui: &mut Ui, view: &View<'_>, edited: &mut CaptureSettings, commands: &mut Commands) {
    let title = section(ui, "Prompts");
    let describe = |response: egui::Response, source: PromptSource| {
        response.on_hover_text(match source {
            PromptSource::Demo => "The prompts that the program carries",
            PromptSource::File => {
                "A .txt, .jsonl, .json or .parquet file, a benchmark such as longbench:FOLDER, or a task such as niah:length=1k"
            }
            PromptSource::Text => "One prompt, typed here",
        })
    };
    if let Some(source) = segmented(
        ui,
        edited.source,
        &PromptSource::ALL,
        PromptSource::label,
        describe,
    ) {
        edited.source = source;
    }
    match edited.source {
        PromptSource::Demo => {
            ui.weak("Questions at the end and at the start of prompts with facts to retrieve");
        }
        PromptSource::File => {
            data_ui(ui, edited, title.id, commands);
            picker_ui(ui, view, edited);
        }
        PromptSource::Text => {
            ui.add(
                TextEdit::multiline(&mut edited.text)
                    .hint_text("The prompt, taken as it is")
                    .desired_rows(5)
                    .desired_width(f32::INFINITY),
            )
            .labelled_by(title.id);
            let name = ui.label("Reference answer");
            ui.add(
                TextEdit::singleline(&mut edited.answer)
                    .hint_text("optional")
                    .desired_width(f32::INFINITY),
            )
            .labelled_by(name.id);
        }
    }
    refusal_ui(ui, view, CapturePart::Prompts);
    ui.checkbox(&mut edited.chat, "Apply the chat template");
    let prompts = view.data.capture_prompts.as_ref();
    if !edited.chat && prompts.is_some_and(|prompts| prompts.has_chat_template) {
        let hint = RichText::new("The model brings a chat template").color(view.theme.warning);
        ui.label(hint).on_hover_text(
            "Instruct models answer as they were trained to where prompts go through it; base models may bring one, too",
        );
    }
    if edited.chat {
        let name = ui.label("Chat variables");
        ui.add(
            TextEdit::singleline(&mut edited.chat_variables)
                .hint_text("enable_thinking=false")
                .desired_width(f32::INFINITY),
        )
        .labelled_by(name.id)
        .on_hover_text("What the template is told besides: NAME=VALUE, with spaces between");
    }
}

fn windows_ui(ui: &mut Ui, edited: &mut CaptureSettings, error: egui::Color32) {
    section(ui, "Observation windows")
        .on_hover_text("The same method may stand here several times with other options");
    let mut removed = None;
    for (index, label) in edited.windows.iter_mut().enumerate() {
        // From the right: the field takes what the button leaves, so that no row asks for more
        // room than there is and the panel keeps its width.
        let row = egui::Layout::right_to_left(egui::Align::Center);
        let size = egui::vec2(ui.available_width(), ui.spacing().interact_size.y);
        ui.allocate_ui_with_layout(size, row, |ui| {
            let remove = ui.button("×").on_hover_text("Remove this window");
            remove.widget_info(|| {
                let name = format!("Remove window {}", index + 1);
                egui::WidgetInfo::labeled(egui::Role::Button, true, name)
            });
            if remove.clicked() {
                removed = Some(index);
            }
            options_ui(ui, index, label);
            let name = format!("Window {}", index + 1);
            let wrong = wrong_window(label);
            let mut field = ui.add(
                TextEdit::singleline(label)
                    .hint_text("last:32")
                    .text_color_opt(wrong.is_some().then_some(error))
                    .desired_width(ui.available_width()),
            );
            if let Some(wrong) = &wrong {
                field = field.on_hover_text(wrong);
            }
            field.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::TextInput, true, name.as_str())
            });
        });
        if let Some(wrong) = wrong_window(label) {
            ui.label(RichText::new(in_short(&wrong)).color(error))
                .on_hover_text(&wrong);
        }
    }
    if let Some(index) = removed {
        edited.windows.remove(index);
    }
    ui.menu_button("Add window", |ui| {
        let kinds = kvlens_sessions::windows::registered();
        let names: Vec<Named<'_>> = kinds
            .iter()
            .map(|kind| Named {
                name: kind.name,
                summary: kind.summary,
                help: kind.syntax.to_owned(),
            })
            .collect();
        if let Some(kind) = name_list(ui, &names).and_then(|number| kinds.get(number)) {
            edited.windows.push(kind.example.to_owned());
            ui.close();
        }
    });
}

/// What stands before the first bracket: lists of everything that there is are for the pointer.
fn in_short(sentence: &str) -> &str {
    sentence.split(" (").next().unwrap_or(sentence)
}

/// Why a label is no window; nothing of one that is still to be typed.
fn wrong_window(label: &str) -> Option<String> {
    let label = label.trim();
    let parsed = kvlens_sessions::windows::parse_windows(&[label.to_owned()]);
    parsed
        .err()
        .filter(|_| !label.is_empty())
        .map(|error| error.to_string())
}

/// A form for the options of a window, each with its default and a word.
fn options_ui(ui: &mut Ui, index: usize, label: &mut String) {
    let mut parts = Label::read(label);
    let options = options_of(&parts.name);
    ui.add_enabled_ui(!options.is_empty(), |ui| {
        let menu = ui.menu_button("…", |ui| {
            let kinds = kvlens_sessions::windows::registered().iter();
            if let Some(kind) = kinds.into_iter().find(|kind| kind.name == parts.name) {
                ui.label(kind.summary);
            }
            Grid::new(("window options", index))
                .num_columns(3)
                .show(ui, |ui| {
                    for (place, option) in options.iter().enumerate() {
                        option_ui(ui, (index, place), option, &mut parts);
                        ui.end_row();
                    }
                });
        });
        menu.response
            .on_hover_text("Options of this window")
            .widget_info(|| {
                let name = format!("Options of window {}", index + 1);
                egui::WidgetInfo::labeled(egui::Role::Button, true, name)
            });
    });
    if Label::read(label) != parts {
        *label = parts.text();
    }
}

fn option_ui(ui: &mut Ui, place: (usize, usize), option: &WindowOption, parts: &mut Label) {
    let is_first = place.1 == 0;
    let name = ui.label(&option.name);
    let mut value = parts.value(option, is_first);
    let before = value.clone();
    match option.choices.len() > 1 && option.choices.contains(&value) {
        true => {
            ComboBox::from_id_salt(("window option", place))
                .selected_text(value.clone())
                .show_ui(ui, |ui| {
                    for choice in &option.choices {
                        ui.selectable_value(&mut value, choice.clone(), choice);
                    }
                });
        }
        false => {
            ui.add(TextEdit::singleline(&mut value).desired_width(90.0))
                .labelled_by(name.id);
        }
    }
    let default = match option.default.as_str() {
        "" => String::new(),
        default => format!(" (default {default})"),
    };
    ui.weak(format!("{}{default}", word(&option.name)));
    if value != before {
        parts.set(option, is_first, &value);
    }
}

fn decode_ui(ui: &mut Ui, edited: &mut CaptureSettings) {
    section(ui, "Decode stage");
    Grid::new("decode").num_columns(2).show(ui, |ui| {
        let name = ui.label("Longest, in tokens");
        ui.add(DragValue::new(&mut edited.decode_tokens).range(1..=MAX_DECODE_TOKENS))
            .labelled_by(name.id);
        ui.end_row();
        let name = ui.label("Seed");
        ui.add(DragValue::new(&mut edited.seed))
            .labelled_by(name.id);
        ui.end_row();
    });
    ui.checkbox(&mut edited.teacher_forced, "Feed the reference answer")
        .on_hover_text("Teacher forcing: the answer's tokens instead of the model's own");
    ui.checkbox(&mut edited.ignore_eos, "Go on after the end-of-text token");
}

fn out_ui(ui: &mut Ui, edited: &mut CaptureSettings) {
    let title = section(ui, "Save to");
    let hint = "a new folder of the program's own";
    path_field(ui, "save to", &mut edited.out, hint, f32::INFINITY)
        .labelled_by(title.id)
        .on_hover_text("A folder that is not there yet, such as runs/first.kvlens");
    ui.add_space(6.0);
}

fn run_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    needs_ui(ui, view);
    match view.data.capture_job() {
        Some(job) => running_ui(ui, job, commands),
        None => {
            resume_ui(ui, view, commands);
            let width = ui.available_width();
            let run = Button::new(RichText::new("Run").strong());
            if ui.add_sized([width, 28.0], run).clicked() {
                commands.send(CaptureCommand::RunCapture);
            }
        }
    }
    ui.add_space(4.0);
}

/// What the capture would take, or why it cannot run where no other part of the panel says it, in two rows, so that the
/// button below stays where it is when the text comes.
fn needs_ui(ui: &mut Ui, view: &View<'_>) {
    let weak = ui.visuals().weak_text_color();
    let refusal = view.data.capture_refusal(CapturePart::Whole);
    let (text, color) = match (&view.data.capture_error, &view.data.capture_estimate) {
        (Some(error), _) if !is_told(view, error) => (error.as_str(), view.theme.error),
        (_, Some(Ok(needs))) => (needs.as_str(), weak),
        _ => (refusal.unwrap_or_default(), view.theme.error),
    };
    let font = TextStyle::Body.resolve(ui.style());
    let mut job = LayoutJob::simple(text.to_owned(), font.clone(), color, ui.available_width());
    job.wrap.max_rows = 2;
    let height = 2.0 * ui.fonts_mut(|fonts| fonts.row_height(&font));
    ui.scope(|ui| {
        ui.set_min_height(height);
        ui.label(job).on_hover_text(text);
    });
}

/// Whether this sentence stands beside the part of the panel that it is about.
fn is_told(view: &View<'_>, sentence: &str) -> bool {
    let parts = [CapturePart::Model, CapturePart::Prompts];
    let mut told = parts
        .iter()
        .filter_map(|part| view.data.capture_refusal(*part));
    told.any(|told| sentence.contains(told))
}

fn running_ui(ui: &mut Ui, job: &Job, commands: &mut Commands) {
    progress_ui(ui, &job.progress);
    let width = ui.available_width();
    let stopping = job.cancel.is_cancelled();
    let text = if stopping { "Stopping…" } else { "Cancel" };
    if ui
        .add_enabled_ui(!stopping, |ui| {
            ui.add_sized([width, 28.0], Button::new(text))
        })
        .inner
        .clicked()
    {
        commands.send(JobCommand::CancelJob(job.key.clone()));
    }
}

/// How far a job is: stage, sample, tokens, speed and time left.
pub fn progress_ui(ui: &mut Ui, progress: &Progress) {
    let sample = progress.sample.map_or(String::new(), |(number, count)| {
        format!(" · sample {number} of {count}")
    });
    let stage = if progress.stage.is_empty() {
        "Waiting"
    } else {
        &progress.stage
    };
    ui.label(format!("{stage}{sample}"));
    let of_tokens = progress
        .tokens
        .map(|(done, total)| (done as u64, total as u64));
    let share = of_tokens
        .or(progress.bytes)
        .map(|(done, total)| done as f32 / total.max(1) as f32);
    let bar = match share {
        Some(share) => ProgressBar::new(share),
        None => ProgressBar::new(0.0).animate(true),
    };
    let width = ui.available_width().min(LONGEST_BAR);
    ui.add(bar.desired_height(8.0).desired_width(width));
    let mut facts = Vec::new();
    if let Some((done, total)) = progress.tokens {
        facts.push(format!("{done} of {total}"));
    }
    if let Some(speed) = progress.tokens_per_second {
        facts.push(format!("{speed:.0} tokens/s"));
    }
    if let Some((done, total)) = progress.bytes {
        let [done, total] = [done, total].map(|bytes| readable_bytes(bytes as f64));
        facts.push(format!("{done} of {total}"));
    }
    if let Some(speed) = progress.bytes_per_second {
        facts.push(format!("{}/s", readable_bytes(speed)));
    }
    if let Some(seconds) = progress.seconds_left {
        facts.push(format!("{seconds:.0} s left"));
    }
    if let Some(seconds) = progress.seconds_left_for_all {
        facts.push(format!("{} left for all", readable_seconds(seconds)));
    }
    ui.weak(facts.join(" · "));
}

/// As much of a duration as one plans by.
fn readable_seconds(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match (seconds < 90.0, minutes < 90) {
        (true, _) => format!("{seconds:.0} s"),
        (false, true) => format!("{minutes} min"),
        (false, false) => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_as_one_plans_by_them() {
        assert_eq!(readable_seconds(59.6), "60 s");
        assert_eq!(readable_seconds(125.0), "2 min");
        assert_eq!(readable_seconds(7500.0), "2 h 5 min");
    }

    #[test]
    fn a_window_is_refused_while_it_is_typed() {
        assert!(wrong_window("lats:32").unwrap().contains("lats"));
        assert_eq!(wrong_window("last:32"), None);
        assert_eq!(wrong_window(" "), None);
    }
}
