//! A sample with less of what it was made of.

use kvlens_analysis::Scoring;

use super::sample_file::CapturedSample;
use crate::SessionError;
use crate::attention_rows::PromptKeys;
use crate::observation::{Evidence, Observation, ReducedRows, Reduction};
use crate::plan::Keep;

impl CapturedSample {
    /// What is left of a sample that keeps keys.
    ///
    /// # Errors
    /// What the tensors refuse.
    pub(crate) fn kept(self, keep: Keep) -> Result<Self, SessionError> {
        if keep.has_keys() {
            return Ok(self.without_more_than(keep));
        }
        let published = self.windows().iter();
        let published = published.filter(|window| window.query_rows().is_some());
        let published: Vec<Scoring> = published.map(Observation::scoring).collect();
        let of_oracle = reductions(&published);
        let keys = self.keys().clone();
        let oracle = self.oracle().reduced(&keys, &of_oracle, keep)?;
        let windows = self.windows().iter();
        let windows = windows.map(|window| {
            let own = reductions(&[window.scoring()]);
            window.reduced(&keys, &own, keep)
        });
        Ok(Self::new(
            self.record.clone(),
            oracle,
            windows.collect::<Result<_, _>>()?,
            keys.without_tensors(),
            None,
        ))
    }
}

/// How rows become scores for what is asked of a session without keys: under one scoring for all, and as published.
pub(crate) fn reductions(published: &[Scoring]) -> Vec<Reduction> {
    let mut all = vec![Reduction::from(Scoring::default())];
    for &scoring in published {
        let own = Reduction::from(scoring);
        if !all.contains(&own) {
            all.push(own);
        }
    }
    all
}

impl Observation {
    /// The same with scores in place of what makes them; ready-made scores stay as they are.
    fn reduced(
        &self,
        keys: &PromptKeys,
        reductions: &[Reduction],
        keep: Keep,
    ) -> Result<Self, SessionError> {
        let (rows, made) = match self.evidence() {
            Evidence::Scores(_) => return Ok(self.clone()),
            Evidence::Reduced(reduced) => {
                let scores = match keep.has_scores() {
                    true => reduced.scores().to_vec(),
                    false => Vec::new(),
                };
                let queries = reduced.queries().filter(|_| keep.has_queries()).cloned();
                let rows = [reduced.positions(), reduced.visible_keys()].map(<[u32]>::to_vec);
                let reduced = ReducedRows::new(rows, scores, queries);
                return self.with_evidence(Evidence::Reduced(reduced));
            }
            Evidence::Queries(rows) => {
                let of = |&reduction: &Reduction| keys.reduced_scores(rows, reduction);
                let made = match keep.has_scores() {
                    true => reductions.iter().map(of).collect::<Result<_, _>>()?,
                    false => Vec::new(),
                };
                (rows, made)
            }
        };
        let queries = keep.has_queries().then(|| rows.clone());
        let places = [rows.positions(), rows.visible_keys()].map(<[u32]>::to_vec);
        let reduced = ReducedRows::new(places, made, queries);
        self.with_evidence(Evidence::Reduced(reduced))
    }
}
