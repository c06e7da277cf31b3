//! Values without repetitions.

/// Each value once, in the order of coming.
pub fn distinct<V: PartialEq>(values: impl IntoIterator<Item = V>) -> Vec<V> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::distinct;

    #[test]
    fn the_first_of_each_stays_in_its_place() {
        assert_eq!(distinct([3, 1, 3, 2, 1]), [3, 1, 2]);
    }
}
