//! Scaled dot-product attention in query blocks, with grouped heads and the log-sum-exp of chosen rows.
//!
//! Nothing of size T x T is held: a block of queries meets only the keys that it can see, and a block is
//! made small enough that its scores stay within what [`ScoreBlocks`] says. Query heads of one key/value head are
//! stacked as rows of one product, so keys are never copied per head.

use candle_core::{D, DType, Tensor};

use super::decoder::ForwardMode;
use super::flash;
use super::one_sweep::MaskedSoftmax;
use super::score_blocks::{ScoreBlocks, causal_mask};
use crate::SessionError;

/// Queries `[H, R, D]` at cache indices `first_index..first_index + R`, against all keys so far `[G, N, D]`.
pub(crate) struct AttentionInput<'a> {
    pub(crate) queries: &'a Tensor,
    pub(crate) keys: &'a Tensor,
    pub(crate) values: &'a Tensor,
    pub(crate) first_index: usize,
    /// How many keys a query sees, itself included; `None` for all before it.
    pub(crate) sliding_window: Option<usize>,
    /// Added to the logits: `[heads of the keys, R, N]`, or `[heads of the keys, 1, N]` for all rows alike, minus
    /// infinity on what a row does not see. That it sees nothing behind itself need not be said.
    pub(crate) hidden_keys: Option<&'a Tensor>,
    pub(crate) mode: ForwardMode,
    /// Whether the log-sum-exps of the rows are to be handed out.
    pub(crate) wants_log_sum_exp: bool,
    /// Whether the weights on what was there before the rows are to be handed out.
    pub(crate) wants_weights: bool,
}

/// What the attention of a chunk of rows yields.
pub(crate) struct AttentionOutput {
    /// `[H, R, D]`, in the queries' dtype.
    pub(crate) context: Tensor,
    /// `[H, R]` f32: log of the sum over visible keys of exp(logit), with the scale applied to the logit.
    /// Where it is not wanted it may be missing. Where it is, logits are formed in single precision from queries and
    /// keys as they are, which is how whoever scores the rows forms them again; a model of 16 bits has its own
    /// rounded.
    pub(crate) log_sum_exp: Option<Tensor>,
    /// `[H, R, first_index]` f32: the rows' attention on the keys before the first of them, if wanted.
    pub(crate) weights: Option<Tensor>,
}

/// One block's share of an [`AttentionOutput`].
struct BlockOutput {
    /// `[H, B, D]`.
    context: Tensor,
    /// `[H, B]`.
    log_sum_exp: Option<Tensor>,
    /// `[H, B, first_index]`.
    weights: Option<Tensor>,
}

/// Rows of a block and the keys that any of them sees.
struct Block {
    rows: std::ops::Range<usize>,
    keys: std::ops::Range<usize>,
}

pub(crate) fn attend(input: &AttentionInput<'_>) -> Result<AttentionOutput, SessionError> {
    if let Some(context) = flash::context(input)? {
        return Ok(AttentionOutput {
            context,
            log_sum_exp: None,
            weights: None,
        });
    }
    let (heads, rows, _) = input.queries.dims3()?;
    let mut contexts = Vec::new();
    let mut log_sums = Vec::new();
    let mut weights = Vec::new();
    let mut start = 0;
    let visible = input.first_index + rows;
    let block_rows = ScoreBlocks::of(input.queries.device()).rows(heads, visible);
    while start < rows {
        let end = rows.min(start + block_rows);
        let block = Block::new(input, start..end);
        let output = attend_block(input, &block)?;
        contexts.push(output.context);
        log_sums.extend(output.log_sum_exp);
        weights.extend(output.weights);
        start = end;
    }
    Ok(AttentionOutput {
        context: concatenate(contexts)?,
        log_sum_exp: concatenate_any(log_sums)?,
        weights: concatenate_any(weights)?,
    })
}

impl Block {
    fn new(input: &AttentionInput<'_>, rows: std::ops::Range<usize>) -> Self {
        let first_query = input.first_index + rows.start;
        let first_key = input
            .sliding_window
            .map_or(0, |window| (first_query + 1).saturating_sub(window));
        Self {
            keys: first_key..input.first_index + rows.end,
            rows,
        }
    }
}

fn attend_block(input: &AttentionInput<'_>, block: &Block) -> Result<BlockOutput, SessionError> {
    let (heads, _, head_dim) = input.queries.dims3()?;
    let kv_heads = input.keys.dim(0)?;
    let (rows, keys) = (block.rows.len(), block.keys.len());
    let stacked = (heads / kv_heads) * rows;
    let (before, scale) = split_scale(head_dim);
    let queries = (input.queries.narrow(1, block.rows.start, rows)? * before)?
        .contiguous()?
        .reshape((kv_heads, stacked, head_dim))?;
    let seen_keys = input.keys.narrow(1, block.keys.start, keys)?;
    let seen_values = input.values.narrow(1, block.keys.start, keys)?;
    let seen_keys = seen_keys.transpose(1, 2)?;
    let log_sums_of_kept = match input.wants_log_sum_exp && queries.dtype() != DType::F32 {
        true => {
            let queries = queries.to_dtype(DType::F32)?;
            let products = queries.matmul(&seen_keys.to_dtype(DType::F32)?)?;
            weigh(input, block, products, scale)?.1
        }
        false => None,
    };
    let products = queries.matmul(&seen_keys)?.to_dtype(DType::F32)?;
    let (weights, log_sum_exp) = weigh(input, block, products, scale)?;
    let log_sum_exp = log_sums_of_kept.or(log_sum_exp);
    let context = weights
        .to_dtype(input.queries.dtype())?
        .matmul(&seen_values)?
        .reshape((heads, rows, head_dim))?;
    let weights = input
        .wants_weights
        .then(|| before_the_rows(input, block, &weights.reshape((heads, rows, keys))?))
        .transpose()?;
    Ok(BlockOutput {
        context,
        log_sum_exp,
        weights,
    })
}

/// 1 / sqrt(D) as a power of two, which queries are multiplied by, and the rest, which their products are. A product of
/// unscaled queries and keys passes the largest number of f16 soon; a power of two changes no bit of the result.
fn split_scale(head_dim: usize) -> (f64, f64) {
    let root = (head_dim as f64).sqrt();
    let before = (-root.log2().floor()).exp2();
    (before, 1.0 / (root * before))
}

/// Weights `[H, B, keys of the block]` cut to the keys before the rows, `[H, B, first_index]`.
fn before_the_rows(
    input: &AttentionInput<'_>,
    block: &Block,
    weights: &Tensor,
) -> Result<Tensor, SessionError> {
    let unseen = block.keys.start.min(input.first_index);
    let seen = input.first_index - unseen;
    let weights = weights.narrow(2, 0, seen)?;
    match unseen {
        0 => Ok(weights),
        _ => Ok(weights.pad_with_zeros(2, unseen, 0)?),
    }
}

/// Weights `[G, stacked, keys]` of products of queries and keys, and their log-sum-exp `[H, B]` where it is at hand.
fn weigh(
    input: &AttentionInput<'_>,
    block: &Block,
    products: Tensor,
    scale: f64,
) -> Result<(Tensor, Option<Tensor>), SessionError> {
    if input.hidden_keys.is_some() || !products.device().is_cpu() {
        let (weights, log_sums) = softmax(input, block, &(products * scale)?)?;
        return Ok((weights, Some(log_sums)));
    }
    let softmax = MaskedSoftmax {
        scale: scale as f32,
        rows: block.rows.len(),
        own_key: input.first_index + block.rows.start - block.keys.start,
        sliding_window: input.sliding_window,
    };
    if input.mode == ForwardMode::Differentiable {
        return Ok((softmax.apply(&products)?, None));
    }
    let (weights, log_sums) = softmax.with_log_sums(&products)?;
    let log_sums = log_sums.reshape((input.queries.dim(0)?, block.rows.len()))?;
    Ok((weights, Some(log_sums)))
}

/// Weights `[G, stacked, keys]` and log-sum-exp `[H, B]` of scaled scores.
fn softmax(
    input: &AttentionInput<'_>,
    block: &Block,
    scores: &Tensor,
) -> Result<(Tensor, Tensor), SessionError> {
    let (rows, keys) = (block.rows.len(), block.keys.len());
    let heads = input.queries.dim(0)?;
    let scores = match mask(input, block)? {
        None => scores.clone(),
        Some(mask) => scores
            .reshape((heads, rows, keys))?
            .broadcast_add(&mask)?
            .reshape(scores.shape())?,
    };
    let scores = match input.hidden_keys {
        None => scores,
        Some(hidden) => hide(&scores, hidden, block)?,
    };
    // the result does not depend on what is subtracted, so no gradient need pass through it
    let maxima = scores.detach().max_keepdim(D::Minus1)?;
    let weights = scores.broadcast_sub(&maxima)?.exp()?;
    let sums = weights.sum_keepdim(D::Minus1)?;
    let log_sum = (maxima + sums.log()?)?.reshape((heads, rows))?;
    Ok((weights.broadcast_div(&sums)?, log_sum))
}

/// Adds to scores `[G, H / G * B, keys]` what `hidden`, `[G, R or 1, N]`, says of the block.
fn hide(scores: &Tensor, hidden: &Tensor, block: &Block) -> Result<Tensor, SessionError> {
    let (kv_heads, stacked, keys) = scores.dims3()?;
    let rows = block.rows.len();
    let hidden = hidden.narrow(2, block.keys.start, keys)?;
    let hidden = match hidden.dim(1)? {
        1 => hidden,
        _ => hidden.narrow(1, block.rows.start, rows)?,
    };
    let added = scores
        .reshape((kv_heads, stacked / rows, rows, keys))?
        .broadcast_add(&hidden.unsqueeze(1)?)?;
    Ok(added.reshape(scores.shape())?)
}

/// `[B, keys]` of 0 and minus infinity, or `None` where every row of the block sees every key of it.
fn mask(input: &AttentionInput<'_>, block: &Block) -> Result<Option<Tensor>, SessionError> {
    if block.rows.len() == 1 {
        return Ok(None);
    }
    let queries = input.first_index + block.rows.start..input.first_index + block.rows.end;
    let device = input.queries.device();
    causal_mask(queries, block.keys.clone(), input.sliding_window, device).map(Some)
}

/// Joins blocks along their rows, if there are any.
fn concatenate_any(blocks: Vec<Tensor>) -> Result<Option<Tensor>, SessionError> {
    (!blocks.is_empty())
        .then(|| concatenate(blocks))
        .transpose()
}

/// Joins blocks along their rows.
fn concatenate(mut blocks: Vec<Tensor>) -> Result<Tensor, SessionError> {
    match blocks.len() {
        1 => Ok(blocks.swap_remove(0)),
        _ => Ok(Tensor::cat(&blocks, 1)?),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn context(queries: &Tensor, keys: &Tensor, dtype: DType) -> Vec<f32> {
        let [queries, keys] = [queries, keys].map(|tensor| tensor.to_dtype(dtype).unwrap());
        let output = attend(&AttentionInput {
            queries: &queries,
            keys: &keys,
            values: &keys,
            first_index: 0,
            sliding_window: None,
            hidden_keys: None,
            mode: ForwardMode::Fused,
            wants_log_sum_exp: false,
            wants_weights: false,
        });
        let context = output.unwrap().context.to_dtype(DType::F32).unwrap();
        context.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// q . k is 90,000 here and f16 ends at 65,504; over sqrt(D) it is 11,250.
    #[test]
    fn products_of_large_queries_and_keys_do_not_overflow_in_f16() {
        let signs: Vec<f32> = (0..4 * 64).map(|i| [37.5, -37.5][i * i % 7 % 2]).collect();
        let rows = Tensor::from_vec(signs, (1, 4, 64), &Device::Cpu).unwrap();
        let single = context(&rows, &rows, DType::F32);
        // every row is by far closest to itself, so its context is its own key
        assert_eq!(
            single,
            rows.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        );
        assert_eq!(context(&rows, &rows, DType::F16), single);
    }

    #[test]
    fn the_scale_is_split_at_a_power_of_two() {
        assert_eq!(split_scale(64), (0.125, 1.0));
        let (before, rest) = split_scale(128);
        assert_eq!(before, 0.125);
        assert!((before * rest - 1.0 / 128.0_f64.sqrt()).abs() < 1e-15);
    }
}
