//! Which tokens an eviction kept, and where they stood.

use candle_core::{Device, Tensor};

use crate::SessionError;

/// The prompt tokens that an eviction keeps of every layer and head.
///
/// Heads may keep different numbers of tokens. They are cached in as many slots as the largest head needs;
/// a smaller head's last slots are hidden from every query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evicted {
    /// `[L][heads][kept of that head]`, ascending positions in the prompt.
    kept: Vec<Vec<Vec<u32>>>,
    /// Tokens of the largest head.
    slots: usize,
    prompt_tokens: usize,
}

impl Evicted {
    /// `kept` is `[L][heads][kept]`, positions below `prompt_tokens` (T) in ascending order. As heads, a layer
    /// has its H query heads, its G key/value heads, or one for all of them.
    ///
    /// # Errors
    /// [`SessionError::Internal`] if a layer has no heads or another number of them than the first, or positions
    /// are not ascending and inside the prompt.
    pub fn new(kept: Vec<Vec<Vec<u32>>>, prompt_tokens: usize) -> Result<Self, SessionError> {
        let wrong = |reason: &str| {
            Err(SessionError::Internal {
                reason: format!("an eviction {reason}"),
            })
        };
        let heads = kept.first().map_or(0, Vec::len);
        if heads == 0 || kept.iter().any(|layer| layer.len() != heads) {
            return wrong("must say of every layer what the same number of heads keep");
        }
        let in_order = |head: &Vec<u32>| {
            head.is_sorted_by(|a, b| a < b)
                && head
                    .last()
                    .is_none_or(|&last| (last as usize) < prompt_tokens)
        };
        if !kept.iter().flatten().all(in_order) {
            return wrong("must give each head's tokens as ascending positions in the prompt");
        }
        let slots = kept.iter().flatten().map(Vec::len).max().unwrap_or(0);
        Ok(Self {
            kept,
            slots,
            prompt_tokens,
        })
    }

    /// Slots that each head takes in the cache: the tokens of the head that keeps most.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// T.
    pub(crate) fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// Whether every head keeps the whole prompt.
    pub(super) fn keeps_everything(&self) -> bool {
        let mut heads = self.kept.iter().flatten();
        heads.all(|head| head.len() == self.prompt_tokens)
    }

    /// The same with one entry for each key/value head where the query heads of every group keep the same
    /// tokens, so that these are cached once.
    ///
    /// # Errors
    /// [`SessionError::Internal`] if the heads are neither the key/value heads nor a multiple of them, nor one.
    pub(super) fn stored_once(self, kv_heads: usize) -> Result<Self, SessionError> {
        let heads = self.kept.first().map_or(0, Vec::len);
        if heads == 1 && kv_heads > 1 {
            let for_all = |layer: Vec<Vec<u32>>| layer.into_iter().cycle().take(kv_heads).collect();
            return Ok(Self {
                kept: self.kept.into_iter().map(for_all).collect(),
                ..self
            });
        }
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            return Err(SessionError::Internal {
                reason: format!(
                    "an eviction of {heads} heads does not fit a cache of {kv_heads} key/value heads"
                ),
            });
        }
        let group = heads / kv_heads;
        let same = |heads: &[Vec<u32>]| heads.iter().all(|head| Some(head) == heads.first());
        if group == 1 || !self.kept.iter().all(|layer| layer.chunks(group).all(same)) {
            return Ok(self);
        }
        let first_of_group = |layer: Vec<Vec<u32>>| layer.into_iter().step_by(group).collect();
        Ok(Self {
            kept: self.kept.into_iter().map(first_of_group).collect(),
            ..self
        })
    }

    fn layer(&self, layer: usize) -> &[Vec<u32>] {
        self.kept.get(layer).map_or(&[], Vec::as_slice)
    }

    /// From `[G, T, D]` of a layer the kept tokens of every head, with zeros as room behind them,
    /// `[heads, slots + room, D]`. What stands in the slots that a head does not use is never seen.
    pub(super) fn gather(
        &self,
        layer: usize,
        full: &Tensor,
        room: usize,
    ) -> Result<Tensor, SessionError> {
        let (kv_heads, _, head_dim) = full.dims3()?;
        let heads = self.layer(layer);
        if self.slots == 0 {
            // at once: a GPU gives no tensor of no numbers to put room behind
            let empty = (heads.len(), room, head_dim);
            return Ok(Tensor::zeros(empty, full.dtype(), full.device())?);
        }
        let gathered = heads
            .iter()
            .enumerate()
            .map(|(head, kept)| {
                let mut places = kept.clone();
                places.resize(self.slots, 0);
                let places = Tensor::new(places, full.device())?;
                let source = full.get(head * kv_heads / heads.len())?;
                Ok(source.index_select(&places, 0)?)
            })
            .collect::<Result<Vec<_>, SessionError>>()?;
        Ok(Tensor::stack(&gathered, 0)?.pad_with_zeros(1, 0, room)?)
    }

    /// What `rows` new rows behind `len` cached tokens do not see although it stands before them: 0 for the
    /// keys that a row sees and minus infinity for a head's unused slots and for what lies `window` or more
    /// positions before the row. `[heads, rows, len + rows]`, or `[heads, 1, len + rows]` where all rows see
    /// alike; none where nothing is hidden. What was appended behind the slots stands behind the prompt.
    pub(super) fn hidden_keys(
        &self,
        layer: usize,
        len: usize,
        rows: usize,
        window: Option<usize>,
        device: &Device,
    ) -> Result<Option<Tensor>, SessionError> {
        let heads = self.layer(layer);
        if window.is_none() && heads.iter().all(|kept| kept.len() == self.slots) {
            return Ok(None);
        }
        let distinct_rows = if window.is_some() { rows } else { 1 };
        let mut added = Vec::with_capacity(heads.len() * distinct_rows * (len + rows));
        for kept in heads {
            let positions: Vec<Option<usize>> = (0..len + rows)
                .map(|index| match index.checked_sub(self.slots) {
                    Some(behind) => Some(self.prompt_tokens + behind),
                    None => kept.get(index).map(|&position| position as usize),
                })
                .collect();
            for row in 0..distinct_rows {
                let row = self.prompt_tokens + len - self.slots + row;
                let seen = |position: usize| window.is_none_or(|window| position + window > row);
                added.extend(positions.iter().map(|position| {
                    if position.is_some_and(seen) {
                        0.0_f32
                    } else {
                        f32::NEG_INFINITY
                    }
                }));
            }
        }
        let shape = (heads.len(), distinct_rows, len + rows);
        Ok(Some(Tensor::from_vec(added, shape, device)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: f32 = f32::NEG_INFINITY;

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn heads_keep_their_own_tokens_of_the_key_head_that_they_share() {
        let full = Tensor::arange(0.0_f32, 8.0, &Device::Cpu)
            .unwrap()
            .reshape((2, 4, 1))
            .unwrap();
        let kept = vec![vec![vec![0, 3], vec![1, 2], vec![0, 1], vec![2, 3]]];
        let kept = Evicted::new(kept, 4).unwrap();
        let gathered = kept.gather(0, &full, 0).unwrap();
        assert_eq!(numbers(&gathered), [0.0, 3.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0]);
        let roomy = kept.gather(0, &full, 1).unwrap();
        assert_eq!(
            numbers(&roomy),
            [0.0, 3.0, 0.0, 1.0, 2.0, 0.0, 4.0, 5.0, 0.0, 6.0, 7.0, 0.0]
        );
        let nothing = Evicted::new(vec![vec![vec![]; 4]], 4).unwrap();
        assert_eq!(nothing.gather(0, &full, 2).unwrap().dims(), [4, 2, 1]);
    }

    #[test]
    fn a_window_counts_positions_and_not_what_is_left_of_them() {
        let evicted = Evicted::new(vec![vec![vec![0, 6], vec![5, 9]]], 10).unwrap();
        // one token was appended at position 10; the next rows stand at 11 and 12, and see the keys that are
        // less than 6 positions away; that row 11 does not see key 12 is not said here
        let hidden = evicted.hidden_keys(0, 3, 2, Some(6), &Device::Cpu).unwrap();
        let rows = [
            [[FAR, 0.0, 0.0, 0.0, 0.0], [FAR, FAR, 0.0, 0.0, 0.0]],
            [[FAR, 0.0, 0.0, 0.0, 0.0], [FAR, 0.0, 0.0, 0.0, 0.0]],
        ];
        assert_eq!(numbers(&hidden.unwrap()), rows.concat().concat());
        let plain = evicted.hidden_keys(0, 3, 2, None, &Device::Cpu).unwrap();
        assert!(plain.is_none());
    }

    #[test]
    fn slots_that_a_smaller_head_does_not_use_are_hidden() {
        let evicted = Evicted::new(vec![vec![vec![1, 2, 3], vec![2], vec![]]], 4).unwrap();
        assert_eq!(evicted.slots(), 3);
        let hidden = evicted.hidden_keys(0, 3, 2, None, &Device::Cpu).unwrap();
        let by_head = [
            [0.0, 0.0, 0.0, 0.0, 0.0],
            [0.0, FAR, FAR, 0.0, 0.0],
            [FAR, FAR, FAR, 0.0, 0.0],
        ];
        assert_eq!(numbers(&hidden.unwrap()), by_head.concat());
    }

    #[test]
    fn groups_that_keep_the_same_are_stored_once() {
        let shared = vec![vec![vec![0], vec![0], vec![1, 2], vec![1, 2]]];
        let once = Evicted::new(shared.clone(), 4).unwrap();
        let expected = Evicted::new(vec![vec![vec![0], vec![1, 2]]], 4).unwrap();
        assert_eq!(once.clone().stored_once(2).unwrap(), expected);
        assert_eq!(once.clone().stored_once(4).unwrap(), once);
        assert!(once.clone().stored_once(3).is_err());
        let own = Evicted::new(vec![vec![vec![0], vec![0], vec![1], vec![2]]], 4).unwrap();
        assert_eq!(own.clone().stored_once(2).unwrap(), own);
    }

    #[test]
    fn positions_out_of_order_or_out_of_the_prompt_are_refused() {
        for kept in [
            vec![],
            vec![vec![]],
            vec![vec![vec![0]], vec![vec![0], vec![1]]],
            vec![vec![vec![1, 0]]],
            vec![vec![vec![1, 1]]],
            vec![vec![vec![4]]],
        ] {
            assert!(Evicted::new(kept.clone(), 4).is_err(), "{kept:?}");
        }
        assert!(Evicted::new(vec![vec![vec![]]], 4).is_ok());
    }
}
