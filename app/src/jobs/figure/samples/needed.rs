//! What one sample gives to figures of the tokens that its answer needs.

use std::collections::BTreeMap;
use std::ops::Range;

use kvlens_analysis::evidence::evidence_survival;
use kvlens_analysis::figure::{SeriesPlace, SeriesSamples};
use kvlens_analysis::statistics::mean;
use kvlens_analysis::{KeepRule, Rankings, selection};
use kvlens_sessions::windows::DECODE_LABEL;

use super::Sampled;
use crate::jobs::figure::data::FigureJob;
use crate::measurement::MeasuredWindow;

/// The two panels of needed tokens.
const KEPT: &str = "kept by a head";
const LOST: &str = "lost at every head";

impl Sampled<'_> {
    /// Share of each run of needed tokens that a window keeps at the budget, x being the middle of its tenth of the
    /// prompt.
    pub fn push_depths(&self, job: &FigureJob<'_>, series: &mut SeriesSamples) {
        let tokens = self.prompt_tokens();
        let budget = job.budget.tokens(tokens);
        for shown in self.windows(job) {
            let Some(window) = shown.at(budget) else {
                continue;
            };
            let mut of_tenths: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
            for evidence in &self.captured.record.evidence_tokens {
                let middle = (evidence.start + evidence.end) / 2;
                let kept = kept_share(job, window, evidence, budget);
                of_tenths
                    .entry((10 * middle / tokens.max(1)).min(9))
                    .or_default()
                    .push(kept);
            }
            for (tenth, kept) in of_tenths {
                let kept = kept.into_iter().filter(|kept| !kept.is_nan());
                if let Some(kept) = mean(kept) {
                    let depth = 0.1 * (tenth as f64 + 0.5);
                    self.push(series, ("", &shown.label), depth, kept);
                }
            }
        }
    }

    /// What a head keeps of the needed tokens and what no head keeps, a panel each, by the decode stage's order and each
    /// window's rule.
    pub fn push_evidence(&self, job: &FigureJob<'_>, series: &mut SeriesSamples) {
        let evidence = &self.captured.record.evidence_tokens;
        if evidence.is_empty() {
            return;
        }
        let budgets = job.curve_budgets(self.prompt_tokens());
        let mut push = |label: &str, rankings: &Rankings, rule: KeepRule, budgets: &[usize]| {
            let found = evidence_survival(rankings, rule, evidence, budgets);
            // nothing where no head sees any
            for at in found.into_iter().filter(|at| !at.kept.is_nan()) {
                let x = at.budget as f64;
                self.push(series, (KEPT, label), x, at.kept);
                self.push(series, (LOST, label), x, at.lost_everywhere);
                let place = |panel| SeriesPlace {
                    panel,
                    series: label,
                    x,
                };
                series.bound(place(KEPT), (0.0, at.most_kept));
                series.bound(place(LOST), (at.least_lost, 1.0));
            }
        };
        let truth = &self.measured.truth.rankings;
        push(DECODE_LABEL, truth, KeepRule::default(), &budgets);
        for window in self.windows(job) {
            for observed in window.observations() {
                let is_its = |budget: &usize| {
                    let at = window.at(*budget);
                    at.is_some_and(|at| at.label == observed.label)
                };
                let own: Vec<usize> = budgets.iter().copied().filter(is_its).collect();
                let rankings = &observed.ranked.rankings;
                push(&window.label, rankings, observed.keep_rule, &own);
            }
        }
    }
}

/// Share of some tokens that the window's rule keeps, as a mean over the chosen heads whose layers see any of them.
fn kept_share(
    job: &FigureJob<'_>,
    window: &MeasuredWindow,
    evidence: &Range<usize>,
    budget: usize,
) -> f64 {
    let rankings = &window.ranked.rankings;
    let heads = rankings.heads();
    let forced = window.keep_rule.at(budget);
    let shares = (0..rankings.layers() * heads).map(|index| {
        let (layer, head) = (index / heads, index % heads);
        let seen = evidence.start.max(rankings.first_visible(layer))..evidence.end;
        if seen.is_empty() || !job.heads.has(layer, head) {
            return f64::NAN;
        }
        let kept = selection(rankings, layer, head, forced, budget);
        let of_seen = kept.get(seen.clone()).unwrap_or_default();
        of_seen.iter().filter(|kept| **kept).count() as f64 / seen.len() as f64
    });
    job.heads.mean(shares, heads)
}
