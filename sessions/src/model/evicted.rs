//! Which tokens an eviction kept, and where they stood.

use candle_core::{Device, Tensor, WithDType};

use super::masks::{Masks, chosen};
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

    /// From keys and values, or other tensors `[G, capacity, D]` of every layer, the kept tokens of every head, with zeros
    /// as room behind them, `[heads, slots + room, D]`. What stands in the slots that a head does not use is never seen.
    pub(super) fn gather<const N: usize>(
        &self,
        full: &[[&Tensor; N]],
        room: usize,
    ) -> Result<Vec<[Tensor; N]>, SessionError> {
        let Some([first, ..]) = full.first().map(<[_; N]>::as_slice) else {
            return Ok(Vec::new());
        };
        let (kv_heads, capacity, head_dim) = first.dims3()?;
        let heads = self.kept.first().map_or(0, Vec::len);
        if self.slots == 0 {
            // at once: a GPU gives no tensor of no numbers to put room behind
            let empty = |of_all: &Tensor| {
                let shape = (heads, room, head_dim);
                Tensor::zeros(shape, of_all.dtype(), of_all.device())
            };
            return full.iter().map(|of_layer| each(of_layer, empty)).collect();
        }
        // those of all layers are one copy to where the tensors are
        let places = self.places(kv_heads, capacity);
        let places = Tensor::new(places, first.device())?;
        let in_layer = heads * self.slots;
        let layers = full.iter().enumerate().map(|(layer, of_layer)| {
            let places = places.narrow(0, layer * in_layer, in_layer)?;
            each(of_layer, |of_all| {
                let taken = of_all.flatten(0, 1)?.index_select(&places, 0)?;
                taken
                    .reshape((heads, self.slots, head_dim))?
                    .pad_with_zeros(1, 0, room)
            })
        });
        layers.collect()
    }

    /// Places of the tokens of all heads' slots in each layer's cache `[G * capacity, D]`, layer after layer.
    fn places(&self, kv_heads: usize, capacity: usize) -> Vec<u32> {
        let mut places = Vec::new();
        for heads in &self.kept {
            for (head, kept) in heads.iter().enumerate() {
                let first = (head * kv_heads / heads.len() * capacity) as u32;
                places.extend(kept.iter().map(|position| first + position));
                places.extend((kept.len()..self.slots).map(|_| first));
            }
        }
        places
    }

    /// What rows behind an evicted cache with room for `capacity` tokens do not see of each layer, whose keys are less than
    /// the layer's sliding window before a row that sees them. What was appended behind the slots stands behind the prompt.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the device has not that much memory.
    pub(super) fn hidden(
        &self,
        sliding_windows: &[Option<usize>],
        capacity: usize,
        device: &Device,
    ) -> Result<Vec<Hidden>, SessionError> {
        let windows = sliding_windows
            .iter()
            .copied()
            .chain(std::iter::repeat(None));
        let layers: Vec<_> = self.kept.iter().zip(windows).collect();
        // the numbers of all layers of a kind are one copy to where the cache is
        let mut added: Vec<f32> = Vec::new();
        let mut first_blind: Vec<u32> = Vec::new();
        for (heads, window) in &layers {
            let places = heads
                .iter()
                .flat_map(|kept| self.places_of_head(kept, capacity));
            match window {
                // an unused slot is behind the window of every row
                Some(window) => first_blind
                    .extend(places.map(|place| place.map_or(0, |place| (place + window) as u32))),
                None if self.fills_its_slots(heads) => {}
                None => added.extend(places.map(|place| match place {
                    Some(_) => 0.0,
                    None => f32::NEG_INFINITY,
                })),
            }
        }
        let heads = self.kept.first().map_or(0, Vec::len);
        let mut added = in_layers(added, heads, capacity, device)?.into_iter();
        let mut first_blind = in_layers(first_blind, heads, capacity, device)?.into_iter();
        let kinds = layers.into_iter().map(|(heads, window)| match window {
            Some(_) => first_blind.next().map(|first_blind| Hidden::FromLater {
                first_blind,
                positions_left_out: self.prompt_tokens - self.slots,
            }),
            None if self.fills_its_slots(heads) => None,
            None => added.next().map(Hidden::FromAll),
        });
        Ok(kinds.map(|kind| kind.unwrap_or(Hidden::Nothing)).collect())
    }

    fn fills_its_slots(&self, heads: &[Vec<u32>]) -> bool {
        heads.iter().all(|kept| kept.len() == self.slots)
    }

    /// Positions of what a head caches, `capacity` of them; none for a slot that it does not use.
    fn places_of_head(&self, kept: &[u32], capacity: usize) -> impl Iterator<Item = Option<usize>> {
        (0..capacity).map(move |index| match index.checked_sub(self.slots) {
            Some(behind) => Some(self.prompt_tokens + behind),
            None => kept.get(index).map(|&position| position as usize),
        })
    }
}

/// Each of some tensors as something makes it.
fn each<const N: usize>(
    tensors: &[&Tensor; N],
    make: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
) -> Result<[Tensor; N], SessionError> {
    let mut made = tensors.map(Tensor::clone);
    for tensor in &mut made {
        *tensor = make(tensor)?;
    }
    Ok(made)
}

/// Numbers of some layers, `[heads, 1, capacity]` each.
fn in_layers<T: WithDType>(
    numbers: Vec<T>,
    heads: usize,
    capacity: usize,
    device: &Device,
) -> Result<Vec<Tensor>, SessionError> {
    let layers = numbers.len() / (heads * capacity).max(1);
    if layers == 0 {
        return Ok(Vec::new());
    }
    let all = Tensor::from_vec(numbers, (layers * heads, 1, capacity), device)?;
    let layers = (0..layers).map(|layer| Ok(all.narrow(0, layer * heads, heads)?));
    layers.collect()
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
    pub(super) fn of_rows(
        &self,
        len: usize,
        rows: usize,
        masks: &Masks,
    ) -> Result<Option<Tensor>, SessionError> {
        match self {
            Self::Nothing => Ok(None),
            Self::FromAll(added) => Ok(Some(added.narrow(2, 0, len + rows)?)),
            Self::FromLater {
                first_blind,
                positions_left_out,
            } => {
                let first = len + positions_left_out;
                let own = masks.indices(first..first + rows, first_blind.device())?;
                let hidden = first_blind
                    .narrow(2, 0, len + rows)?
                    .broadcast_le(&own.reshape((1, rows, 1))?)?;
                chosen(&hidden, f32::NEG_INFINITY, 0.0).map(Some)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels::Kernels;
    use super::*;

    const FAR: f32 = f32::NEG_INFINITY;

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn masks() -> Masks {
        Masks::before(5, Kernels::of_gpu())
    }

    fn one<T>(layers: Result<Vec<T>, SessionError>) -> T {
        let mut layers = layers.unwrap();
        assert_eq!(layers.len(), 1);
        layers.remove(0)
    }

    fn only_layer(evicted: &Evicted, window: Option<usize>, capacity: usize) -> Hidden {
        one(evicted.hidden(&[window], capacity, &Device::Cpu))
    }

    /// Layers of both kinds, in turn, each find their own numbers.
    #[test]
    fn layers_with_and_without_a_window_find_their_own() {
        let kept = vec![
            vec![vec![0, 6], vec![5]],
            vec![vec![1, 2], vec![3, 4]],
            vec![vec![7], vec![8, 9]],
            vec![vec![2, 3], vec![9]],
        ];
        let windows = [None, Some(4), Some(4), None];
        let evicted = Evicted::new(kept.clone(), 10).unwrap();
        let all = evicted.hidden(&windows, 3, &Device::Cpu).unwrap();
        for ((kept, window), hidden) in kept.into_iter().zip(windows).zip(&all) {
            let alone = only_layer(&Evicted::new(vec![kept], 10).unwrap(), window, 3);
            let rows = |hidden: &Hidden| hidden.of_rows(2, 1, &masks()).unwrap();
            assert_eq!(
                rows(hidden).map(|all| numbers(&all)),
                rows(&alone).map(|all| numbers(&all))
            );
        }
    }

    #[test]
    fn heads_keep_their_own_tokens_of_the_key_head_that_they_share() {
        let full = Tensor::arange(0.0_f32, 8.0, &Device::Cpu)
            .unwrap()
            .reshape((2, 4, 1))
            .unwrap();
        let kept = vec![vec![vec![0, 3], vec![1, 2], vec![0, 1], vec![2, 3]]];
        let kept = Evicted::new(kept, 4).unwrap();
        let [gathered, same] = one(kept.gather(&[[&full, &full]], 0));
        assert_eq!(numbers(&gathered), numbers(&same));
        assert_eq!(numbers(&gathered), [0.0, 3.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0]);
        let [roomy] = one(kept.gather(&[[&full]], 1));
        assert_eq!(
            numbers(&roomy),
            [0.0, 3.0, 0.0, 1.0, 2.0, 0.0, 4.0, 5.0, 0.0, 6.0, 7.0, 0.0]
        );
        let nothing = Evicted::new(vec![vec![vec![]; 4]], 4).unwrap();
        let [nothing] = one(nothing.gather(&[[&full]], 2));
        assert_eq!(nothing.dims(), [4, 2, 1]);
    }

    #[test]
    fn a_window_counts_positions_and_not_what_is_left_of_them() {
        let evicted = Evicted::new(vec![vec![vec![0, 6], vec![5, 9]]], 10).unwrap();
        // one token was appended at position 10; the next rows stand at 11 and 12, and see the keys that are
        // less than 6 positions away; that row 11 does not see key 12 is not said here
        let hidden = |window| only_layer(&evicted, window, 8);
        let plain = hidden(None).of_rows(3, 2, &masks()).unwrap();
        let hidden = hidden(Some(6)).of_rows(3, 2, &masks()).unwrap();
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
        let hidden = only_layer(&evicted, None, 5);
        let hidden = hidden.of_rows(3, 2, &masks()).unwrap();
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
