//! What one sample gives to figures that hold heads, or what is kept of them, against each other.

use anyhow::Result;
use kvlens_analysis::agreement_by_head;
use kvlens_analysis::complementarity::complementarity;
use kvlens_analysis::figure::{SeriesPlace, SeriesSamples};

use super::Sampled;
use crate::jobs::figure::data::FigureJob;
use crate::jobs::figure::maps::{HeadNumbers, HeadSums};
use crate::jobs::figure::profile::HeadScatter;
use crate::measurement::MeasuredWindow;
use crate::measurement::allocations::{AllocationKind, allocate};
use crate::measurement::profiles::profile_number;

impl Sampled<'_> {
    /// Decode attention that each allocation keeps, a panel for each window.
    pub fn push_allocations(&self, job: &FigureJob<'_>, series: &mut SeriesSamples) -> Result<()> {
        let budgets = job.curve_budgets(self.prompt_tokens());
        for shown in self.windows(job) {
            for &budget in &budgets {
                let Some(window) = shown.at(budget) else {
                    continue;
                };
                let own = window.as_its_ceiling();
                for kind in AllocationKind::ALL {
                    let kept = |window: &MeasuredWindow| -> Result<f64> {
                        let kept = allocate(self.measured, window, kind, budget)?;
                        let values = kept.iter().map(|head| head.selected_mass);
                        Ok(job.heads.mean(values, window.comparison.heads))
                    };
                    let ceiling = own.as_ref().map(kept).transpose()?;
                    let ceiling = ceiling.filter(|ceiling| !ceiling.is_nan());
                    let place = SeriesPlace {
                        panel: &shown.label,
                        series: kind.name(),
                        x: budget as f64,
                    };
                    series.push(self.content, place, kept(window)?, ceiling);
                }
            }
        }
        Ok(())
    }

    /// What each window finds of the decode stage's top tokens and each other one misses, x being the place of the other
    /// among those shown.
    pub fn push_pairs(&self, job: &FigureJob<'_>, series: &mut SeriesSamples) -> Result<()> {
        let budget = [job.budget.tokens(self.prompt_tokens())];
        let windows = self.windows(job);
        for first in &windows {
            for second in &windows {
                let (Some(one), Some(other)) = (first.at(budget[0]), second.at(budget[0])) else {
                    continue;
                };
                let shares = complementarity(
                    &self.measured.truth.rankings,
                    &one.ranked.rankings,
                    &other.ranked.rankings,
                    &budget,
                )?;
                let first_only = shares.iter().map(|head| {
                    let share = head.first().map(|share| share.first_only);
                    share.unwrap_or(f64::NAN)
                });
                let mean = job.heads.mean(first_only, first.comparison.heads);
                let x = job.place_of(&second.label) as f64;
                self.push(series, ("", &first.label), x, mean);
            }
        }
        Ok(())
    }

    /// What the heads are like against the metric at the budget, for each window.
    pub fn add_profiles(&self, job: &FigureJob<'_>, scatter: &mut HeadScatter) -> Result<()> {
        let budget = job.budget.tokens(self.prompt_tokens());
        let (captured, measured) = (self.captured, self.measured);
        let number = profile_number(captured, measured, &job.options, job.profile, budget)?;
        for window in self.windows(job) {
            if let Some(numbers) = job.numbers_of(window) {
                let heads = window.comparison.heads;
                let shown = |index: usize| job.heads.has(index / heads, index % heads);
                let points = number.iter().zip(&numbers.values).enumerate();
                let points = points.map(|(index, (&x, &y))| match shown(index) {
                    true => (x, y),
                    false => (f64::NAN, f64::NAN),
                });
                scatter.add(self.content, &window.label, heads, points.collect());
            }
        }
        Ok(())
    }

    /// The metric at the budget, or the divergence, of every head.
    pub fn add_heads(&self, job: &FigureJob<'_>, kl: bool, sums: &mut HeadSums) -> Result<()> {
        for window in self.windows(job) {
            let numbers = match kl {
                true => HeadNumbers {
                    heads: window.comparison.heads,
                    values: self.divergence(job, window)?,
                    ceilings: None,
                },
                false => match job.numbers_of(window) {
                    Some(numbers) => numbers,
                    None => continue,
                },
            };
            sums.add(self.content, &window.label, &numbers);
        }
        Ok(())
    }

    fn divergence(&self, job: &FigureJob<'_>, window: &MeasuredWindow) -> Result<Vec<f64>> {
        let truth = &self.measured.truth.importance;
        let agreement = agreement_by_head(truth, &window.ranked.importance, job.options.exempt)?;
        Ok(agreement.iter().map(|agreement| agreement.kl).collect())
    }
}
