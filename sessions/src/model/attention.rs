//! Scaled dot-product attention in query blocks, with grouped heads.

use candle_core::Tensor;

use super::flash;
use super::rows_on_keys::{Block, RowsOnKeys};
use super::tap::{TappedWeights, Taps};
use crate::SessionError;

/// The context `[H, R, D]` of rows over values `[G, N, D]`, in the queries' dtype. Taps that want them are given the
/// weights of each block.
pub(crate) fn attend(
    rows: &RowsOnKeys<'_>,
    values: &Tensor,
    layer: usize,
    taps: Taps<'_, '_>,
) -> Result<Tensor, SessionError> {
    let wants_weights = taps.iter().any(|tap| tap.wants_weights());
    if !wants_weights && let Some(context) = flash::context(rows, values)? {
        return Ok(context);
    }
    let mut contexts = Vec::new();
    for block in rows.blocks()? {
        let weights = rows.weights(&block)?;
        contexts.push(context(rows, values, &block, &weights)?);
        if wants_weights {
            let by_head = (rows.queries.dim(0)?, block.rows.len(), block.keys.len());
            let tapped = TappedWeights {
                layer,
                tokens_before: rows.first_index,
                first_key: block.keys.start,
                weights: &weights.reshape(by_head)?,
            };
            for tap in taps.iter_mut().filter(|tap| tap.wants_weights()) {
                tap.weights(&tapped)?;
            }
        }
    }
    match contexts.len() {
        1 => Ok(contexts.swap_remove(0)),
        _ => Ok(Tensor::cat(&contexts, 1)?),
    }
}

/// `[H, B, D]` from weights `[G, H / G * B, keys]`.
fn context(
    rows: &RowsOnKeys<'_>,
    values: &Tensor,
    block: &Block,
    weights: &Tensor,
) -> Result<Tensor, SessionError> {
    let (heads, _, head_dim) = rows.queries.dims3()?;
    let values = values.narrow(1, block.keys.start, block.keys.len())?;
    let context = weights.to_dtype(rows.queries.dtype())?.matmul(&values)?;
    Ok(context.reshape((heads, block.rows.len(), head_dim))?)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::super::kernels::Kernels;
    use super::super::masks::Masks;
    use super::*;

    fn attended(queries: &Tensor, keys: &Tensor, dtype: DType) -> Vec<f32> {
        let [queries, keys] = [queries, keys].map(|tensor| tensor.to_dtype(dtype).unwrap());
        let rows = RowsOnKeys {
            queries: &queries,
            keys: &keys,
            first_index: 0,
            sliding_window: None,
            hidden_keys: None,
            masks: &Masks::before(4, Kernels::of(&Device::Cpu)),
            kernels: Kernels::of(&Device::Cpu),
        };
        let context = attend(&rows, &keys, 0, &mut []).unwrap();
        let context = context.to_dtype(DType::F32).unwrap();
        context.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// q . k is 90,000 here and f16 ends at 65,504; over sqrt(D) it is 11,250.
    #[test]
    fn products_of_large_queries_and_keys_do_not_overflow_in_f16() {
        let signs: Vec<f32> = (0..4 * 64).map(|i| [37.5, -37.5][i * i % 7 % 2]).collect();
        let rows = Tensor::from_vec(signs, (1, 4, 64), &Device::Cpu).unwrap();
        let single = attended(&rows, &rows, DType::F32);
        // every row is by far closest to itself, so its context is its own key
        assert_eq!(
            single,
            rows.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        );
        assert_eq!(attended(&rows, &rows, DType::F16), single);
    }
}
