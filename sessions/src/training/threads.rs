//! Work in parts on several threads, with results in the parts' order.

use std::sync::OnceLock;

use rayon::ThreadPool;

use crate::SessionError;

/// Pools of one thread each.
///
/// While they live, no matrix product of the process is shared between threads: candle's would spin on other
/// cores that have parts of their own to do, which made training half as fast.
pub(crate) struct Threads {
    pools: Vec<ThreadPool>,
}

/// From which size on products were shared before the first training of this process.
static SHARED_FROM: OnceLock<usize> = OnceLock::new();

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(size) = SHARED_FROM.get() {
            gemm::set_threading_threshold(*size);
        }
    }
}

impl Threads {
    /// # Errors
    /// [`SessionError::Threads`] if the system gives none.
    pub(crate) fn new(count: usize) -> Result<Self, SessionError> {
        let pools = (0..count.max(1))
            .map(|_| rayon::ThreadPoolBuilder::new().num_threads(1).build())
            .collect::<Result<_, _>>()
            .map_err(|source| SessionError::Threads { source })?;
        SHARED_FROM.get_or_init(gemm::get_threading_threshold);
        gemm::set_threading_threshold(usize::MAX);
        Ok(Self { pools })
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.pools.len()
    }

    /// `work` on every item: the first pool takes the items 0, n, 2n..., the second 1, n + 1 and so on.
    ///
    /// # Errors
    /// The error of the first item, in their order, that failed.
    pub(crate) fn map<I: Sync, O: Send>(
        &self,
        items: &[I],
        work: impl Fn(&I) -> Result<O, SessionError> + Sync,
    ) -> Result<Vec<O>, SessionError> {
        let count = self.pools.len();
        let work = &work;
        let mut columns: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = self
                .pools
                .iter()
                .enumerate()
                .map(|(first, pool)| {
                    let mine = move || {
                        let items = items.iter().skip(first).step_by(count);
                        pool.install(|| items.map(work).collect::<Vec<_>>())
                    };
                    scope.spawn(mine)
                })
                .collect();
            running
                .into_iter()
                .map(|thread| match thread.join() {
                    Ok(results) => results.into_iter(),
                    Err(panic) => std::panic::resume_unwind(panic),
                })
                .collect()
        });
        (0..items.len())
            .filter_map(|index| columns.get_mut(index % count)?.next())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_items_order_for_any_number_of_threads() {
        let items: Vec<u64> = (0..13).collect();
        for count in [1, 2, 3, 20] {
            let threads = Threads::new(count).unwrap();
            let squares = threads.map(&items, |item| Ok(item * item)).unwrap();
            assert_eq!(
                squares,
                items.iter().map(|item| item * item).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn the_first_failing_item_is_told() {
        let threads = Threads::new(2).unwrap();
        let error = threads
            .map(&[1, 2, 3], |&item| match item {
                1 => Ok(()),
                item => Err(SessionError::Plan {
                    reason: format!("item {item}"),
                }),
            })
            .unwrap_err();
        assert_eq!(error.to_string(), "item 2");
    }
}
