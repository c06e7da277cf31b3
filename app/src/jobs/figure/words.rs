//! The words around a figure of sessions.

use kvlens_analysis::Budget;
use kvlens_analysis::figure::{FigureRow, FigureText};

use super::KindChoice;
use super::data::FigureJob;
use super::density::bin_names;
use super::gathering::Gathering;
use super::note::Note;
use super::one_head::LINE;
use super::rows::{FoundRows, distinct_x};
use super::samples::head_label;

impl FigureJob<'_> {
    /// All of them, of the rows that were found.
    pub fn text(&self, gathering: &Gathering, found: &FoundRows) -> FigureText {
        let (x, value) = self.axes();
        let is_map = matches!(
            self.kind,
            KindChoice::HeadMap | KindChoice::HeadDifference | KindChoice::Winner | KindChoice::Kl
        );
        FigureText {
            x: match is_map {
                true => head_label(&gathering.head_kinds).to_owned(),
                false => x,
            },
            value,
            names: self.names(gathering, &found.rows),
            windows: self.known.clone(),
            range: self.range.or_else(|| self.range_of(&found.rows)),
            counts: self.kind == KindChoice::Profile && self.profile.is_count(),
            note: Some(
                Note {
                    job: self,
                    rows: &found.rows,
                    incomplete: found.incomplete,
                    left_out: &gathering.left_out,
                    prompt_tokens: found.prompt_tokens,
                    one_sample: gathering
                        .of_one_head
                        .as_ref()
                        .map(|one| one.sample.as_str()),
                }
                .text(),
            ),
        }
    }

    /// What x and the value are.
    fn axes(&self) -> (String, String) {
        let metric = self.kind.metric(self.metric).unwrap_or(self.metric).label();
        let budget = budget_words(self.budget);
        let at = |what: &str| format!("{what} at {budget}");
        match self.kind {
            KindChoice::Recall | KindChoice::RecallByLayer => {
                ("budget (tokens)".to_owned(), metric.to_owned())
            }
            KindChoice::Layer => ("layer".to_owned(), at(metric)),
            KindChoice::HeadMap => (String::new(), at(metric)),
            KindChoice::HeadDifference => (String::new(), at(&format!("difference of {metric}"))),
            KindChoice::Winner => (String::new(), String::new()),
            KindChoice::DecodeStep => ("decode step".to_owned(), at(metric)),
            KindChoice::DecodeEviction => (
                "decode steps when the cache is ranked".to_owned(),
                at("recall"),
            ),
            KindChoice::Horizon => ("decode steps from the first".to_owned(), at(metric)),
            KindChoice::Place => (
                format!(
                    "position of the last of {} queries, from the prompt's end (tokens)",
                    self.sweep.width
                ),
                format!("share at {budget}"),
            ),
            KindChoice::Depth => (
                "depth in the prompt (share of it)".to_owned(),
                at("needed tokens kept"),
            ),
            KindChoice::RankDensity => (
                "rank by the decode stage".to_owned(),
                "share of these tokens".to_owned(),
            ),
            KindChoice::Attention => (
                "prompt token".to_owned(),
                "attention weight (power of ten)".to_owned(),
            ),
            KindChoice::Tokens => (format!("{LINE} tokens on a line"), String::new()),
            KindChoice::Profile => match self.profile.is_overlap() {
                true => (at(self.profile.label()), at(metric)),
                false => (self.profile.label().to_owned(), at(metric)),
            },
            KindChoice::Evidence => (
                "budget (tokens)".to_owned(),
                "share of the needed tokens".to_owned(),
            ),
            KindChoice::HitRate => ("budget (tokens)".to_owned(), "hit rate".to_owned()),
            KindChoice::Kl => (
                String::new(),
                "KL of the decode stage from the window (nats)".to_owned(),
            ),
            KindChoice::Queries => (String::new(), "cosine".to_owned()),
            KindChoice::Allocation => (
                "mean budget of a head (tokens)".to_owned(),
                "decode attention kept".to_owned(),
            ),
            KindChoice::Needle => ("asked length (tokens)".to_owned(), at("share")),
            KindChoice::Cost => ("time beyond the prefill (ms)".to_owned(), at(metric)),
            KindChoice::Complementarity => (
                "missed by".to_owned(),
                format!("share of the decode stage's top {budget}"),
            ),
            KindChoice::FidelityKl
            | KindChoice::FidelityAgreement
            | KindChoice::FidelityAnswer
            | KindChoice::FidelityScore
            | KindChoice::FidelityRecall => (String::new(), String::new()),
        }
    }

    /// Names of the places 0, 1, ... where x is one.
    fn names(&self, gathering: &Gathering, rows: &[FigureRow]) -> Vec<String> {
        match self.kind {
            KindChoice::HitRate => distinct_x(rows).iter().map(f64::to_string).collect(),
            KindChoice::Complementarity => self.windows.clone(),
            KindChoice::RankDensity => bin_names(self.longest),
            KindChoice::Attention | KindChoice::Tokens => {
                let found = gathering.of_one_head.as_ref();
                found.map_or_else(Vec::new, |figure| figure.columns.clone())
            }
            KindChoice::Queries => distinct_x(rows)
                .iter()
                .filter_map(|x| self.windows.get(*x as usize).cloned())
                .collect(),
            _ => Vec::new(),
        }
    }

    /// From zero as far as the rows go, where a metric has no end.
    fn range_of(&self, rows: &[FigureRow]) -> Option<(f64, f64)> {
        let metric = self.kind.metric(self.metric)?;
        let values = rows
            .iter()
            .flat_map(|row| [row.value, row.high.unwrap_or(row.value)]);
        let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        (!metric.is_share() && most > 0.0).then_some((0.0, most))
    }
}

/// A budget as a sentence has it.
pub fn budget_words(budget: Budget) -> String {
    match budget {
        Budget::Tokens(1) => "1 token".to_owned(),
        Budget::Tokens(tokens) => format!("{tokens} tokens"),
        Budget::Fraction(_) => format!("{budget} of the prompt"),
    }
}
