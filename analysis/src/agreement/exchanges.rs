//! Pairs of a sequence that stand in descending order.

/// Values of a word of the bit set, and words whose counts are kept up together.
const WORD: usize = u64::BITS as usize;
const GROUP_WORDS: usize = 32;
const GROUP: usize = WORD * GROUP_WORDS;

/// Counts the pairs in strictly descending order among the numbers below their count, each of which occurs once.
///
/// Going through the sequence, every number meets all larger ones before it. Those seen are kept as a set of
/// bits with the number of smaller ones before each word and each group of words, all of which are brought up
/// to date without a branch: unlike the merge sort of Knight's algorithm, nothing has to be guessed.
pub(super) fn descending_pairs(permutation: &[u32]) -> u64 {
    let groups = permutation.len().div_ceil(GROUP);
    let mut seen = vec![[0_u64; GROUP_WORDS]; groups];
    let mut before_word = vec![[0_u16; GROUP_WORDS]; groups];
    let mut before_group = vec![0_u32; groups];
    let mut pairs = 0;
    for (seen_before, &number) in permutation.iter().enumerate() {
        let number = number as usize;
        let (group, word) = (number / GROUP, number % GROUP / WORD);
        let bit = 1_u64 << (number % WORD);
        let smaller_in_word = (seen[group][word] & (bit - 1)).count_ones();
        let smaller = before_group[group] + u32::from(before_word[group][word]) + smaller_in_word;
        pairs += seen_before as u64 - u64::from(smaller);
        seen[group][word] |= bit;
        for (index, before) in before_word[group].iter_mut().enumerate() {
            *before += u16::from(index > word);
        }
        for (index, before) in before_group.iter_mut().enumerate() {
            *before += u32::from(index > group);
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(sequence: &[u32]) -> u64 {
        let descents = |at: usize| {
            sequence[at..]
                .iter()
                .filter(|&&later| later < sequence[at])
                .count()
        };
        (0..sequence.len()).map(|at| descents(at) as u64).sum()
    }

    #[test]
    fn sequences_within_and_across_groups() {
        for length in [0_u32, 1, 2, 63, 65, 2048, 2049, 4999] {
            let ascending: Vec<u32> = (0..length).collect();
            assert_eq!(descending_pairs(&ascending), 0);
            let descending: Vec<u32> = ascending.iter().rev().copied().collect();
            assert_eq!(descending_pairs(&descending), naive(&descending));
            // 4999 and 5 have no factor in common, so this is a permutation where the length is 4999.
            let stepping: Vec<u32> = ascending.iter().map(|at| at * 5 % 4999).collect();
            if length == 4999 {
                assert_eq!(descending_pairs(&stepping), naive(&stepping));
            }
        }
    }
}
