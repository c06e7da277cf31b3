//! Scoring where the prompt's keys are, by a GPU's operations: to the processor come one number for each head and token
//! or row, and no keys. Weights and sums are of single precision, while the processor sums in double.

use candle_core::{D, DType, Device, Tensor};
use kvlens_analysis::{KeySet, ReducedHead, RowReduction};

use super::{LooseRows, PromptKeys};
use crate::SessionError;
use crate::model::{ScoreBlocks, chosen, on_cpu};
use crate::observation::{QueryRows, Reduction};

/// Rows of a window, brought to where the keys are.
struct RowsThere {
    /// `[L, H, W, D]`, in the model's format.
    queries: Tensor,
    /// L entries `[W, keys]` u8, 1 for a key that a row does not see; none where all are seen.
    hidden: Vec<Option<Tensor>>,
}

/// The rows and keys of some key/value heads of one layer, in single precision.
struct LayerThere<'a> {
    /// `[heads, W, D]`.
    queries: Tensor,
    /// `[kv heads, T, D]`.
    keys: Tensor,
    hidden: Option<&'a Tensor>,
}

impl RowsThere {
    /// `keys_behind` further keys stand behind the prompt's.
    fn new(
        keys: &PromptKeys,
        queries: &Tensor,
        visible_keys: &[u32],
        keys_behind: usize,
    ) -> Result<Self, SessionError> {
        let device = keys.layer(0)?.device();
        let all_keys = keys.shape.2 + keys_behind;
        let mut of_windows: Vec<(Option<usize>, Option<Tensor>)> = Vec::new();
        let mut hidden = Vec::new();
        for &window in &keys.sliding_windows {
            let known = of_windows.iter().find(|(known, _)| *known == window);
            let of_layer = match known {
                Some((_, hidden)) => hidden.clone(),
                None => {
                    let made = hidden_keys(visible_keys, window, all_keys, device)?;
                    of_windows.push((window, made.clone()));
                    made
                }
            };
            hidden.push(of_layer);
        }
        Ok(Self {
            queries: there(queries, device)?,
            hidden,
        })
    }
}

/// A tensor on another device. A view is cut out first, or the whole storage that it is cut from would be sent.
fn there(tensor: &Tensor, device: &Device) -> Result<Tensor, SessionError> {
    Ok(tensor.force_contiguous()?.to_device(device)?)
}

/// 1 for each key that a row does not see, `[W, keys]` u8; none where all rows see all keys.
fn hidden_keys(
    visible_keys: &[u32],
    sliding_window: Option<usize>,
    keys: usize,
    device: &Device,
) -> Result<Option<Tensor>, SessionError> {
    let first_seen = |&visible: &u32| {
        let behind = |window: usize| (visible as usize).saturating_sub(window) as u32;
        sliding_window.map_or(0, behind)
    };
    let first_seen: Vec<u32> = visible_keys.iter().map(first_seen).collect();
    let all_seen = visible_keys.iter().all(|&visible| visible as usize >= keys);
    if all_seen && first_seen.iter().all(|&first| first == 0) {
        return Ok(None);
    }
    let column = |numbers: &[u32]| Tensor::new(numbers, device)?.unsqueeze(1);
    let indices = Tensor::arange(0, keys as u32, device)?.unsqueeze(0)?;
    let behind = indices.broadcast_ge(&column(visible_keys)?)?;
    let before = indices.broadcast_lt(&column(&first_seen)?)?;
    Ok(Some(behind.maximum(&before)?))
}

impl LayerThere<'_> {
    /// Scaled logits of `count` rows from `first` on, `[heads, count, T]`.
    fn logits(&self, first: usize, count: usize) -> Result<Tensor, SessionError> {
        let queries = self.queries.narrow(1, first, count)?;
        products(&queries, &self.keys)
    }

    /// What of `count` rows from `first` on is hidden, `[heads, count, keys]`.
    fn hidden(&self, first: usize, count: usize) -> Result<Option<Tensor>, SessionError> {
        let Some(hidden) = self.hidden else {
            return Ok(None);
        };
        let (heads, keys) = (self.queries.dim(0)?, hidden.dim(1)?);
        let of_rows = hidden.narrow(0, first, count)?.unsqueeze(0)?;
        Ok(Some(of_rows.broadcast_as((heads, count, keys))?))
    }

    /// Attention weights of `count` rows from `first` on, `[heads, count, T]`, zero where a row does not see a key; of rows
    /// with these log-sum-exps `[heads, W]`.
    fn weights(
        &self,
        first: usize,
        count: usize,
        log_sum_exp: &Tensor,
    ) -> Result<Tensor, SessionError> {
        let log_sums = log_sum_exp.narrow(1, first, count)?.unsqueeze(2)?;
        let weights = self.logits(first, count)?.broadcast_sub(&log_sums)?.exp()?;
        match self.hidden(first, count)? {
            None => Ok(weights),
            Some(hidden) => {
                let nothing = Tensor::full(0.0_f32, 1, weights.device())?;
                let nothing = nothing.broadcast_as(weights.shape())?;
                Ok(hidden.where_cond(&nothing, &weights)?)
            }
        }
    }

    /// Rows and how many of them meet the keys at a time.
    fn blocks(&self) -> Result<impl Iterator<Item = (usize, usize)>, SessionError> {
        let (heads, rows, _) = self.queries.dims3()?;
        let step = ScoreBlocks::on(true).rows(heads, self.keys.dim(1)?);
        let blocks = (0..rows).step_by(step);
        Ok(blocks.map(move |first| (first, step.min(rows - first))))
    }
}

/// Scaled products of queries `[H, R, D]` and keys `[K, N, D]`, of which each serves H / K query heads: `[H, R, N]`.
fn products(queries: &Tensor, keys: &Tensor) -> Result<Tensor, SessionError> {
    let (heads, rows, head_dim) = queries.dims3()?;
    let (key_heads, count, _) = keys.dims3()?;
    let stacked = (key_heads, heads / key_heads * rows, head_dim);
    let queries = queries.contiguous()?.reshape(stacked)?;
    let scale = 1.0 / f64::from(head_dim as u32).sqrt();
    let logits = (queries.matmul(&keys.transpose(1, 2)?)? * scale)?;
    Ok(logits.reshape((heads, rows, count))?)
}

/// Rows of a layer as one, so far.
struct RowsAsOne {
    reduction: Reduction,
    /// `[heads, T]`.
    scores: Option<Tensor>,
    /// Attention on the prompt of all rows, `[heads]`.
    shares: Option<Tensor>,
}

impl RowsAsOne {
    /// Adds rows `[heads, B, T]`. What is no number stays none, so that it can be named.
    fn add(&mut self, weights: &Tensor) -> Result<(), SessionError> {
        let on_prompt = weights.sum_keepdim(D::Minus1)?;
        let share = on_prompt.squeeze(2)?.sum(1)?;
        let weights = match self.reduction.keys {
            KeySet::Causal => weights.clone(),
            KeySet::Prompt => {
                // a row without any weight on the prompt stays zero
                let without = chosen(&on_prompt.eq(0.0_f32)?, 1.0, 0.0)?;
                weights.broadcast_div(&(on_prompt + without)?)?
            }
        };
        let sum = weights.sum(1)?;
        let rows = match self.reduction.reduce {
            RowReduction::Mean | RowReduction::Sum => sum,
            // the largest of some numbers and of none may be either; the sum is none, and times 0 as well
            RowReduction::Max => (weights.max(1)? + (sum * 0.0)?)?,
        };
        self.scores = Some(match (self.scores.take(), self.reduction.reduce) {
            (None, _) => rows,
            (Some(before), RowReduction::Mean | RowReduction::Sum) => (before + rows)?,
            (Some(before), RowReduction::Max) => {
                let nothing = ((&before + &rows)? * 0.0)?;
                (before.maximum(&rows)? + nothing)?
            }
        });
        self.shares = Some(match self.shares.take() {
            None => share,
            Some(before) => (before + share)?,
        });
        Ok(())
    }

    /// Scores `[heads, T]` and shares `[heads]` of `rows` rows.
    fn finish(self, rows: usize) -> Result<[Tensor; 2], SessionError> {
        let (Some(scores), Some(shares)) = (self.scores, self.shares) else {
            return Err(SessionError::Internal {
                reason: "no row was there to be scored".to_owned(),
            });
        };
        let rows = rows as f64;
        let scores = match self.reduction.reduce {
            RowReduction::Mean => (scores / rows)?,
            RowReduction::Sum | RowReduction::Max => scores,
        };
        Ok([scores, (shares / rows)?])
    }
}

impl PromptKeys {
    fn layer_there<'a>(
        &self,
        rows: &'a RowsThere,
        layer: usize,
        kv_heads: std::ops::Range<usize>,
    ) -> Result<LayerThere<'a>, SessionError> {
        self.check_cancel()?;
        let group = rows.queries.dim(1)? / self.shape.1.max(1);
        let (first, count) = (kv_heads.start, kv_heads.len());
        let queries = rows.queries.get(layer)?;
        let queries = queries.narrow(0, first * group, count * group)?;
        let keys = self.layer(layer)?.narrow(0, first, count)?;
        Ok(LayerThere {
            queries: queries.to_dtype(DType::F32)?,
            keys: keys.to_dtype(DType::F32)?,
            hidden: rows.hidden.get(layer).and_then(Option::as_ref),
        })
    }

    /// As [`reduce`](Self::reduce), for all heads of a layer at once.
    pub(super) fn reduce_there(
        &self,
        rows: &QueryRows,
        reduction: Reduction,
    ) -> Result<Vec<ReducedHead>, SessionError> {
        let (layers, kv_heads, ..) = self.shape;
        if layers == 0 {
            return Ok(Vec::new());
        }
        let rows_there = RowsThere::new(self, rows.queries(), rows.visible_keys(), 0)?;
        let log_sums = there(rows.log_sum_exp(), rows_there.queries.device())?;
        let (mut scores, mut shares) = (Vec::new(), Vec::new());
        for layer in 0..layers {
            let of_layer = self.layer_there(&rows_there, layer, 0..kv_heads)?;
            let log_sums = log_sums.get(layer)?;
            let mut as_one = RowsAsOne {
                reduction,
                scores: None,
                shares: None,
            };
            for (first, count) in of_layer.blocks()? {
                as_one.add(&of_layer.weights(first, count, &log_sums)?)?;
            }
            let [of_layer, share] = as_one.finish(rows.count())?;
            scores.push(of_layer);
            shares.push(share);
        }
        let scores = on_cpu(&Tensor::cat(&scores, 0)?)?.to_vec2::<f32>()?;
        let shares = on_cpu(&Tensor::cat(&shares, 0)?)?.to_vec1::<f32>()?;
        let heads = scores.into_iter().zip(shares);
        let heads = heads.map(|(scores, prompt_share)| ReducedHead {
            scores,
            prompt_share,
        });
        Ok(heads.collect())
    }

    /// As [`attention_rows`](Self::attention_rows), for the query heads of some key/value heads.
    pub(super) fn attention_rows_there(
        &self,
        rows: &QueryRows,
        layer: usize,
        kv_heads: std::ops::Range<usize>,
    ) -> Result<Vec<Vec<f32>>, SessionError> {
        let rows_there = RowsThere::new(self, rows.queries(), rows.visible_keys(), 0)?;
        let group = self.group_size()?;
        let log_sums = rows.log_sum_exp().get(layer)?;
        let log_sums = log_sums.narrow(0, kv_heads.start * group, kv_heads.len() * group)?;
        let log_sums = there(&log_sums, rows_there.queries.device())?;
        let of_layer = self.layer_there(&rows_there, layer, kv_heads)?;
        let weights = of_layer
            .weights(0, rows.count(), &log_sums)?
            .flatten_from(1)?;
        Ok(on_cpu(&weights)?.to_vec2()?)
    }

    /// As [`log_sum_exp`](Self::log_sum_exp), for all heads of a layer at once.
    pub(crate) fn log_sum_exp_there(&self, rows: &LooseRows<'_>) -> Result<Tensor, SessionError> {
        let (layers, kv_heads, ..) = self.shape;
        let behind = rows.keys_behind.map(|keys| keys.dim(2)).transpose()?;
        let rows_there = RowsThere::new(
            self,
            rows.queries,
            rows.visible_keys,
            behind.unwrap_or_default(),
        )?;
        let behind = rows.keys_behind.filter(|_| behind != Some(0));
        let behind = behind.map(|keys| there(keys, rows_there.queries.device()));
        let behind = behind.transpose()?;
        let mut log_sums = Vec::new();
        for layer in 0..layers {
            let of_layer = self.layer_there(&rows_there, layer, 0..kv_heads)?;
            let behind = behind
                .as_ref()
                .map(|keys| keys.get(layer)?.to_dtype(DType::F32));
            let behind = behind.transpose()?;
            let mut of_blocks = Vec::new();
            for (first, count) in of_layer.blocks()? {
                let mut logits = of_layer.logits(first, count)?;
                if let Some(keys) = &behind {
                    let queries = of_layer.queries.narrow(1, first, count)?;
                    logits = Tensor::cat(&[logits, products(&queries, keys)?], 2)?;
                }
                if let Some(hidden) = of_layer.hidden(first, count)? {
                    let far = Tensor::full(f32::NEG_INFINITY, 1, logits.device())?;
                    logits = hidden.where_cond(&far.broadcast_as(logits.shape())?, &logits)?;
                }
                of_blocks.push(log_sum_exp(&logits)?);
            }
            log_sums.push(Tensor::cat(&of_blocks, 1)?);
        }
        on_cpu(&Tensor::stack(&log_sums, 0)?)
    }
}

/// Of the last dimension; minus infinity where nothing is seen.
fn log_sum_exp(logits: &Tensor) -> Result<Tensor, SessionError> {
    let largest = logits.max_keepdim(D::Minus1)?.maximum(f32::MIN)?;
    let sums = logits
        .broadcast_sub(&largest)?
        .exp()?
        .sum_keepdim(D::Minus1)?;
    Ok((sums.log()? + largest)?.squeeze(2)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CapturedRows;

    const TOKENS: usize = 23;
    const HEAD_DIM: usize = 8;

    fn random(shape: (usize, usize, usize, usize)) -> Tensor {
        Tensor::randn(0.0_f32, 1.0, shape, &Device::Cpu).unwrap()
    }

    /// Three layers, of which the second has a sliding window; four query heads on two of keys.
    fn keys() -> PromptKeys {
        let layers = (0..3).map(|_| random((1, 2, TOKENS, HEAD_DIM)).squeeze(0).unwrap());
        PromptKeys::new(layers.collect(), 4, vec![None, Some(6), None]).unwrap()
    }

    /// Rows inside the prompt, at its end and behind it.
    fn visible_keys() -> Vec<u32> {
        vec![
            1,
            9,
            20,
            TOKENS as u32,
            TOKENS as u32 + 1,
            TOKENS as u32 + 9,
        ]
    }

    fn queries() -> Tensor {
        random((3, 4, visible_keys().len(), HEAD_DIM))
    }

    fn rows(keys: &PromptKeys) -> QueryRows {
        let (queries, visible_keys) = (queries(), visible_keys());
        let log_sum_exp = keys.log_sum_exp(&LooseRows {
            queries: &queries,
            visible_keys: &visible_keys,
            keys_behind: None,
        });
        // the fifth row's and the sixth's have a share behind the prompt, whatever it is; the sixth's window is behind it
        let log_sum_exp = log_sum_exp.unwrap().maximum(0.5_f32).unwrap();
        let rows = CapturedRows {
            queries,
            log_sum_exp,
        };
        QueryRows::new(rows, vec![0; visible_keys.len()], visible_keys).unwrap()
    }

    fn same(here: &[f32], there: &[f32]) {
        assert_eq!(here.len(), there.len());
        for (here, there) in here.iter().zip(there) {
            let alike = here == there || (here - there).abs() < 1e-5;
            assert!(alike, "{here} on the processor, {there} where the keys are");
        }
    }

    #[test]
    fn rows_are_reduced_as_the_processor_reduces_them() {
        let keys = keys();
        let (rows, there) = (rows(&keys), keys.clone().scored_there());
        for set in [KeySet::Causal, KeySet::Prompt] {
            for reduce in [RowReduction::Mean, RowReduction::Sum, RowReduction::Max] {
                let reduction = Reduction { keys: set, reduce };
                let [expected, found] =
                    [&keys, &there].map(|keys| keys.reduced_scores(&rows, reduction).unwrap());
                for (expected, found) in [
                    (&expected.scores, &found.scores),
                    (&expected.prompt_shares, &found.prompt_shares),
                ] {
                    assert_eq!(expected.dims(), found.dims());
                    let [expected, found] = [expected, found].map(|all| all.flatten_all().unwrap());
                    same(&expected.to_vec1().unwrap(), &found.to_vec1().unwrap());
                }
            }
        }
    }

    #[test]
    fn weights_are_those_of_the_processor() {
        let keys = keys();
        let (rows, there) = (rows(&keys), keys.clone().scored_there());
        for layer in 0..3 {
            let expected = keys.layer_attention_rows(&rows, layer).unwrap();
            let found = there.layer_attention_rows(&rows, layer).unwrap();
            same(&expected.concat(), &found.concat());
            let second_group = there.attention_rows(&rows, layer, 1).unwrap();
            same(&expected[2..].concat(), &second_group.concat());
        }
    }

    /// Behind the prompt stand keys of every query head, as an evicted cache of them has, or none.
    #[test]
    fn log_sum_exps_are_those_of_the_processor() {
        let keys = keys();
        let there = keys.clone().scored_there();
        let (queries, visible_keys) = (queries(), visible_keys());
        for key_heads in [None, Some(1), Some(2), Some(4)] {
            let behind = key_heads.map(|heads| random((3, heads, 9, HEAD_DIM)));
            let loose = LooseRows {
                queries: &queries,
                visible_keys: &visible_keys,
                keys_behind: behind.as_ref(),
            };
            let [expected, found] = [&keys, &there].map(|keys| {
                let log_sums = keys.log_sum_exp(&loose).unwrap();
                log_sums.flatten_all().unwrap().to_vec1::<f32>().unwrap()
            });
            same(&expected, &found);
        }
    }

    /// A weight that is no number is one of the scores as well, so that whoever ranks them can name it.
    #[test]
    fn what_is_no_number_stays_none() {
        let keys = keys();
        let (rows, there) = (rows(&keys), keys.scored_there());
        let broken = (rows.log_sum_exp() * f64::NAN).unwrap();
        let broken = CapturedRows {
            queries: rows.queries().clone(),
            log_sum_exp: broken,
        };
        let visible_keys = vec![TOKENS as u32; 6];
        let rows = QueryRows::new(broken, vec![0; 6], visible_keys).unwrap();
        for reduce in [RowReduction::Mean, RowReduction::Max] {
            let reduction = Reduction {
                keys: KeySet::Causal,
                reduce,
            };
            let scores = there.reduced_scores(&rows, reduction).unwrap().scores;
            let first: Vec<f32> = scores.get(0).unwrap().get(0).unwrap().to_vec1().unwrap();
            assert!(first.iter().all(|score| score.is_nan()));
        }
    }
}
