//! How alike the windows' queries are to those of the decode stage: a table, and a profile over the layers.

use egui::{Align, Label, Layout, Rect, Response, Role, Sense, Ui, WidgetInfo, vec2};
use egui_extras::{Column, TableBuilder};
use egui_plot::{LineStyle, MarkerShape};

use super::capture::progress_ui;
use super::legend::swatch;
use super::question_state::{error_ui, job_of};
use super::{NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint};
use crate::gui::command::{Commands, JobCommand, LookCommand};
use crate::gui::derived::queries::{CosineSpread, QueryLine, QueryLines};
use crate::gui::export::ShownFigure;
use crate::gui::layout::Pane;
use crate::gui::numbers::{Table, optional, signed};
use crate::gui::question_choices::QueryPart;
use crate::gui::questions::QuestionKind;
use crate::gui::state::Choices;
use crate::gui::theme::SeriesStyle;
use crate::gui::widgets::copy_button::copy_button;
use crate::gui::widgets::line_plot::{
    AxisNumbers, Drawn, LinePlot, PlotAxis, PlotCurve, height_left,
};
use crate::gui::widgets::segmented::segmented;
use crate::jobs::figure::KindChoice;
use crate::measurement::interventions::Intervention;

const ROW_HEIGHT: f32 = 18.0;
const NUMBER_WIDTH: f32 = 42.0;
const COSINE_WIDTH: f32 = 84.0;
const COSINE_TEXT_WIDTH: f32 = 44.0;

/// Table and plot stand side by side where there is so much room.
const SIDE_BY_SIDE: f32 = 640.0;
const TABLE_WIDTH: f32 = 400.0;
const PLOT_HEIGHT: f32 = 150.0;

impl Pane {
    /// Windows' queries against those of the decode stage.
    pub const QUERIES: Self = Self::of(&QueriesView);
}

struct QueriesView;

impl PaneView for QueriesView {
    fn name(&self) -> &'static str {
        "Queries"
    }

    fn title(&self) -> &'static str {
        "Query similarity"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/queries.md")
    }

    fn needs(&self, _choices: &Choices) -> &'static [Need] {
        &[Need::Queries]
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        queries_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers)
    }

    fn figure(&self) -> Option<NearestFigure> {
        Some(|_| ShownFigure::of_sample(KindChoice::Queries))
    }
}

fn queries_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    if view.shown().is_none() {
        empty_hint(
            ui,
            "Run a capture or open a session to compare its queries with those of decoding",
        );
        return;
    }
    let Some(lines) = lines_of_sample(view) else {
        asking_ui(ui, view, commands);
        return;
    };
    ui.horizontal_wrapped(|ui| {
        part_ui(ui, view, commands);
        let heads = match lines.heads {
            1 => "1 head".to_owned(),
            heads => format!("{heads} heads"),
        };
        ui.weak(heads)
            .on_hover_text("Cosines are means over the selected query heads; layers without a selected head are shown by all of theirs");
        interventions_ui(ui, view, lines, commands);
        copy_button(ui, "Copy the cosines", Pane::QUERIES, commands);
    });
    error_ui(ui, view, QuestionKind::Interventions);
    let part = view.settings.choices.queries;
    if ui.available_width() >= SIDE_BY_SIDE {
        let height = ui.available_height();
        ui.horizontal_top(|ui| {
            let left = vec2(TABLE_WIDTH, height);
            ui.allocate_ui_with_layout(left, Layout::top_down(Align::Min), |ui| {
                table_ui(ui, view, lines, height);
            });
            ui.vertical(|ui| profile_ui(ui, view, lines, part));
        });
    } else {
        let height = ui.available_height();
        let height = (height - PLOT_HEIGHT).max(0.5 * height);
        table_ui(ui, view, lines, height);
        profile_ui(ui, view, lines, part);
    }
}

/// The cosines, unless they are of an earlier sample.
fn lines_of_sample<'a>(view: &'a View<'_>) -> Option<&'a QueryLines> {
    let (session, _) = view.shown()?;
    let (sample, _) = view.data.answers.queries.held()?;
    let is_of_sample = Some(sample) == session.place().as_ref();
    view.derived.queries().filter(|_| is_of_sample)
}

/// Progress, or a button where comparing was cancelled or failed.
fn asking_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    error_ui(ui, view, QuestionKind::Queries);
    match job_of(view, QuestionKind::Queries) {
        Some(job) => progress_ui(ui, &job.progress),
        None => {
            if ui.button(QuestionKind::Queries.job_title()).clicked() {
                commands.send(JobCommand::Ask(QuestionKind::Queries));
            }
        }
    }
}

fn part_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let describe = |response: Response, part: QueryPart| {
        response.on_hover_text(match part {
            QueryPart::BeforeRotation => {
                "The profile over the layers, of queries before their positions turn them: content alone"
            }
            QueryPart::AfterRotation => {
                "The profile over the layers, of queries as the model attends with them"
            }
        })
    };
    let picked = segmented(
        ui,
        view.settings.choices.queries,
        &QueryPart::ALL,
        QueryPart::label,
        describe,
    );
    if let Some(part) = picked {
        commands.send(LookCommand::SetQueries(part));
    }
}

/// What position and content do alone needs the model, so a button asks for it.
fn interventions_ui(ui: &mut Ui, view: &View<'_>, lines: &QueryLines, commands: &mut Commands) {
    if lines.has_interventions {
        return;
    }
    let kind = QuestionKind::Interventions;
    if let Some(job) = job_of(view, kind) {
        ui.spinner();
        ui.weak(&job.progress.stage);
        return;
    }
    let button = ui.button("Run the interventions").on_hover_text(
        "Runs the model on this prompt: the decode tokens again, other tokens at their positions, and the same \
         tokens at other positions. The session alone cannot tell",
    );
    if button.clicked() {
        commands.send(JobCommand::Ask(kind));
    }
}

fn table_ui(ui: &mut Ui, view: &View<'_>, lines: &QueryLines, height: f32) {
    ui.push_id("query table", |ui| {
        TableBuilder::new(ui)
            .striped(true)
            .cell_layout(Layout::left_to_right(Align::Center))
            .min_scrolled_height(0.0)
            .max_scroll_height(height - 3.0 * ROW_HEIGHT)
            .auto_shrink([false, true])
            .column(Column::remainder().at_least(96.0).clip(true))
            .columns(Column::exact(NUMBER_WIDTH), 2)
            .columns(Column::exact(COSINE_WIDTH), 2)
            .header(ROW_HEIGHT, header_ui)
            .body(|body| {
                body.rows(ROW_HEIGHT, lines.lines.len(), |mut row| {
                    let Some(line) = lines.lines.get(row.index()) else {
                        return;
                    };
                    row.col(|ui| name_ui(ui, view, line));
                    row.col(|ui| number_ui(ui, line.rows.to_string()));
                    row.col(|ui| number_ui(ui, gap_text(line.position_gap)));
                    let style = style_of(view, line);
                    let before = line.before.as_ref().map(|cosines| cosines.selected);
                    row.col(|ui| cosine_ui(ui, &style, before, &name(line), "before"));
                    let after = Some(line.after.selected);
                    row.col(|ui| cosine_ui(ui, &style, after, &name(line), "after"));
                });
            });
        if !lines.without_queries.is_empty() {
            let names = lines.without_queries.join(", ");
            ui.add(Label::new(format!("Without queries: {names}")).truncate())
                .on_hover_text(
                    "These observe with ready-made scores, so there is nothing to compare",
                );
        }
    });
}

fn header_ui(mut header: egui_extras::TableRow<'_, '_>) {
    let titles = [
        (
            "Window",
            "Windows of the session; then what was changed of the decode tokens",
        ),
        ("Rows", "Pairs of queries that were compared"),
        (
            "Gap",
            "Mean position of the window's queries minus that of the decode steps",
        ),
        (
            "Before RoPE",
            "Cosine before the rotary embedding: content alone",
        ),
        (
            "After RoPE",
            "Cosine after the rotary embedding, as the model attends",
        ),
    ];
    for (column, (title, help)) in titles.into_iter().enumerate() {
        header.col(|ui| {
            let title = Label::new(egui::RichText::new(title).strong()).truncate();
            let title = match column {
                0 => {
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| ui.add(title))
                        .inner
                }
                _ => ui.with_layout(right(), |ui| ui.add(title)).inner,
            };
            title.on_hover_text(help);
        });
    }
}

/// Numbers stand at the right, so that their digits do.
fn right() -> Layout {
    Layout::right_to_left(Align::Center)
}

fn name_ui(ui: &mut Ui, view: &View<'_>, line: &QueryLine) {
    let help = match line.intervention {
        Some(intervention) => format!("{}: {}", intervention.name(), line.label),
        None => line.label.clone(),
    };
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 3.0;
        swatch(ui, &style_of(view, line));
        ui.add(Label::new(name(line)).truncate())
            .on_hover_text(help);
    });
}

/// What a line is called where there is little room.
fn name(line: &QueryLine) -> String {
    match line.intervention {
        Some(intervention) => intervention.short_name().to_owned(),
        None => line.label.clone(),
    }
}

fn number_ui(ui: &mut Ui, text: String) {
    ui.with_layout(right(), |ui| ui.monospace(text));
}

fn gap_text(gap: f64) -> String {
    match gap == 0.0 {
        true => "0".to_owned(),
        false => signed(gap, 0),
    }
}

/// The number, and a bar from 0 to it.
fn cosine_ui(
    ui: &mut Ui,
    style: &SeriesStyle,
    cosine: Option<CosineSpread>,
    name: &str,
    when: &str,
) {
    let Some(CosineSpread { mean, low, high }) = cosine else {
        ui.with_layout(right(), |ui| ui.weak("–")).inner.on_hover_text(
            "The session does not say how positions become angles, so its queries cannot be turned back",
        );
        return;
    };
    let width = ui.available_width();
    let (rect, response) = ui.allocate_exact_size(vec2(width, ROW_HEIGHT - 4.0), Sense::hover());
    let longest = rect.width() - COSINE_TEXT_WIDTH;
    let length = longest * mean.abs().min(1.0) as f32;
    let filled = Rect::from_min_size(rect.min, vec2(length, rect.height()));
    // a negative cosine is an outline: the other direction
    match mean < 0.0 {
        true => ui.painter().rect_stroke(
            filled,
            1.0,
            egui::Stroke::new(1.0, style.color),
            egui::StrokeKind::Inside,
        ),
        false => ui
            .painter()
            .rect_filled(filled, 1.0, style.color.gamma_multiply(0.6)),
    };
    ui.painter().text(
        rect.right_center(),
        egui::Align2::RIGHT_CENTER,
        format!("{mean:.3}"),
        egui::TextStyle::Monospace.resolve(ui.style()),
        ui.visuals().text_color(),
    );
    let said = format!("Cosine {when} RoPE of {name}: {mean:.3}");
    response
        .on_hover_text(format!("Middle 80 % of the heads: {low:.3} to {high:.3}"))
        .widget_info(|| WidgetInfo::labeled(Role::Label, true, &said));
}

/// Interventions are the oracle's own tokens, so they have its colour.
fn style_of(view: &View<'_>, line: &QueryLine) -> SeriesStyle {
    let Some(intervention) = line.intervention else {
        return view.theme.series(&line.label, line.repeat);
    };
    let (line, marker) = match intervention {
        Intervention::Nothing => (LineStyle::Solid, MarkerShape::Cross),
        Intervention::OtherContent => (LineStyle::Dashed { length: 6.0 }, MarkerShape::Square),
        Intervention::OtherPositions => (LineStyle::Dotted { spacing: 5.0 }, MarkerShape::Diamond),
    };
    SeriesStyle {
        color: view.theme.oracle,
        line,
        marker: Some(marker),
    }
}

fn profile_ui(ui: &mut Ui, view: &View<'_>, lines: &QueryLines, part: QueryPart) {
    let hidden = &view.settings.choices.hidden_windows;
    let curves: Vec<PlotCurve> = lines
        .lines
        .iter()
        .filter(|line| !hidden.contains(&line.label))
        .filter_map(|line| {
            let cosines = match part {
                QueryPart::BeforeRotation => line.before.as_ref()?,
                QueryPart::AfterRotation => &line.after,
            };
            Some(PlotCurve {
                name: name(line),
                style: style_of(view, line),
                xs: (0..lines.layers).map(|layer| layer as f64).collect(),
                ys: cosines.by_layer.mean.clone(),
                band: None,
                drawn: Drawn::CURVE,
            })
        })
        .collect();
    if curves.is_empty() {
        ui.weak("This session does not say how positions become angles: only cosines after RoPE are known");
        return;
    }
    let lowest = curves.iter().flat_map(|curve| curve.ys.iter().copied());
    let lowest = lowest.fold(0.0, f64::min);
    let plot = LinePlot {
        curves,
        ..LinePlot::new(
            "Cosine of the queries by layer",
            height_left(ui),
            PlotAxis {
                label: "Layer".to_owned(),
                low: 0.0,
                high: (lines.layers.max(2) - 1) as f64,
                numbers: AxisNumbers::Whole,
                whole: None,
            },
            PlotAxis {
                label: "cosine".to_owned(),
                low: (10.0 * lowest).floor() / 10.0,
                high: 1.0,
                numbers: AxisNumbers::Shares,
                whole: None,
            },
        )
    };
    plot.show(ui, view.theme);
}

/// The cosines of the sample on show.
fn numbers(view: &View<'_>) -> Option<Table> {
    let lines = lines_of_sample(view)?;
    let mut table = Table::new(&[
        "window",
        "intervention",
        "rows",
        "position_gap",
        "cosine_before_rotation",
        "cosine_after_rotation",
    ]);
    for line in &lines.lines {
        let before = line.before.as_ref();
        table.line(&[
            line.label.clone(),
            line.intervention.map_or("", |what| what.name()).to_owned(),
            line.rows.to_string(),
            line.position_gap.to_string(),
            optional(before.map(|cosines| cosines.selected.mean)),
            line.after.selected.mean.to_string(),
        ]);
    }
    Some(table)
}
