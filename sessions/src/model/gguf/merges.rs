//! Merges of a SentencePiece vocabulary, which has scores instead.

use std::collections::HashMap;

/// Every way to make a piece of two pieces, best first: by the piece's score, then the longer left part, then the
/// longer right one; then in the order of the vocabulary. This is the order in which transformers' converter
/// of SentencePiece models writes them.
pub(super) fn merges_by_score<'a>(pieces: &[&'a str], scores: &[f32]) -> Vec<(&'a str, &'a str)> {
    let ids: HashMap<&str, usize> = pieces
        .iter()
        .enumerate()
        .map(|(id, &piece)| (piece, id))
        .collect();
    let mut merges = Vec::new();
    for (&piece, &score) in pieces.iter().zip(scores) {
        let mut of_piece: Vec<_> = piece
            .char_indices()
            .skip(1)
            .map(|(at, _)| piece.split_at(at))
            .filter_map(|(left, right)| Some((*ids.get(left)?, *ids.get(right)?, left, right)))
            .collect();
        of_piece.sort_unstable();
        merges.extend(
            of_piece
                .into_iter()
                .map(|(_, _, left, right)| (score, left, right)),
        );
    }
    let length = |piece: &str| piece.chars().count();
    merges.sort_by(|(score, left, right), (other, other_left, other_right)| {
        other
            .total_cmp(score)
            .then_with(|| length(other_left).cmp(&length(left)))
            .then_with(|| length(other_right).cmp(&length(right)))
    });
    merges
        .into_iter()
        .map(|(_, left, right)| (left, right))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_scores_come_first_and_a_piece_may_be_made_in_several_ways() {
        let pieces = ["a", "b", "ab", "bb", "abb"];
        let scores = [0.0, 0.0, -2.0, -1.0, -1.0];
        assert_eq!(
            merges_by_score(&pieces, &scores),
            [("ab", "b"), ("a", "bb"), ("b", "b"), ("a", "b")]
        );
    }
}
