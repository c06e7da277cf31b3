//! ROUGE-L in the two forms that benchmarks report.
//!
//! Both go over pairs of sentences and unite the longest common subsequences (LCS) of a reference sentence with every
//! candidate sentence: Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004, section 3.2.

use std::collections::{BTreeMap, BTreeSet};

/// F of the *distinct* words of the united LCS, over sentences that end with full stops.
pub(super) fn rouge_l(text: &str, answer: &str) -> f64 {
    let (candidate, reference) = (sentences(text), sentences(answer));
    distinct_f(&as_str(&candidate), &as_str(&reference))
}

/// The same with every character that is not white space as a word.
pub(super) fn character_rouge_l(text: &str, answer: &str) -> f64 {
    rouge_l(&spaced(text), &spaced(answer))
}

fn spaced(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        out.push(c);
        out.push(' ');
    }
    out
}

/// Parts between full stops as words. A part of white space only is one empty word, as the library `rouge` has it.
fn sentences(text: &str) -> Vec<Vec<String>> {
    let parts = text.split('.').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let words: Vec<String> = part.split_whitespace().map(str::to_owned).collect();
            if words.is_empty() {
                vec![String::new()]
            } else {
                words
            }
        })
        .collect()
}

fn as_str(sentences: &[Vec<String>]) -> Vec<Vec<&str>> {
    sentences
        .iter()
        .map(|words| words.iter().map(String::as_str).collect())
        .collect()
}

fn distinct_f(candidate: &[Vec<&str>], reference: &[Vec<&str>]) -> f64 {
    let distinct = |sentences: &[Vec<&str>]| -> usize {
        let words: BTreeSet<&str> = sentences.iter().flatten().copied().collect();
        words.len()
    };
    let mut united = BTreeSet::new();
    for wanted in reference {
        for found in candidate {
            united.extend(
                lcs(wanted, found, Back::InFound)
                    .into_iter()
                    .map(|at| wanted[at]),
            );
        }
    }
    let (found, wanted) = (distinct(candidate), distinct(reference));
    if united.is_empty() || found == 0 || wanted == 0 {
        return 0.0;
    }
    let precision = united.len() as f64 / found as f64;
    let recall = united.len() as f64 / wanted as f64;
    // the library adds the small number, so that nothing is divided by zero
    2.0 * precision * recall / (precision + recall + 1e-8)
}

/// F of the words of the united LCS, over lines, each word as often as both texts hold it.
pub(super) fn rouge_lsum(text: &str, answer: &str) -> f64 {
    let (candidate, reference) = (lines(text), lines(answer));
    let (candidate, reference) = (as_str(&candidate), as_str(&reference));
    let total = |sentences: &[Vec<&str>]| sentences.iter().map(Vec::len).sum::<usize>();
    let (found, wanted) = (total(&candidate), total(&reference));
    let (mut in_candidate, mut in_reference) = (counts(&candidate), counts(&reference));
    let mut hits = 0_usize;
    for sentence in &reference {
        let united: BTreeSet<usize> = candidate
            .iter()
            .flat_map(|other| lcs(sentence, other, Back::InWanted))
            .collect();
        for at in united {
            let word = sentence[at];
            let left = (in_candidate.get_mut(word), in_reference.get_mut(word));
            if let (Some(one @ 1..), Some(other @ 1..)) = left {
                *one -= 1;
                *other -= 1;
                hits += 1;
            }
        }
    }
    if hits == 0 {
        return 0.0;
    }
    let precision = hits as f64 / found as f64;
    let recall = hits as f64 / wanted as f64;
    2.0 * precision * recall / (precision + recall)
}

fn counts<'a>(sentences: &[Vec<&'a str>]) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for word in sentences.iter().flatten() {
        *counts.entry(*word).or_default() += 1;
    }
    counts
}

/// Lines as runs of ASCII letters and digits in lower case; empty lines are left out.
fn lines(text: &str) -> Vec<Vec<String>> {
    let lines = text.split('\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let lower = line.to_lowercase();
            let words = lower.split(|c: char| !c.is_ascii_alphanumeric());
            words
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect()
        })
        .collect()
}

/// Which way to step back where both are as good: the two libraries differ in it.
#[derive(Clone, Copy, PartialEq)]
enum Back {
    InWanted,
    InFound,
}

/// Indices into `wanted` of a longest common subsequence, walking back from the ends.
fn lcs(wanted: &[&str], found: &[&str], tie: Back) -> Vec<usize> {
    let width = found.len() + 1;
    let mut table = vec![0_u32; (wanted.len() + 1) * width];
    for (i, left) in wanted.iter().enumerate() {
        for (j, right) in found.iter().enumerate() {
            table[(i + 1) * width + j + 1] = if left == right {
                table[i * width + j] + 1
            } else {
                table[i * width + j + 1].max(table[(i + 1) * width + j])
            };
        }
    }
    let (mut i, mut j) = (wanted.len(), found.len());
    let mut indices = Vec::new();
    while i > 0 && j > 0 {
        let (above, before) = (table[(i - 1) * width + j], table[i * width + j - 1]);
        if wanted[i - 1] == found[j - 1] {
            indices.push(i - 1);
            (i, j) = (i - 1, j - 1);
        } else if above > before || (above == before && tie == Back::InWanted) {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    indices
}
