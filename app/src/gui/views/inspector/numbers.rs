//! The table of the windows at the budget: a column for each metric that says something.

use egui::{FontId, RichText, TextStyle, Ui};
use kvlens_analysis::Metric;

use super::super::legend::swatch;
use super::super::recall::explain;
use crate::gui::derived::{Derived, WindowBands};
use crate::gui::forced::{forced_text, forced_tokens};
use crate::gui::head_numbers::short;
use crate::gui::numbers::signed;
use crate::gui::theme::Theme;
use crate::gui::widgets::number_table::NumberTable;
use crate::gui::widgets::together::text_width_in;
use crate::measurement::MeasuredWindow;

/// A window's line, and between it and its name.
const SWATCH_WIDTH: f32 = 20.0;
const SWATCH_GAP: f32 = 3.0;

/// Where there is little room, the size of titles beside that of other letters.
const SMALL_TITLES: f32 = 0.76;

/// Of the width, what names may take; longer ones are cut.
const MOST_FOR_NAMES: f32 = 0.4;

/// Room for a name where the columns leave none.
const LEAST_NAME: f32 = 52.0;

/// The numbers of one session's windows, with those of A for the difference where the session is B.
pub(super) struct NumbersTable<'a> {
    theme: &'a Theme,
    derived: &'a Derived,
    windows: &'a [MeasuredWindow],
    a: Option<&'a Derived>,
    /// The metric that curves and map show.
    current: Metric,
    columns: Vec<Column>,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Column {
    /// The mean over the selected heads.
    Metric(Metric),
    /// Tokens that count as hits whatever their score.
    Forced,
    /// What the decode stage's own queries reach.
    Ceiling,
    /// A minus B.
    Difference,
}

/// A number of a window, ready to be drawn.
struct Cell {
    text: String,
    /// What a screen reader says.
    name: Option<String>,
    /// What stands at the pointer.
    help: String,
    is_strong: bool,
    is_weak: bool,
}

/// Whether numbers go without the nought before the point, and titles in fewer letters.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Letters {
    All,
    Few,
}

impl<'a> NumbersTable<'a> {
    pub(super) fn new(
        theme: &'a Theme,
        current: Metric,
        derived: &'a Derived,
        windows: &'a [MeasuredWindow],
        a: Option<&'a Derived>,
    ) -> Self {
        let budget = derived.budget_tokens();
        let mut bands = derived.bands().iter();
        let has_ceilings = bands.any(|window| window.ceiling(current).is_some());
        let mut measured = windows.iter();
        let forces = measured.any(|window| forced_tokens(window, budget) > 0);
        let mut columns = Vec::new();
        for metric in told_metrics(derived, current, derived.budget_index) {
            columns.push(Column::Metric(metric));
            if metric == Metric::HitRate && forces {
                columns.push(Column::Forced);
            }
            if metric == current && has_ceilings {
                columns.push(Column::Ceiling);
            }
        }
        columns.extend(a.map(|_| Column::Difference));
        Self {
            theme,
            derived,
            windows,
            a,
            current,
            columns,
        }
    }

    /// What the table takes where it stands at ease.
    pub(super) fn width_at_ease(&self, ui: &Ui) -> f32 {
        let name = self.name_width(ui);
        NumberTable::width_at_ease(name, &self.widths(ui, Letters::All))
    }

    /// Draws the table; more columns than fit are scrolled to.
    pub(super) fn ui(&self, ui: &mut Ui) {
        let (table, letters) = self.places(ui);
        egui::ScrollArea::horizontal()
            .id_salt(("numbers", self.a.is_some()))
            .show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 0.0;
                let nothing = |_: &mut Ui| {};
                table.row_ui(ui, false, nothing, |ui, column| {
                    if let Some(column) = self.columns.get(column) {
                        self.title_ui(ui, *column, letters);
                    }
                });
                for (number, window) in self.derived.bands().iter().enumerate() {
                    let name = |ui: &mut Ui| self.name_ui(ui, window);
                    table.row_ui(ui, number % 2 == 0, name, |ui, column| {
                        if let Some(column) = self.columns.get(column) {
                            self.cell(window, *column).ui(ui, letters);
                        }
                    });
                }
            });
    }

    /// Where the columns stand: with all letters if they fit, else with few; then names are cut.
    fn places(&self, ui: &Ui) -> (NumberTable, Letters) {
        let room = ui.available_width();
        let name = self.name_width(ui).min(MOST_FOR_NAMES * room);
        let mut few = Vec::new();
        for letters in [Letters::All, Letters::Few] {
            few = self.widths(ui, letters);
            if let Some(table) = NumberTable::fitting(room, name, &few) {
                return (table, letters);
            }
        }
        (NumberTable::squeezed(room, LEAST_NAME, &few), Letters::Few)
    }

    fn name_width(&self, ui: &Ui) -> f32 {
        let font = TextStyle::Body.resolve(ui.style());
        let names = self.derived.bands().iter();
        let widest = names.map(|window| text_width_in(ui, &window.label, font.clone()));
        SWATCH_WIDTH + SWATCH_GAP + widest.fold(0.0, f32::max).ceil()
    }

    /// Of each column, its widest number or its title.
    fn widths(&self, ui: &Ui, letters: Letters) -> Vec<f32> {
        let digits = TextStyle::Monospace.resolve(ui.style());
        let titles = letters.titles(ui);
        let of_column = |column: &Column| {
            let title = text_width_in(ui, self.title(*column, letters), titles.clone());
            let cells = self.derived.bands().iter().map(|window| {
                let text = letters.of(&self.cell(window, *column).text);
                text_width_in(ui, &text, digits.clone())
            });
            cells.fold(title, f32::max).ceil()
        };
        self.columns.iter().map(of_column).collect()
    }

    fn title(&self, column: Column, letters: Letters) -> &'static str {
        match (column, letters) {
            (Column::Metric(metric), Letters::All) => short(metric),
            (Column::Metric(metric), Letters::Few) => shortest(metric),
            (Column::Forced, Letters::All) => "forced",
            (Column::Forced, Letters::Few) => "forc.",
            (Column::Ceiling, _) => "of",
            (Column::Difference, _) => "A−B",
        }
    }

    fn title_ui(&self, ui: &mut Ui, column: Column, letters: Letters) {
        let (name, help) = match column {
            Column::Metric(metric) => (metric.label(), explain(metric).to_owned()),
            Column::Forced => (
                "forced",
                "tokens of the budget that the window's rule keeps whatever their score: each counts as a hit"
                    .to_owned(),
            ),
            Column::Ceiling => (
                "ceiling",
                "what the decode stage's own queries reach under the window's scoring".to_owned(),
            ),
            Column::Difference => ("A−B", format!("{}: A minus B", self.current.label())),
        };
        let text = RichText::new(self.title(column, letters)).font(letters.titles(ui));
        let text = text.weak();
        let title = ui.add(egui::Label::new(text).extend());
        let title = title.on_hover_text(format!("{name}: {help}"));
        title.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, name));
    }

    fn name_ui(&self, ui: &mut Ui, window: &WindowBands) {
        ui.spacing_mut().item_spacing.x = SWATCH_GAP;
        swatch(ui, &self.theme.series(&window.label, window.repeat));
        let name = ui.add(egui::Label::new(&window.label).truncate());
        name.on_hover_text(&window.label);
    }

    fn cell(&self, window: &WindowBands, column: Column) -> Cell {
        match column {
            Column::Metric(metric) => self.mean(window, metric),
            Column::Forced => self.forced(window),
            Column::Ceiling => self.ceiling(window),
            Column::Difference => self.difference(window),
        }
    }

    fn mean(&self, window: &WindowBands, metric: Metric) -> Cell {
        let at = self.derived.budget_index;
        let band = window.band(metric);
        let value = |values: &[f64]| values.get(at).copied().unwrap_or(f64::NAN);
        let (mean, low, high) = band.map_or((f64::NAN, f64::NAN, f64::NAN), |band| {
            (value(&band.mean), value(&band.low), value(&band.high))
        });
        let of = format!("{} of {}", metric.label(), window.label);
        let help = match window.defined_heads(metric, at) {
            0 => "undefined in every selected head: the layers see no more tokens than the budget, or no needed ones".to_owned(),
            defined if defined == window.heads => {
                format!("mean {mean:.3}, middle 80 % of {defined} heads {low:.3} to {high:.3}")
            }
            defined => format!(
                "mean {mean:.3}, middle 80 % {low:.3} to {high:.3} over {defined} of {} heads; it is undefined in the others, whose layers see no more \
                 tokens than the budget, or no needed ones",
                window.heads
            ),
        };
        Cell {
            text: short_number(mean),
            name: Some(format!("{of}: {}", number_text(mean))),
            help: format!("{of}: {help}"),
            is_strong: metric == self.current,
            is_weak: false,
        }
    }

    /// How many of the hits no ranking earned.
    fn forced(&self, window: &WindowBands) -> Cell {
        let budget = self.derived.budget_tokens();
        let mut measured = self.windows.iter();
        let measured = measured.find(|known| known.label == window.label);
        Cell {
            text: measured.map_or(String::new(), |window| {
                forced_tokens(window, budget).to_string()
            }),
            name: None,
            help: measured.map_or(String::new(), |window| forced_text(window, budget)),
            is_strong: false,
            is_weak: true,
        }
    }

    fn ceiling(&self, window: &WindowBands) -> Cell {
        let at = self.derived.budget_index;
        let ceiling = window.ceiling(self.current).and_then(|it| it.get(at));
        let ceiling = ceiling.copied().unwrap_or(f64::NAN);
        let name = format!("Ceiling of {}: {}", window.label, number_text(ceiling));
        Cell {
            text: short_number(ceiling),
            help: name.clone(),
            name: Some(name),
            is_strong: false,
            is_weak: true,
        }
    }

    /// What the same window has in A, less what it has in B; each at its own place of the budget.
    fn difference(&self, in_b: &WindowBands) -> Cell {
        let mean = |window: &WindowBands, at: usize| {
            let band = window.band(self.current)?;
            band.mean.get(at).copied()
        };
        let in_a = self.a.and_then(|a| {
            let mut known = a.bands().iter();
            let window = known.find(|window| window.label == in_b.label)?;
            mean(window, a.budget_index)
        });
        let difference = in_a.zip(mean(in_b, self.derived.budget_index));
        let difference = difference.map(|(a, b)| a - b);
        let difference = difference.filter(|difference| !difference.is_nan());
        let text = difference.map_or("–".to_owned(), |difference| signed(difference, 2));
        let name = format!("A − B of {}: {text}", in_b.label);
        Cell {
            text,
            help: name.clone(),
            name: Some(name),
            is_strong: true,
            is_weak: false,
        }
    }
}

impl Cell {
    fn ui(self, ui: &mut Ui, letters: Letters) {
        let mut text = RichText::new(letters.of(&self.text)).monospace();
        if self.is_strong {
            text = text.strong();
        }
        if self.is_weak {
            text = text.weak();
        }
        let response = ui.add(egui::Label::new(text).extend());
        let response = response.on_hover_text(&self.help);
        if let Some(name) = &self.name {
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, name));
        }
    }
}

impl Letters {
    fn titles(self, ui: &Ui) -> FontId {
        let body = TextStyle::Body.resolve(ui.style());
        match self {
            Self::All => body,
            Self::Few => FontId::new(body.size * SMALL_TITLES, body.family),
        }
    }

    fn of(self, number: &str) -> String {
        match self {
            Self::All => number.to_owned(),
            Self::Few => without_nought(number),
        }
    }
}

/// A metric's name where a column has room for four letters.
fn shortest(metric: Metric) -> &'static str {
    match metric {
        Metric::Recall => "rec.",
        Metric::Jaccard => "jac.",
        Metric::MassOfOracle => "shr.",
        Metric::EvidenceKept => "evid.",
        Metric::OutputError => "err.",
        metric => short(metric),
    }
}

/// The metric that is chosen, and those that say something of any window: without needed tokens or values in the session
/// a column would hold nothing.
fn told_metrics(derived: &Derived, current: Metric, at: usize) -> Vec<Metric> {
    let says = |metric: Metric| {
        derived.bands().iter().any(|window| {
            let mean = window.band(metric).and_then(|band| band.mean.get(at));
            mean.is_some_and(|value| !value.is_nan())
        })
    };
    let all = Metric::ALL.into_iter();
    all.filter(|&metric| metric == current || says(metric))
        .collect()
}

/// `0.52` as `.52`, where a column has no room for more.
fn without_nought(text: &str) -> String {
    let digits = text.trim_start_matches(['+', '−']);
    let sign = text.strip_suffix(digits).unwrap_or_default();
    match digits.strip_prefix("0.") {
        Some(behind) => format!("{sign}.{behind}"),
        None => text.to_owned(),
    }
}

/// As many digits as a table of all metrics has room for.
fn short_number(value: f64) -> String {
    match value.is_nan() {
        true => "–".to_owned(),
        false => format!("{value:.2}"),
    }
}

fn number_text(value: f64) -> String {
    match value.is_nan() {
        true => "–".to_owned(),
        false => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_nought_before_the_point_is_left_out() {
        assert_eq!(without_nought("0.52"), ".52");
        assert_eq!(without_nought("−0.52"), "−.52");
        assert_eq!(without_nought("10.52"), "10.52");
        assert_eq!(without_nought("1.00"), "1.00");
        assert_eq!(without_nought("–"), "–");
    }
}
