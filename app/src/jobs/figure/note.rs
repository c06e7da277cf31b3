//! The line under a figure: what is compared, over how many samples, and what marks and bands are.

use kvlens_analysis::figure::{CHANCE, FigureRow};
use kvlens_analysis::statistics::FEWEST_TO_RESOLVE;
use kvlens_analysis::{Budget, Compare};

use super::KindChoice;
use super::data::FigureJob;
use super::words::budget_words;
use crate::jobs::left_out::LeftOut;
use crate::measurement::words::CEILING;

/// What the line is made of.
pub struct Note<'a> {
    /// The figure.
    pub job: &'a FigureJob<'a>,
    /// Its rows.
    pub rows: &'a [FigureRow],
    /// Samples that do not reach every point of their curves.
    pub incomplete: usize,
    /// Samples that could not be read.
    pub left_out: &'a LeftOut,
    /// T of the shortest and of the longest prompt.
    pub prompt_tokens: Option<(usize, usize)>,
    /// The sample of a figure of one head.
    pub one_sample: Option<&'a str>,
}

impl Note<'_> {
    /// The line.
    pub fn text(&self) -> String {
        let parts = [
            self.compared(),
            self.marks(),
            self.too_few(),
            self.equivalent(),
            self.sample(),
            self.lines(),
            self.final_budgets(),
            Some(self.samples()),
            self.incomplete(),
            self.left_out(),
            self.undefined(),
            self.sliding(),
            self.heads(),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.join(" ")
    }

    /// The cosine of queries and raw attention know no scoring.
    fn compared(&self) -> Option<String> {
        let knows_none = matches!(
            self.job.kind,
            KindChoice::Queries | KindChoice::Attention | KindChoice::DecodeEviction
        );
        (!knows_none).then(|| self.job.options.compared())
    }

    fn marks(&self) -> Option<String> {
        match self.job.kind {
            KindChoice::HeadDifference => Some(
                "Dash: below zero. Slanted, falling where below zero: not resolved over samples (interval spans zero, or corrected p above 0.05)."
                    .to_owned(),
            ),
            KindChoice::Winner => Some(format!(
                "Best by {} at {}; faint where the margin is not resolved.{}",
                self.job.metric.label(),
                budget_words(self.job.budget),
                self.winners_ceilings()
            )),
            KindChoice::RankDensity => Some(
                "Columns sum to one; the diagonal is the decode stage's own order. Bins grow with the rank.".to_owned(),
            ),
            KindChoice::Attention => Some(
                "A column shows the largest weight of its tokens; below the bar's end it has that end's colour.".to_owned(),
            ),
            KindChoice::Tokens => Some(format!(
                "Lines run downwards. Kept: by the window's rule at {}; top: as many of this head's by the decode stage.",
                budget_words(self.job.budget)
            )),
            KindChoice::Needle if self.job.scores.is_empty() => Some(
                "Scores are of the full cache; with the folder of `kvlens fidelity` those after eviction are shown, too."
                    .to_owned(),
            ),
            KindChoice::Profile => Some(super::profile::note(self.job.profile)),
            KindChoice::Evidence => Some(
                "Kept: by a head's rule, in the mean over all heads. Lost: kept by no head of any layer, the global eviction ratio."
                    .to_owned(),
            ),
            KindChoice::DecodeEviction => Some(format!(
                "All tokens of the cache are ranked every {} decode steps, each query head by its own attention, not pooled; \
                 nothing is evicted.",
                self.job.rank_every
            )),
            KindChoice::Place => Some(format!(
                "The window has {} queries and moves by {}.",
                self.job.sweep.width, self.job.sweep.stride
            )),
            KindChoice::Depth => Some(
                "Each run of needed tokens counts at its own depth, in tenths of the prompt; means over heads.".to_owned(),
            ),
            _ => None,
        }
    }

    /// Why nothing is resolved, where nothing can be.
    fn too_few(&self) -> Option<String> {
        let most = self.rows.iter().map(|row| row.samples).max()?;
        (self.job.kind.is_tested() && (most as usize) < FEWEST_TO_RESOLVE).then(|| {
            format!("With fewer than {FEWEST_TO_RESOLVE} samples no test can resolve a difference.")
        })
    }

    /// What an equals sign is, and how many there are.
    fn equivalent(&self) -> Option<String> {
        let margin = self.job.margin.filter(|_| self.job.kind.is_tested())?;
        let found = self.rows.iter().filter(|row| row.equivalent == Some(true));
        Some(format!(
            "Equals sign: as good as each other, the whole 95 % interval within ±{margin} ({} of {} cells).",
            found.count(),
            self.rows.len()
        ))
    }

    /// The ceilings of the windows that win anywhere, panel by panel.
    fn winners_ceilings(&self) -> String {
        let mut panels: Vec<(&str, Vec<String>)> = Vec::new();
        for row in self.rows {
            let Some(ceiling) = row.ceiling else { continue };
            let known = panels.iter().position(|(name, _)| *name == row.panel);
            let index = known.unwrap_or_else(|| {
                panels.push((&row.panel, Vec::new()));
                panels.len() - 1
            });
            let words = format!("{} {ceiling:.2}", row.series);
            if let Some((_, all)) = panels.get_mut(index)
                && !all.contains(&words)
            {
                all.push(words);
            }
        }
        let of_panel = |(name, words): &(&str, Vec<String>)| match name.is_empty() {
            true => words.join(", "),
            false => format!("{name}: {}", words.join(", ")),
        };
        let panels: Vec<String> = panels.iter().map(of_panel).collect();
        match panels.is_empty() {
            true => String::new(),
            false => format!(" Ceilings, {}.", panels.join("; ")),
        }
    }

    /// Ceilings, which are lines or stand in the titles of maps, and lines that are no curves.
    fn lines(&self) -> Option<String> {
        let is_map = self.rows.iter().any(|row| row.y.is_some());
        let has_ceilings = match self.job.kind {
            KindChoice::HeadDifference => self.job.options.compare == Compare::Methods,
            _ => self.rows.iter().any(|row| row.ceiling.is_some()),
        };
        let place = if is_map {
            "Ceiling"
        } else {
            "Thin lines: ceilings"
        };
        let ceilings = has_ceilings.then(|| format!("{place}: {CEILING}."));
        let has_chance = self.rows.iter().any(|row| row.series == CHANCE);
        let chance = has_chance.then(|| "Thin grey: a ranking at random.".to_owned());
        let parts: Vec<String> = [ceilings, chance].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }

    fn sample(&self) -> Option<String> {
        match self.job.samples {
            [] => self.one_sample.map(|id| format!("Sample {id}.")),
            [id] => Some(format!("Sample {id} alone.")),
            ids => Some(format!("Samples {} alone.", ids.join(", "))),
        }
    }

    /// Lines between the points of a window that observed for some budgets alone are no measurements.
    fn final_budgets(&self) -> Option<String> {
        let budgets = &self.job.final_budgets;
        let is_curve = matches!(
            self.job.kind,
            KindChoice::Recall | KindChoice::RecallByLayer | KindChoice::Allocation
        );
        let words: Vec<String> = budgets.iter().map(Budget::to_string).collect();
        (is_curve && !words.is_empty()).then(|| {
            format!(
                "Windows with budget=final have points at {} alone, joined by lines.",
                words.join(", ")
            )
        })
    }

    fn samples(&self) -> String {
        let counts = || self.rows.iter().map(|row| row.samples);
        let fewest = counts().min().unwrap_or_default();
        let count = match counts().max().unwrap_or_default() {
            1 => "n=1 sample".to_owned(),
            most if most == fewest => format!("n={most} samples"),
            most => format!("n={fewest} to {most} samples"),
        };
        let of_panels = match self.rows.iter().any(|row| !row.panel.is_empty()) {
            _ if self.job.kind == KindChoice::Needle => " in each cell",
            true => " in each panel",
            false => "",
        };
        let has_interval = self.rows.iter().any(|row| row.low.is_some());
        let is_map = self.rows.iter().any(|row| row.y.is_some());
        let bands = match has_interval && !is_map {
            true => match self.job.kind {
                KindChoice::HitRate | KindChoice::Queries | KindChoice::Cost => {
                    "; strokes: 95 % intervals over samples"
                }
                _ => "; bands: 95 % intervals over samples",
            },
            false => "",
        };
        let tokens = match self.prompt_tokens {
            Some((least, most)) if least == most => format!(", T={most} tokens"),
            Some((least, most)) => format!(", T={least} to {most} tokens"),
            None => String::new(),
        };
        format!("{count}{of_panels}{tokens}{bands}.")
    }

    fn incomplete(&self) -> Option<String> {
        let samples = match self.incomplete {
            0 => return None,
            1 => "1 sample that does".to_owned(),
            several => format!("{several} samples that do"),
        };
        Some(format!("Left out: {samples} not reach every point shown."))
    }

    fn left_out(&self) -> Option<String> {
        let left_out = self.left_out;
        (left_out.count() > 0).then(|| format!("Missing or damaged: {left_out}."))
    }

    fn undefined(&self) -> Option<String> {
        let is_map = self.rows.iter().any(|row| row.y.is_some());
        let undefined = is_map
            && !self.job.kind.is_of_one_head()
            && self.rows.iter().any(|row| row.value.is_nan());
        let why = match self.job.kind {
            KindChoice::Kl => "scores below zero, as of key norms, are no distribution",
            KindChoice::RankDensity => "no token has these ranks",
            _ => "the layer ranks no more tokens than the budget",
        };
        undefined.then(|| format!("Grey with a stroke: undefined, because {why}."))
    }

    /// Which layers leave a mean over heads where the budget grows, on models whose layers see no more than the last keys.
    fn sliding(&self) -> Option<String> {
        let is_map = self.rows.iter().any(|row| row.y.is_some());
        let is_of_means = self.job.kind.metric(self.job.metric).is_some() && !is_map;
        let windows = self.job.sessions.iter();
        let windows = windows.flat_map(|one| one.manifest().shape.sliding_windows.iter().flatten());
        let narrowest = windows.min().filter(|&&window| window < self.job.longest)?;
        is_of_means.then(|| {
            format!(
                "Layers that see the last {narrowest} tokens alone rank no more than these, and are left out of means at \
                 larger budgets."
            )
        })
    }

    fn heads(&self) -> Option<String> {
        let words = self.job.heads.words()?;
        Some(match self.job.kind.is_of_one_head() {
            true => format!("Shown: {words}."),
            false => format!("Means over {words}."),
        })
    }
}
