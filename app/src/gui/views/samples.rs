//! The session's samples; a click shows one.

use egui::{Color32, RichText, Ui};
use egui_extras::{Column, TableBuilder, TableRow};

use super::{PaneView, ReadNumbers, SCROLLED_SHARE, View, empty_hint};
use crate::gui::command::{Commands, SessionCommand};
use crate::gui::data::{OpenedSession, SampleRow};
use crate::gui::layout::Pane;
use crate::gui::numbers::Table;

const ROW_HEIGHT: f32 = 18.0;

impl Pane {
    /// The session's samples.
    pub const SAMPLES: Self = Self::of(&SamplesView);
}

struct SamplesView;

impl PaneView for SamplesView {
    fn name(&self) -> &'static str {
        "Samples"
    }

    fn title(&self) -> &'static str {
        "Samples"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/samples.md")
    }

    fn presented_share(&self) -> f32 {
        SCROLLED_SHARE
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        samples_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers)
    }
}

fn samples_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some(session) = &view.data.session else {
        empty_hint(ui, "Open a session to see its samples");
        return;
    };
    let info = &session.info;
    if info.samples.is_empty() {
        empty_hint(ui, "No sample of this session is finished");
    }
    let shown = session.shown.as_ref().map(|shown| shown.index);
    let lines = lines(&info.samples);
    let comes_to = line_to_come_to(ui, session, &lines);
    let mut table = TableBuilder::new(ui);
    if let Some(line) = comes_to {
        table = table.scroll_to_row(line, None).animate_scrolling(false);
    }
    table
        .id_salt("samples")
        .min_scrolled_height(0.0)
        .striped(true)
        .sense(egui::Sense::click())
        .column(Column::remainder().at_least(96.0).clip(true))
        .column(Column::auto().at_least(48.0))
        .column(Column::auto().at_least(34.0))
        .column(Column::auto().at_least(24.0))
        .column(Column::auto().at_least(36.0))
        .header(ROW_HEIGHT, |mut header| {
            let titles = [
                ("Sample", "Names of the prompts, under what they ask for"),
                (
                    "Question",
                    "Whether the question stands at the start or the end",
                ),
                ("T", "Prompt tokens"),
                ("S", "Tokens of the decode stage"),
                (
                    "Score",
                    "Share of the task that the generated text got right",
                ),
            ];
            for (title, help) in titles {
                header.col(|ui| {
                    ui.strong(title).on_hover_text(help);
                });
            }
        })
        .body(|body| {
            let common = common_start(&info.samples);
            body.rows(ROW_HEIGHT, lines.len(), |mut row| {
                let index = match lines.get(row.index()) {
                    Some(Line::Sample(index)) => *index,
                    Some(Line::Task(task, count)) => {
                        task_row(&mut row, task, *count);
                        return;
                    }
                    None => return,
                };
                let Some(sample) = info.samples.get(index) else {
                    return;
                };
                row.set_selected(shown == Some(index));
                sample_row(&mut row, sample, common, view.theme.error);
                let mut response = row.response();
                if let Some(reason) = &sample.unreadable {
                    response = response.on_hover_text(format!("{}: {reason}", sample.id));
                }
                if response.clicked() {
                    commands.send(SessionCommand::SelectSample(index));
                }
            });
        });
    for (id, reason) in &info.failed {
        ui.label(RichText::new(format!("{id}: {reason}")).color(view.theme.error));
    }
}

/// The line of the sample on show, where it was chosen since the last frame, in whatever way, or stands elsewhere now:
/// the list comes to it once, and may then be scrolled away.
fn line_to_come_to(ui: &Ui, session: &OpenedSession, lines: &[Line<'_>]) -> Option<usize> {
    let shown = session.shown.as_ref()?.index;
    let mut numbered = lines.iter();
    let line = numbered.position(|line| *line == Line::Sample(shown))?;
    let id = egui::Id::unique("chosen sample");
    let now = (session.opened, shown, line);
    let before = ui.data(|data| data.get_temp(id));
    ui.data_mut(|data| data.insert_temp(id, now));
    (before != Some(now)).then_some(line)
}

/// A line of the table.
#[derive(Debug, PartialEq)]
enum Line<'a> {
    /// The samples of a task follow, so many.
    Task(&'a str, usize),
    /// A sample, by its index.
    Sample(usize),
}

/// Heading of those whose task is not known, because their files cannot be read.
const UNREADABLE: &str = "cannot be read";

/// The samples by task, in the order in which tasks first come, each under its heading; without headings while some are
/// not known.
fn lines(samples: &[SampleRow]) -> Vec<Line<'_>> {
    let tasks: Option<Vec<&str>> = samples
        .iter()
        .map(|sample| match (&sample.details, &sample.unreadable) {
            (Some(details), _) => Some(details.task.as_str()),
            (None, Some(_)) => Some(UNREADABLE),
            (None, None) => None,
        })
        .collect();
    let tasks = tasks.unwrap_or_default();
    let mut distinct: Vec<&str> = Vec::new();
    for task in &tasks {
        if !distinct.contains(task) {
            distinct.push(task);
        }
    }
    if distinct.is_empty() {
        return (0..samples.len()).map(Line::Sample).collect();
    }
    let mut lines = Vec::with_capacity(samples.len() + distinct.len());
    for task in distinct {
        let of_task = tasks
            .iter()
            .enumerate()
            .filter(|(_, known)| **known == task);
        let of_task: Vec<usize> = of_task.map(|(index, _)| index).collect();
        lines.push(Line::Task(task, of_task.len()));
        lines.extend(of_task.into_iter().map(Line::Sample));
    }
    lines
}

fn task_row(row: &mut TableRow<'_, '_>, task: &str, count: usize) {
    row.col(|ui| {
        let text = RichText::new(format!("{task} ({count})")).strong();
        ui.add(egui::Label::new(text).selectable(false).truncate());
    });
}

/// Letters that all names begin with, up to the last hyphen among them: of several samples they tell none apart.
fn common_start(samples: &[SampleRow]) -> usize {
    let mut names = samples.iter().map(|sample| sample.id.as_str());
    let Some(first) = names.next() else { return 0 };
    let common = names.fold(first.len(), |common, name| {
        let same = first.bytes().zip(name.bytes()).take(common);
        same.take_while(|(a, b)| a == b).count()
    });
    let start = first.get(..common).unwrap_or_default();
    match samples.len() > 1 {
        true => start.rfind('-').map_or(0, |at| at + 1),
        false => 0,
    }
}

fn sample_row(row: &mut TableRow<'_, '_>, sample: &SampleRow, common: usize, error: Color32) {
    let details = sample.details.as_ref();
    row.col(|ui| match sample.unreadable.is_some() {
        true => {
            ui.horizontal_centered(|ui| name_ui(ui, sample, common, error))
                .inner
        }
        false => name_ui(ui, sample, common, error),
    });
    let mut text = |text: String| {
        row.col(|ui| {
            ui.add(egui::Label::new(text).selectable(false).extend());
        });
    };
    text(match details {
        None if sample.unreadable.is_some() => "–".to_owned(),
        None => "…".to_owned(),
        Some(details) => details.question_place.clone(),
    });
    text(sample.prompt_tokens.to_string());
    text(sample.decode_tokens.to_string());
    text(match details {
        None if sample.unreadable.is_some() => "–".to_owned(),
        None => "…".to_owned(),
        Some(details) => details
            .score
            .map_or("–".to_owned(), |score| format!("{score:.2}")),
    });
}

/// The name of a sample, behind a mark where its file cannot be read.
fn name_ui(ui: &mut Ui, sample: &SampleRow, common: usize, error: Color32) {
    ui.spacing_mut().item_spacing.x = 4.0;
    if sample.unreadable.is_some() {
        let mark = RichText::new("✖").color(error);
        let mark = ui.add(egui::Label::new(mark).selectable(false));
        let name = format!("{} cannot be read", sample.id);
        mark.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &name));
    }
    // The row takes the clicks; a label that could be selected would swallow them.
    let name = shortened(ui, &sample.id, common);
    let label = ui.add(egui::Label::new(&name).selectable(false).extend());
    if name != sample.id && sample.unreadable.is_none() {
        label.on_hover_text(&sample.id);
    }
}

/// A name without what all have in common where the column is too narrow, and then without its middle: names of samples
/// mostly differ at their ends.
fn shortened(ui: &Ui, name: &str, common: usize) -> String {
    let room = ui.available_width();
    let own = name.get(common..).filter(|_| common > 0);
    let own = own.map_or_else(|| name.to_owned(), |own| format!("…{own}"));
    let letters: Vec<char> = own.chars().collect();
    let without = |cut: usize| -> String {
        let left = letters.len() - cut;
        let head = left.div_ceil(2);
        let tail = letters.len() - (left - head);
        let head = letters[..head].iter();
        head.chain(&['…']).chain(&letters[tail..]).collect()
    };
    let fits = |text: &str| {
        let text = egui::WidgetText::from(text);
        let extend = Some(egui::TextWrapMode::Extend);
        let text = text.into_galley(ui, extend, f32::INFINITY, egui::TextStyle::Body);
        text.size().x <= room
    };
    for whole in [name, own.as_str()] {
        if fits(whole) {
            return whole.to_owned();
        }
    }
    let cuts: Vec<usize> = (1..letters.len()).collect();
    let cut = cuts.partition_point(|cut| !fits(&without(*cut)));
    without(cuts.get(cut).copied().unwrap_or(letters.len()))
}

/// What the table shows.
fn numbers(view: &View<'_>) -> Option<Table> {
    let session = view.data.session.as_ref()?;
    let mut table = Table::new(&[
        "sample",
        "task",
        "question_place",
        "prompt_tokens",
        "decode_tokens",
        "score",
    ]);
    for sample in &session.info.samples {
        let details = sample.details.as_ref();
        let score = details.and_then(|details| details.score);
        table.line(&[
            sample.id.clone(),
            details.map_or(String::new(), |details| details.task.clone()),
            details.map_or(String::new(), |details| details.question_place.clone()),
            sample.prompt_tokens.to_string(),
            sample.decode_tokens.to_string(),
            score.map_or(String::new(), |score| score.to_string()),
        ]);
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gui::data::SampleDetails;

    fn row(task: Option<&str>) -> SampleRow {
        SampleRow {
            id: "a".to_owned(),
            prompt_tokens: 1,
            decode_tokens: 1,
            details: task.map(|task| SampleDetails {
                task: task.to_owned(),
                question_place: String::new(),
                score: None,
                needle: None,
            }),
            unreadable: None,
        }
    }

    #[test]
    fn names_are_told_apart_by_what_they_do_not_share() {
        let named = |id: &str| SampleRow {
            id: id.to_owned(),
            ..row(None)
        };
        let rows = ["needle-1000-00-end", "needle-1000-01-start"].map(named);
        assert_eq!(common_start(&rows), "needle-1000-".len());
        assert_eq!(common_start(&rows[..1]), 0);
        assert_eq!(common_start(&["ärger", "äpfel"].map(named)), 0);
    }

    #[test]
    fn every_task_has_a_heading() {
        let rows = ["qa", "vt", "qa"].map(|task| row(Some(task)));
        assert_eq!(
            lines(&rows),
            [
                Line::Task("qa", 2),
                Line::Sample(0),
                Line::Sample(2),
                Line::Task("vt", 1),
                Line::Sample(1),
            ]
        );
        assert_eq!(lines(&rows[..1]), [Line::Task("qa", 1), Line::Sample(0)]);
        let mut unknown = [row(None), row(Some("qa"))];
        assert_eq!(lines(&unknown), [Line::Sample(0), Line::Sample(1)]);
        unknown[0].unreadable = Some("damaged".to_owned());
        let headings = [Line::Task(UNREADABLE, 1), Line::Task("qa", 1)];
        let found = lines(&unknown);
        assert!(headings.iter().all(|it| found.contains(it)), "{found:?}");
    }
}
