//! A value that is computed again only when its key changes.

/// One remembered value.
pub(super) struct Memo<K, V> {
    held: Option<(K, V)>,
    version: u64,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self {
            held: None,
            version: 0,
        }
    }
}

impl<K: PartialEq, V> Memo<K, V> {
    /// Computes the value unless it is the one for `key`; `compute` is given the new version.
    pub(super) fn renew(&mut self, key: K, compute: impl FnOnce(u64) -> V) {
        if self.held.as_ref().is_some_and(|(held, _)| *held == key) {
            return;
        }
        self.version += 1;
        let value = compute(self.version);
        self.held = Some((key, value));
    }

    pub(super) fn key(&self) -> Option<&K> {
        self.held.as_ref().map(|(key, _)| key)
    }

    pub(super) fn get(&self) -> Option<&V> {
        self.held.as_ref().map(|(_, value)| value)
    }

    /// Grows with every new value.
    pub(super) fn version(&self) -> u64 {
        self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_renewed_only_for_another_key() {
        let mut memo = Memo::default();
        for (key, expected) in [(1, 1), (1, 1), (2, 2), (1, 3)] {
            memo.renew(key, |version| version);
            assert_eq!(memo.get(), Some(&expected));
        }
        assert_eq!(memo.version(), 3);
    }
}
