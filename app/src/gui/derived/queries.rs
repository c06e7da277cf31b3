//! Cosines of the windows' queries with those of the decode stage, over the selected heads.

use std::collections::BTreeSet;
use std::sync::Arc;

use kvlens_analysis::Band;
use kvlens_analysis::figure::palette::repeat;

use super::Derived;
use crate::gui::query::Pool;
use crate::gui::questions::Answers;
use crate::gui::questions::queries::{InterventionsAnswer, QueriesAnswer};
use crate::gui::state::HeadAddress;
use crate::measurement::interventions::Intervention;
use crate::measurement::queries::WindowQueries;

/// A cosine over heads: the mean and the middle 80 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineSpread {
    /// Mean.
    pub mean: f64,
    /// 10th percentile.
    pub low: f64,
    /// 90th percentile.
    pub high: f64,
}

/// Cosines of one kind of query vectors.
#[derive(Clone, Debug)]
pub struct Cosines {
    /// Over all selected heads.
    pub selected: CosineSpread,
    /// Of each layer, over its heads that are selected, or over all of them if none is.
    pub by_layer: Band,
}

/// A window, or an intervention.
#[derive(Clone, Debug)]
pub struct QueryLine {
    /// The window's label.
    pub label: String,
    /// What was changed of the decode tokens, for an intervention.
    pub intervention: Option<Intervention>,
    /// How many windows of the same method stand before it.
    pub repeat: usize,
    /// Pairs of queries that were compared.
    pub rows: usize,
    /// Mean position of the window's queries minus that of the decode steps.
    pub position_gap: f64,
    /// Before the rotary embedding, where the session says which it is.
    pub before: Option<Cosines>,
    /// After it.
    pub after: Cosines,
}

/// Every line of the view of query similarity.
#[derive(Clone, Debug, Default)]
pub struct QueryLines {
    /// Windows, then interventions.
    pub lines: Vec<QueryLine>,
    /// Labels of the windows that observe without queries.
    pub without_queries: Vec<String>,
    /// Whether the interventions are known.
    pub has_interventions: bool,
    /// L.
    pub layers: usize,
    /// Query heads that are counted.
    pub heads: usize,
}

pub(super) type QueriesKey = ((u64, u64), BTreeSet<HeadAddress>);

impl Derived {
    /// Renews what the view of query similarity draws.
    pub fn refresh_queries(
        &mut self,
        pool: &Pool,
        selection: &BTreeSet<HeadAddress>,
        answers: &Answers,
    ) {
        if let Some(answer) = answers.queries.value().cloned() {
            let interventions = answers.interventions.held();
            let interventions = interventions.filter(|(sample, _)| **sample == answer.sample);
            let interventions = interventions.map(|(_, found)| Arc::clone(found));
            let selection = selection.clone();
            let versions = (answers.queries.version(), answers.interventions.version());
            let key = (versions, selection.clone());
            self.queries.in_pool(pool, key, move |_| {
                query_lines(&answer, interventions.as_deref(), &selection)
            });
        }
    }

    /// No view of it is in sight.
    pub fn let_queries_go(&mut self) {
        self.queries.let_go();
    }

    /// The lines, as far as they were asked for.
    #[must_use]
    pub fn queries(&self) -> Option<&QueryLines> {
        self.queries.value()
    }
}

fn query_lines(
    answer: &QueriesAnswer,
    interventions: Option<&InterventionsAnswer>,
    selection: &BTreeSet<HeadAddress>,
) -> QueryLines {
    let selection: BTreeSet<HeadAddress> = selection
        .iter()
        .copied()
        .filter(|address| address.layer < answer.layers && address.head < answer.heads)
        .collect();
    let windows = answer
        .windows
        .iter()
        .map(|(label, queries)| (label, None, queries));
    let changed = interventions.map_or(&[][..], |answer| &answer.found);
    let changed = changed
        .iter()
        .map(|found| (&found.label, Some(found.intervention), &found.queries));
    let all: Vec<_> = windows.chain(changed).collect();
    let labels: Vec<&str> = all.iter().map(|(label, ..)| label.as_str()).collect();
    let lines = all
        .iter()
        .enumerate()
        .map(|(index, (label, intervention, queries))| {
            let cosines =
                |by_head: Vec<f64>| cosines(&by_head, answer.layers, answer.heads, &selection);
            let WindowQueries {
                rows,
                position_gap,
                before_rotation,
                after_rotation,
            } = queries;
            QueryLine {
                label: (*label).clone(),
                intervention: *intervention,
                repeat: repeat(&labels, index),
                rows: *rows,
                position_gap: *position_gap,
                before: before_rotation
                    .as_ref()
                    .map(|before| cosines(before.by_head())),
                after: cosines(after_rotation.by_head()),
            }
        });
    QueryLines {
        lines: lines.collect(),
        without_queries: answer.without_queries.clone(),
        has_interventions: interventions.is_some(),
        layers: answer.layers,
        heads: match selection.len() {
            0 => answer.layers * answer.heads,
            selected => selected,
        },
    }
}

/// Of cosines `[L, H]`.
fn cosines(
    by_head: &[f64],
    layers: usize,
    heads: usize,
    selection: &BTreeSet<HeadAddress>,
) -> Cosines {
    let value = |layer: usize, head: usize| by_head.get(layer * heads + head).copied();
    let all = (0..layers).flat_map(|layer| (0..heads).map(move |head| (layer, head)));
    let chosen: Vec<f64> = all
        .filter(|(layer, head)| {
            let (layer, head) = (*layer, *head);
            selection.is_empty() || selection.contains(&HeadAddress { layer, head })
        })
        .filter_map(|(layer, head)| value(layer, head))
        .collect();
    let mut by_layer = Band {
        mean: Vec::with_capacity(layers),
        low: Vec::with_capacity(layers),
        high: Vec::with_capacity(layers),
    };
    for layer in 0..layers {
        let own = |head: &usize| {
            let head = *head;
            selection.contains(&HeadAddress { layer, head })
        };
        let any = (0..heads).any(|head| own(&head));
        let of_layer: Vec<f64> = (0..heads)
            .filter(|head| !any || own(head))
            .filter_map(|head| value(layer, head))
            .collect();
        let CosineSpread { mean, low, high } = spread_of(&of_layer);
        by_layer.mean.push(mean);
        by_layer.low.push(low);
        by_layer.high.push(high);
    }
    Cosines {
        selected: spread_of(&chosen),
        by_layer,
    }
}

fn spread_of(values: &[f64]) -> CosineSpread {
    let curves: Vec<&[f64]> = values.iter().map(std::slice::from_ref).collect();
    let band = Band::of(&curves, 1);
    let only = |values: &[f64]| values.first().copied().unwrap_or(f64::NAN);
    CosineSpread {
        mean: only(&band.mean),
        low: only(&band.low),
        high: only(&band.high),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_without_a_selected_head_is_shown_by_all_of_its_heads() {
        let by_head = [0.1, 0.3, 0.5, 0.7];
        let of = |heads: &[(usize, usize)]| {
            let heads = heads.iter();
            let selection = heads.map(|&(layer, head)| HeadAddress { layer, head });
            cosines(&by_head, 2, 2, &selection.collect())
        };
        let all = of(&[]);
        assert!((all.selected.mean - 0.4).abs() < 1e-6);
        let one = of(&[(1, 0)]);
        assert_eq!(one.selected.mean, 0.5);
        assert!((one.by_layer.mean[0] - 0.2).abs() < 1e-6);
        assert_eq!(one.by_layer.mean[1], 0.5);
    }
}
