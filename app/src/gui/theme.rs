//! Every colour of the workbench, for the dark and the light theme.
//!
//! Data carries the colour and everything else is grey, so the tokens here are few: the series
//! colours of the windows, which `kvlens_analysis::figure::palette` chooses for screen and paper alike,
//! the marks of tokens, and the three colour maps.

#![expect(clippy::disallowed_methods, reason = "this is the one home of colours")]

use colorous::Gradient;
use egui::Color32;
use egui_plot::{LineStyle, MarkerShape};
use kvlens_analysis::figure::Rgb;
use kvlens_analysis::figure::palette::{self, Dash, Ground, Marker};

use super::data::Severity;

/// How one window is drawn in plots, legends and tables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesStyle {
    /// Colour of line, marker and swatch.
    pub color: Color32,
    /// Dash of the line.
    pub line: LineStyle,
    /// Sign of its points, on the line and in the legend; a line of reference has none.
    pub marker: Option<MarkerShape>,
}

/// The colour tokens of one theme.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    dark: bool,
    /// The oracle: the decode stage itself.
    pub oracle: Color32,
    /// Text.
    text: Color32,
    /// Text that stands back: explanations, units, hints.
    weak_text: Color32,
    /// The expected curve of a random ranking.
    pub random: Color32,
    /// Outline of selected cells, and of the budget's cross-hair.
    pub selection: Color32,
    /// Line under the outline of selected cells, so that it shows on every colour.
    pub selection_halo: Color32,
    /// Cells and tokens that have no number.
    pub missing_value: Color32,
    /// Underline of tokens that the window keeps at the budget.
    pub kept: Color32,
    /// Dotted underline of tokens that the oracle keeps and the window does not.
    pub missed: Color32,
    /// Outline of the tokens that hold what the answer needs.
    pub evidence: Color32,
    /// Paper behind the token text.
    pub paper: Color32,
    /// The panel that text is hardest to read on.
    ground: Color32,
    /// Text that can be clicked.
    link: Color32,
    /// Text of errors.
    pub error: Color32,
    /// Text of warnings.
    pub warning: Color32,
    /// Text of things that went well.
    pub success: Color32,
}

const DARK: Theme = Theme {
    dark: true,
    text: Color32::from_rgb(205, 205, 205),
    weak_text: Color32::from_rgb(152, 152, 152),
    oracle: Color32::from_rgb(190, 190, 190),
    random: Color32::from_rgb(135, 135, 135),
    selection: Color32::from_rgb(255, 255, 255),
    selection_halo: Color32::BLACK,
    missing_value: Color32::from_rgb(90, 90, 90),
    kept: Color32::from_rgb(120, 220, 200),
    missed: Color32::from_rgb(255, 140, 90),
    evidence: Color32::from_rgb(255, 214, 92),
    paper: Color32::from_rgb(22, 22, 24),
    ground: Color32::from_rgb(32, 32, 32),
    link: Color32::from_rgb(90, 170, 255),
    error: Color32::from_rgb(255, 130, 120),
    warning: Color32::from_rgb(240, 190, 90),
    success: Color32::from_rgb(120, 210, 150),
};

const LIGHT: Theme = Theme {
    dark: false,
    text: Color32::from_rgb(50, 50, 50),
    weak_text: Color32::from_rgb(98, 98, 98),
    oracle: Color32::from_rgb(70, 70, 70),
    random: Color32::from_rgb(106, 106, 106),
    selection: Color32::from_rgb(20, 20, 20),
    selection_halo: Color32::WHITE,
    missing_value: Color32::from_rgb(185, 185, 185),
    kept: Color32::from_rgb(0, 110, 95),
    missed: Color32::from_rgb(200, 60, 0),
    evidence: Color32::from_rgb(150, 95, 0),
    paper: Color32::from_rgb(252, 252, 252),
    ground: Color32::from_rgb(243, 243, 243),
    link: Color32::from_rgb(0, 92, 168),
    error: Color32::from_rgb(176, 30, 20),
    warning: Color32::from_rgb(140, 90, 0),
    success: Color32::from_rgb(0, 110, 60),
};

/// Length of a long dash, in points.
pub const LONG_DASH: f32 = 16.0;

/// A map from numbers to colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColorMap {
    /// 0 to 1, Viridis.
    Sequential,
    /// -1 to 1, red below zero and blue above, zero in the middle.
    Diverging,
    /// 0 to 1, from the paper of the text upwards, so that text on it stays readable.
    Heat,
}

impl ColorMap {
    /// The values at the two ends of the colour bar.
    #[must_use]
    pub fn range(self) -> (f32, f32) {
        match self {
            Self::Sequential | Self::Heat => (0.0, 1.0),
            Self::Diverging => (-1.0, 1.0),
        }
    }
}

impl Theme {
    /// The tokens that fit what is on the screen.
    #[must_use]
    pub fn of(visuals: &egui::Visuals) -> &'static Self {
        if visuals.dark_mode { &DARK } else { &LIGHT }
    }

    /// Sets the colours of text in both themes: egui's own weak text is too faint to read from afar.
    pub fn apply(context: &egui::Context) {
        for (theme, tokens) in [(egui::Theme::Dark, &DARK), (egui::Theme::Light, &LIGHT)] {
            context.style_mut_of(theme, |style| {
                style.visuals.weak_text_color = Some(tokens.weak_text);
                style.visuals.widgets.noninteractive.fg_stroke.color = tokens.text;
                style.visuals.hyperlink_color = tokens.link;
                style.visuals.warn_fg_color = tokens.warning;
                style.visuals.error_fg_color = tokens.error;
            });
        }
    }

    /// The sign and the colour of a message.
    #[must_use]
    pub fn severity(&self, severity: Severity, visuals: &egui::Visuals) -> (&'static str, Color32) {
        match severity {
            Severity::Info => ("·", visuals.text_color()),
            Severity::Success => ("✔", self.success),
            Severity::Warning => ("⚠", self.warning),
            Severity::Error => ("✖", self.error),
        }
    }

    /// Whether these are the tokens of the dark theme.
    #[must_use]
    pub fn is_dark(&self) -> bool {
        self.dark
    }

    /// The style of the window `label`; `repeat` counts windows of the same method before it.
    #[must_use]
    pub fn series(&self, label: &str, repeat: usize) -> SeriesStyle {
        let ground = if self.dark {
            Ground::Dark
        } else {
            Ground::Light
        };
        let style = palette::series(label, repeat, ground);
        SeriesStyle {
            color: color(style.color),
            line: match style.dash {
                Dash::Solid => LineStyle::Solid,
                Dash::Dashed => LineStyle::Dashed { length: 7.0 },
                Dash::Dotted => LineStyle::Dotted { spacing: 5.0 },
                Dash::Long => LineStyle::Dashed { length: LONG_DASH },
            },
            marker: Some(match style.marker {
                Marker::Circle => MarkerShape::Circle,
                Marker::Diamond => MarkerShape::Diamond,
                Marker::Square => MarkerShape::Square,
                Marker::Up => MarkerShape::Up,
                Marker::Down => MarkerShape::Down,
                Marker::Cross => MarkerShape::Cross,
                Marker::Plus => MarkerShape::Plus,
            }),
        }
    }

    /// The line of a random ranking, which is no window's: fine dots of no colour, without a sign.
    #[must_use]
    pub fn chance(&self) -> SeriesStyle {
        SeriesStyle {
            color: self.random,
            line: LineStyle::Dotted { spacing: 3.5 },
            marker: None,
        }
    }

    /// The colour of `value` on `map`; values outside are clamped, NaN has a colour of its own.
    #[must_use]
    pub fn map(&self, map: ColorMap, value: f32) -> Color32 {
        if value.is_nan() {
            return self.missing_value;
        }
        let (low, high) = map.range();
        let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
        match map {
            ColorMap::Sequential => sample(colorous::VIRIDIS, t),
            ColorMap::Diverging => self.diverging(t),
            ColorMap::Heat => self.heat(t),
        }
    }

    /// RdBu, with its white middle replaced by the dark paper in the dark theme.
    fn diverging(&self, t: f32) -> Color32 {
        let color = sample(colorous::RED_BLUE, t);
        if !self.dark {
            return color;
        }
        let distance = (2.0 * t - 1.0).abs();
        // The ends of RdBu are nearly black: stop where they are still told from the paper.
        let end = if t < 0.5 { 0.14 } else { 0.86 };
        self.paper
            .lerp_to_gamma(sample(colorous::RED_BLUE, end), distance.sqrt())
    }

    /// Viridis where paper is dark; on white it would begin with yellow, so blues stand in for it.
    fn heat(&self, t: f32) -> Color32 {
        let color = if self.dark {
            sample(colorous::VIRIDIS, 0.15 + 0.85 * t)
        } else {
            sample(colorous::BLUES, 0.1 + 0.8 * t)
        };
        self.paper.lerp_to_gamma(color, (2.0 * t).min(1.0))
    }

    /// Black or white, whichever reads better on `background`; one of them always reaches 4.5:1.
    #[must_use]
    pub fn text_on(background: Color32) -> Color32 {
        let [black, white] = [Color32::BLACK, Color32::WHITE];
        match contrast(black, background) > contrast(white, background) {
            true => black,
            false => white,
        }
    }

    /// Letters on `background`, and the ground to paint under them. Beside others they stay black or white as those are,
    /// as long as a ground that differs by a shade lets them be read: grounds that are hardly told apart shall not
    /// make letters flicker between black and white.
    #[must_use]
    pub fn letters_beside(background: Color32, before: Option<Color32>) -> (Color32, Color32) {
        let own = Self::text_on(background);
        let Some(before) = before.filter(|before| *before != own) else {
            return (own, background);
        };
        let away = match before == Color32::WHITE {
            true => Color32::BLACK,
            false => Color32::WHITE,
        };
        let shades = (0..=SHADES).map(|shade| {
            let share = f32::from(shade) / f32::from(SHADES) * MOST_SHADE;
            background.lerp_to_gamma(away, share)
        });
        let mut readable = shades.filter(|ground| contrast(before, *ground) >= READABLE);
        readable
            .next()
            .map_or((own, background), |ground| (before, ground))
    }

    /// The text as far back on `background` as it can still be read.
    #[must_use]
    pub fn faint(text: Color32, background: Color32) -> Color32 {
        let fainter = FAINT_STEPS.map(|share| text.lerp_to_gamma(background, share));
        let readable = fainter
            .into_iter()
            .find(|color| contrast(*color, background) >= READABLE);
        readable.unwrap_or(text)
    }

    /// A colour of data as the colour of a word: as near to it as can be read on every panel.
    #[must_use]
    pub fn legible(&self, color: Color32) -> Color32 {
        let mixed = (0..=MIX_STEPS).map(|step| {
            let share = f32::from(step) / f32::from(MIX_STEPS);
            color.lerp_to_gamma(self.selection, share)
        });
        let mut readable = mixed.filter(|mixed| contrast(*mixed, self.ground) >= READABLE);
        readable.next().unwrap_or(self.text)
    }
}

/// The contrast that WCAG 2 asks of text.
const READABLE: f64 = 4.5;

/// How far text may stand back, the farthest first.
const FAINT_STEPS: [f32; 5] = [0.4, 0.3, 0.2, 0.1, 0.05];

/// How far the ground of a token may be from its colour, so that its letters stay as those beside it, and in how many
/// steps that is tried.
const MOST_SHADE: f32 = 0.12;
const SHADES: u8 = 12;

/// Steps from a colour of data to black or white.
const MIX_STEPS: u8 = 20;

/// Relative luminance and contrast of two colours, as WCAG 2 defines them: 1 to 21.
fn contrast(a: Color32, b: Color32) -> f64 {
    let luminance = |color: Color32| {
        let linear = [color.r(), color.g(), color.b()].map(|part| {
            let part = f64::from(part) / 255.0;
            match part <= 0.04045 {
                true => part / 12.92,
                false => ((part + 0.055) / 1.055).powf(2.4),
            }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn color(Rgb(red, green, blue): Rgb) -> Color32 {
    Color32::from_rgb(red, green, blue)
}

fn sample(gradient: Gradient, t: f32) -> Color32 {
    let color = gradient.eval_continuous(f64::from(t));
    Color32::from_rgb(color.r, color.g, color.b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_keeps_the_colour_of_its_method() {
        for theme in [&DARK, &LIGHT] {
            assert_eq!(
                theme.series("last:32", 0).color,
                theme.series("last:8", 0).color
            );
            assert_ne!(
                theme.series("last:32", 0).color,
                theme.series("laq:n=8", 0).color
            );
            let (first, second) = (theme.series("last:32", 0), theme.series("last:8", 1));
            assert_ne!(first.color, second.color);
            assert_ne!(first.line, second.line);
            assert_ne!(first.marker, second.marker);
        }
    }

    #[test]
    fn chance_is_unlike_every_window() {
        let windows = [
            "last",
            "laq",
            "judge-q",
            "dapq",
            "laq++",
            "lookahead-kv",
            "draft",
            "expected",
            "tova",
            "h2o",
            "streaming",
            "knorm",
            "random",
            "union",
            "another",
        ];
        for theme in [&DARK, &LIGHT] {
            let chance = theme.chance();
            assert_eq!(chance.marker, None);
            for style in windows.map(|label| theme.series(label, 0)) {
                assert!(style.marker.is_some());
                assert_ne!(style.line, chance.line);
                assert_ne!(style.color, chance.color);
            }
        }
    }

    #[test]
    fn text_is_told_from_what_it_stands_on() {
        assert!((contrast(Color32::BLACK, Color32::WHITE) - 21.0).abs() < 1e-9);
        let context = egui::Context::default();
        Theme::apply(&context);
        for kind in [egui::Theme::Dark, egui::Theme::Light] {
            let visuals = context.style_of(kind).visuals.clone();
            let theme = Theme::of(&visuals);
            let grounds = [
                visuals.panel_fill,
                visuals.window_fill,
                visuals.extreme_bg_color,
                visuals.faint_bg_color,
                theme.paper,
                theme.ground,
            ];
            // rows of tables are a shade over their panel, added to it
            let grounds = grounds.map(|ground| match ground.a() {
                0 => Color32::from_rgb(
                    visuals.panel_fill.r().saturating_add(ground.r()),
                    visuals.panel_fill.g().saturating_add(ground.g()),
                    visuals.panel_fill.b().saturating_add(ground.b()),
                ),
                _ => ground,
            });
            for ground in grounds {
                assert!(
                    contrast(theme.text, ground) >= contrast(theme.text, theme.ground) - 1e-9,
                    "{kind:?}: {ground:?} is harder to read on"
                );
            }
            for (name, color) in [
                ("text", visuals.text_color()),
                ("weak text", visuals.weak_text_color()),
                ("oracle", theme.oracle),
                ("random", theme.random),
                ("error", theme.error),
                ("warning", theme.warning),
                ("success", theme.success),
                ("kept", theme.kept),
                ("missed", theme.missed),
                ("needed", theme.evidence),
                ("links", visuals.hyperlink_color),
                ("warnings", visuals.warn_fg_color),
                ("errors", visuals.error_fg_color),
            ] {
                for ground in grounds {
                    let found = contrast(color, ground);
                    assert!(
                        found >= READABLE,
                        "{kind:?}: {name} on {ground:?}: {found:.2}"
                    );
                }
            }
        }
    }

    #[test]
    fn words_on_buttons_can_be_read() {
        let context = egui::Context::default();
        Theme::apply(&context);
        for kind in [egui::Theme::Dark, egui::Theme::Light] {
            let visuals = context.style_of(kind).visuals.clone();
            let widgets = &visuals.widgets;
            for state in [
                &widgets.inactive,
                &widgets.hovered,
                &widgets.active,
                &widgets.open,
            ] {
                let found = contrast(state.text_color(), state.weak_bg_fill);
                assert!(found >= READABLE, "{kind:?}: {state:?}: {found:.2}");
            }
            let selection = visuals.selection;
            let found = contrast(selection.stroke.color, selection.bg_fill);
            assert!(found >= READABLE, "{kind:?}: selected: {found:.2}");
        }
    }

    #[test]
    fn words_in_colours_of_data_can_be_read() {
        let labels = [
            "last:32",
            "tova",
            "h2o",
            "streaming",
            "laq:n=8",
            "laq++",
            "dapq",
            "judge-q",
            "lookahead-kv",
            "expected",
            "knorm",
            "random",
            "decode",
            "another",
        ];
        for theme in [&DARK, &LIGHT] {
            for (label, repeat) in labels
                .into_iter()
                .flat_map(|label| (0..4).map(move |it| (label, it)))
            {
                let color = theme.series(label, repeat).color;
                let word = theme.legible(color);
                let found = contrast(word, theme.ground);
                assert!(found >= READABLE, "{label} {repeat}: {found:.2}");
            }
            let readable = theme.text;
            assert_eq!(theme.legible(readable), readable, "what can be read stays");
        }
    }

    #[test]
    fn text_on_every_colour_of_the_maps_can_be_read() {
        for theme in [&DARK, &LIGHT] {
            for map in [ColorMap::Sequential, ColorMap::Diverging, ColorMap::Heat] {
                let (low, high) = map.range();
                for step in 0..=100_u8 {
                    let value = low + (high - low) * f32::from(step) / 100.0;
                    let ground = theme.map(map, value);
                    let own = Theme::text_on(ground);
                    for text in [own, Theme::faint(own, ground)] {
                        let found = contrast(text, ground);
                        assert!(found >= READABLE, "{map:?} {value}: {found:.2}");
                    }
                }
            }
        }
    }

    #[test]
    fn letters_stay_as_those_beside_them_and_can_be_read() {
        let mut stayed = 0;
        for theme in [&DARK, &LIGHT] {
            for map in [ColorMap::Diverging, ColorMap::Heat] {
                let (low, high) = map.range();
                for step in 0..=200_u8 {
                    let value = low + (high - low) * f32::from(step) / 200.0;
                    let ground = theme.map(map, value);
                    for before in [Color32::BLACK, Color32::WHITE] {
                        let (letters, shaded) = Theme::letters_beside(ground, Some(before));
                        for text in [letters, Theme::faint(letters, shaded)] {
                            let found = contrast(text, shaded);
                            assert!(found >= READABLE, "{map:?} {value}: {found:.2}");
                        }
                        let is_other = letters != Theme::text_on(ground);
                        assert!(is_other || shaded == ground, "a ground is kept");
                        stayed += usize::from(is_other);
                        // a shade, and no other colour
                        let parts = shaded.to_array().into_iter().zip(ground.to_array());
                        let most = parts.map(|(a, b)| a.abs_diff(b)).max();
                        assert!(most <= Some(31), "{map:?} {value}: {most:?}");
                    }
                }
            }
        }
        assert!(stayed > 20, "{stayed}: or the rule does nothing");
        // the teal on which letters flickered: white stays white, black black
        let teal = Color32::from_rgb(0x1E, 0x84, 0x7C);
        for before in [Color32::BLACK, Color32::WHITE] {
            assert_eq!(Theme::letters_beside(teal, Some(before)).0, before);
        }
        assert_eq!(Theme::letters_beside(teal, None).1, teal);
    }

    #[test]
    fn numbers_outside_the_range_are_clamped_and_nan_is_grey() {
        for map in [ColorMap::Sequential, ColorMap::Diverging, ColorMap::Heat] {
            for theme in [&DARK, &LIGHT] {
                let (low, high) = map.range();
                assert_eq!(theme.map(map, high + 7.0), theme.map(map, high));
                assert_eq!(theme.map(map, low - 7.0), theme.map(map, low));
                assert_ne!(theme.map(map, low), theme.map(map, high));
                assert_eq!(theme.map(map, f32::NAN), theme.missing_value);
            }
        }
    }
}
