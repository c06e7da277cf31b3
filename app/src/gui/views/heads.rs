//! Every head with its numbers, sorted by any of them, and the field that chooses heads in words.

use egui::{Role, Ui, WidgetInfo};
use egui_extras::{Column, TableBuilder, TableRow};
use kvlens_analysis::Metric;

use super::head_map::window_ui;
use super::{Need, PaneView, ReadNumbers, SCROLLED_SHARE, View, empty_hint};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::forced::forced_text;
use crate::gui::head_numbers::{HeadNumber, HeadTable};
use crate::gui::head_words::HeadWords;
use crate::gui::heads_text::heads_text;
use crate::gui::layout::Pane;
use crate::gui::numbers::{Table, number};
use crate::gui::state::{Choices, HeadAddress, HeadSort, SelectionChange};
use crate::gui::widgets::copy_button::copy_button;
use crate::gui::widgets::together::{text_width, together};
use crate::gui::widgets::typed::TypedField;

const ROW_HEIGHT: f32 = 18.0;

impl Pane {
    /// The list of heads.
    pub const HEADS: Self = Self::of(&HeadsView);
}

struct HeadsView;

impl PaneView for HeadsView {
    fn name(&self) -> &'static str {
        "Heads"
    }

    fn title(&self) -> &'static str {
        "Heads"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/heads.md")
    }

    fn needs(&self, _choices: &Choices) -> &'static [Need] {
        &[Need::Heads]
    }

    fn presented_share(&self) -> f32 {
        SCROLLED_SHARE
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        heads_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers)
    }
}

fn heads_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some((_, shown)) = view.shown() else {
        empty_hint(ui, "Open a session to see its heads");
        return;
    };
    let windows = shown.sample.windows.iter();
    let labels: Vec<&str> = windows.map(|window| window.label.as_str()).collect();
    ui.horizontal_wrapped(|ui| {
        window_ui(ui, "Window of the list", view, &labels, commands);
        let gap = ui.spacing().item_spacing.x;
        let width = text_width(ui, "Choose") + WORDS_WIDTH + text_width(ui, "All") + 4.0 * gap;
        together(ui, width, |ui| {
            let name = ui.label("Choose");
            words_field(
                ui,
                view,
                "words of the list",
                name.id,
                WORDS_WIDTH,
                commands,
            );
            if ui
                .button("All")
                .on_hover_text("Select every head")
                .clicked()
            {
                commands.send(LookCommand::SelectAllHeads);
            }
        });
        let chosen = view.settings.choices.heads.len();
        if chosen > 0 {
            ui.weak(format!("{chosen} selected"));
        }
        copy_button(ui, "Copy the list of heads", Pane::HEADS, commands);
    });
    if let Some(table) = view.derived.head_table() {
        table_ui(ui, view, table, commands);
    }
}

/// The selected heads as text, to read and to type: places, conditions, or the first so many.
pub fn words_field(
    ui: &mut Ui,
    view: &View<'_>,
    id: &str,
    name: egui::Id,
    width: f32,
    commands: &mut Commands,
) {
    let Some((session, _)) = view.shown() else {
        return;
    };
    let (layers, query_heads) = (session.info.layers, session.info.query_heads);
    let field = TypedField {
        id,
        label: name,
        current: heads_text(&view.settings.choices.heads),
        hint: "all",
        help: "Layer.head, such as 3.5, or a whole layer 3.*; conditions such as recall<0.2 or needed>0.05 (attention \
               on needed tokens); worst 10, best 10, highest 10 by needed. Parts between commas hold together, of the \
               sample and the window on show",
        width,
        error: view.theme.error,
    };
    let typed = field.show(ui, |text| {
        HeadWords::read(text, layers, query_heads).map(|_| text.to_owned())
    });
    if let Some(text) = typed {
        commands.send(LookCommand::SelectHeadsBy(text));
    }
}

/// The numbers that any head has.
fn told(table: &HeadTable) -> Vec<HeadNumber> {
    HeadNumber::all().filter(|it| table.says(*it)).collect()
}

/// The order in force: where no head has the number that was chosen, such as without needed tokens, the metric on show
/// stands in for it.
fn sort_in_force(view: &View<'_>, table: &HeadTable) -> HeadSort {
    let choices = &view.settings.choices;
    let sort = choices.head_sort;
    match table.says(sort.by) {
        true => sort,
        false => HeadSort {
            by: HeadNumber::Metric(choices.metric),
            ..sort
        },
    }
}

fn sorted(view: &View<'_>, table: &HeadTable) -> Vec<HeadAddress> {
    let HeadSort { by, highest_first } = sort_in_force(view, table);
    let mut heads = table.heads();
    table.sort(&mut heads, by, highest_first);
    heads
}

/// Room for the words that choose heads.
const WORDS_WIDTH: f32 = 190.0;

/// Widths of the names of heads and of a column of numbers, which shares what is left.
const HEAD_WIDTH: f32 = 40.0;
const NUMBER_WIDTHS: std::ops::RangeInclusive<f32> = 60.0..=90.0;
const COLUMN_GAP: f32 = 4.0;

fn table_ui(ui: &mut Ui, view: &View<'_>, table: &HeadTable, commands: &mut Commands) {
    let (told, heads) = (told(table), sorted(view, table));
    let sort = sort_in_force(view, table);
    let chosen = &view.settings.choices.heads;
    let left = ui.available_width() - HEAD_WIDTH;
    let width = left / told.len().max(1) as f32 - COLUMN_GAP;
    let width = width.clamp(*NUMBER_WIDTHS.start(), *NUMBER_WIDTHS.end());
    // a title is whole, with the mark of the column that the list is sorted by
    let padding = 2.0 * ui.spacing().button_padding.x;
    let widths: Vec<f32> = told
        .iter()
        .map(|by| width.max(text_width(ui, &title(*by, sort)) + padding))
        .collect();
    egui::ScrollArea::horizontal()
        .id_salt("list of heads")
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.x = COLUMN_GAP;
            let mut builder = TableBuilder::new(ui)
                .id_salt("heads")
                .min_scrolled_height(0.0)
                .striped(true)
                .sense(egui::Sense::click())
                .cell_layout(egui::Layout::left_to_right(egui::Align::Center))
                .column(Column::exact(HEAD_WIDTH));
            for width in widths {
                builder = builder.column(Column::exact(width).clip(true));
            }
            builder
                .header(ROW_HEIGHT, |mut header| {
                    header.col(|ui| {
                        ui.strong("head").on_hover_text("Layer.head");
                    });
                    for by in &told {
                        header.col(|ui| {
                            ui.style_mut().wrap_mode = Some(egui::TextWrapMode::Extend);
                            sort_ui(ui, view, (*by, sort), commands);
                        });
                    }
                })
                .body(|body| {
                    body.rows(ROW_HEIGHT, heads.len(), |mut row| {
                        if let Some(&head) = heads.get(row.index()) {
                            row.set_selected(chosen.contains(&head));
                            head_row(&mut row, table, &told, head);
                            answer_row(&row, head, commands);
                        }
                    });
                });
        });
}

/// A column's name with the mark of the one that the list is sorted by.
fn title(by: HeadNumber, sort: HeadSort) -> String {
    let mark = match (sort.by == by, sort.highest_first) {
        (false, _) => "",
        (true, true) => " ⬇",
        (true, false) => " ⬆",
    };
    format!("{}{mark}", by.short())
}

/// A column's name; a click sorts by it, and once more the other way round.
fn sort_ui(
    ui: &mut Ui,
    view: &View<'_>,
    (by, sort): (HeadNumber, HeadSort),
    commands: &mut Commands,
) {
    let is_sorted = sort.by == by;
    let text = title(by, sort);
    let mut help = format!("{}: {}. Click to sort", by.label(), explain(by));
    if by == HeadNumber::Metric(Metric::HitRate)
        && let Some((_, shown)) = view.shown()
    {
        let mut windows = shown.sample.windows.iter();
        let window = windows.find(|window| Some(&window.label) == view.derived.window.as_ref());
        let forced = window.map(|window| forced_text(window, view.derived.budget_tokens()));
        help = format!("{help}. {}", forced.unwrap_or_default());
    }
    let button = ui.selectable_label(is_sorted, text).on_hover_text(help);
    let name = format!("Sort heads by {}", by.label());
    button.widget_info(|| WidgetInfo::selected(Role::Button, true, is_sorted, &name));
    if button.clicked() {
        commands.send(LookCommand::SetHeadSort(HeadSort {
            by,
            highest_first: !is_sorted || !sort.highest_first,
        }));
    }
}

fn explain(number: HeadNumber) -> &'static str {
    match number {
        HeadNumber::NeededAttention => {
            "Attention of the decode stage on the tokens that the answer needs, in the mean over its steps"
        }
        HeadNumber::Metric(metric) => super::recall::explain(metric),
        HeadNumber::Profile(number) => super::profile::explain(number),
    }
}

fn head_row(row: &mut TableRow<'_, '_>, table: &HeadTable, told: &[HeadNumber], head: HeadAddress) {
    let mut text = |text: String| {
        row.col(|ui| {
            // the row takes the clicks
            ui.add(egui::Label::new(text).selectable(false).extend());
        });
    };
    text(format!("{}.{}", head.layer, head.head));
    for by in told {
        let value = table.get(*by, head);
        text(match value.is_nan() {
            true => "–".to_owned(),
            false => format!("{value:.3}"),
        });
    }
}

/// What a click on a row, or the pointer, does.
fn answer_row(row: &TableRow<'_, '_>, head: HeadAddress, commands: &mut Commands) {
    let response = row.response();
    if response.hovered() {
        commands.hover.head = Some(head);
    }
    if response.clicked() {
        let modifiers = response.ctx.input(|input| input.modifiers);
        let change = match modifiers.command || modifiers.shift {
            true => SelectionChange::Toggle,
            false => SelectionChange::Replace,
        };
        let heads = vec![head];
        commands.send(LookCommand::SelectHeads { heads, change });
    }
}

/// The list as it is sorted: the selected heads, or all where none is.
fn numbers(view: &View<'_>) -> Option<Table> {
    let table = view.derived.head_table()?;
    let told = told(table);
    let names = ["layer", "head", "window", "selected"];
    let header = names.into_iter().chain(told.iter().map(|it| it.name()));
    let mut lines = Table::new(&header.collect::<Vec<_>>());
    for head in sorted(view, table) {
        let is_selected = view.settings.choices.heads.contains(&head);
        let mut line = vec![
            head.layer.to_string(),
            head.head.to_string(),
            view.derived.window.clone().unwrap_or_default(),
            is_selected.to_string(),
        ];
        line.extend(told.iter().map(|by| number(table.get(*by, head))));
        lines.line(&line);
    }
    Some(lines)
}
