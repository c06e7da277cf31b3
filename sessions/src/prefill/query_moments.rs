//! Mean and covariance of the prompt's queries before rotation, accumulated chunk by chunk.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use crate::SessionError;
use crate::model::{LayerTap, ModelConfig, TappedRows, on_cpu};
use crate::stopwatch::Stopwatch;

/// First and second moments per layer and query head, in f64: the covariance is a difference of large numbers.
#[derive(Debug)]
pub(crate) struct QueryMoments {
    /// First rows of the prompt that are left out.
    skipped: usize,
    rows: usize,
    /// L entries: `[D / 2]`.
    inverse_frequencies: Vec<Vec<f32>>,
    /// Those of the chunk in turn, which layers of the same frequencies share.
    tables: Vec<Tables>,
    /// L entries: sum of q, `[H, 1, D]`, and of q qT, `[H, D, D]`.
    sums: Vec<Option<(Tensor, Tensor)>>,
    seconds: f64,
}

/// Cosines and sines of some positions' angles, `[positions, D / 2]` each, f64, where the queries are.
#[derive(Debug)]
struct Tables {
    /// The first layer that rotates by them.
    layer: usize,
    positions: Range<usize>,
    cos: Tensor,
    sin: Tensor,
}

/// Gaussian of the queries of one head, before rotation.
pub(crate) struct HeadMoments {
    /// `[D]`.
    pub(crate) mean: Vec<f64>,
    /// `[D, D]`, divided by the number of rows.
    pub(crate) covariance: Vec<Vec<f64>>,
}

impl QueryMoments {
    pub(super) fn new(config: &ModelConfig, prompt_tokens: usize, skipped: usize) -> Self {
        Self {
            skipped,
            rows: 0,
            inverse_frequencies: (0..config.layers)
                .map(|layer| config.inverse_frequencies(layer, prompt_tokens))
                .collect(),
            tables: Vec::new(),
            sums: vec![None; config.layers],
            seconds: 0.0,
        }
    }

    /// Adds rotated rows `[H, R, D]` that stand at positions from `first_position` on.
    fn add(
        &mut self,
        layer: usize,
        first_position: usize,
        queries: &Tensor,
    ) -> Result<(), SessionError> {
        let rows = queries.dim(1)?;
        let left_out = self.skipped.saturating_sub(first_position).min(rows);
        if left_out == rows {
            return Ok(());
        }
        let kept = queries.narrow(1, left_out, rows - left_out)?;
        let plain = self.without_rotation(layer, &kept, first_position + left_out)?;
        let sum = plain.sum_keepdim(1)?;
        let products = plain.transpose(1, 2)?.contiguous()?.matmul(&plain)?;
        if layer == 0 {
            self.rows += rows - left_out;
        }
        if let Some(sums) = self.sums.get_mut(layer) {
            *sums = Some(match sums.take() {
                None => (sum, products),
                Some((before, products_before)) => ((before + sum)?, (products_before + products)?),
            });
        }
        Ok(())
    }

    /// The queries as they were before rotation, f64, where they are. Angles are those of the model, in f32. An
    /// attention factor (YaRN, LongRoPE) stays in them: rotation by angles alone then gives the model's own queries.
    fn without_rotation(
        &mut self,
        layer: usize,
        queries: &Tensor,
        first_position: usize,
    ) -> Result<Tensor, SessionError> {
        let (_, rows, head_dim) = queries.dims3()?;
        let queries = match queries.device() {
            // Apple's GPUs have no double precision
            Device::Metal(_) => on_cpu(queries)?,
            _ => queries.clone(),
        };
        let queries = queries.to_dtype(DType::F64)?;
        let positions = first_position..first_position + rows;
        let Tables { cos, sin, .. } =
            self.tables(layer, positions, head_dim / 2, queries.device())?;
        let half = |start| queries.narrow(2, start, head_dim / 2);
        let (left, right) = (half(0)?, half(head_dim / 2)?);
        let turned_left = (left.broadcast_mul(cos)? + right.broadcast_mul(sin)?)?;
        let turned_right = (right.broadcast_mul(cos)? - left.broadcast_mul(sin)?)?;
        Ok(Tensor::cat(&[turned_left, turned_right], 2)?)
    }

    /// The tables of a layer, made once for all layers of a chunk that rotate alike.
    fn tables(
        &mut self,
        layer: usize,
        positions: Range<usize>,
        half: usize,
        device: &Device,
    ) -> Result<&Tables, SessionError> {
        let frequencies = self.inverse_frequencies.get(layer);
        let mut all = self.inverse_frequencies.iter();
        let layer = all.position(|of| Some(of) == frequencies).unwrap_or(layer);
        self.tables.retain(|known| known.positions == positions);
        let index = match self.tables.iter().position(|known| known.layer == layer) {
            Some(index) => index,
            None => {
                let shape = (positions.len(), half);
                let (cos, sin) = self.angles(layer, positions.clone(), half);
                self.tables.push(Tables {
                    layer,
                    positions,
                    cos: Tensor::from_vec(cos, shape, device)?,
                    sin: Tensor::from_vec(sin, shape, device)?,
                });
                self.tables.len() - 1
            }
        };
        self.tables
            .get(index)
            .ok_or_else(|| SessionError::Internal {
                reason: "the angles of a chunk were not made".to_owned(),
            })
    }

    /// Cosines and sines of each position's angles, `half` of them; a pair that does not rotate has an angle of 0.
    fn angles(&self, layer: usize, positions: Range<usize>, half: usize) -> (Vec<f64>, Vec<f64>) {
        let frequencies = self.inverse_frequencies.get(layer);
        let frequency = |pair| frequencies.and_then(|all| all.get(pair)).copied();
        let angles = positions.flat_map(|position| {
            (0..half).map(move |pair| position as f32 * frequency(pair).unwrap_or(0.0))
        });
        let both = |angle: f32| (f64::from(angle.cos()), f64::from(angle.sin()));
        angles.map(both).unzip()
    }

    /// Brings the sums to the processor, once the whole prompt was taken in: those of all layers together.
    pub(super) fn bring(&mut self) -> Result<(), SessionError> {
        self.tables.clear();
        let (sums, products): (Vec<_>, Vec<_>) = self.sums.iter().flatten().cloned().unzip();
        let [Some(first), ..] = self.sums.as_slice() else {
            return Ok(());
        };
        if first.0.device().is_cpu() {
            return Ok(());
        }
        let [sums, products] = [sums, products].map(|all| on_cpu(&Tensor::stack(&all, 0)?));
        let (sums, products) = (sums?, products?);
        let kept = self.sums.iter_mut().flatten().enumerate();
        for (index, of_layer) in kept {
            *of_layer = (sums.get(index)?, products.get(index)?);
        }
        Ok(())
    }

    /// Rows that were taken in.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Mean and covariance of a query head.
    pub(crate) fn head(&self, layer: usize, head: usize) -> Result<HeadMoments, SessionError> {
        let Some(Some((sum, products))) = self.sums.get(layer) else {
            return Err(SessionError::Internal {
                reason: format!(
                    "the prompt has no more than the {} first tokens that are left out",
                    self.skipped
                ),
            });
        };
        let rows = self.rows as f64;
        let mean = (sum.get(head)? / rows)?;
        let outer = mean.t()?.contiguous()?.matmul(&mean)?;
        let covariance = ((products.get(head)? / rows)? - outer)?;
        Ok(HeadMoments {
            mean: mean.squeeze(0)?.to_vec1()?,
            covariance: covariance.to_vec2()?,
        })
    }

    /// Wall time of the accumulation, during prefill.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Bytes of the sums.
    pub(crate) fn bytes(&self) -> usize {
        let elements: usize = self
            .sums
            .iter()
            .flatten()
            .map(|(sum, products)| sum.elem_count() + products.elem_count())
            .sum();
        elements * DType::F64.size_in_bytes()
    }
}

impl LayerTap for QueryMoments {
    fn rows(&mut self, rows: &TappedRows<'_>) -> Result<(), SessionError> {
        let watch = Stopwatch::start(rows.queries.device())?;
        self.add(rows.layer, rows.first_index, rows.queries)?;
        self.seconds += watch.seconds()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceChoice, DtypeChoice, Model, ModelSource};

    /// The first rows are left out wherever the chunks are cut, and the moments are those of plain arithmetic.
    #[test]
    fn moments_do_not_depend_on_the_chunks() {
        let model = Model::load(&ModelSource::Demo, DeviceChoice::Cpu, DtypeChoice::F32).unwrap();
        let config = model.config();
        let shape = (config.query_heads, 10, config.head_dim);
        let queries = Tensor::randn(3.0_f32, 1.0, shape, &Device::Cpu).unwrap();
        let of_chunks = |cuts: &[usize]| {
            let mut moments = QueryMoments::new(config, 10, 3);
            for pair in cuts.windows(2) {
                let chunk = queries.narrow(1, pair[0], pair[1] - pair[0]).unwrap();
                moments.add(0, pair[0], &chunk).unwrap();
            }
            assert_eq!(moments.rows(), 7);
            (moments.head(0, 1).unwrap(), moments)
        };
        let (whole, mut moments) = of_chunks(&[0, 10]);
        let (parts, _) = of_chunks(&[0, 2, 5, 10]);
        let kept = queries.narrow(1, 3, 7).unwrap();
        let plain = moments.without_rotation(0, &kept, 3).unwrap();
        let plain: Vec<Vec<f64>> = plain.get(1).unwrap().to_vec2().unwrap();
        let mean = |of: &dyn Fn(&Vec<f64>) -> f64| plain.iter().map(of).sum::<f64>() / 7.0;
        let (a, b) = (mean(&|row| row[0]), mean(&|row| row[5]));
        let covariance = mean(&|row| (row[0] - a) * (row[5] - b));
        for found in [whole, parts] {
            assert!((found.mean[0] - a).abs() < 1e-12);
            assert!((found.covariance[0][5] - covariance).abs() < 1e-12);
        }
    }
}
