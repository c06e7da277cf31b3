//! The options of a generated task as fields, which write its specification.

use egui::{CollapsingHeader, ComboBox, Grid, TextEdit, Ui};
use kvlens_datasets::{BuiltInTask, builtin_tasks};

/// What is shown for an option that is left to the task.
const OWN: &str = "as the task has it";

/// A task with the options that stand in a specification, as typed.
#[derive(Debug, PartialEq)]
struct TypedTask {
    task: &'static BuiltInTask,
    options: Vec<(String, String)>,
}

impl TypedTask {
    /// Of `NAME` or `NAME:option=value,...`; nothing where no task has this name.
    fn of(data: &str) -> Option<Self> {
        let (name, typed) = data.split_once(':').unwrap_or((data, ""));
        let task = builtin_tasks().iter().find(|task| task.name == name)?;
        let options = typed.split(',').filter_map(|option| {
            let (key, value) = option.split_once('=')?;
            Some((key.trim().to_owned(), value.trim().to_owned()))
        });
        Some(Self {
            task,
            options: options.collect(),
        })
    }

    fn value(&self, key: &str) -> &str {
        let option = self.options.iter().find(|(known, _)| known == key);
        option.map_or("", |(_, value)| value)
    }

    /// The specification with another value of an option; an empty one leaves it to the task.
    fn with(&self, key: &str, value: &str) -> String {
        let mut options = self.options.clone();
        match options.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => value.clone_into(old),
            None => options.push((key.to_owned(), value.to_owned())),
        }
        let written = options.iter().filter(|(_, value)| !value.is_empty());
        let written: Vec<String> = written
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        match written.is_empty() {
            true => self.task.name.to_owned(),
            false => format!("{}:{}", self.task.name, written.join(",")),
        }
    }
}

/// Draws the options of the task that `data` names, if it names one.
pub(super) fn task_options_ui(ui: &mut Ui, data: &mut String) {
    let Some(typed) = TypedTask::of(data.trim()) else {
        return;
    };
    let mut changed = None;
    CollapsingHeader::new(format!("Options of {}", typed.task.name))
        .id_salt("task options")
        .show(ui, |ui| {
            Grid::new("task options").num_columns(2).show(ui, |ui| {
                for option in typed.task.options {
                    let (key, accepted) = option.split_once('=').unwrap_or((option, ""));
                    let mut value = typed.value(key).to_owned();
                    option_ui(ui, key, accepted, &mut value);
                    if value != typed.value(key) {
                        changed = Some(typed.with(key, value.trim()));
                    }
                    ui.end_row();
                }
            });
        });
    if let Some(changed) = changed {
        *data = changed;
    }
}

fn option_ui(ui: &mut Ui, key: &str, accepted: &str, value: &mut String) {
    let name = ui.label(key).on_hover_text(accepted);
    match words(accepted) {
        Some(words) => {
            let shown = match value.is_empty() {
                true => OWN,
                false => value.as_str(),
            };
            ComboBox::from_id_salt(key)
                .selected_text(shown.to_owned())
                .show_ui(ui, |ui| {
                    ui.selectable_value(value, String::new(), OWN);
                    for word in words {
                        ui.selectable_value(value, word.to_owned(), word);
                    }
                })
                .response
                .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, key));
        }
        None => {
            ui.add(
                TextEdit::singleline(value)
                    .hint_text(accepted)
                    .desired_width(f32::INFINITY),
            )
            .labelled_by(name.id)
            .on_hover_text(accepted);
        }
    }
}

/// The words that an option accepts, where there are no others.
fn words(accepted: &str) -> Option<Vec<&str>> {
    let words: Vec<&str> = accepted.split('|').collect();
    let is_word = |word: &&str| !word.contains("..") && *word != "N" && *word != "FILE";
    (words.len() > 1 && words.iter().all(is_word)).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_and_write_a_specification() {
        let typed = TypedTask::of("niah:length=1k..8k/4,depth=0..1/5").unwrap();
        assert_eq!(typed.value("depth"), "0..1/5");
        assert_eq!(typed.value("seed"), "");
        assert_eq!(
            typed.with("question", "absent"),
            "niah:length=1k..8k/4,depth=0..1/5,question=absent"
        );
        assert_eq!(typed.with("length", ""), "niah:depth=0..1/5");
        assert_eq!(TypedTask::of("niah").unwrap().with("seed", ""), "niah");
        assert_eq!(TypedTask::of("prompts.jsonl"), None);
    }

    #[test]
    fn words_are_chosen_and_numbers_typed() {
        assert_eq!(words("start|end"), Some(vec!["start", "end"]));
        assert_eq!(words("0..1|sweep"), None);
        assert_eq!(words("noise|generated|FILE"), None);
        assert_eq!(words("N"), None);
    }
}
