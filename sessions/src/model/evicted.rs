//! Which tokens an eviction kept, and where they stood.

use candle_core::{Device, Tensor};

use crate::SessionError;

/// The kept tokens of every layer and head, the same number everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Evicted {
    /// `[L][heads][kept]`, ascending positions in the prompt.
    kept: Vec<Vec<Vec<u32>>>,
    kept_tokens: usize,
    prompt_tokens: usize,
}

impl Evicted {
    /// `kept` is `[L][heads][kept]`, positions below `prompt_tokens` in ascending order.
    ///
    /// # Errors
    /// [`SessionError::Plan`] if a head keeps another number of tokens than the first.
    pub(crate) fn new(
        kept: Vec<Vec<Vec<u32>>>,
        prompt_tokens: usize,
    ) -> Result<Self, SessionError> {
        let mut heads = kept.iter().flatten();
        let kept_tokens = heads.next().map_or(0, Vec::len);
        if kept_tokens == 0 || heads.any(|head| head.len() != kept_tokens) {
            return Err(SessionError::Plan {
                reason:
                    "an eviction must keep the same number of tokens, at least one, in every head"
                        .to_owned(),
            });
        }
        Ok(Self {
            kept,
            kept_tokens,
            prompt_tokens,
        })
    }

    pub(crate) fn kept_tokens(&self) -> usize {
        self.kept_tokens
    }

    fn layer(&self, layer: usize) -> &[Vec<u32>] {
        self.kept.get(layer).map_or(&[], Vec::as_slice)
    }

    /// From `[G, T, D]` of a layer the kept tokens of every head, `[heads, kept, D]`.
    pub(super) fn gather(&self, layer: usize, full: &Tensor) -> Result<Tensor, SessionError> {
        let kv_heads = full.dim(0)?;
        let heads = self.layer(layer);
        let gathered = heads
            .iter()
            .enumerate()
            .map(|(head, kept)| {
                let kept = Tensor::new(kept.as_slice(), full.device())?;
                let source = full.get(head * kv_heads / heads.len())?;
                Ok(source.index_select(&kept, 0)?)
            })
            .collect::<Result<Vec<_>, SessionError>>()?;
        Ok(Tensor::stack(&gathered, 0)?)
    }

    /// 0 for the keys that the next row sees and minus infinity for those that lie `window` or more
    /// positions before it: `[heads, 1, len + 1]` for a cache of `len` tokens. What was appended behind the
    /// kept tokens stands behind the prompt.
    pub(super) fn beyond_window(
        &self,
        layer: usize,
        len: usize,
        window: usize,
        device: &Device,
    ) -> Result<Tensor, SessionError> {
        let gap = self.prompt_tokens - self.kept_tokens;
        let row = len + gap;
        let hidden = |position: usize| {
            if position + window > row {
                0.0_f32
            } else {
                f32::NEG_INFINITY
            }
        };
        let heads = self.layer(layer);
        let mut added = Vec::with_capacity(heads.len() * (len + 1));
        for kept in heads {
            added.extend(kept.iter().map(|&position| hidden(position as usize)));
            added.extend((self.kept_tokens..=len).map(|index| hidden(index + gap)));
        }
        Ok(Tensor::from_vec(added, (heads.len(), 1, len + 1), device)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_keep_their_own_tokens_of_the_key_head_that_they_share() {
        let full = Tensor::arange(0.0_f32, 8.0, &Device::Cpu)
            .unwrap()
            .reshape((2, 4, 1))
            .unwrap();
        let kept = vec![vec![vec![0, 3], vec![1, 2], vec![0, 1], vec![2, 3]]];
        let gathered = Evicted::new(kept, 4).unwrap().gather(0, &full).unwrap();
        assert_eq!(
            gathered.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            [0.0, 3.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0]
        );
    }

    #[test]
    fn a_window_counts_positions_and_not_what_is_left_of_them() {
        let evicted = Evicted::new(vec![vec![vec![0, 6], vec![5, 9]]], 10).unwrap();
        // one token was appended at position 10; the next row stands at 11 and sees positions 6 to 11
        let added = evicted.beyond_window(0, 3, 6, &Device::Cpu).unwrap();
        let far = f32::NEG_INFINITY;
        assert_eq!(
            added.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            [far, 0.0, 0.0, 0.0, far, 0.0, 0.0, 0.0]
        );
    }

    #[test]
    fn heads_of_different_budgets_are_refused() {
        assert!(Evicted::new(vec![vec![vec![0], vec![0, 1]]], 4).is_err());
        assert!(Evicted::new(vec![], 4).is_err());
    }
}
