//! The names of a plot's lines: behind its controls where they are few, and else beside the plot or above it, as small
//! as it takes for all to be read at once.

use egui::{
    Color32, FontId, Painter, Pos2, Rect, RichText, ScrollArea, Shape, Stroke, Ui, Vec2, vec2,
};
use egui_plot::{LineStyle, MarkerShape};

use super::{View, in_force_ui};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::derived::WindowName;
use crate::gui::theme::{LONG_DASH, SeriesStyle};
use crate::gui::widgets::together::text_width_in;

const SWATCH_WIDTH: f32 = 20.0;
/// Radius of the sign on a swatch.
const SIGN: f32 = 3.5;

/// Between swatch and name, and between two names.
const GAP: f32 = 4.0;
const BETWEEN: f32 = 8.0;

/// Sizes of letters, the largest that fits is taken; smaller ones cannot be read from afar.
const SIZES: [f32; 3] = [13.0, 12.0, 11.0];
const SMALLEST: f32 = 11.0;

/// Room of a line beyond its letters.
const LEADING: f32 = 3.5;

/// Parts of the plot's room that names may take: of its height behind the controls and above the plot, and of its width
/// beside it.
const ROWS_SHARE: f32 = 0.2;
const ABOVE_SHARE: f32 = 0.5;
const BESIDE_SHARE: f32 = 0.34;
const MOST_COLUMNS: usize = 3;

/// A name.
pub struct Name {
    /// What the pointer on it brings to the front.
    label: String,
    /// The words, which may say more than the label.
    text: String,
    style: SeriesStyle,
    /// Whether its points are joined, or it is of their sign alone.
    has_line: bool,
    help: String,
    /// Whether a click hides the window's curve, and whether it is hidden.
    hides: bool,
    is_hidden: bool,
}

impl Name {
    /// Of a line that is always shown.
    #[must_use]
    pub fn of_line(label: impl Into<String>, style: SeriesStyle, help: impl Into<String>) -> Self {
        let label = label.into();
        Self {
            text: label.clone(),
            label,
            style,
            has_line: true,
            help: help.into(),
            hides: false,
            is_hidden: false,
        }
    }

    /// Of a window, with what stands behind its label; a click hides its curve in every view.
    #[must_use]
    pub fn of_window(view: &View<'_>, window: &WindowName, value: &str, help: &str) -> Self {
        let style = view.theme.series(&window.label, window.repeat);
        let hidden = &view.settings.choices.hidden_windows;
        Self {
            text: format!("{}{value}", window.label),
            hides: true,
            is_hidden: hidden.contains(&window.label),
            ..Self::of_line(window.label.clone(), style, help)
        }
    }

    /// Of the sign that points of some kind have, whatever their line.
    #[must_use]
    pub fn of_sign(
        label: impl Into<String>,
        color: Color32,
        sign: MarkerShape,
        help: impl Into<String>,
    ) -> Self {
        let style = SeriesStyle {
            color,
            line: LineStyle::Solid,
            marker: Some(sign),
        };
        Self {
            has_line: false,
            ..Self::of_line(label, style, help)
        }
    }

    /// The same in a plot whose signs say something else.
    #[must_use]
    pub fn without_sign(mut self) -> Self {
        self.style.marker = None;
        self
    }

    fn width(&self, ui: &Ui, size: f32) -> f32 {
        let font = FontId::proportional(size);
        SWATCH_WIDTH + GAP + text_width_in(ui, &self.text, font)
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, size: f32, commands: &mut Commands) {
        let color = match self.is_hidden {
            true => ui.visuals().weak_text_color(),
            false => self.style.color,
        };
        let text = RichText::new(&self.text).size(size);
        let mut text = text.color(view.theme.legible(color));
        if self.is_hidden {
            text = text.strikethrough();
        }
        let style = SeriesStyle {
            color,
            ..self.style
        };
        let response = entry_of(ui, &style, self.has_line, text).on_hover_text(&self.help);
        let label = &self.label;
        response.widget_info(|| match self.hides {
            true => {
                let name = format!("Curve {label}");
                egui::WidgetInfo::selected(egui::Role::CheckBox, true, !self.is_hidden, name)
            }
            false => egui::WidgetInfo::labeled(egui::Role::Label, true, format!("Line {label}")),
        });
        if response.hovered() {
            commands.hover.window = Some(label.clone());
        }
        if self.hides && response.clicked() {
            commands.send(LookCommand::ToggleWindow(label.clone()));
        }
    }
}

/// Where names stand.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// In the row of the controls.
    Row,
    /// Right of the plot, in columns of so many names.
    Beside { size: f32, rows: usize, width: f32 },
    /// Above the plot, in rows of their own.
    Above,
}

/// The names of a plot.
pub struct Legend<'a> {
    /// The plot's own name, which tells two legends apart.
    pub plot: &'a str,
    /// From the first to the last.
    pub names: Vec<Name>,
    /// Whether the words stand with them that say what the numbers were measured by.
    pub says_what_is_in_force: bool,
}

impl Legend<'_> {
    /// Draws the controls, and the names where they fit.
    pub fn show(
        &self,
        ui: &mut Ui,
        view: &View<'_>,
        commands: &mut Commands,
        controls: impl FnOnce(&mut Ui, &mut Commands),
    ) {
        let room = ui.available_rect_before_wrap();
        let row = ui.horizontal_wrapped(|ui| {
            controls(ui, commands);
            let place = self.place(ui, room);
            if place != Place::Above && self.says_what_is_in_force {
                in_force_ui(ui, view);
            }
            if place == Place::Row {
                self.names_ui(ui, view, SIZES[0], &self.names, commands);
            }
            place
        });
        match row.inner {
            Place::Row => {}
            Place::Beside { size, rows, width } => {
                egui::Panel::right(format!("legend of {}", self.plot))
                    .resizable(false)
                    .show_separator_line(false)
                    .exact_size(width)
                    .frame(egui::Frame::NONE)
                    .show(ui, |ui| self.columns_ui(ui, view, size, rows, commands));
            }
            Place::Above => self.above_ui(ui, view, room.bottom(), commands),
        }
    }

    /// Where all names can be read at once and the plot keeps the most of its room.
    fn place(&self, ui: &Ui, room: egui::Rect) -> Place {
        let left = room.bottom() - ui.min_rect().bottom();
        let used = ui.cursor().left() - room.left();
        let row = ui.spacing().interact_size.y + ui.spacing().item_spacing.y;
        let added = self.rows(ui, SIZES[0], used, room.width()) - 1;
        if added as f32 * row <= ROWS_SHARE * left {
            return Place::Row;
        }
        for size in SIZES {
            let widths = self.names.iter().map(|name| name.width(ui, size));
            let column = widths.fold(0.0, f32::max) + BETWEEN;
            let rows = ((left / line_height(size)) as usize).max(1);
            let columns = self.names.len().div_ceil(rows);
            let width = columns as f32 * column;
            if columns <= MOST_COLUMNS && width <= BESIDE_SHARE * room.width() {
                let rows = self.names.len().div_ceil(columns.max(1));
                return Place::Beside { size, rows, width };
            }
        }
        Place::Above
    }

    /// Rows that the names take behind what stands in the first of them.
    fn rows(&self, ui: &Ui, size: f32, used: f32, width: f32) -> usize {
        let (mut at, mut rows) = (used, 1);
        for name in &self.names {
            let needed = name.width(ui, size);
            if at > 0.0 && at + needed > width {
                (at, rows) = (0.0, rows + 1);
            }
            at += needed + BETWEEN;
        }
        rows
    }

    fn names_ui(
        &self,
        ui: &mut Ui,
        view: &View<'_>,
        size: f32,
        names: &[Name],
        commands: &mut Commands,
    ) {
        for name in names {
            name.ui(ui, view, size, commands);
        }
    }

    fn columns_ui(
        &self,
        ui: &mut Ui,
        view: &View<'_>,
        size: f32,
        rows: usize,
        commands: &mut Commands,
    ) {
        set_close(ui, size);
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = BETWEEN;
            for column in self.names.chunks(rows.max(1)) {
                ui.vertical(|ui| self.names_ui(ui, view, size, column, commands));
            }
        });
    }

    fn above_ui(&self, ui: &mut Ui, view: &View<'_>, bottom: f32, commands: &mut Commands) {
        let left = bottom - ui.cursor().top();
        // more names than half of the room holds are scrolled to
        ScrollArea::vertical()
            .id_salt(("legend above", self.plot))
            .max_height(ABOVE_SHARE * left)
            .show(ui, |ui| {
                set_close(ui, SMALLEST);
                ui.style_mut().override_font_id = Some(FontId::proportional(SMALLEST));
                ui.horizontal_wrapped(|ui| {
                    ui.spacing_mut().item_spacing.x = BETWEEN;
                    if self.says_what_is_in_force {
                        in_force_ui(ui, view);
                    }
                    self.names_ui(ui, view, SMALLEST, &self.names, commands);
                });
            });
    }
}

fn line_height(size: f32) -> f32 {
    size + LEADING + 1.0
}

/// Lines as close to each other as letters of this size allow.
fn set_close(ui: &mut Ui, size: f32) {
    ui.spacing_mut().interact_size.y = size + LEADING;
    ui.spacing_mut().item_spacing.y = 1.0;
}

/// A piece of line with its name: one widget, so that a row of them wraps between two, never within.
pub fn entry(ui: &mut Ui, style: &SeriesStyle, text: RichText) -> egui::Response {
    entry_of(ui, style, true, text)
}

fn entry_of(ui: &mut Ui, style: &SeriesStyle, has_line: bool, text: RichText) -> egui::Response {
    let text = egui::WidgetText::from(text);
    let extend = Some(egui::TextWrapMode::Extend);
    let galley = text.into_galley(ui, extend, f32::INFINITY, egui::TextStyle::Body);
    let height = ui.spacing().interact_size.y;
    let size = vec2(SWATCH_WIDTH + GAP + galley.size().x, height);
    let (rect, response) = ui.allocate_exact_size(size, egui::Sense::click());
    match has_line {
        true => paint_swatch(ui.painter(), rect, style),
        false => paint_sign(ui.painter(), rect, style),
    }
    let at = rect.left_center() + vec2(SWATCH_WIDTH + GAP, -galley.size().y / 2.0);
    ui.painter().galley(at, galley, style.color);
    response
}

/// A short piece of the window's line.
pub fn swatch(ui: &mut Ui, style: &SeriesStyle) {
    let (rect, _) = ui.allocate_exact_size(vec2(SWATCH_WIDTH, 12.0), egui::Sense::hover());
    paint_swatch(ui.painter(), rect, style);
}

fn paint_swatch(painter: &Painter, rect: Rect, style: &SeriesStyle) {
    let left = rect.left_center();
    let ends = [left, left + vec2(SWATCH_WIDTH, 0.0)];
    let stroke = Stroke::new(2.0, style.color);
    match style.line {
        LineStyle::Solid => {
            painter.line_segment(ends, stroke);
        }
        LineStyle::Dashed { length } => {
            let [dash, gap] = match length >= LONG_DASH {
                true => [12.0, 3.0],
                false => [5.0, 2.5],
            };
            painter.extend(Shape::dashed_line(&ends, stroke, dash, gap));
        }
        LineStyle::Dotted { .. } => {
            painter.extend(Shape::dotted_line(&ends, style.color, 4.0, 1.2));
        }
    }
    paint_sign(painter, rect, style);
}

fn paint_sign(painter: &Painter, rect: Rect, style: &SeriesStyle) {
    let middle = rect.left_center() + vec2(SWATCH_WIDTH / 2.0, 0.0);
    if let Some(marker) = style.marker {
        paint_marker(painter, middle, marker, style.color);
    }
}

/// The sign of a window's points, as the plots draw it.
fn paint_marker(painter: &Painter, at: Pos2, marker: MarkerShape, color: Color32) {
    let filled = |corners: &[[f32; 2]]| {
        let corners = corners.iter().map(|[x, y]| at + SIGN * vec2(*x, *y));
        painter.add(Shape::convex_polygon(
            corners.collect(),
            color,
            Stroke::NONE,
        ));
    };
    let strokes = |reaches: &[[f32; 2]]| {
        for [x, y] in reaches {
            let reach: Vec2 = SIGN * vec2(*x, *y);
            painter.line_segment([at - reach, at + reach], Stroke::new(1.5, color));
        }
    };
    let (half, deep) = (0.5, 0.75_f32.sqrt());
    match marker {
        MarkerShape::Circle => {
            painter.circle_filled(at, SIGN, color);
        }
        MarkerShape::Diamond => filled(&[[0.0, -1.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]),
        MarkerShape::Square => filled(&[[-0.8, -0.8], [0.8, -0.8], [0.8, 0.8], [-0.8, 0.8]]),
        MarkerShape::Up => filled(&[[0.0, -1.0], [deep, half], [-deep, half]]),
        MarkerShape::Down => filled(&[[0.0, 1.0], [-deep, -half], [deep, -half]]),
        MarkerShape::Left => filled(&[[-1.0, 0.0], [half, -deep], [half, deep]]),
        MarkerShape::Right => filled(&[[1.0, 0.0], [-half, deep], [-half, -deep]]),
        MarkerShape::Cross => strokes(&[[0.8, 0.8], [0.8, -0.8]]),
        MarkerShape::Plus => strokes(&[[1.0, 0.0], [0.0, 1.0]]),
        MarkerShape::Asterisk => strokes(&[[0.0, 1.0], [deep, half], [deep, -half]]),
    }
}
