//! Recall of the last prompt window on every head, for each place of the question.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use kvlens_analysis::{Budget, Metric};
use kvlens_sessions::CapturedSample;

use super::card::Values;
use crate::measurement::{MeasureOptions, measure_sample};

/// Share of the prompt that a window may keep on the map, as the card says.
const BUDGET: f64 = 0.1;

/// Recalls of one window and question place.
#[derive(Default)]
struct Sum {
    samples: usize,
    /// `[L, heads]`, row by row.
    recall: Vec<f64>,
    heads: usize,
}

/// Maps of every window, by label and question place.
#[derive(Default)]
pub struct HeadMaps(BTreeMap<(String, &'static str), Sum>);

impl HeadMaps {
    /// Adds the sample's recall under every window, which is scored as the decode stage is.
    ///
    /// # Errors
    /// What the measurement refuses.
    pub fn add(&mut self, captured: &CapturedSample) -> Result<()> {
        let budget = Budget::Fraction(BUDGET);
        let measured = measure_sample(captured, &MeasureOptions::default(), |tokens| {
            vec![budget.tokens(tokens)]
        })?;
        let place = measured
            .record
            .question_place
            .map_or("none", |place| place.label());
        for window in &measured.windows {
            let map = window.comparison.metric_map(Metric::Recall, 0);
            let sum = self.0.entry((window.label.clone(), place)).or_default();
            sum.recall.resize(map.len(), 0.0);
            for (sum, recall) in sum.recall.iter_mut().zip(map) {
                *sum += recall;
            }
            sum.samples += 1;
            sum.heads = window.comparison.heads;
        }
        Ok(())
    }

    /// The card's tables of heads, one for each window and place.
    pub fn values(&self) -> Values {
        vec![("heads", self.tables())]
    }

    fn tables(&self) -> String {
        let mut text = String::new();
        for ((window, place), sum) in &self.0 {
            let heads = (0..sum.heads).map(|head| format!("head {head}"));
            // writing to a String cannot fail
            let _ = write!(
                text,
                "\n`{window}`, question at the {place} ({}):\n\n| layer | {} |\n|---|{}\n",
                prompts(sum.samples),
                heads.collect::<Vec<_>>().join(" | "),
                "---|".repeat(sum.heads)
            );
            for (layer, row) in sum.recall.chunks(sum.heads.max(1)).enumerate() {
                let cells = row.iter().map(|recall| match recall.is_nan() {
                    true => "-".to_owned(),
                    false => format!("{:.2}", recall / sum.samples as f64),
                });
                let _ = writeln!(
                    text,
                    "| {layer} | {} |",
                    cells.collect::<Vec<_>>().join(" | ")
                );
            }
        }
        text
    }
}

/// A count of prompts in words.
fn prompts(count: usize) -> String {
    match count {
        1 => "1 prompt".to_owned(),
        count => format!("{count} prompts"),
    }
}
