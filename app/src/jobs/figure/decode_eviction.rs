//! How well rankings of the cache while it decodes foresee, for a figure.

use anyhow::Result;
use kvlens_analysis::figure::SeriesPlace;
use kvlens_analysis::figure::SeriesSamples;

use super::data::FigureJob;
use super::samples::Sampled;
use crate::measurement::decode_eviction::{DecodeRankings, HorizonChoice, decode_evictions};

impl Sampled<'_> {
    /// Recall of each ranking by the decode step at which it was made, a panel per horizon. Says whether the decode stage
    /// is long enough for one.
    pub(super) fn push_decode_evictions(
        &self,
        job: &FigureJob<'_>,
        series: &mut SeriesSamples,
    ) -> Result<bool> {
        let every = job.rank_every;
        if self.captured.record.generated_ids.len() <= every {
            return Ok(false);
        }
        let asked = DecodeRankings::usual(every);
        let ranked = decode_evictions(self.captured, &asked, &[job.budget], &mut |_, _| Ok(()))?;
        let steps = ranked.by_head.first().map_or(0, Vec::len);
        for choice in HorizonChoice::ALL {
            let horizon = choice.horizon(every);
            for index in 0..steps {
                for (by, ranking) in ranked.rankings.iter().enumerate() {
                    let recall = ranked.by_head.iter().map(|steps| {
                        let step = steps.get(index)?;
                        let mut held = step.horizons.iter();
                        let held = held.find(|held| held.horizon == horizon)?;
                        Some(held.kept.get(by)?.first()?.recall)
                    });
                    let recall = recall.map(|recall| recall.unwrap_or(f64::NAN));
                    let mean = job.heads.mean(recall, ranked.heads);
                    let place = SeriesPlace {
                        panel: panel(choice),
                        series: ranking,
                        x: ((index + 1) * every) as f64,
                    };
                    if mean.is_finite() {
                        series.push(self.content, place, mean, None);
                    }
                }
            }
        }
        Ok(true)
    }
}

fn panel(choice: HorizonChoice) -> &'static str {
    match choice {
        HorizonChoice::NextStep => "next step",
        HorizonChoice::NextRanking => "to the next ranking",
        HorizonChoice::Rest => "to the end",
    }
}
