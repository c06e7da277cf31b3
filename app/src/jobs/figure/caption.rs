//! The caption of a figure: what it shows and what its words mean, for the file beside it.

use kvlens_analysis::Metric;

use super::words::budget_words;
use super::{FigureRequest, KindChoice};

/// What the figure shows, the definitions of what stands in it, and the line under it: what is compared by which
/// scoring, over how many samples of how many tokens, and what bands and marks are.
pub fn caption(request: &FigureRequest, note: Option<&str>) -> String {
    let mut sentences = vec![format!("{}.", request.kind.summary())];
    sentences.extend(request.kind.definition().map(str::to_owned));
    if let Some(metric) = request.kind.metric(request.metric) {
        let definition = with_first(metric.definition(), char::to_ascii_lowercase);
        let label = with_first(metric.label(), char::to_ascii_uppercase);
        sentences.push(format!("{label}: {definition}."));
    }
    if request.kind.is_about_one_budget() && request.kind.is_of_sessions() {
        sentences.push(format!("Budget: {}.", budget_words(request.budget)));
    }
    sentences.extend(note.map(str::to_owned));
    sentences.join(" ")
}

/// The words with another first letter.
fn with_first(words: &str, changed: fn(&char) -> char) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| changed(&first));
    first.into_iter().chain(letters).collect()
}

impl KindChoice {
    /// The metric that the figure shows where one was asked for: that one, or one of those that it can show.
    pub fn metric(self, asked: Metric) -> Option<Metric> {
        match self {
            Self::Recall
            | Self::RecallByLayer
            | Self::Layer
            | Self::HeadMap
            | Self::HeadDifference
            | Self::Winner
            | Self::Profile
            | Self::Cost => Some(asked),
            // by decode step there are these two
            Self::DecodeStep | Self::Horizon if asked == Metric::OutputError => Some(asked),
            Self::DecodeStep | Self::Horizon => Some(Metric::Recall),
            _ => None,
        }
    }

    /// What its values are, where the summary does not say it and no metric was asked for.
    fn definition(self) -> Option<&'static str> {
        match self {
            Self::Place => Some(
                "Recall: share of the decode stage's top tokens that the window ranks as high.",
            ),
            Self::DecodeEviction => Some(
                "Recall: share of the top tokens of the cache, by the later steps' mean attention, that the ranking puts as \
                 high.",
            ),
            Self::HitRate => Some(
                "Hit rate: share of the kept tokens that the decode stage's ranking would keep; tokens that a rule always \
                 keeps are hits on both sides.",
            ),
            Self::Kl => Some(
                "Scores of each side are made to sum to one over the prompt's tokens; in nats.",
            ),
            Self::Queries => Some(
                "Row i of a window is paired with decode step i; means over pairs, layers and query heads.",
            ),
            Self::Allocation => Some(
                "Uniform: every head keeps as many tokens; pyramid: early layers keep more, the total is the same; \
                 head-adaptive: the heads of a layer share its tokens by their scores.",
            ),
            Self::Cost => Some("Time: of the window alone, beyond the prefill."),
            Self::RankDensity => Some("Rank 1 is the highest score."),
            Self::FidelityKl => Some(
                "KL divergence of the next token's distributions, in nats, means over decode steps.",
            ),
            Self::Needle => Some(
                "Evidence kept: share of the needle's tokens that the window's eviction rule keeps. Recall: share of the \
                 decode stage's top tokens that the window ranks as high.",
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::figure::request::tests::request;

    #[test]
    fn a_caption_defines_what_it_shows_and_ends_with_the_line_under_the_figure() {
        let note = Some(
            "Queries compared. n=3 samples, T=512 tokens; bands: 95 % intervals over samples.",
        );
        let about_one = caption(&request(KindChoice::Layer), note);
        for part in [
            "The metric at the budget against the layer",
            "Recall: share of the decode stage's top tokens",
            "Budget: 64 tokens.",
            "n=3 samples, T=512 tokens",
        ] {
            assert!(about_one.contains(part), "{part}: {about_one}");
        }
        let of_all = caption(&request(KindChoice::Recall), note);
        assert!(!of_all.contains("Budget:"), "{of_all}");
        let steps = FigureRequest {
            metric: Metric::Mass,
            ..request(KindChoice::DecodeStep)
        };
        assert!(caption(&steps, None).contains("Recall: share of"));
        let steps = FigureRequest {
            metric: Metric::OutputError,
            ..steps
        };
        assert!(caption(&steps, None).contains("Output error: relative error"));
        let of_tables = caption(&request(KindChoice::FidelityKl), None);
        assert!(
            of_tables.ends_with("means over decode steps."),
            "{of_tables}"
        );
    }
}
