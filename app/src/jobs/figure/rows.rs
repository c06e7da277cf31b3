//! The rows of a figure, of what was gathered.

use std::collections::BTreeSet;

use anyhow::Result;
use kvlens_analysis::Metric;
use kvlens_analysis::figure::{CommonRows, FigureRow};

use super::KindChoice;
use super::data::FigureJob;
use super::gathering::{Gathered, Gathering};
use super::groups::joined;
use super::maps::{difference_rows, winner_rows};
use super::needle::needle_rows;
use crate::jobs::SEED;
use crate::jobs::failure::Failure;
use crate::jobs::measure::LARGEST_SHARE;

/// The rows of a figure, and the samples that they are over.
pub struct FoundRows {
    /// The rows.
    pub rows: Vec<FigureRow>,
    /// Samples that do not reach every point of their curves and are left out.
    pub incomplete: usize,
    /// T of the shortest and of the longest prompt of the others.
    pub prompt_tokens: Option<(usize, usize)>,
}

impl FigureJob<'_> {
    /// The rows of what was gathered.
    pub fn rows(&self, gathering: &Gathering) -> Result<FoundRows> {
        let mut incomplete = 0;
        let mut shown: Option<BTreeSet<String>> = None;
        let rows: Vec<FigureRow> = match self.kind {
            KindChoice::HeadDifference => {
                let against = self.against.as_deref().unwrap_or_default();
                difference_rows(&gathering.collection, &self.windows, against, self.margin)?
            }
            KindChoice::Winner => winner_rows(&gathering.collection, self.margin)?,
            KindChoice::Needle => needle_rows(&gathering.needles),
            KindChoice::HeadMap | KindChoice::Kl => {
                gathering.of_groups(|name, group| group.heads.rows(name))
            }
            KindChoice::RankDensity => {
                gathering.of_groups(|name, group| group.densities.rows(name))
            }
            KindChoice::Profile => gathering.of_groups(|name, group| group.scatter.rows(name)),
            KindChoice::Attention | KindChoice::Tokens => {
                let found = gathering.of_one_head.as_ref();
                found.map_or_else(Vec::new, |figure| figure.rows.clone())
            }
            _ => {
                let mut rows = Vec::new();
                for (name, group) in gathering.groups.named() {
                    let (of_group, common) = self.series_rows(&name, group);
                    rows.extend(of_group);
                    if let Some(common) = common {
                        incomplete += common.left_out;
                        shown.get_or_insert_default().extend(common.samples);
                    }
                }
                rows
            }
        };
        // a figure of heads that do not exist would be a figure of nothing
        if rows.iter().all(|row| row.value.is_nan()) {
            let why = self.why_nothing();
            return Err(Failure::BadInput(format!("there is nothing to draw: {why}")).into());
        }
        let tokens = gathering.prompt_tokens.iter();
        let tokens = tokens
            .filter(|(content, _)| shown.as_ref().is_none_or(|shown| shown.contains(*content)))
            .map(|(_, tokens)| *tokens);
        let (least, most) = (tokens.clone().min(), tokens.max());
        Ok(FoundRows {
            rows,
            incomplete,
            prompt_tokens: least.zip(most),
        })
    }

    /// What no sample has that the figure asks for.
    fn why_nothing(&self) -> &'static str {
        match self.kind {
            KindChoice::Needle => {
                "no sample has an asked length and depth, as those of niah:length=..,depth=.. have"
            }
            KindChoice::Evidence | KindChoice::Depth => {
                "the data do not say which tokens the answers need, or no layer or budget that was asked for sees them"
            }
            KindChoice::HitRate => {
                "128 tokens, the smallest budget that papers give hit rates at, are more than nine tenths of the \
                 shortest prompt"
            }
            KindChoice::Attention | KindChoice::Place | KindChoice::Queries => {
                "no sample has the queries and keys of these windows, layers and heads; a capture with --keep keys keeps them"
            }
            _ if self.metric == Metric::OutputError => {
                "no sample has the values that output errors need; a capture with --keep keys,values keeps them"
            }
            _ => {
                "no sample has these windows, layers and heads, and a prompt that is longer than the budget"
            }
        }
    }

    /// Points of a group in panels of its name; of curves over the same samples at every point also which these are.
    fn series_rows(&self, name: &str, group: &Gathered) -> (Vec<FigureRow>, Option<CommonRows>) {
        let bounds = match self.kind {
            // cosines end at 1; where all are 1 a window is held against itself, and has no interval
            KindChoice::Queries => (f64::NEG_INFINITY, 1.0),
            kind => kind.metric(self.metric).unwrap_or(Metric::Recall).bounds(),
        };
        let common = match self.kind {
            KindChoice::DecodeStep | KindChoice::Horizon | KindChoice::Place => {
                Some(group.series.common_rows(Some(bounds), SEED))
            }
            _ => None,
        };
        let mut rows = match &common {
            Some(common) => common.rows.clone(),
            None => group.series.rows(Some(bounds), SEED),
        };
        for row in &mut rows {
            row.panel = joined(&[&row.panel, name]);
            if self.kind == KindChoice::Complementarity {
                row.y = Some(self.place_of(&row.series) as f64);
            }
            if self.kind == KindChoice::Cost {
                let times = group.times.rows(None, SEED);
                let time = times.iter().find(|time| time.series == row.series);
                // the axis has no place for no time at all
                row.x = time.map_or(0.0, |time| time.value).max(1e-3);
            }
        }
        // a curve over other samples at each point would mix its shape with theirs
        let most = |row: &FigureRow| {
            let same = rows
                .iter()
                .filter(|other| other.panel == row.panel && other.series == row.series);
            same.map(|other| other.samples).max().unwrap_or(0)
        };
        let largest = LARGEST_SHARE * group.shortest.unwrap_or(0) as f64;
        let enough = |row: &FigureRow| match self.kind {
            // as the printed table has them
            KindChoice::HitRate => row.x <= largest,
            KindChoice::Recall
            | KindChoice::RecallByLayer
            | KindChoice::Evidence
            | KindChoice::Allocation => row.samples == most(row),
            _ => true,
        };
        let rows = rows.iter().filter(|row| enough(row)).cloned().collect();
        (rows, common)
    }

    /// Bars stand at places 0, 1, ... in place of their budgets or windows; what stands at a place that has a name is
    /// told its name.
    pub fn placed(&self, mut rows: Vec<FigureRow>, names: &[String]) -> Vec<FigureRow> {
        if matches!(self.kind, KindChoice::HitRate | KindChoice::Queries) {
            let places = distinct_x(&rows);
            for row in &mut rows {
                let place = places.iter().position(|x| *x == row.x);
                row.x = place.unwrap_or_default() as f64;
            }
        }
        for row in &mut rows {
            row.x_name = names.get(row.x as usize).cloned();
        }
        rows
    }
}

/// The x of all rows, ascending.
pub fn distinct_x(rows: &[FigureRow]) -> Vec<f64> {
    let mut places: Vec<f64> = rows.iter().map(|row| row.x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    places
}
