//! How alike two lines of code are.

/// 2 LCS / (sum of lengths) of characters in whole percent, of the first line that is neither comment nor fence.
pub(super) fn code_similarity(text: &str, answer: &str) -> f64 {
    let mut lines = text.trim_start_matches('\n').split('\n');
    let line = lines
        .find(|line| !line.contains(['`', '#']) && !line.contains("//"))
        .unwrap_or_default();
    let left: Vec<char> = line.chars().collect();
    let right: Vec<char> = answer.chars().collect();
    if left.is_empty() || right.is_empty() {
        return 0.0;
    }
    let common = lcs_length(&left, &right);
    let share = 2.0 * common as f64 / (left.len() + right.len()) as f64;
    (100.0 * share).round_ties_even() / 100.0
}

/// The length of a longest common subsequence, in memory of one row.
fn lcs_length(left: &[char], right: &[char]) -> usize {
    let mut row = vec![0_usize; right.len() + 1];
    for a in left {
        let mut diagonal = 0;
        for (j, b) in right.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if a == b {
                diagonal + 1
            } else {
                above.max(row[j])
            };
            diagonal = above;
        }
    }
    row[right.len()]
}
