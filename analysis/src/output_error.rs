//! What an eviction does to the output of attention.
//!
//! Of query head h at decode step s the output is `o = sum_j a_j v_j` over the prompt's tokens and the generated ones.
//! With a kept set K of the prompt's tokens its softmax runs over K and the generated tokens alone, so
//! `o_K = (sum_{j in K} a_j v_j + g) / (sum_{j in K} a_j + m)`, with g and m what the generated tokens hold of sum and
//! weight. The error is `|o_K - o| / |o|` in the Euclidean norm, and its mean over the steps is the head's; CriticalKV
//! (arXiv 2502.03805) and CAOTE (arXiv 2504.14051) judge an eviction by such a perturbation.
//!
//! Behind the head's slice W of the output projection the error is `|W (o_K - o)| / |W o|`: with G = W^T W the norm of x
//! is `sqrt(x^T G x)`, so D x D numbers a head are all that has to be kept of W ([`HeadReads::through`]).
//!
//! Tokens are added in the order in which a growing budget keeps them, so all budgets take one pass.

use std::sync::Arc;

use rayon::prelude::*;

use crate::budget::AscendingBudgets;
use crate::comparison::Comparison;
use crate::error::AnalysisError;
use crate::keep_rule::KeepRule;
use crate::ranking::Rankings;
use crate::selection::keep_order;
use crate::tokens::ForcedKeep;

/// Tokens that are summed in single precision before they join the sum in double precision.
const BLOCK_TOKENS: usize = 64;

/// What one query head reads over S decode steps: its attention on the prompt's T tokens with their values of D numbers,
/// and what it reads of the tokens behind the prompt.
#[derive(Debug, Clone)]
pub struct HeadReads {
    steps: usize,
    head_dim: usize,
    /// `[T, S]`: a token's weights lie together, because tokens are added one by one.
    weights: Vec<f32>,
    /// `[T, D]`.
    values: Arc<[f32]>,
    /// `[S]`: weight of the tokens behind the prompt.
    mass_behind: Vec<f64>,
    /// `[S, D]`: the sum of their values by it.
    sum_behind: Vec<f64>,
    /// `[S, D]`: the output on the whole cache.
    full: Vec<f64>,
    /// `[D, D]`: G, where errors are told behind the output projection.
    gram: Option<Arc<[f32]>>,
}

impl HeadReads {
    /// `weights` is `[S, T]`, not renormalised over the prompt; `values` `[T, D]`, `mass_behind` `[S]`, `sum_behind`
    /// `[S, D]`.
    ///
    /// # Errors
    /// [`AnalysisError::Length`] when they do not belong together, [`AnalysisError::Empty`] without steps or tokens.
    pub fn new(
        weights: &[f32],
        values: Arc<[f32]>,
        head_dim: usize,
        mass_behind: Vec<f64>,
        sum_behind: Vec<f64>,
    ) -> Result<Self, AnalysisError> {
        let steps = mass_behind.len();
        let tokens = values.len().checked_div(head_dim).unwrap_or(0);
        if steps == 0 || tokens == 0 {
            return Err(AnalysisError::Empty {
                what: "decode steps or values of a head",
            });
        }
        let same = |what, expected: usize, found: usize| match expected == found {
            true => Ok(()),
            false => Err(AnalysisError::Length {
                what,
                dimensions: format!("[steps {steps}, tokens {tokens}, numbers {head_dim}]"),
                expected,
                found,
            }),
        };
        same("values", tokens * head_dim, values.len())?;
        same("weights of decode steps", steps * tokens, weights.len())?;
        same(
            "sums of values behind the prompt",
            steps * head_dim,
            sum_behind.len(),
        )?;
        let mut by_token = vec![0.0; weights.len()];
        for (step, row) in weights.chunks_exact(tokens).enumerate() {
            for (token, &weight) in row.iter().enumerate() {
                by_token[token * steps + step] = weight;
            }
        }
        let mut reads = Self {
            steps,
            head_dim,
            weights: by_token,
            values,
            mass_behind,
            sum_behind,
            full: Vec::new(),
            gram: None,
        };
        let mut all = Sums::behind(&reads);
        all.add(&reads, 0..tokens);
        reads.full = all.outputs();
        Ok(reads)
    }

    /// The same with errors told behind a projection W of the output, by `gram` = W^T W, `[D, D]`.
    ///
    /// # Errors
    /// [`AnalysisError::Length`] for one of another size.
    pub fn through(self, gram: Arc<[f32]>) -> Result<Self, AnalysisError> {
        let expected = self.head_dim * self.head_dim;
        if gram.len() != expected {
            return Err(AnalysisError::Length {
                what: "products of an output projection's columns",
                dimensions: format!("[numbers {0}, numbers {0}]", self.head_dim),
                expected,
                found: gram.len(),
            });
        }
        Ok(Self {
            gram: Some(gram),
            ..self
        })
    }

    /// Tokens of the prompt, T.
    pub fn prompt_tokens(&self) -> usize {
        self.values.len() / self.head_dim
    }

    /// The relative error of each decode step when the tokens that come first in `order` are kept, for each of some
    /// ascending numbers of tokens: `[budgets][S]`. NaN at a step whose whole output is zero.
    pub fn errors_along(
        &self,
        mut order: impl Iterator<Item = usize>,
        ascending: impl Iterator<Item = usize>,
    ) -> Vec<Vec<f64>> {
        let mut sums = Sums::behind(self);
        let mut kept = 0;
        ascending
            .map(|budget| {
                sums.add(self, order.by_ref().take(budget.saturating_sub(kept)));
                kept = kept.max(budget);
                // the whole cache, whatever order its tokens were added in
                match kept < self.prompt_tokens() {
                    true => self.step_errors(&sums.outputs()),
                    false => self.step_errors(&self.full),
                }
            })
            .collect()
    }

    fn step_errors(&self, outputs: &[f64]) -> Vec<f64> {
        let pairs = outputs.chunks_exact(self.head_dim);
        pairs
            .zip(self.full.chunks_exact(self.head_dim))
            .map(|(kept, full)| {
                let norm = self.norm(full);
                let pairs = kept.iter().zip(full);
                let error: Vec<f64> = pairs.map(|(kept, full)| kept - full).collect();
                match norm > 0.0 {
                    true => self.norm(&error) / norm,
                    false => f64::NAN,
                }
            })
            .collect()
    }

    /// Euclidean, behind the projection where there is one.
    fn norm(&self, vector: &[f64]) -> f64 {
        let dot = |row: &mut dyn Iterator<Item = f64>| -> f64 {
            row.zip(vector).map(|(left, right)| left * right).sum()
        };
        let square = match &self.gram {
            None => dot(&mut vector.iter().copied()),
            Some(gram) => {
                let rows = gram.chunks_exact(self.head_dim.max(1));
                let rows = rows.map(|row| dot(&mut row.iter().map(|&number| f64::from(number))));
                let products: Vec<f64> = rows.collect();
                dot(&mut products.into_iter())
            }
        };
        // rounding may leave a little below zero
        square.max(0.0).sqrt()
    }
}

/// Sums over kept tokens so far.
struct Sums {
    head_dim: usize,
    /// `[S]`.
    mass: Vec<f64>,
    /// `[S, D]`.
    sum: Vec<f64>,
}

impl Sums {
    /// Of the tokens behind the prompt alone.
    fn behind(reads: &HeadReads) -> Self {
        Self {
            head_dim: reads.head_dim,
            mass: reads.mass_behind.clone(),
            sum: reads.sum_behind.clone(),
        }
    }

    fn add(&mut self, reads: &HeadReads, mut tokens: impl Iterator<Item = usize>) {
        let (steps, head_dim) = (reads.steps, reads.head_dim);
        let mut block = vec![0.0_f32; steps * head_dim];
        loop {
            let mut added = 0;
            for token in tokens.by_ref().take(BLOCK_TOKENS) {
                added += 1;
                let value = &reads.values[token * head_dim..][..head_dim];
                let weights = &reads.weights[token * steps..][..steps];
                for (sums, &weight) in block.chunks_exact_mut(head_dim).zip(weights) {
                    for (sum, &number) in sums.iter_mut().zip(value) {
                        *sum += weight * number;
                    }
                }
                for (mass, &weight) in self.mass.iter_mut().zip(weights) {
                    *mass += f64::from(weight);
                }
            }
            if added == 0 {
                return;
            }
            for (sum, part) in self.sum.iter_mut().zip(&mut block) {
                *sum += f64::from(std::mem::take(part));
            }
        }
    }

    /// `[S, D]`; zero at a step that sees no kept token at all.
    fn outputs(&self) -> Vec<f64> {
        let rows = self.sum.chunks_exact(self.head_dim).zip(&self.mass);
        rows.flat_map(|(sum, &mass)| {
            let scale = if mass > 0.0 { 1.0 / mass } else { 0.0 };
            sum.iter().map(move |number| number * scale)
        })
        .collect()
    }
}

/// The mean of those that are known; NaN when none is.
pub fn mean_of_known(errors: &[f64]) -> f64 {
    let known = errors.iter().filter(|error| !error.is_nan());
    let (sum, count) = known.fold((0.0, 0.0), |(sum, count), error| (sum + error, count + 1.0));
    sum / count
}

/// What decides which tokens of the prompt are kept.
#[derive(Clone, Copy)]
pub struct Eviction<'a> {
    /// The ranking by which the rule keeps tokens.
    pub rankings: &'a Rankings,
    /// What it keeps whatever the ranking says.
    pub keep_rule: KeepRule,
}

/// A comparison whose output errors are to be found.
pub struct Judged<'a> {
    /// Gets [`Metric::OutputError`](crate::Metric::OutputError) at its budgets.
    pub comparison: &'a mut Comparison,
    /// What it judges.
    pub eviction: Eviction<'a>,
}

/// The heads of a model whose outputs are read.
#[derive(Clone, Copy)]
pub struct OutputHeads {
    /// L.
    pub layers: usize,
    /// H.
    pub query_heads: usize,
    /// G.
    pub kv_heads: usize,
}

impl OutputHeads {
    /// Hands each query head's reads to `ask`, by layer, then query head: `[L * H]`.
    ///
    /// `reads` gives what the H / G query heads of a layer's key/value head read, in their order.
    fn each<A: Send, E: From<AnalysisError> + Send>(
        self,
        reads: impl Fn(usize, usize) -> Result<Vec<HeadReads>, E> + Sync,
        ask: impl Fn(usize, usize, &HeadReads) -> Result<A, AnalysisError> + Sync,
    ) -> Result<Vec<A>, E> {
        let group = self
            .query_heads
            .checked_div(self.kv_heads)
            .unwrap_or(0)
            .max(1);
        let of_group = |index: usize| {
            let (layer, kv_head) = (index / self.kv_heads, index % self.kv_heads);
            let heads = reads(layer, kv_head)?;
            let heads = heads.iter().zip(kv_head * group..);
            heads
                .map(|(reads, head)| ask(layer, head, reads))
                .collect::<Result<Vec<_>, AnalysisError>>()
                .map_err(E::from)
        };
        let groups = (0..self.layers * self.kv_heads).into_par_iter();
        let answers = groups.map(of_group).collect::<Result<Vec<_>, E>>()?;
        Ok(answers.into_iter().flatten().collect())
    }
}

/// The output error of each decode step at some budgets, by layer, then head: `[L * heads][S][budgets]`. NaN where a
/// budget is not below the tokens that the layer can rank, and at a step whose whole output is zero. A head that stands
/// for several query heads has the mean of their errors.
///
/// # Errors
/// What `reads` refuses ([`judge_outputs`] says what it gives); [`AnalysisError::Mismatch`] when it is not of the
/// ranking's tokens.
pub fn output_errors_by_step<E: From<AnalysisError> + Send>(
    eviction: Eviction<'_>,
    budgets: &[usize],
    heads: OutputHeads,
    reads: impl Fn(usize, usize) -> Result<Vec<HeadReads>, E> + Sync,
) -> Result<Vec<Vec<Vec<f64>>>, E> {
    let by_query_head = heads.each(reads, |layer, head, reads| {
        eviction.errors(reads, budgets, (layer, head), heads.query_heads)
    })?;
    let sharing = (heads.query_heads / eviction.rankings.heads().max(1)).max(1);
    let steps = |alike: &[Vec<Vec<f64>>]| {
        let count = alike
            .first()
            .and_then(|head| head.first())
            .map_or(0, Vec::len);
        let at = |step: usize| mean_of(alike.iter().map(|head| column(head, step)));
        (0..count).map(at).collect()
    };
    Ok(by_query_head.chunks(sharing).map(steps).collect())
}

fn column(rows: &[Vec<f64>], at: usize) -> Vec<f64> {
    rows.iter().filter_map(|row| row.get(at).copied()).collect()
}

/// Finds the output errors of several comparisons of one sample, one layer's key/value head after the other.
///
/// `reads` gives what the H / G query heads of a layer's key/value head read, in their order. A head that stands for
/// several query heads has the mean of their errors.
///
/// # Errors
/// What `reads` refuses; [`AnalysisError::Mismatch`] when it is not of the comparisons' tokens.
pub fn judge_outputs<E: From<AnalysisError> + Send>(
    judged: &mut [Judged<'_>],
    query_heads: usize,
    kv_heads: usize,
    reads: impl Fn(usize, usize) -> Result<Vec<HeadReads>, E> + Sync,
) -> Result<(), E> {
    let Some(first) = judged.first() else {
        return Ok(());
    };
    let heads = OutputHeads {
        layers: first.comparison.layers,
        query_heads,
        kv_heads,
    };
    // [L * H][judged][budgets]
    let errors = heads.each(reads, |layer, head, reads| {
        let all = judged.iter();
        all.map(|judged| {
            let budgets = &judged.comparison.budgets;
            let errors = judged
                .eviction
                .errors(reads, budgets, (layer, head), query_heads)?;
            Ok(errors.iter().map(|steps| mean_of_known(steps)).collect())
        })
        .collect::<Result<Vec<Vec<f64>>, _>>()
    })?;
    for (place, judged) in judged.iter_mut().enumerate() {
        let sharing = query_heads / judged.comparison.heads.max(1);
        let of_heads = errors.chunks(sharing.max(1));
        for (head, errors) in judged.comparison.by_head.iter_mut().zip(of_heads) {
            head.curves.output_error = mean_of(errors.iter().map(|windows| windows[place].clone()));
        }
    }
    Ok(())
}

impl Eviction<'_> {
    /// Of a layer's query head at each step, `[budgets][S]`; NaN where a budget is not below the rankable tokens.
    fn errors(
        &self,
        reads: &HeadReads,
        budgets: &[usize],
        (layer, query_head): (usize, usize),
        query_heads: usize,
    ) -> Result<Vec<Vec<f64>>, AnalysisError> {
        let rankings = self.rankings;
        crate::comparison::same(
            "prompt tokens",
            rankings.prompt_tokens(),
            reads.prompt_tokens(),
        )?;
        let head = (layer, query_head * rankings.heads() / query_heads.max(1));
        let ascending = AscendingBudgets::new(budgets, rankings.rankable_tokens(layer));
        let mut errors = vec![vec![f64::NAN; reads.steps]; budgets.len()];
        let steps: Vec<(usize, usize, ForcedKeep)> = ascending
            .steps()
            .map(|(added, asked)| (added.end, asked, self.keep_rule.at(added.end)))
            .collect();
        // a rule that forces other tokens at every budget keeps no order, and begins anew
        for alike in steps.chunk_by(|one, next| one.2 == next.2) {
            let Some(&(_, _, forced)) = alike.first() else {
                continue;
            };
            let order = keep_order(rankings, head, forced);
            let found = reads.errors_along(order, alike.iter().map(|step| step.0));
            for (&(_, asked, _), of_steps) in alike.iter().zip(found) {
                errors[asked] = of_steps;
            }
        }
        Ok(errors)
    }
}

/// The mean of equally long curves.
fn mean_of(curves: impl ExactSizeIterator<Item = Vec<f64>>) -> Vec<f64> {
    let count = curves.len() as f64;
    let mut sums: Vec<f64> = Vec::new();
    for curve in curves {
        sums.resize(curve.len(), 0.0);
        for (sum, error) in sums.iter_mut().zip(curve) {
            *sum += error;
        }
    }
    sums.into_iter().map(|sum| sum / count).collect()
}
