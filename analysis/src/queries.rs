//! How alike two sets of query vectors are.

use rayon::prelude::*;

use crate::comparison::same;
use crate::error::{AnalysisError, finite};

/// Query vectors of some rows, before or after the rotary embedding.
#[derive(Debug, Clone, Copy)]
pub struct QueryVectors<'a> {
    /// `[layers, heads, rows, head_dim]`, row-major.
    pub values: &'a [f32],
    /// Number of layers.
    pub layers: usize,
    /// Number of query heads per layer.
    pub heads: usize,
    /// Number of rows.
    pub rows: usize,
    /// Length of one vector.
    pub head_dim: usize,
}

/// Cosines of paired query vectors, -1..=1.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryCosine {
    rows: usize,
    by_row: Vec<f64>,
}

impl QueryCosine {
    /// The cosine of every pair, `[layers, heads, rows]`.
    pub fn by_row(&self) -> &[f64] {
        &self.by_row
    }

    /// Mean over rows, `[layers, heads]`.
    pub fn by_head(&self) -> Vec<f64> {
        let heads = self.by_row.chunks_exact(self.rows);
        heads
            .map(|rows| rows.iter().sum::<f64>() / self.rows as f64)
            .collect()
    }

    /// Mean over layers, heads and rows.
    pub fn mean(&self) -> f64 {
        self.by_row.iter().sum::<f64>() / self.by_row.len() as f64
    }
}

/// Cosine of row `i` of one side with row `i` of the other, in every layer and head.
///
/// This is the number of DapQ's Table 1: pseudo queries against the true decode queries, where an
/// intervention keeps the position and changes the content or keeps the content and changes the position.
/// The caller makes the intervention and says whether the vectors are taken before or after the rotary
/// embedding; both sides must be of the same kind.
///
/// # Errors
/// [`AnalysisError::Empty`] for a dimension of zero, [`AnalysisError::Length`] when values and dimensions
/// disagree, [`AnalysisError::Mismatch`] when the sides differ, [`AnalysisError::NotANumber`] for a value
/// that is not finite and for a vector of zeros, which has no direction.
pub fn query_cosine(
    left: QueryVectors<'_>,
    right: QueryVectors<'_>,
) -> Result<QueryCosine, AnalysisError> {
    same("layers", left.layers, right.layers)?;
    same("heads", left.heads, right.heads)?;
    same("rows", left.rows, right.rows)?;
    same("head dimensions", left.head_dim, right.head_dim)?;
    left.check("the first side's query value")?;
    right.check("the second side's query value")?;
    let by_row: Vec<f64> = left
        .values
        .par_chunks_exact(left.head_dim)
        .zip(right.values.par_chunks_exact(right.head_dim))
        .map(|(left, right)| cosine(left, right))
        .collect();
    match by_row.iter().position(|cosine| !cosine.is_finite()) {
        None => Ok(QueryCosine {
            rows: left.rows,
            by_row,
        }),
        Some(index) => Err(AnalysisError::NotANumber {
            what: "the cosine",
            place: left.place(index),
            value: by_row[index].to_string(),
        }),
    }
}

fn cosine(left: &[f32], right: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(&x, &y)| f64::from(x) * f64::from(y))
            .sum()
    };
    let cosine = dot(left, right) / (dot(left, left) * dot(right, right)).sqrt();
    cosine.clamp(-1.0, 1.0)
}

impl QueryVectors<'_> {
    fn check(&self, what: &'static str) -> Result<(), AnalysisError> {
        for (count, what) in [
            (self.layers, "layers"),
            (self.heads, "heads"),
            (self.rows, "rows"),
            (self.head_dim, "numbers in a query vector"),
        ] {
            if count == 0 {
                return Err(AnalysisError::Empty { what });
            }
        }
        let dimensions = [self.layers, self.heads, self.rows, self.head_dim];
        let expected = dimensions.into_iter().fold(1, usize::saturating_mul);
        if self.values.len() != expected {
            return Err(AnalysisError::Length {
                what: "a block of query vectors",
                dimensions: format!(
                    "[layers {}, heads {}, rows {}, numbers {}]",
                    self.layers, self.heads, self.rows, self.head_dim
                ),
                expected,
                found: self.values.len(),
            });
        }
        finite(what, self.values, |index| self.place(index / self.head_dim))
    }

    fn place(&self, vector: usize) -> String {
        let (head, row) = (vector / self.rows, vector % self.rows);
        format!(
            "layer {}, head {}, row {row}",
            head / self.heads,
            head % self.heads
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(values: &[f32]) -> QueryVectors<'_> {
        QueryVectors {
            values,
            layers: 1,
            heads: 2,
            rows: 2,
            head_dim: 2,
        }
    }

    #[test]
    fn rows_are_paired_and_averaged_by_head() {
        let left = [1.0, 0.0, 0.0, 2.0, 3.0, 4.0, 1.0, 1.0];
        let right = [5.0, 0.0, 1.0, 0.0, -3.0, -4.0, 0.0, 2.0];
        let cosine = query_cosine(vectors(&left), vectors(&right)).unwrap();
        let diagonal = 0.5_f64.sqrt();
        for (found, expected) in cosine.by_row().iter().zip([1.0, 0.0, -1.0, diagonal]) {
            assert!((found - expected).abs() < 1e-15, "{cosine:?}");
        }
        assert_eq!(cosine.by_head()[0], 0.5);
        assert!((cosine.by_head()[1] - 0.5 * (diagonal - 1.0)).abs() < 1e-15);
        assert!((cosine.mean() - 0.25 * diagonal).abs() < 1e-15);
    }

    #[test]
    fn what_has_no_direction_or_no_value_is_refused_with_its_place() {
        let good = [1.0; 8];
        let mut zero = good;
        zero[6..].fill(0.0);
        let refused = query_cosine(vectors(&good), vectors(&zero)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the cosine of layer 0, head 1, row 1 is NaN, not a finite number"
        );
        let mut wrong = good;
        wrong[5] = f32::NAN;
        let refused = query_cosine(vectors(&wrong), vectors(&good)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the first side's query value of layer 0, head 1, row 0 is NaN, not a finite number"
        );
        assert!(query_cosine(vectors(&good[1..]), vectors(&good[1..])).is_err());
        let longer = QueryVectors {
            rows: 1,
            head_dim: 4,
            ..vectors(&good)
        };
        assert!(query_cosine(vectors(&good), longer).is_err());
    }
}
