//! What one sample gives to the figure of queries, which needs no scores.

use anyhow::Result;
use kvlens_analysis::figure::{SeriesPlace, SeriesSamples};
use kvlens_sessions::CapturedSample;
use kvlens_sessions::model::RopeConfig;

use crate::jobs::figure::data::{AFTER, BEFORE, FigureJob};
use crate::measurement::queries::window_queries;

impl FigureJob<'_> {
    /// Mean cosines with the decode queries, x being the window's place among those shown. `content` names the sample,
    /// `rope` is the model's rotary embedding, if the session says it.
    pub fn push_queries(
        &self,
        (content, captured): (&str, &CapturedSample),
        rope: Option<&RopeConfig>,
        series: &mut SeriesSamples,
    ) -> Result<()> {
        let heads = captured.oracle().query_rows();
        let heads = heads
            .and_then(|rows| rows.queries().dim(1).ok())
            .unwrap_or(1);
        for window in self.in_order(captured.windows(), |window| window.label()) {
            let Some(queries) = window_queries(captured, window, rope)? else {
                continue;
            };
            let x = self.place_of(window.label()) as f64;
            let mut push = |name: &str, by_head: Vec<f64>| {
                let place = SeriesPlace {
                    panel: "",
                    series: name,
                    x,
                };
                let mean = self.heads.mean(by_head.into_iter(), heads);
                series.push(content, place, mean, None);
            };
            if let Some(before) = &queries.before_rotation {
                push(BEFORE, before.by_head());
            }
            push(AFTER, queries.after_rotation.by_head());
        }
        Ok(())
    }
}
