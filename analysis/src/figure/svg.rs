//! A scene as SVG with real text and its size in millimetres.

use std::fmt::Write;

use super::font::FONT_NAME;
use super::scene::{Anchor, Point, Rgb, Scene, Shape, TextStyle};

/// Points of an inch, millimetres of an inch.
const POINTS: f64 = 72.0;
const MILLIMETRES: f64 = 25.4;

/// The text of the file.
pub(super) fn write(scene: &Scene) -> String {
    let millimetres = |points: f64| number(points * MILLIMETRES / POINTS);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}mm\" height=\"{}mm\" \
         viewBox=\"0 0 {} {}\" font-family=\"'{FONT_NAME}', Helvetica, Arial, sans-serif\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        millimetres(scene.width),
        millimetres(scene.height),
        number(scene.width),
        number(scene.height),
    );
    for shape in &scene.shapes {
        write_shape(&mut svg, shape);
    }
    svg.push_str("</svg>\n");
    svg
}

fn write_shape(svg: &mut String, shape: &Shape) {
    // writing to a string cannot fail
    let _ = match shape {
        Shape::Line { points, stroke } => {
            let dash = match stroke.dash.is_empty() {
                true => String::new(),
                false => {
                    let lengths: Vec<String> = stroke.dash.iter().copied().map(number).collect();
                    format!(" stroke-dasharray=\"{}\"", lengths.join(" "))
                }
            };
            writeln!(
                svg,
                "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{dash} \
                 stroke-linejoin=\"round\"/>",
                path(points),
                hex(stroke.color),
                number(stroke.width),
            )
        }
        Shape::Area {
            points,
            fill,
            opacity,
        } => {
            let opacity = match *opacity < 1.0 {
                true => format!(" fill-opacity=\"{}\"", number(*opacity)),
                false => String::new(),
            };
            writeln!(
                svg,
                "<path d=\"{}Z\" fill=\"{}\"{opacity}/>",
                path(points),
                hex(*fill)
            )
        }
        Shape::Text { text, place, style } => write_text(svg, text, *place, style),
    };
}

fn write_text(svg: &mut String, text: &str, (x, y): Point, style: &TextStyle) -> std::fmt::Result {
    let anchor = match style.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let (x, y) = (number(x), number(y));
    let turn = match style.upwards {
        true => format!(" transform=\"rotate(-90 {x} {y})\""),
        false => String::new(),
    };
    writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" fill=\"{}\"{anchor}{turn}>{}</text>",
        number(style.size),
        hex(style.color),
        escaped(text)
    )
}

fn path(points: &[Point]) -> String {
    let mut path = String::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{command}{} {}", number(x), number(y));
    }
    path
}

/// Hundredths of a point are finer than any printer.
fn number(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0 + 0.0;
    rounded.to_string()
}

fn hex(Rgb(red, green, blue): Rgb) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // XML has no place for other control characters
            control if control.is_control() => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_the_file_is_escaped() {
        assert_eq!(escaped("a<b & \"c\"\u{1}"), "a&lt;b &amp; &quot;c&quot; ");
        assert_eq!(number(-0.001), "0");
        assert_eq!(number(12.345), "12.35");
    }
}
