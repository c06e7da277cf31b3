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

    /// From keys or values `[G, capacity, D]` of a layer the kept tokens of every head, with zeros as room behind them,
    /// `[heads, slots + room, D]`. What stands in the slots that a head does not use is never seen.
    pub(super) fn gather<const N: usize>(
        &self,
        layer: usize,
        full: [&Tensor; N],
        room: usize,
    ) -> Result<[Tensor; N], SessionError> {
        let heads = self.layer(layer);
        let mut places = None;
        let mut gathered = full.map(Tensor::clone);
        for of_all in &mut gathered {
            let (kv_heads, capacity, head_dim) = of_all.dims3()?;
            if self.slots == 0 {
                // at once: a GPU gives no tensor of no numbers to put room behind
                let empty = (heads.len(), room, head_dim);
                *of_all = Tensor::zeros(empty, of_all.dtype(), of_all.device())?;
                continue;
            }
            if places.is_none() {
                let places_of_heads = self.places(heads, kv_heads, capacity);
                places = Some(Tensor::new(places_of_heads, of_all.device())?);
            }
            if let Some(places) = &places {
                // all heads at once: each is one copy and one launch less
                let taken = of_all.flatten(0, 1)?.index_select(places, 0)?;
                *of_all = taken
                    .reshape((heads.len(), self.slots, head_dim))?
                    .pad_with_zeros(1, 0, room)?;
            }
        }
        Ok(gathered)
    }

    /// Places of the tokens of all heads' slots in a cache `[G * capacity, D]`.
    fn places(&self, heads: &[Vec<u32>], kv_heads: usize, capacity: usize) -> Vec<u32> {
        let mut places = Vec::with_capacity(heads.len() * self.slots);
        for (head, kept) in heads.iter().enumerate() {
            let first = (head * kv_heads / heads.len() * capacity) as u32;
            places.extend(kept.iter().map(|position| first + position));
            places.resize((head + 1) * self.slots, first);
        }
        places
    }

    /// What rows behind a layer's evicted cache with room for `capacity` tokens do not see of it, whose keys are less
    /// than `window` positions before a row that sees them. What was appended behind the slots stands behind the prompt.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the device has not that much memory.
    pub(super) fn hidden(
        &self,
        layer: usize,
        window: Option<usize>,
        capacity: usize,
        device: &Device,
    ) -> Result<Hidden, SessionError> {
        let heads = self.layer(layer);
        if window.is_none() && heads.iter().all(|kept| kept.len() == self.slots) {
            return Ok(Hidden::Nothing);
        }
        let position = |kept: &[u32], index: usize| match index.checked_sub(self.slots) {
            Some(behind) => Some(self.prompt_tokens + behind),
            None => kept.get(index).map(|&position| position as usize),
        };
        let shape = (heads.len(), 1, capacity);
        let places = |kept| (0..capacity).map(move |index| position(kept, index));
        let Some(window) = window else {
            let added = |place: Option<usize>| match place {
                Some(_) => 0.0_f32,
                None => f32::NEG_INFINITY,
            };
            let added: Vec<f32> = heads
                .iter()
                .flat_map(|kept| places(kept).map(added))
                .collect();
            return Ok(Hidden::FromAll(Tensor::from_vec(added, shape, device)?));
        };
        // an unused slot is behind the window of every row
        let first_blind = |place: Option<usize>| place.map_or(0, |place| (place + window) as u32);
        let first_blind: Vec<u32> = heads
            .iter()
            .flat_map(|kept| places(kept).map(first_blind))
            .collect();
        Ok(Hidden::FromLater {
            first_blind: Tensor::from_vec(first_blind, shape, device)?,
            positions_left_out: self.prompt_tokens - self.slots,
        })
    }
}

/// What rows behind an evicted cache do not see of a layer, made once and where the cache is: what a step needs of it
/// does not grow with the cache on its way there.
#[derive(Debug)]
pub(super) enum Hidden {
    /// All is seen.
    Nothing,
    /// Unused slots: what is added to the logits of every row, 0 or minus infinity, `[heads, 1, capacity]`.
    FromAll(Tensor),
    /// Unused slots and what a sliding window has passed.
    FromLater {
        /// For each key the first position from which it is not seen, `[heads, 1, capacity]` u32.
        first_blind: Tensor,
        /// How much further a row stands than its index in the cache says.
        positions_left_out: usize,
    },
}

impl Hidden {
    /// What is added to the logits of `rows` new rows behind `len` cached tokens, besides what stands behind a row: 0
    /// for the keys that it sees and minus infinity for others. `[heads, rows, len + rows]`, or
    /// `[heads, 1, len + rows]` where all rows see alike; none where nothing is hidden.
    pub(super) fn of_rows(&self, len: usize, rows: usize) -> Result<Option<Tensor>, SessionError> {
        match self {
            Self::Nothing => Ok(None),
            Self::FromAll(added) => Ok(Some(added.narrow(2, 0, len + rows)?)),
            Self::FromLater {
                first_blind,
                positions_left_out,
            } => {
                let device = first_blind.device();
                let first = (len + positions_left_out) as u32;
                let own =
                    Tensor::arange(first, first + rows as u32, device)?.reshape((1, rows, 1))?;
                let first_blind = first_blind.narrow(2, 0, len + rows)?;
                let hidden = first_blind.broadcast_le(&own)?;
                let value = |value: f32| Tensor::new(value, device)?.broadcast_as(hidden.shape());
                let (far, seen) = (value(f32::NEG_INFINITY)?, value(0.0)?);
                Ok(Some(hidden.where_cond(&far, &seen)?))
            }
        }
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
        let [gathered, same] = kept.gather(0, [&full, &full], 0).unwrap();
        assert_eq!(numbers(&gathered), numbers(&same));
        assert_eq!(numbers(&gathered), [0.0, 3.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0]);
        let [roomy] = kept.gather(0, [&full], 1).unwrap();
        assert_eq!(
            numbers(&roomy),
            [0.0, 3.0, 0.0, 1.0, 2.0, 0.0, 4.0, 5.0, 0.0, 6.0, 7.0, 0.0]
        );
        let nothing = Evicted::new(vec![vec![vec![]; 4]], 4).unwrap();
        let [nothing] = nothing.gather(0, [&full], 2).unwrap();
        assert_eq!(nothing.dims(), [4, 2, 1]);
    }

    #[test]
    fn a_window_counts_positions_and_not_what_is_left_of_them() {
        let evicted = Evicted::new(vec![vec![vec![0, 6], vec![5, 9]]], 10).unwrap();
        // one token was appended at position 10; the next rows stand at 11 and 12, and see the keys that are
        // less than 6 positions away; that row 11 does not see key 12 is not said here
        let hidden = |window| evicted.hidden(0, window, 8, &Device::Cpu).unwrap();
        let plain = hidden(None).of_rows(3, 2).unwrap();
        let hidden = hidden(Some(6)).of_rows(3, 2).unwrap();
        let rows = [
            [[FAR, 0.0, 0.0, 0.0, 0.0], [FAR, FAR, 0.0, 0.0, 0.0]],
            [[FAR, 0.0, 0.0, 0.0, 0.0], [FAR, 0.0, 0.0, 0.0, 0.0]],
        ];
        assert_eq!(numbers(&hidden.unwrap()), rows.concat().concat());
        assert!(plain.is_none());
    }

    #[test]
    fn slots_that_a_smaller_head_does_not_use_are_hidden() {
        let evicted = Evicted::new(vec![vec![vec![1, 2, 3], vec![2], vec![]]], 4).unwrap();
        assert_eq!(evicted.slots(), 3);
        let hidden = evicted.hidden(0, None, 5, &Device::Cpu).unwrap();
        let hidden = hidden.of_rows(3, 2).unwrap();
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
