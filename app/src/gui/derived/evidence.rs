//! What becomes of the needed tokens at every budget: what a head keeps of them, and what no head keeps.

use std::sync::Arc;

use kvlens_analysis::KeepRule;
use kvlens_analysis::evidence::evidence_survival;
use kvlens_sessions::windows::DECODE_LABEL;

use super::{Derived, Wanted};
use crate::gui::query::Pool;
use crate::gui::views::Need;
use crate::jobs::figure::curve_budgets;
use crate::measurement::{MeasuredSample, MeasuredWindow};

/// The needed tokens of the sample on show.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceCurves {
    /// Needed tokens, each once; none where the data name none.
    pub needed_tokens: usize,
    /// Budgets in tokens, ascending.
    pub budgets: Vec<usize>,
    /// The decode stage first, then the windows.
    pub curves: Vec<EvidenceCurve>,
}

/// One side at every budget; NaN at budgets that it knows nothing of.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceCurve {
    /// The window, or the decode stage.
    pub label: String,
    /// Share of the needed tokens that a head keeps, in the mean over all heads.
    pub kept: Vec<f64>,
    /// Share of them that no head keeps.
    pub lost_everywhere: Vec<f64>,
}

impl Derived {
    pub(super) fn refresh_evidence(&mut self, pool: &Pool, wanted: &Wanted<'_>) {
        if !wanted.needs.contains(&Need::Evidence) {
            self.evidence.let_go();
            return;
        }
        let sample = Arc::clone(&wanted.shown.sample);
        self.evidence
            .in_pool(pool, wanted.shown.version, move |_| evidence(&sample));
    }

    /// The needed tokens of the sample on show, once they are counted.
    #[must_use]
    pub fn evidence_curves(&self) -> Option<&EvidenceCurves> {
        let (version, curves) = self.evidence.held()?;
        Some(curves).filter(|_| *version == self.shown_version)
    }
}

fn evidence(sample: &MeasuredSample) -> EvidenceCurves {
    let record = &sample.record;
    let mut budgets = curve_budgets(record.prompt_ids.len());
    let own = sample.windows.iter().flat_map(|window| &window.at_budgets);
    budgets.extend(own.map(|(tokens, _)| *tokens));
    budgets.sort_unstable();
    budgets.dedup();
    let mut needed: Vec<usize> = record.evidence_tokens.iter().cloned().flatten().collect();
    needed.sort_unstable();
    needed.dedup();
    let decode = || {
        let truth = &sample.truth.rankings;
        let found = evidence_survival(
            truth,
            KeepRule::default(),
            &record.evidence_tokens,
            &budgets,
        );
        EvidenceCurve {
            label: DECODE_LABEL.to_owned(),
            kept: found.iter().map(|at| at.kept).collect(),
            lost_everywhere: found.iter().map(|at| at.lost_everywhere).collect(),
        }
    };
    let curves = match needed.is_empty() {
        true => Vec::new(),
        false => {
            let windows = sample.windows.iter();
            let windows = windows.map(|window| curve(sample, window, &budgets));
            std::iter::once(decode()).chain(windows).collect()
        }
    };
    EvidenceCurves {
        needed_tokens: needed.len(),
        budgets,
        curves,
    }
}

fn curve(sample: &MeasuredSample, window: &MeasuredWindow, budgets: &[usize]) -> EvidenceCurve {
    let unknown = || vec![f64::NAN; budgets.len()];
    let mut curve = EvidenceCurve {
        label: window.label.clone(),
        kept: unknown(),
        lost_everywhere: unknown(),
    };
    for observed in window.observations() {
        let is_its = |budget: &usize| {
            let at = window.at(*budget);
            at.is_some_and(|at| at.label == observed.label)
        };
        let places: Vec<usize> = (0..budgets.len())
            .filter(|place| budgets.get(*place).is_some_and(is_its))
            .collect();
        let own = places.iter().filter_map(|place| budgets.get(*place));
        let own: Vec<usize> = own.copied().collect();
        let (rankings, rule) = (&observed.ranked.rankings, observed.keep_rule);
        let found = evidence_survival(rankings, rule, &sample.record.evidence_tokens, &own);
        for (place, at) in places.into_iter().zip(found) {
            curve.kept[place] = at.kept;
            curve.lost_everywhere[place] = at.lost_everywhere;
        }
    }
    curve
}
