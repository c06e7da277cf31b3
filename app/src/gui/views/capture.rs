//! The capture panel: what to run, and how far it is.

use egui::text::LayoutJob;
use egui::{
    Button, ComboBox, DragValue, Grid, ProgressBar, RichText, ScrollArea, TextEdit, TextStyle, Ui,
};

use kvlens_sessions::estimate::readable_bytes;

use super::View;
use super::prompt_picker::picker_ui;
use super::running::resume_ui;
use crate::gui::capture_settings::{CaptureSettings, PromptSource};
use crate::gui::command::{CaptureCommand, Commands, JobCommand};
use crate::gui::data::{Job, Progress};
use crate::gui::widgets::segmented::segmented;

const MAX_DECODE_TOKENS: usize = 4096;

const LONGEST_BAR: f32 = 360.0;

/// Draws the panel. Fields are edited on a copy, which becomes the settings by a command.
pub fn capture_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let mut edited = view.settings.capture.clone();
    ui.add_space(4.0);
    ui.heading("Capture");
    // Run and progress stay in sight, however many windows there are.
    egui::Panel::bottom("capture run")
        .show_separator_line(false)
        .resizable(false)
        .show(ui, |ui| run_ui(ui, view, commands));
    ScrollArea::vertical()
        .id_salt("capture")
        .auto_shrink(false)
        .show(ui, |ui| {
            ui.add_enabled_ui(view.data.capture_job().is_none(), |ui| {
                model_ui(ui, &mut edited, &view.settings.recent_models, commands);
                prompts_ui(ui, view, &mut edited, commands);
                windows_ui(ui, &mut edited);
                decode_ui(ui, &mut edited);
                out_ui(ui, &mut edited);
            });
        });
    if edited != view.settings.capture {
        commands.send(CaptureCommand::EditCapture(Box::new(edited)));
    }
}

fn section(ui: &mut Ui, title: &str) -> egui::Response {
    ui.add_space(8.0);
    ui.strong(title)
}

/// A path to type, with a button at its right that asks for it; says whether that was pressed.
fn path_ui(ui: &mut Ui, path: &mut String, hint: &str, name: egui::Id) -> bool {
    let row = egui::Layout::right_to_left(egui::Align::Center);
    let size = egui::vec2(ui.available_width(), ui.spacing().interact_size.y);
    ui.allocate_ui_with_layout(size, row, |ui| {
        let browse = ui.button("Browse…").clicked();
        let width = ui.available_width();
        ui.add(
            TextEdit::singleline(path)
                .hint_text(hint)
                .desired_width(width),
        )
        .labelled_by(name);
        browse
    })
    .inner
}

fn model_ui(
    ui: &mut Ui,
    edited: &mut CaptureSettings,
    recent_models: &[String],
    commands: &mut Commands,
) {
    let title = section(ui, "Model").on_hover_text(
        "demo, the folder of a checkpoint, or a hub id such as org/name, which is fetched if it is not here",
    );
    if path_ui(
        ui,
        &mut edited.model,
        "demo, a folder or org/name",
        title.id,
    ) {
        commands.send(CaptureCommand::AskForModel);
    }
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
            if path_ui(
                ui,
                &mut edited.data,
                "prompts.jsonl or task:options",
                title.id,
            ) {
                commands.send(CaptureCommand::AskForPrompts);
            }
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
    ui.checkbox(&mut edited.chat, "Apply the chat template");
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

fn windows_ui(ui: &mut Ui, edited: &mut CaptureSettings) {
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
            let name = format!("Window {}", index + 1);
            let field = ui.add(
                TextEdit::singleline(label)
                    .hint_text("last:32")
                    .desired_width(ui.available_width()),
            );
            field.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::TextInput, true, name.as_str())
            });
        });
    }
    if let Some(index) = removed {
        edited.windows.remove(index);
    }
    ui.menu_button("Add window", |ui| {
        for kind in kvlens_sessions::windows::registered() {
            let text = format!("{}   {}", kind.name, kind.summary);
            if ui.button(text).on_hover_text(kind.syntax).clicked() {
                edited.windows.push(kind.example.to_owned());
                ui.close();
            }
        }
    });
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
    ui.add(
        TextEdit::singleline(&mut edited.out)
            .hint_text("a new folder of the program's own")
            .desired_width(f32::INFINITY),
    )
    .labelled_by(title.id)
    .on_hover_text("A folder that is not there yet, such as runs/first.kvlens");
    ui.add_space(6.0);
}

fn run_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    match &view.data.capture_error {
        Some(error) => {
            ui.label(RichText::new(error).color(view.theme.error));
        }
        None => memory_ui(ui, view.data.capture_memory.as_deref().unwrap_or_default()),
    }
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

/// What the capture would take, in two rows, so that the button below stays where it is when the text comes.
fn memory_ui(ui: &mut Ui, memory: &str) {
    let font = TextStyle::Body.resolve(ui.style());
    let mut text = LayoutJob::simple(
        memory.to_owned(),
        font.clone(),
        ui.visuals().weak_text_color(),
        ui.available_width(),
    );
    text.wrap.max_rows = 2;
    let height = 2.0 * ui.fonts_mut(|fonts| fonts.row_height(&font));
    ui.scope(|ui| {
        ui.set_min_height(height);
        ui.label(text).on_hover_text(memory);
    });
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
    ui.weak(facts.join(" · "));
}
