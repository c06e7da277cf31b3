//! Colours, dashes and markers, for the screen and for paper: the one place where they are chosen.
//!
//! A window keeps its colour everywhere because the colour hangs on the method's name; a second window of the
//! same method differs by shade, dash and marker. The colours are Okabe and Ito's, so far as they stay apart on
//! their ground for readers with the common colour-vision deficiencies, which a test simulates, and muted ones for
//! baselines; no two methods share dash and marker, which tells them apart in grey as well. Chance is no window and
//! has none of all this: a thin grey line without a marker.

use super::scene::Rgb;

#[cfg(test)]
mod color_blindness;

/// The methods in the order of the palette; a method keeps its place for good.
const HUED: [&str; 7] = [
    "last",
    "laq",
    "judge-q",
    "dapq",
    "laq++",
    "lookahead-kv",
    "draft",
];

/// Baselines, and what is made of others: muted colours and broken lines.
const MUTED: [&str; 7] = [
    "expected",
    "tova",
    "h2o",
    "streaming",
    "knorm",
    "random",
    "union",
];

/// What series are drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// A dark screen.
    Dark,
    /// A light screen, or paper.
    Light,
}

/// Okabe and Ito's seven colours without black, brightened where dark backgrounds swallow them and moved where two
/// of them would meet for a colour-blind reader.
const SERIES_DARK: [Rgb; 7] = [
    Rgb(230, 159, 0),
    Rgb(86, 180, 233),
    Rgb(30, 140, 100),
    Rgb(240, 228, 66),
    Rgb(70, 140, 220),
    Rgb(226, 106, 20),
    Rgb(190, 110, 160),
];

/// The same seven, darkened where white backgrounds wash them out; a darkened yellow is the orange of a reader without
/// red or green cones, so it is an olive that is darker than all others.
const SERIES_LIGHT: [Rgb; 7] = [
    Rgb(200, 125, 0),
    Rgb(30, 135, 195),
    Rgb(21, 133, 83),
    Rgb(84, 80, 40),
    Rgb(0, 95, 160),
    Rgb(195, 80, 0),
    Rgb(178, 88, 140),
];

/// Muted colours on a dark screen and on paper, the last for methods that have no place: a search on a grid of colours
/// of little chroma found the others, each apart from all others and from those above for every reader.
const MUTED_DARK: [Rgb; 8] = [
    Rgb(160, 180, 180),
    Rgb(120, 100, 170),
    Rgb(160, 210, 190),
    Rgb(150, 160, 120),
    Rgb(130, 220, 250),
    Rgb(200, 180, 120),
    Rgb(170, 240, 210),
    Rgb(165, 165, 165),
];
const MUTED_LIGHT: [Rgb; 8] = [
    Rgb(80, 90, 110),
    Rgb(70, 50, 100),
    Rgb(20, 80, 80),
    Rgb(140, 150, 100),
    Rgb(120, 150, 200),
    Rgb(170, 130, 150),
    Rgb(30, 60, 60),
    Rgb(110, 110, 110),
];

/// How a line is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dash {
    /// Not at all.
    Solid,
    /// Into dashes.
    Dashed,
    /// Into dots.
    Dotted,
    /// Into long dashes.
    Long,
}

/// The sign of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// A disc.
    Circle,
    /// A square on its corner.
    Diamond,
    /// A square.
    Square,
    /// A triangle that points up.
    Up,
    /// A triangle that points down.
    Down,
    /// Two crossed strokes.
    Cross,
    /// The same, upright.
    Plus,
}

/// How one window is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesStyle {
    /// Colour of line, marker and swatch.
    pub color: Rgb,
    /// Dash of the line.
    pub dash: Dash,
    /// Marker on the line.
    pub marker: Marker,
}

/// The style of the window `label`; `repeat` counts windows of the same method before it.
#[must_use]
pub fn series(label: &str, repeat: usize, ground: Ground) -> SeriesStyle {
    let (hues, muted, far) = match ground {
        Ground::Dark => (&SERIES_DARK, &MUTED_DARK, Rgb::WHITE),
        Ground::Light => (&SERIES_LIGHT, &MUTED_LIGHT, Rgb::BLACK),
    };
    let (color, broken, place) = match place(label) {
        Place::Hue(place) => (hues[place % hues.len()], 0, place),
        Place::Muted(place) => (muted[place % muted.len()], 1 + place % BROKEN, place),
    };
    // of another period than the dashes, so that many windows of a method stay apart
    let share = match repeat % 3 {
        0 => 0.0,
        1 => 0.45,
        _ => 0.65,
    };
    SeriesStyle {
        color: color.towards(far, share),
        dash: dash(broken + repeat),
        marker: marker(place + repeat),
    }
}

/// The style of the series number `index` where series are no windows.
#[must_use]
pub fn ordered(index: usize, ground: Ground) -> SeriesStyle {
    let palette = match ground {
        Ground::Dark => &SERIES_DARK,
        Ground::Light => &SERIES_LIGHT,
    };
    SeriesStyle {
        color: palette[index % palette.len()],
        dash: dash(index),
        marker: marker(index),
    }
}

/// Styles of several windows, each counted among those of its method.
#[must_use]
pub fn all_series(labels: &[&str], ground: Ground) -> Vec<SeriesStyle> {
    let named = labels.iter().enumerate();
    let styles = named.map(|(index, label)| series(label, repeat(labels, index), ground));
    styles.collect()
}

/// How many of the windows before number `index` are of the same method.
#[must_use]
pub fn repeat(labels: &[&str], index: usize) -> usize {
    let own = labels.get(index).map(|label| method(label));
    let before = labels.iter().take(index);
    before.filter(|label| Some(method(label)) == own).count()
}

/// The method of a window; the presets of `SnapKV` are the last prompt window.
fn method(label: &str) -> &str {
    let name = label.split(':').next().unwrap_or(label);
    match name.starts_with("snapkv") {
        true => "last",
        false => name,
    }
}

/// Where a method's colour is found.
enum Place {
    Hue(usize),
    Muted(usize),
}

fn place(label: &str) -> Place {
    let of = |known: &[&str]| known.iter().position(|known| *known == method(label));
    match of(&HUED) {
        Some(place) => Place::Hue(place),
        None => Place::Muted(of(&MUTED).unwrap_or(MUTED.len())),
    }
}

/// Kinds of broken lines.
const BROKEN: usize = 3;

fn dash(place: usize) -> Dash {
    match place % (1 + BROKEN) {
        0 => Dash::Solid,
        1 => Dash::Dashed,
        2 => Dash::Dotted,
        _ => Dash::Long,
    }
}

fn marker(place: usize) -> Marker {
    match place % 7 {
        0 => Marker::Circle,
        1 => Marker::Diamond,
        2 => Marker::Square,
        3 => Marker::Up,
        4 => Marker::Down,
        5 => Marker::Cross,
        _ => Marker::Plus,
    }
}

/// Viridis, for a share in 0..=1; values outside are clamped.
#[must_use]
pub fn sequential(share: f32) -> Rgb {
    let color = colorous::VIRIDIS.eval_continuous(f64::from(share.clamp(0.0, 1.0)));
    Rgb(color.r, color.g, color.b)
}

/// RdBu: red at 0, white at a half, blue at 1; values outside are clamped.
#[must_use]
pub fn diverging(share: f32) -> Rgb {
    let color = colorous::RED_BLUE.eval_continuous(f64::from(share.clamp(0.0, 1.0)));
    Rgb(color.r, color.g, color.b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_keeps_its_colour_and_a_second_window_differs_in_everything() {
        for ground in [Ground::Dark, Ground::Light] {
            let styles = all_series(&["last:32", "laq", "last:8", "laq++"], ground);
            assert_eq!(styles[0].color, series("last:64", 0, ground).color);
            assert_ne!(styles[0].color, styles[2].color);
            assert_ne!(styles[0].dash, styles[2].dash);
            assert_ne!(styles[0].marker, styles[2].marker);
            assert_ne!(styles[1].color, styles[3].color);
        }
    }

    #[test]
    fn no_two_methods_look_alike_in_colour_or_in_grey() {
        let methods = [HUED, MUTED].concat();
        for ground in [Ground::Dark, Ground::Light] {
            let styles = all_series(&methods, ground);
            for (index, style) in styles.iter().enumerate() {
                for other in &styles[..index] {
                    assert_ne!(style.color, other.color, "{}", methods[index]);
                    // all that a grey print leaves
                    let signs = (style.dash, style.marker);
                    assert_ne!(signs, (other.dash, other.marker), "{}", methods[index]);
                }
            }
            let (hued, muted) = styles.split_at(HUED.len());
            assert!(hued.iter().all(|style| style.dash == Dash::Solid));
            assert!(muted.iter().all(|style| style.dash != Dash::Solid));
        }
    }

    #[test]
    fn windows_of_one_method_look_different() {
        let labels = [
            "last:8",
            "snapkv",
            "snapkv-kvpress",
            "snapkv-adakv",
            "last:32",
        ];
        let presets = all_series(&labels, Ground::Light);
        assert_eq!(presets[0].color, SERIES_LIGHT[0]);
        for (index, style) in presets.iter().enumerate() {
            let lines: Vec<_> = presets[..index]
                .iter()
                .map(|known| (known.color, known.dash))
                .collect();
            assert!(
                !lines.contains(&(style.color, style.dash)),
                "{}",
                labels[index]
            );
            assert_eq!(repeat(&labels, index), index);
        }
    }

    #[test]
    fn the_sequential_map_gets_lighter_in_grey_too() {
        let lumas: Vec<f32> = (0..=20)
            .map(|step| sequential(step as f32 / 20.0).luma())
            .collect();
        assert!(lumas.windows(2).all(|pair| pair[0] < pair[1]), "{lumas:?}");
        assert!(diverging(0.0).luma() < diverging(0.5).luma());
    }
}
