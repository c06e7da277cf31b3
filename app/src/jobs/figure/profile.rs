//! What heads are like against what windows do in them, as means over samples.

use std::collections::BTreeSet;

use kvlens_analysis::agreement::spearman;
use kvlens_analysis::figure::FigureRow;
use kvlens_analysis::profile::ProfileNumber;

use super::groups::joined;

/// Sums over samples of two numbers of every head, by window.
#[derive(Debug, Default)]
pub struct HeadScatter {
    windows: Vec<WindowScatter>,
}

#[derive(Debug)]
struct WindowScatter {
    label: String,
    heads: usize,
    /// By content.
    samples: BTreeSet<String>,
    /// `[L, heads]`; NaN where either number is undefined in any sample.
    sums: Vec<(f64, f64)>,
}

impl HeadScatter {
    /// Adds a sample, named by its content, with what its heads are like and what the window does in them, `[L, heads]`. A
    /// copy counts once; points of another shape than the first ones are a window of their own.
    pub fn add(&mut self, sample: &str, label: &str, heads: usize, points: Vec<(f64, f64)>) {
        let known = self.windows.iter().position(|window| {
            (window.label.as_str(), window.heads, window.sums.len()) == (label, heads, points.len())
        });
        let index = known.unwrap_or_else(|| {
            self.windows.push(WindowScatter {
                label: label.to_owned(),
                heads: heads.max(1),
                samples: BTreeSet::new(),
                sums: vec![(0.0, 0.0); points.len()],
            });
            self.windows.len() - 1
        });
        let window = &mut self.windows[index];
        if window.samples.insert(sample.to_owned()) {
            for (sum, point) in window.sums.iter_mut().zip(points) {
                sum.0 += point.0;
                sum.1 += point.1;
            }
        }
    }

    /// A panel for each window, whose name tells the rank correlation over its heads; a point for each head, named as
    /// layer.head.
    pub fn rows(&self, group: &str) -> Vec<FigureRow> {
        self.windows
            .iter()
            .flat_map(|window| window.rows(group))
            .collect()
    }
}

impl WindowScatter {
    fn rows(&self, group: &str) -> Vec<FigureRow> {
        let samples = self.samples.len();
        let mean = |sum: f64| sum / samples as f64;
        let points = self.sums.iter().map(|&(x, y)| (mean(x), mean(y)));
        let points: Vec<(usize, (f64, f64))> = points
            .enumerate()
            .filter(|(_, (x, y))| x.is_finite() && y.is_finite())
            .collect();
        let side = |number: fn(&(f64, f64)) -> f64| -> Vec<f32> {
            points
                .iter()
                .map(|(_, point)| number(point) as f32)
                .collect()
        };
        let correlation = spearman(&side(|point| point.0), &side(|point| point.1));
        let correlation = correlation.ok().filter(|found| !found.is_nan());
        let words = correlation.map(|found| format!("Spearman {found:+.2}").replace('-', "−"));
        let panel = joined(&[&self.label, group, words.as_deref().unwrap_or_default()]);
        let rows = points.into_iter().map(|(index, (x, y))| {
            let head = format!("{}.{}", index / self.heads, index % self.heads);
            FigureRow::at((panel.as_str(), head), (x, None), y, samples)
        });
        rows.collect()
    }
}

/// What stands under the figure.
pub fn note(number: ProfileNumber) -> String {
    let overlap = match number.is_overlap() {
        true => " An overlap is the share of one top set at the budget that the other has, too.",
        false => "",
    };
    format!(
        "A dot is a head, both numbers as means over samples; profiles are of the decode stage's attention on the \
         prompt.{overlap} Spearman's rank correlation is over the dots, which are no independent draws."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_is_a_head_over_samples_and_the_panel_tells_the_correlation() {
        let mut scatter = HeadScatter::default();
        let nan = f64::NAN;
        let first = vec![(0.0, 1.0), (0.5, 0.5), (1.0, 0.0), (nan, 0.5)];
        scatter.add("a", "last:8", 2, first.clone());
        scatter.add("a", "last:8", 2, first);
        scatter.add("b", "last:8", 2, vec![(0.5, 0.5); 4]);
        let rows = scatter.rows("facts");
        let told: Vec<(&str, f64, f64)> = rows
            .iter()
            .map(|row| (row.series.as_str(), row.x, row.value))
            .collect();
        assert_eq!(
            told,
            [("0.0", 0.25, 0.75), ("0.1", 0.5, 0.5), ("1.0", 0.75, 0.25)]
        );
        assert_eq!(rows[0].panel, "last:8, facts, Spearman −1.00");
        assert_eq!(rows[0].samples, 2);
    }
}
