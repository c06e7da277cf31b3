//! What every kind of figure must keep to; how they look was judged by eye.

use kvlens_analysis::figure::{
    Beyond, CellSign, ColumnWidth, FigureFormat, FigureKind, FigureRow, FigureText, Mark,
    PageStyle, TokenFate, chart, render,
};

fn row(panel: &str, series: &str, x: f64, value: f64) -> FigureRow {
    FigureRow {
        panel: panel.to_owned(),
        series: series.to_owned(),
        x,
        y: None,
        value,
        low: Some((value - 0.06).max(0.0)),
        high: Some((value + 0.08).min(1.0)),
        ceiling: None,
        samples: 8,
        resolved: None,
        equivalent: None,
        x_name: None,
    }
}

const WINDOWS: [&str; 8] = [
    "last:32", "last:8", "laq:n=8", "laq++", "dapq", "tova", "h2o", "random",
];

const ALL: [&str; 14] = [
    "last",
    "laq",
    "laq++",
    "dapq",
    "judge-q",
    "lookahead-kv",
    "draft",
    "expected",
    "tova",
    "h2o",
    "streaming",
    "knorm",
    "random",
    "union",
];

/// Curves of eight windows at 33 budgets from 1 to 1,024.
fn curves(panel: &str) -> Vec<FigureRow> {
    let of_window = |(index, window): (usize, &&str)| {
        let window = (*window).to_owned();
        (0..33).map(move |step| {
            let x = 2_f64.powf(10.0 * f64::from(step) / 32.0).round();
            let floor = 0.1 + 0.07 * index as f64;
            row(
                "",
                &window,
                x,
                floor + (1.0 - floor) * (x / 1024.0).powf(0.7),
            )
        })
    };
    let mut rows: Vec<FigureRow> = WINDOWS.iter().enumerate().flat_map(of_window).collect();
    for row in &mut rows {
        row.panel = panel.to_owned();
    }
    rows
}

/// A map of 8 layers and 16 heads.
fn cells(panel: &str, series: impl Fn(usize, usize) -> &'static str) -> Vec<FigureRow> {
    (0..8 * 16)
        .map(|index| {
            let (layer, head) = (index / 16, index % 16);
            let value = (layer * 5 + head * 3) % 23;
            FigureRow {
                y: Some(layer as f64),
                resolved: Some((layer + head) % 3 != 0),
                ..row(panel, series(layer, head), head as f64, value as f64 / 23.0)
            }
        })
        .collect()
}

/// Two windows' 32 heads against what they are like.
fn heads(number: fn(i32) -> f64) -> Vec<FigureRow> {
    let of_window = |window: &'static str| {
        (0..32).map(move |index| FigureRow {
            low: None,
            high: None,
            ..row(
                &format!("{window}, Spearman -0.25"),
                &format!("{}.{}", index / 4, index % 4),
                number(index),
                f64::from(index * 5 % 32) / 31.0,
            )
        })
    };
    ["last:32", "laq++"]
        .into_iter()
        .flat_map(of_window)
        .collect()
}

/// Every kind with rows of its sort.
fn examples() -> Vec<(&'static str, FigureKind, Vec<FigureRow>, FigureText)> {
    let text = |x: &str, value: &str| FigureText {
        x: x.to_owned(),
        value: value.to_owned(),
        ..FigureText::default()
    };
    let budget = || text("budget (tokens)", "recall");
    let layers = ["layer 0", "layer 1", "layer 2", "layer 3"];
    let by_layer = layers.iter().flat_map(|layer| curves(layer)).collect();
    let two_maps = ["last:32", "laq++"]
        .iter()
        .flat_map(|window| cells(window, |_, _| ""))
        .collect();
    let mut difference = cells("laq++ minus last:32", |_, _| "");
    for row in &mut difference {
        row.value -= 0.5;
    }
    difference[5].value = f64::NAN;
    let mut beyond = cells("last:32", |_, _| "");
    for row in &mut beyond {
        row.value *= 6.0;
    }
    let many_maps = ALL
        .iter()
        .flat_map(|window| cells(window, |_, _| ""))
        .collect();
    let fourteen = ALL.iter().enumerate().flat_map(|(index, window)| {
        (0..12).map(move |layer| {
            let share = (index * 5 + layer * 3) % 17;
            row("", window, layer as f64, 0.1 + share as f64 / 20.0)
        })
    });
    let apart = [-20.0, -10.0, 0.0, 10.0, 500.0, 900.0].map(|x| row("", "recall", x - 900.0, 0.6));
    let winner = cells("", |layer, head| WINDOWS[(layer * 3 + head) % 4]);
    let places = curves("").into_iter().map(|mut row| {
        row.x -= 900.0;
        row
    });
    let bars = WINDOWS.iter().enumerate().flat_map(|(index, window)| {
        (0..3).map(move |place| {
            row(
                "",
                window,
                f64::from(place),
                0.3 + 0.05 * index as f64 + 0.1 * f64::from(place),
            )
        })
    });
    let queries = (0..4).flat_map(|place| {
        [("before rotation", 0.9), ("after rotation", 0.5)].map(|(series, value)| {
            row("", series, f64::from(place), value - 0.2 * f64::from(place))
        })
    });
    let cost = WINDOWS.iter().enumerate().map(|(index, window)| {
        row(
            "",
            window,
            0.05 * 4_f64.powi(index as i32),
            0.2 + 0.08 * index as f64,
        )
    });
    let allocation = curves("").into_iter().filter_map(|mut row| {
        let place = WINDOWS.iter().position(|window| *window == row.series)?;
        row.series = (*["uniform", "pyramid", "head-adaptive"].get(place)?).to_owned();
        Some(row)
    });
    let pairs = (0..6 * 6).map(|index| {
        let (first, second) = (index / 6, index % 6);
        FigureRow {
            y: Some(first as f64),
            ..row(
                "",
                ALL[first],
                second as f64,
                ((first * 3 + second * 2) % 7) as f64 / 20.0,
            )
        }
    });
    let fidelity = || curves("").into_iter().filter(|row| row.x >= 16.0);
    let against_recall = fidelity().step_by(5).map(|row| FigureRow {
        x: row.value,
        value: row.value.sqrt(),
        low: Some(row.value.sqrt() - 0.05),
        high: Some((row.value.sqrt() + 0.05).min(1.0)),
        ..row
    });
    let depth = curves("").into_iter().filter(|row| row.x >= 128.0);
    let depth = depth.map(|row| FigureRow {
        x: row.x / 1024.0,
        ..row
    });
    // as many places as a rank has bins, and more lines than columns
    let bins: Vec<String> = (0..24_u32).map(|bin| (bin * bin + 1).to_string()).collect();
    let placed = |text: FigureText| FigureText {
        names: bins.clone(),
        ..text
    };
    let square = |series: fn(usize, usize) -> &'static str| -> Vec<FigureRow> {
        (0..24 * 24)
            .map(|index| {
                let (x, y) = (index % 24, index / 24);
                FigureRow {
                    y: Some(y as f64),
                    ..row(
                        "last:32",
                        series(x, y),
                        x as f64,
                        1.0 / (1.0 + x.abs_diff(y) as f64),
                    )
                }
            })
            .collect()
    };
    let attention = ["decode", "last:32"].iter().flat_map(|panel| {
        let rows = if *panel == "decode" { 48 } else { 32 };
        (0..24 * rows).map(move |index| FigureRow {
            y: Some((index / 24) as f64),
            ..row(
                panel,
                panel,
                (index % 24) as f64,
                -(((index * 7) % 23) as f64) / 4.0,
            )
        })
    });
    let fates = square(|x, y| TokenFate::ALL[(x * 5 + y * 3) % 4].name());
    let names = |names: &[&str], text: FigureText| FigureText {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..text
    };
    vec![
        ("recall", FigureKind::Recall, curves(""), budget()),
        ("layer-of-fourteen", FigureKind::Layer, fourteen.collect(), text("layer", "recall at 64 tokens")),
        ("head-map-of-fourteen", FigureKind::HeadMap, many_maps, text("head", "recall at 64 tokens")),
        ("kl-beyond", FigureKind::Kl, beyond, text("head", "KL of the decode stage from the window (nats)")),
        ("place-apart", FigureKind::Place, apart.to_vec(), text("position of the last query, from the prompt's end (tokens)", "recall")),
        ("recall-by-layer", FigureKind::RecallByLayer, by_layer, budget()),
        ("head-map", FigureKind::HeadMap, two_maps, text("head", "recall at 64 tokens")),
        ("head-difference", FigureKind::HeadDifference, difference, FigureText {
            note: Some("A stroke marks differences that are not resolved: their 95 % interval spans zero.".to_owned()),
            ..text("head", "difference of recall at 64 tokens")
        }),
        ("winner", FigureKind::Winner, winner, text("head", "")),
        ("decode-step", FigureKind::DecodeStep, curves(""), text("decode step", "recall at 64 tokens")),
        ("horizon", FigureKind::Horizon, curves(""), text("decode steps", "recall at 64 tokens")),
        ("place", FigureKind::Place, places.collect(), text("position of the last query, from the prompt's end (tokens)", "recall")),
        ("hit-rate", FigureKind::HitRate, bars.collect(), names(&["128", "256", "512"], text("budget (tokens)", "hit rate"))),
        ("kl", FigureKind::Kl, cells("last:32", |_, _| ""), text("head", "KL of the decode stage from the window (nats)")),
        ("queries", FigureKind::Queries, queries.collect(), names(&["dapq:content=decode,shift=-256", "dapq", "last:32", "random"], text("", "cosine with the decode queries"))),
        ("allocation", FigureKind::Allocation, allocation.collect(), budget()),
        ("complementarity", FigureKind::Complementarity, pairs.collect(), names(&ALL[..6], text("missed by", "share of the decode stage's top 64 tokens"))),
        ("fidelity", FigureKind::Fidelity, fidelity().collect(), text("budget (tokens)", "steps with the full cache's token")),
        ("fidelity-recall", FigureKind::FidelityRecall, against_recall.collect(), text("recall of the window's queries", "steps with the full cache's token")),
        ("depth", FigureKind::Depth, depth.collect(), text("depth in the prompt (share of it)", "needed tokens kept at 64 tokens")),
        ("profile", FigureKind::Profile, heads(|index| (index * 7 % 32) as f64 / 31.0), text("share of the last 32 tokens", "recall at 64 tokens")),
        ("profile-of-counts", FigureKind::Profile, heads(|index| 2_f64.powi(index % 9) * 1.1), FigureText { counts: true, ..text("tokens for 90 % of the mass", "recall at 64 tokens") }),
        ("evidence", FigureKind::Evidence, [curves("kept by a head"), curves("lost at every head")].concat(), text("budget (tokens)", "share of the needed tokens")),
        ("rank-density", FigureKind::RankDensity, square(|_, _| ""), placed(text("rank by the decode stage", "share of these tokens"))),
        ("attention", FigureKind::Attention, attention.collect(), placed(text("prompt token", "attention weight (power of ten)"))),
        ("tokens", FigureKind::Tokens, fates, placed(text("24 tokens on a line", ""))),
        ("cost", FigureKind::Cost, cost.collect(), text("time beyond the prefill (ms)", "recall at 64 tokens")),
    ]
}

fn styles() -> [PageStyle; 2] {
    [ColumnWidth::Single, ColumnWidth::Double].map(|width| PageStyle {
        width,
        ..PageStyle::default()
    })
}

#[test]
fn every_kind_is_the_same_bytes_twice_and_small() {
    let folder = std::env::var_os("KVLENS_FIGURES").map(std::path::PathBuf::from);
    for (name, kind, rows, text) in examples() {
        for style in styles() {
            let chart = chart(kind, &rows, &text, &style).unwrap();
            for (format, ending) in [
                (FigureFormat::Svg, "svg"),
                (FigureFormat::Pdf, "pdf"),
                (FigureFormat::Png, "png"),
            ] {
                let bytes = render(&chart, &style, format).unwrap().bytes;
                assert!(
                    bytes == render(&chart, &style, format).unwrap().bytes,
                    "{name}.{ending}"
                );
                // a picture of 300 pixels per inch may be larger
                assert!(
                    bytes.len() < 300_000 || format == FigureFormat::Png,
                    "{name}.{ending} has {} bytes",
                    bytes.len()
                );
                // to look at them: KVLENS_FIGURES=FOLDER cargo test
                if let Some(folder) = &folder {
                    let file = format!("{name}-{:?}.{ending}", style.width);
                    std::fs::write(folder.join(file), bytes).unwrap();
                }
            }
        }
    }
}

/// Numbers behind an attribute of every element with some tag.
fn attribute(svg: &str, tag: &str, name: &str) -> Vec<f64> {
    let elements = svg.lines().filter(|line| line.starts_with(tag));
    let values = elements.filter_map(|line| {
        let rest = line.split_once(&format!(" {name}=\""))?.1;
        rest.split_once('"')?.0.parse().ok()
    });
    values.collect()
}

#[test]
fn text_is_text_of_the_asked_size_within_the_page() {
    for (name, kind, rows, text) in examples() {
        let style = PageStyle {
            font_size: 8.0,
            ..PageStyle::default()
        };
        let chart = chart(kind, &rows, &text, &style).unwrap();
        let svg =
            String::from_utf8(render(&chart, &style, FigureFormat::Svg).unwrap().bytes).unwrap();
        assert!(
            svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"84mm\""),
            "{name}"
        );
        let sizes = attribute(&svg, "<text", "font-size");
        assert!(
            sizes.len() > 4 && sizes.iter().all(|size| (5.6..=8.0).contains(size)),
            "{name}: {sizes:?}"
        );
        let right = style.width.points();
        for (tag, coordinate) in [("<text", "x"), ("<text", "y")] {
            let places = attribute(&svg, tag, coordinate);
            assert!(
                places
                    .iter()
                    .all(|place| *place >= 0.0 && *place < 4.0 * right),
                "{name}: {places:?}"
            );
        }
        for x in attribute(&svg, "<text", "x") {
            assert!(x <= right, "{name}: {x}");
        }
    }
}

/// None where it cannot be drawn.
fn svg(kind: FigureKind, rows: &[FigureRow]) -> Option<String> {
    let style = PageStyle::default();
    let chart = chart(kind, rows, &FigureText::default(), &style).ok()?;
    String::from_utf8(render(&chart, &style, FigureFormat::Svg).ok()?.bytes).ok()
}

#[test]
fn cells_beyond_the_colour_bar_are_counted_and_marked() {
    let mut rows = cells("last:32", |_, _| "");
    let areas = |rows: &[FigureRow]| {
        svg(FigureKind::Kl, rows)
            .unwrap()
            .matches("Z\" fill")
            .count()
    };
    let within = areas(&rows);
    assert!(!svg(FigureKind::Kl, &rows).unwrap().contains("beyond"));
    rows[3].value = 4.5;
    rows[7].value = 9.0;
    // a corner each, and the bar's point
    assert_eq!(areas(&rows), within + 3);
    assert!(svg(FigureKind::Kl, &rows).unwrap().contains("2 above"));
}

#[test]
fn grey_tells_which_side_a_difference_lies_on() {
    let mut rows = cells("laq minus last", |_, _| "");
    for row in &mut rows {
        row.resolved = Some(false);
        row.value = 0.2;
    }
    rows[1].value = -0.2;
    rows[2].value = -0.9;
    rows[3].value = 0.9;
    let (text, style) = (FigureText::default(), PageStyle::default());
    let chart = chart(FigureKind::HeadDifference, &rows, &text, &style).unwrap();
    let cells = chart.panels[0].marks.iter().map(|mark| match mark {
        Mark::Cell { sign, beyond, .. } => (*sign, *beyond),
        _ => panic!("a map has cells"),
    });
    let cells: Vec<_> = cells.take(4).collect();
    assert_eq!(
        cells,
        [
            (CellSign::Stroke, None),
            (CellSign::Falling, None),
            (CellSign::Falling, Some(Beyond::Below)),
            (CellSign::Stroke, Some(Beyond::Above)),
        ]
    );
}

#[test]
fn what_is_shown_to_be_equal_has_a_sign_of_its_own() {
    let mut rows = cells("laq minus last", |_, _| "laq");
    for row in &mut rows {
        row.resolved = Some(false);
        row.value = -0.01;
    }
    rows[1].equivalent = Some(true);
    rows[2].equivalent = Some(false);
    let (text, style) = (FigureText::default(), PageStyle::default());
    for (kind, others) in [
        (FigureKind::HeadDifference, Some(CellSign::Falling)),
        (FigureKind::Winner, None),
    ] {
        let chart = chart(kind, &rows, &text, &style).unwrap();
        let signs: Vec<CellSign> = chart.panels[0]
            .marks
            .iter()
            .map(|mark| match mark {
                Mark::Cell { sign, .. } => *sign,
                _ => panic!("a map has cells"),
            })
            .collect();
        assert_eq!(signs[1], CellSign::Equal);
        for sign in [signs[0], signs[2]] {
            assert_ne!(sign, CellSign::Equal);
            assert!(others.is_none_or(|other| other == sign));
        }
    }
}

#[test]
fn a_dot_of_a_profile_stands_at_its_own_numbers() {
    let rows = heads(|index| f64::from(index) / 31.0);
    let (text, style) = (FigureText::default(), PageStyle::default());
    let chart = chart(FigureKind::Profile, &rows, &text, &style).unwrap();
    assert_eq!(chart.panels.len(), 2);
    let dots = chart.panels[0].marks.iter().map(|mark| match mark {
        Mark::Dot { x, y, .. } => (*x, *y),
        _ => panic!("a scatter has dots"),
    });
    let dots: Vec<(f64, f64)> = dots.collect();
    assert_eq!(dots.len(), 32);
    assert_eq!(dots[31], (1.0, f64::from(31 * 5 % 32) / 31.0));
}

#[test]
fn lines_grow_with_the_text_of_a_slide() {
    let widest = |width: ColumnWidth, font_size: f64| {
        let style = PageStyle { width, font_size };
        let chart = chart(
            FigureKind::Recall,
            &curves(""),
            &FigureText::default(),
            &style,
        )
        .unwrap();
        let svg =
            String::from_utf8(render(&chart, &style, FigureFormat::Svg).unwrap().bytes).unwrap();
        attribute(&svg, "<path", "stroke-width")
            .into_iter()
            .fold(0.0, f64::max)
    };
    let in_a_column = widest(ColumnWidth::Single, 7.0);
    assert!((widest(ColumnWidth::Slides, 14.0) - 2.0 * in_a_column).abs() < 0.02);
    assert_eq!(widest(ColumnWidth::Single, 5.0), in_a_column);
}

#[test]
fn numbers_of_panels_side_by_side_do_not_touch() {
    let rows: Vec<FigureRow> = ["end", "start"]
        .iter()
        .flat_map(|panel| curves(panel))
        .collect();
    let rows: Vec<FigureRow> = rows
        .into_iter()
        .map(|row| FigureRow {
            x: row.x / 1024.0,
            ..row
        })
        .collect();
    let (text, style) = (FigureText::default(), PageStyle::default());
    let chart = chart(FigureKind::Depth, &rows, &text, &style).unwrap();
    let svg = String::from_utf8(render(&chart, &style, FigureFormat::Svg).unwrap().bytes).unwrap();
    let at = |label: &str| -> Vec<f64> {
        let lines = svg
            .lines()
            .filter(|line| line.ends_with(&format!(">{label}</text>")));
        let lines: String = lines.map(|line| format!("{line}\n")).collect();
        attribute(&lines, "<text", "x")
    };
    // the first panel's 1.0 and the second's 0.0, both set around their middles
    let (ends, starts) = (at("1.0"), at("0.0"));
    let end = ends
        .iter()
        .copied()
        .filter(|x| *x > 60.0)
        .fold(f64::INFINITY, f64::min);
    let start = starts.iter().copied().fold(0.0, f64::max);
    assert!(start - end > 10.0, "{end} {start}");
}

#[test]
fn a_number_stays_with_its_per_cent_sign() {
    for words in 4..14 {
        let text = FigureText {
            note: Some(format!("{} 95 % of it", "word ".repeat(words))),
            ..FigureText::default()
        };
        let style = PageStyle::default();
        let chart = chart(FigureKind::Recall, &curves(""), &text, &style).unwrap();
        let svg =
            String::from_utf8(render(&chart, &style, FigureFormat::Svg).unwrap().bytes).unwrap();
        assert!(svg.contains("95 %"), "{words}");
    }
}

#[test]
fn fourteen_maps_fit_on_a_page() {
    let rows: Vec<FigureRow> = ALL
        .iter()
        .flat_map(|window| cells(window, |_, _| ""))
        .collect();
    let height = svg(FigureKind::HeadMap, &rows).unwrap();
    let height = height.split_once("height=\"").unwrap().1;
    let height: f64 = height.split_once("mm").unwrap().0.parse().unwrap();
    assert!(height <= 228.6, "{height} mm");
}

#[test]
fn places_that_stand_apart_are_not_joined() {
    let joined = |xs: &[f64]| {
        let rows: Vec<FigureRow> = xs.iter().map(|&x| row("", "recall", x, 0.5)).collect();
        let (text, style) = (FigureText::default(), PageStyle::default());
        let chart = chart(FigureKind::Place, &rows, &text, &style).unwrap();
        let marks = chart.panels[0].marks.iter();
        let points = marks.filter_map(|mark| match mark {
            Mark::Curve { points, .. } => Some(points.len()),
            _ => None,
        });
        points.collect::<Vec<_>>()
    };
    assert_eq!(joined(&[-400.0, 0.0]), [0; 0]);
    assert_eq!(joined(&[-20.0, -10.0, 0.0]), [3]);
    assert_eq!(joined(&[-900.0, -20.0, -10.0, 0.0, 300.0]), [3]);
}

#[test]
fn a_pdf_carries_its_font_and_no_date() {
    let style = PageStyle::default();
    let text = FigureText::default();
    let chart = chart(FigureKind::Recall, &curves(""), &text, &style).unwrap();
    let pdf = render(&chart, &style, FigureFormat::Pdf).unwrap().bytes;
    let readable = String::from_utf8_lossy(&pdf);
    assert!(readable.starts_with("%PDF-"));
    for part in ["/FontFile2", "/ToUnicode", "NotoSans-Regular", "238.11"] {
        assert!(readable.contains(part), "{part}");
    }
    assert!(!readable.contains("Date"));
}

#[test]
fn letters_that_the_font_lacks_are_told_but_of_an_svg_that_keeps_them() {
    let style = PageStyle::default();
    let mut rows = curves("");
    for row in rows.iter_mut().filter(|row| row.series == "last:32") {
        row.series = "heads-中文.safetensors µ".to_owned();
    }
    let chart = chart(FigureKind::Recall, &rows, &FigureText::default(), &style).unwrap();
    for (format, expected) in [
        (FigureFormat::Svg, &[][..]),
        (FigureFormat::Pdf, &['中', '文'][..]),
        (FigureFormat::Png, &['中', '文'][..]),
    ] {
        let drawn = render(&chart, &style, format).unwrap();
        assert!(drawn.missing_letters.iter().eq(expected), "{format:?}");
    }
    let svg = render(&chart, &style, FigureFormat::Svg).unwrap().bytes;
    assert!(String::from_utf8(svg).unwrap().contains("中文"));
}

#[test]
fn a_figure_without_rows_is_refused() {
    let (text, style) = (FigureText::default(), PageStyle::default());
    let refused = chart(FigureKind::Recall, &[], &text, &style).unwrap_err();
    assert!(refused.to_string().starts_with("there is nothing to draw"));
}
