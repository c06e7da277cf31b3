//! Axes: from numbers to places, and where ticks stand.

/// How numbers are laid out along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithm; numbers are above 0.
    Log,
}

/// One axis of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What it shows, with the unit.
    pub label: String,
    /// How numbers are laid out.
    pub scale: Scale,
    /// The numbers at its two ends.
    pub range: (f64, f64),
    /// Numbers with their texts.
    pub ticks: Vec<(f64, String)>,
    /// Whether faint lines mark the ticks.
    pub grid: bool,
    /// Whether every tick needs its text, upwards if it must be.
    pub named: bool,
}

impl Axis {
    /// An even axis with round ticks, about so many.
    pub fn linear(label: &str, range: (f64, f64), about: usize) -> Self {
        let range = widened(range);
        Self {
            label: label.to_owned(),
            scale: Scale::Linear,
            range,
            ticks: round_ticks(range, about),
            grid: true,
            named: false,
        }
    }

    /// An even axis of things that are counted, with ticks at whole numbers, at most about so many.
    pub fn whole(label: &str, range: (f64, f64), about: usize) -> Self {
        let most = about.min((range.1 - range.0).max(1.0) as usize);
        let mut axis = Self::linear(label, range, most);
        axis.ticks.retain(|(number, _)| number.fract() == 0.0);
        for (number, text) in &mut axis.ticks {
            *text = rounded(*number, 1.0);
        }
        axis
    }

    /// A logarithmic axis with ticks at powers of two, at most so many.
    pub fn powers_of_two(label: &str, range: (f64, f64), most: usize) -> Self {
        let (low, high) = (range.0.max(f64::MIN_POSITIVE), range.1);
        let (first, last) = (low.log2().ceil() as i32, high.log2().floor() as i32);
        let step = ((last - first).max(0) as usize / most.max(1) + 1) as i32;
        let powers = (first..=last).rev().step_by(step as usize);
        let mut ticks: Vec<(f64, String)> = powers
            .map(|power| {
                let number = f64::from(power).exp2();
                (number, plain(number))
            })
            .collect();
        ticks.reverse();
        Self {
            label: label.to_owned(),
            scale: Scale::Log,
            range: (low, high.max(low * 1.000_001)),
            ticks,
            grid: true,
            named: false,
        }
    }

    /// A logarithmic axis with ticks at powers of ten.
    pub fn powers_of_ten(label: &str, range: (f64, f64)) -> Self {
        let low = range.0.max(f64::MIN_POSITIVE);
        let high = range.1.max(low * 10.0);
        let powers = low.log10().ceil() as i32..=high.log10().floor() as i32;
        Self {
            label: label.to_owned(),
            scale: Scale::Log,
            range: (low, high),
            ticks: powers
                .map(|power| {
                    let number = 10_f64.powi(power);
                    (number, plain(number))
                })
                .collect(),
            grid: true,
            named: false,
        }
    }

    /// The cells 0..count of a map, every so many of them named.
    pub fn cells(label: &str, count: usize, most: usize) -> Self {
        let step = [1, 2, 4, 8, 16, 32, 64, 128]
            .into_iter()
            .find(|step| count.div_ceil(*step) <= most)
            .unwrap_or(256);
        Self {
            label: label.to_owned(),
            scale: Scale::Linear,
            range: (-0.5, count as f64 - 0.5),
            ticks: (0..count)
                .step_by(step)
                .map(|cell| (cell as f64, cell.to_string()))
                .collect(),
            grid: false,
            named: false,
        }
    }

    /// The cells of a map that have names, every so many of which stand at the axis.
    pub fn thinned(label: &str, names: &[String], most: usize) -> Self {
        let mut axis = Self::cells(label, names.len(), most);
        for (cell, text) in &mut axis.ticks {
            if let Some(name) = names.get(*cell as usize) {
                text.clone_from(name);
            }
        }
        axis
    }

    /// Named places 0, 1, ...
    pub fn names(label: &str, names: &[String]) -> Self {
        Self {
            label: label.to_owned(),
            scale: Scale::Linear,
            range: (-0.5, names.len().max(1) as f64 - 0.5),
            ticks: names
                .iter()
                .enumerate()
                .map(|(place, name)| (place as f64, name.clone()))
                .collect(),
            grid: false,
            named: true,
        }
    }

    /// Where a number stands as a share of the axis, 0..=1 within the range.
    pub fn share(&self, number: f64) -> f64 {
        let (low, high) = self.range;
        match self.scale {
            Scale::Linear => (number - low) / (high - low),
            Scale::Log => {
                let number = number.max(f64::MIN_POSITIVE);
                (number / low).ln() / (high / low).ln()
            }
        }
    }
}

/// A range with an extent.
fn widened((low, high): (f64, f64)) -> (f64, f64) {
    if high > low {
        (low, high)
    } else {
        (low - 0.5, low + 0.5)
    }
}

/// Multiples of 1, 2, 2.5 or 5 times a power of ten within the range.
fn round_ticks((low, high): (f64, f64), about: usize) -> Vec<(f64, String)> {
    let rough = (high - low) / about.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|multiple| multiple * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * power);
    let slack = 1e-9 * (high - low);
    let (first, last) = (
        ((low - slack) / step).ceil() as i64,
        ((high + slack) / step).floor() as i64,
    );
    (first..=last)
        .map(|index| {
            let number = index as f64 * step;
            (number, rounded(number, step))
        })
        .collect()
}

/// A tick's text with as many digits as its step needs.
fn rounded(number: f64, step: f64) -> String {
    let digits = (0..9).find(|&digits| {
        let scaled = step * 10_f64.powi(digits);
        (scaled - scaled.round()).abs() < 1e-6 * scaled
    });
    let digits = digits.unwrap_or(9) as usize;
    let text = format!("{:.digits$}", number + 0.0);
    // a dash as long as a plus; the font has no minus
    text.replacen('-', "–", 1)
}

/// A number without an exponent or needless digits.
fn plain(number: f64) -> String {
    match number {
        small if small < 1e-4 => format!("{small:e}"),
        large if large >= 1e6 => format!("{large:e}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_within_the_range() {
        let axis = Axis::linear("recall", (0.0, 1.0), 5);
        assert_eq!(texts(&axis), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(
            texts(&Axis::linear("x", (-0.1, 0.1), 4)),
            ["–0.10", "–0.05", "0.00", "0.05", "0.10"]
        );
        assert_eq!(
            texts(&Axis::linear("x", (0.0, 1000.0), 4)),
            ["0", "250", "500", "750", "1000"]
        );
        assert_eq!(Axis::linear("x", (3.0, 3.0), 4).range, (2.5, 3.5));
        assert_eq!(
            texts(&Axis::whole("layer", (0.0, 3.0), 8)),
            ["0", "1", "2", "3"]
        );
        assert_eq!(
            texts(&Axis::whole("layer", (0.0, 20.0), 8)),
            ["0", "5", "10", "15", "20"]
        );
    }

    #[test]
    fn powers_are_thinned_from_the_largest_on() {
        assert_eq!(
            texts(&Axis::powers_of_two("x", (1.0, 20.0), 9)),
            ["1", "2", "4", "8", "16"]
        );
        assert_eq!(
            texts(&Axis::powers_of_two("x", (1.0, 1000.0), 5)),
            ["2", "8", "32", "128", "512"]
        );
        assert_eq!(texts(&Axis::powers_of_ten("x", (0.02, 5.0))), ["0.1", "1"]);
    }

    #[test]
    fn places_are_shares_of_the_axis() {
        assert_eq!(Axis::linear("x", (0.0, 2.0), 2).share(0.5), 0.25);
        let log = Axis::powers_of_two("x", (1.0, 16.0), 9);
        assert!((log.share(4.0) - 0.5).abs() < 1e-12);
        assert_eq!(Axis::cells("head", 4, 8).share(0.0), 0.125);
        assert_eq!(texts(&Axis::cells("head", 32, 8)).len(), 8);
    }
}
