//! From a chart to a page: margins from the texts' real widths, panels in a grid, legend and colour bar
//! beneath.

use super::FigureError;
use super::axis::Axis;
use super::chart::{Chart, ColorBar, LegendEntry, PageStyle, Panel};
use super::font::Font;
use super::marks::{Frame, draw_mark, draw_swatch};
use super::scene::{Anchor, Point, Rgb, Scene, Stroke, TextStyle};

/// Colours of what is not data.
const INK: Rgb = Rgb(30, 30, 30);
const GRID: Rgb = Rgb(225, 225, 225);

/// Lengths in points.
const PAD: f64 = 2.0;
const TICK: f64 = 2.0;
const GAP: f64 = 2.0;
const COLUMN_GAP: f64 = 7.0;
const FRAME_LINE: f64 = 0.6;
const GRID_LINE: f64 = 0.4;
const SWATCH: f64 = 16.0;
const BAR_HEIGHT: f64 = 5.0;
/// A per cent sign behind a space that no line ends at.
const HELD: &str = "\u{a0}%";
/// Steps of a colour bar: more than an eye tells apart.
const BAR_STEPS: usize = 64;
/// What a page holds: the text of a letter page with margins of an inch.
const MOST_HEIGHT: f64 = 9.0 * 72.0;
/// Panels side by side where fewer would need more than a page.
const MOST_COLUMNS: usize = 6;
/// How far panels are flattened where that is not enough.
const FLATTEST: f64 = 0.5;

/// Lays the chart out.
///
/// Panels that would need more than a page stand in more columns, and then become flatter.
///
/// # Errors
/// [`FigureError::Font`] if the built-in font cannot be opened, [`FigureError::Empty`] for no panel,
/// [`FigureError::TooTall`] for more than a page holds.
pub(super) fn lay_out(chart: &Chart, style: &PageStyle) -> Result<Scene, FigureError> {
    let font = Font::open()?;
    let first = chart.panels.first().ok_or(FigureError::Empty)?;
    let columns = chart.columns.clamp(1, chart.panels.len());
    let most = MOST_COLUMNS.min(chart.panels.len()).max(columns);
    for columns in columns..=most {
        let scene = lay_out_in(chart, style, &font, first, columns);
        if scene.height <= MOST_HEIGHT {
            return Ok(scene);
        }
    }
    let flat = Chart {
        aspect: FLATTEST * chart.aspect,
        ..chart.clone()
    };
    let scene = lay_out_in(&flat, style, &font, first, most);
    match scene.height <= MOST_HEIGHT {
        true => Ok(scene),
        false => Err(FigureError::TooTall {
            panels: chart.panels.len(),
        }),
    }
}

fn lay_out_in(
    chart: &Chart,
    style: &PageStyle,
    font: &Font,
    first: &Panel,
    columns: usize,
) -> Scene {
    let sizes = Sizes::of(font, style, chart, first, columns);
    let mut setter = Setter {
        scene: Scene {
            width: style.width.points(),
            height: 0.0,
            shapes: Vec::new(),
        },
        font,
        sizes,
    };
    let below = setter.panels(chart, columns);
    let below = setter.legend(&chart.legend, below);
    let below = setter.color_bar(chart.bar.as_ref(), below);
    let below = setter.note(chart.note.as_deref(), below);
    setter.scene.height = below + PAD;
    setter.scene
}

/// Lengths that all panels share.
struct Sizes {
    text: f64,
    small: f64,
    left: f64,
    column_gap: f64,
    frame_width: f64,
    frame_height: f64,
    title_size: f64,
    title_room: f64,
    title: f64,
    tick_labels: f64,
    names_upwards: bool,
    axis_label: f64,
}

impl Sizes {
    fn of(font: &Font, style: &PageStyle, chart: &Chart, first: &Panel, columns: usize) -> Self {
        let (text, small) = (style.font_size, 0.92 * style.font_size);
        let widest = |axis: &Axis| {
            let widths = axis.ticks.iter().map(|(_, tick)| font.width(tick, small));
            widths.fold(0.0, f64::max)
        };
        let y_label = if first.y.label.is_empty() {
            0.0
        } else {
            1.35 * text
        };
        let left = PAD + y_label + widest(&first.y) + TICK + GAP;
        // names that run upwards reach to no side
        let x_label = if first.x.named {
            small
        } else {
            widest(&first.x)
        };
        let right = PAD + 0.5 * x_label;
        // half a label of this panel and half of the next one's meet in the gap
        let column_gap = COLUMN_GAP.max(x_label + 1.5 * GAP);
        let gaps = column_gap * (columns - 1) as f64;
        let room = style.width.points() - left - right - gaps;
        let frame_width = (room / columns as f64).max(10.0);
        let slot = frame_width / first.x.ticks.len().max(1) as f64;
        let names_upwards = first.x.named && widest(&first.x) + GAP > slot;
        let title_room = frame_width + 0.5 * column_gap;
        let title_size = text * title_share(font, chart, text, title_room);
        let titles = chart.panels.iter().map(|panel| {
            let lines = wrapped(font, &panel.title, title_size, title_room);
            lines.len()
        });
        let title_lines = titles.max().unwrap_or(0);
        Self {
            text,
            small,
            left,
            column_gap,
            frame_width,
            frame_height: frame_width * chart.aspect,
            title_size,
            title_room,
            title: match title_lines {
                0 => PAD,
                lines => (0.3 + 1.2 * lines as f64) * text,
            },
            tick_labels: match names_upwards {
                true => TICK + 2.0 * GAP + widest(&first.x),
                false => TICK + GAP + small,
            },
            names_upwards,
            axis_label: 1.35 * text,
        }
    }

    /// Marks and lines grow with the text where it is larger than in a column.
    fn scale(&self) -> f64 {
        (self.text / PageStyle::default().font_size).max(1.0)
    }
}

struct Setter<'a> {
    scene: Scene,
    font: &'a Font,
    sizes: Sizes,
}

impl Setter<'_> {
    /// Draws the grid of panels and gives the height below it.
    fn panels(&mut self, chart: &Chart, columns: usize) -> f64 {
        let (width, height) = (self.sizes.frame_width, self.sizes.frame_height);
        let mut top = PAD;
        let rows: Vec<&[Panel]> = chart.panels.chunks(columns).collect();
        for (row, panels) in rows.iter().enumerate() {
            let frame_top = top + self.sizes.title;
            for (column, panel) in panels.iter().enumerate() {
                let frame = Frame {
                    left: self.sizes.left + column as f64 * (width + self.sizes.column_gap),
                    top: frame_top,
                    width,
                    height,
                    scale: self.sizes.scale(),
                };
                // nothing stands below this panel
                let is_last = rows.get(row + 1).is_none_or(|next| next.len() <= column);
                self.panel(panel, &frame, column == 0, is_last);
            }
            top = frame_top + height + 0.5 * self.sizes.text;
        }
        let bottom = top - 0.5 * self.sizes.text + self.sizes.tick_labels;
        let label = chart.panels.first().map_or("", |panel| &panel.x.label);
        if label.is_empty() {
            return bottom + GAP;
        }
        let gap = self.sizes.column_gap;
        let across = chart.panels.len().min(columns) as f64;
        let middle = self.sizes.left + 0.5 * (across * (width + gap) - gap);
        let place = (middle, bottom + self.sizes.text);
        self.text(label, place, Anchor::Middle);
        bottom + self.sizes.axis_label + GAP
    }

    fn panel(&mut self, panel: &Panel, frame: &Frame, with_y: bool, with_x: bool) {
        let (size, room) = (self.sizes.title_size, self.sizes.title_room);
        let lines = wrapped(self.font, &panel.title, size, room);
        for (above, line) in lines.iter().rev().enumerate() {
            let y = frame.top - (0.4 + 1.2 * above as f64) * self.sizes.text;
            let place = (frame.left + 0.5 * frame.width, y);
            self.set(line, place, Anchor::Middle, size);
        }
        self.grid(panel, frame);
        for mark in &panel.marks {
            draw_mark(&mut self.scene, frame, &panel.x, &panel.y, mark);
        }
        let (right, bottom) = (frame.left + frame.width, frame.top + frame.height);
        let corners = vec![
            (frame.left, frame.top),
            (right, frame.top),
            (right, bottom),
            (frame.left, bottom),
            (frame.left, frame.top),
            (right, frame.top),
        ];
        self.scene.line(corners, Stroke::solid(INK, FRAME_LINE));
        self.x_ticks(panel, frame, with_x);
        self.y_ticks(panel, frame, with_y);
    }

    fn grid(&mut self, panel: &Panel, frame: &Frame) {
        let line = Stroke::solid(GRID, GRID_LINE);
        if panel.x.grid {
            for (number, _) in &panel.x.ticks {
                let x = frame.x(&panel.x, *number);
                let ends = vec![(x, frame.top), (x, frame.top + frame.height)];
                self.scene.line(ends, line.clone());
            }
        }
        if panel.y.grid {
            for (number, _) in &panel.y.ticks {
                let y = frame.y(&panel.y, *number);
                let ends = vec![(frame.left, y), (frame.left + frame.width, y)];
                self.scene.line(ends, line.clone());
            }
        }
    }

    fn x_ticks(&mut self, panel: &Panel, frame: &Frame, with_labels: bool) {
        let bottom = frame.top + frame.height;
        let mut free_from = f64::NEG_INFINITY;
        for (number, tick) in &panel.x.ticks {
            let x = frame.x(&panel.x, *number);
            let ends = vec![(x, bottom), (x, bottom + TICK)];
            self.scene.line(ends, Stroke::solid(INK, FRAME_LINE));
            if with_labels && self.sizes.names_upwards {
                let place = (x + 0.35 * self.sizes.small, bottom + TICK + GAP);
                let style = TextStyle {
                    size: self.sizes.small,
                    anchor: Anchor::End,
                    color: INK,
                    upwards: true,
                };
                self.scene.text(tick.as_str(), place, style);
                continue;
            }
            let half = 0.5 * self.font.width(tick, self.sizes.small);
            // a label that would run into the one before it is left out
            if with_labels && x - half > free_from {
                let place = (x, bottom + TICK + GAP + 0.75 * self.sizes.small);
                self.small(tick, place, Anchor::Middle);
                free_from = x + half + GAP;
            }
        }
    }

    fn y_ticks(&mut self, panel: &Panel, frame: &Frame, with_labels: bool) {
        for (number, tick) in &panel.y.ticks {
            let y = frame.y(&panel.y, *number);
            let ends = vec![(frame.left - TICK, y), (frame.left, y)];
            self.scene.line(ends, Stroke::solid(INK, FRAME_LINE));
            if with_labels {
                let place = (frame.left - TICK - GAP, y + 0.35 * self.sizes.small);
                self.small(tick, place, Anchor::End);
            }
        }
        if with_labels && !panel.y.label.is_empty() {
            let place = (PAD + 0.85 * self.sizes.text, frame.top + 0.5 * frame.height);
            // a label longer than its frame is set smaller
            let length = self.font.width(&panel.y.label, self.sizes.text);
            let fitting = (frame.height / length).clamp(0.7, 1.0);
            let style = TextStyle {
                size: fitting * self.sizes.text,
                anchor: Anchor::Middle,
                color: INK,
                upwards: true,
            };
            self.scene.text(panel.y.label.as_str(), place, style);
        }
    }

    /// Entries in lines that fit the width; gives the height below them.
    fn legend(&mut self, entries: &[LegendEntry], top: f64) -> f64 {
        if entries.is_empty() {
            return top;
        }
        let line = 1.45 * self.sizes.text;
        let end = self.scene.width - PAD;
        let scale = self.sizes.scale();
        let (mut x, mut y) = (self.sizes.left, top + line);
        for entry in entries {
            let swatch = scale * if entry.line { SWATCH } else { 0.5 * SWATCH };
            let width = swatch + GAP + self.font.width(&entry.label, self.sizes.text);
            if x > self.sizes.left && x + width > end {
                (x, y) = (self.sizes.left, y + line);
            }
            let middle = y - 0.3 * self.sizes.text;
            draw_swatch(&mut self.scene, (x, middle), swatch, scale, entry);
            self.text(&entry.label, (x + swatch + GAP, y), Anchor::Start);
            x += width + 1.2 * self.sizes.text;
        }
        y + GAP
    }

    fn color_bar(&mut self, bar: Option<&ColorBar>, top: f64) -> f64 {
        let Some(bar) = bar else {
            return top;
        };
        let room = self.scene.width - self.sizes.left - 4.0 * PAD;
        let frame = Frame {
            left: self.sizes.left,
            top: top + 2.0 * GAP,
            width: room.min(150.0),
            height: BAR_HEIGHT,
            scale: self.sizes.scale(),
        };
        let step = frame.width / BAR_STEPS as f64;
        for index in 0..BAR_STEPS {
            let share = (index as f32 + 0.5) / BAR_STEPS as f32;
            let left = frame.left + index as f64 * step;
            // up to the end, under the steps that follow, so that no seam shows where a pixel holds two
            let width = frame.left + frame.width - left;
            let place = (left, frame.top);
            self.scene
                .rect(place, width, frame.height, bar.map.color(share), 1.0);
        }
        self.bar_ends(bar, &frame);
        let bottom = frame.top + frame.height;
        for (number, tick) in &bar.axis.ticks {
            let x = frame.x(&bar.axis, *number);
            let ends = vec![(x, bottom), (x, bottom + TICK)];
            self.scene.line(ends, Stroke::solid(INK, FRAME_LINE));
            let place = (x, bottom + TICK + GAP + 0.75 * self.sizes.small);
            self.small(tick, place, Anchor::Middle);
        }
        let below = bottom + TICK + GAP + self.sizes.small + self.sizes.text;
        self.text(&bar.label, (frame.left, below), Anchor::Start);
        below + GAP
    }

    /// Points at the ends of a colour bar that values lie beyond.
    fn bar_ends(&mut self, bar: &ColorBar, frame: &Frame) {
        let (top, middle) = (frame.top, frame.top + 0.5 * frame.height);
        let bottom = frame.top + frame.height;
        let right = frame.left + frame.width;
        let ends = [
            (bar.beyond.0, frame.left, -1.0, 0.0),
            (bar.beyond.1, right, 1.0, 1.0),
        ];
        for (is_beyond, x, side, share) in ends {
            if is_beyond {
                let point = vec![(x, top), (x + side * BAR_HEIGHT, middle), (x, bottom)];
                self.scene.area(point, bar.map.color(share), 1.0);
            }
        }
    }

    fn note(&mut self, note: Option<&str>, top: f64) -> f64 {
        let Some(note) = note else {
            return top;
        };
        let mut y = top;
        let room = self.scene.width - self.sizes.left - PAD;
        for line in wrapped(self.font, note, self.sizes.small, room) {
            y += 1.3 * self.sizes.small;
            self.small(&line, (self.sizes.left, y), Anchor::Start);
        }
        y + GAP
    }

    fn text(&mut self, text: &str, place: Point, anchor: Anchor) {
        self.set(text, place, anchor, self.sizes.text);
    }

    fn small(&mut self, text: &str, place: Point, anchor: Anchor) {
        self.set(text, place, anchor, self.sizes.small);
    }

    fn set(&mut self, text: &str, place: Point, anchor: Anchor, size: f64) {
        let style = TextStyle {
            size,
            anchor,
            color: INK,
            upwards: false,
        };
        self.scene.text(text, place, style);
    }
}

/// The share of the text's size at which no word of a title runs into the panel beside it.
fn title_share(font: &Font, chart: &Chart, size: f64, room: f64) -> f64 {
    let titles = chart.panels.iter().map(|panel| panel.title.as_str());
    let words = titles.flat_map(str::split_whitespace);
    let widest = words
        .map(|word| font.width(word, size))
        .fold(room, f64::max);
    (room / widest).max(0.6)
}

/// A text in lines that fit the room; a word longer than that stands alone.
fn wrapped(font: &Font, text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    // a number stays with its per cent sign
    let text = text.replace(" %", HELD);
    for word in text.split_ascii_whitespace() {
        let longer = match lines.last() {
            Some(line) => format!("{line} {word}"),
            None => word.to_owned(),
        };
        match lines.last_mut() {
            Some(line) if font.width(&longer.replace(HELD, " %"), size) <= room => *line = longer,
            _ => lines.push(word.to_owned()),
        }
    }
    for line in &mut lines {
        *line = line.replace(HELD, " %");
    }
    lines
}
