//! Which keys rows do not see, as numbers that are added to their scores, made once for all layers of a pass.

use std::cell::RefCell;
use std::ops::Range;

use candle_core::{Device, Tensor};

use super::kernels::Kernels;
use crate::SessionError;

/// What one run through the layers adds to scores. Layers with the same sliding window share their masks, and all of them
/// share the indices that masks are compared from, so what travels to a GPU for them does not grow with the layers.
#[derive(Debug)]
pub(crate) struct Masks {
    kernels: Kernels,
    /// Index behind that of the last row and of the last key.
    end: usize,
    made: RefCell<Vec<(Made, Tensor)>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Made {
    /// `[queries, keys]`.
    Causal {
        queries: Range<usize>,
        keys: Range<usize>,
        sliding_window: Option<usize>,
    },
    /// The numbers of a range, u32.
    Indices(Range<usize>),
}

impl Masks {
    /// For rows and keys before index `end` of a cache.
    pub(crate) fn before(end: usize, kernels: Kernels) -> Self {
        Self {
            kernels,
            end,
            made: RefCell::default(),
        }
    }

    /// What is added to the scores of rows that see themselves and what lies before them, at most `sliding_window` keys
    /// in all: `[queries, keys]` f32 of 0 and minus infinity, for queries and keys by their indices in the cache.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the device has not that much memory.
    pub(super) fn causal(
        &self,
        queries: Range<usize>,
        keys: Range<usize>,
        sliding_window: Option<usize>,
        device: &Device,
    ) -> Result<Tensor, SessionError> {
        let asked = Made::Causal {
            queries: queries.clone(),
            keys: keys.clone(),
            sliding_window,
        };
        self.once(asked, || match self.kernels.compared_masks {
            true => self.compared(queries, keys, sliding_window, device),
            false => written_out(queries, keys, sliding_window, device),
        })
    }

    /// The numbers of a range `[len]`, u32.
    ///
    /// # Errors
    /// As [`causal`](Self::causal).
    pub(super) fn indices(
        &self,
        range: Range<usize>,
        device: &Device,
    ) -> Result<Tensor, SessionError> {
        let numbers = range.start as u32..range.end as u32;
        self.once(Made::Indices(range), || {
            Ok(Tensor::arange(numbers.start, numbers.end, device)?)
        })
    }

    fn once(
        &self,
        asked: Made,
        make: impl FnOnce() -> Result<Tensor, SessionError>,
    ) -> Result<Tensor, SessionError> {
        let known = |(made, tensor): &(Made, Tensor)| (*made == asked).then(|| tensor.clone());
        if let Some(tensor) = self.made.borrow().iter().find_map(known) {
            return Ok(tensor);
        }
        let tensor = make()?;
        self.made.borrow_mut().push((asked, tensor.clone()));
        Ok(tensor)
    }

    /// Made where the scores are, of parts of one range of indices.
    fn compared(
        &self,
        queries: Range<usize>,
        keys: Range<usize>,
        sliding_window: Option<usize>,
        device: &Device,
    ) -> Result<Tensor, SessionError> {
        let shape = (queries.len(), keys.len());
        // a window that reaches back to the first key hides nothing; one of 2^32 keys would not fit the indices
        let narrow = sliding_window.filter(|&window| window < queries.end);
        // a key index and a window, each of which ends before the last row does
        let all = self.indices(0..2 * self.end, device)?;
        let part = |range: Range<usize>| all.narrow(0, range.start, range.len());
        let own = part(queries)?.reshape((shape.0, 1))?;
        let mut hidden = part(keys.clone())?.broadcast_gt(&own)?;
        if let Some(window) = narrow {
            // a query sees a key when it is less than a window behind
            let last_seen_by = part(keys.start + window..keys.end + window)?;
            hidden = hidden.maximum(&last_seen_by.broadcast_le(&own)?)?;
        }
        chosen(&hidden, f32::NEG_INFINITY, 0.0)
    }
}

/// One number where `condition` holds and another where not, in its shape.
///
/// # Errors
/// [`SessionError::Tensor`] if the device has not that much memory.
pub(crate) fn chosen(
    condition: &Tensor,
    where_it_holds: f32,
    where_not: f32,
) -> Result<Tensor, SessionError> {
    // filled there: a number that is brought would be one more copy
    let number = |number: f32| {
        let one = Tensor::full(number, 1, condition.device())?;
        one.broadcast_as(condition.shape())
    };
    Ok(condition.where_cond(&number(where_it_holds)?, &number(where_not)?)?)
}

/// Made by a loop, which a processor does faster than several passes.
fn written_out(
    queries: Range<usize>,
    keys: Range<usize>,
    sliding_window: Option<usize>,
    device: &Device,
) -> Result<Tensor, SessionError> {
    let shape = (queries.len(), keys.len());
    let mut values = Vec::with_capacity(queries.len() * keys.len());
    for query in queries {
        let first_seen = sliding_window.map_or(0, |window| (query + 1).saturating_sub(window));
        values.extend(keys.clone().map(|key| {
            if (first_seen..=query).contains(&key) {
                0.0_f32
            } else {
                f32::NEG_INFINITY
            }
        }));
    }
    Ok(Tensor::from_vec(values, shape, device)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(queries: Range<usize>, keys: Range<usize>, window: Option<usize>) {
        let [loops, passes] = [Kernels::of(&Device::Cpu), Kernels::of_gpu()].map(|kernels| {
            let masks = Masks::before(12, kernels);
            let mask = masks.causal(queries.clone(), keys.clone(), window, &Device::Cpu);
            mask.unwrap().to_vec2::<f32>().unwrap()
        });
        assert_eq!(loops, passes);
    }

    #[test]
    fn both_ways_hide_the_same_keys() {
        for window in [None, Some(1), Some(3), Some(100), Some(u32::MAX as usize)] {
            same(0..5, 0..5, window);
            same(7..12, 0..12, window);
            same(7..12, 5..12, window);
            same(3..4, 0..9, window);
        }
    }

    #[test]
    fn a_query_sees_itself_and_a_window_back() {
        let masks = Masks::before(5, Kernels::of_gpu());
        let mask = masks.causal(2..4, 0..5, Some(2), &Device::Cpu).unwrap();
        let hidden = f32::NEG_INFINITY;
        let expected = [
            [hidden, 0.0, 0.0, hidden, hidden],
            [hidden, hidden, 0.0, 0.0, hidden],
        ];
        assert_eq!(mask.to_vec2::<f32>().unwrap(), expected);
    }

    /// Five layers of two kinds: two masks, of the same indices.
    #[test]
    fn layers_of_one_window_share_a_mask() {
        let masks = Masks::before(9, Kernels::of_gpu());
        let of = |window| masks.causal(4..9, 0..9, window, &Device::Cpu).unwrap();
        let made: Vec<_> = [None, Some(3), None, Some(3), None].map(of).to_vec();
        let ids = [0, 1].map(|index: usize| made[index].id());
        assert_ne!(ids[0], ids[1]);
        assert!(
            made.iter()
                .zip(ids.iter().cycle())
                .all(|(mask, id)| mask.id() == *id)
        );
        assert_eq!(masks.made.borrow().len(), 3);
    }
}
