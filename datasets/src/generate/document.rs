//! A document of a given length: what must be in it, distractors, filler, and where all that lies.

use std::ops::Range;

use super::filler::Filler;
use super::random::Random;
use super::tokens::estimate;

/// The share of the free room that distractors take, in percent; filler takes the rest.
const DISTRACTOR_PERCENT: usize = 45;

/// Makes one more distractor, a text that is kept together; `None` when there are no more.
pub(super) type Distract = Box<dyn FnMut(&mut Random) -> Option<String>>;

/// What a document is made of.
pub(super) struct Material {
    /// The texts that the answer needs, in the order in which they must stand.
    pub needed: Vec<String>,
    /// Where the needed texts shall stand: 0 at the beginning, 1 at the end. Anywhere when `None`.
    pub depth: Option<f64>,
    /// Other texts of the same kind.
    pub distract: Distract,
    /// The source of filler, which knows what was said already.
    pub filler: Filler,
}

/// A text and the places of what was needed in it.
pub(super) struct Document {
    /// Sentences separated by blanks, without one before the first.
    pub text: String,
    /// The byte span of every needed text, in the order of the text.
    pub evidence: Vec<Range<usize>>,
}

struct Piece {
    text: String,
    is_needed: bool,
}

impl Document {
    /// A document of at most `target` estimated tokens, short of it by less than the shortest sentence.
    pub(super) fn build(random: &mut Random, target: usize, mut material: Material) -> Self {
        let needed = estimate_all(&material.needed);
        let mut others = Vec::new();
        let mut free = target.saturating_sub(needed);
        let reserve = free - free * DISTRACTOR_PERCENT / 100;
        while let Some(text) = (material.distract)(random) {
            let length = estimate(&text);
            if free < reserve + length {
                break;
            }
            free -= length;
            others.push(text);
        }
        fill(random, &mut material.filler, free, &mut others);
        random.shuffle(&mut others);
        let pieces = match material.depth {
            Some(depth) => at_depth(material.needed, others, depth),
            None => anywhere(random, material.needed, others),
        };
        join(pieces)
    }
}

fn fill(random: &mut Random, filler: &mut Filler, mut free: usize, others: &mut Vec<String>) {
    loop {
        let sentence = filler.sentence(random);
        let sentence = if estimate(&sentence) <= free {
            sentence
        } else if let Some(remark) = Filler::remark_within(random, free) {
            remark
        } else {
            return;
        };
        free -= estimate(&sentence);
        others.push(sentence);
    }
}

/// The needed texts together, at the border between two others that is nearest to `depth`.
fn at_depth(needed: Vec<String>, others: Vec<String>, depth: f64) -> Vec<Piece> {
    let total = estimate_all(&others) as f64;
    let mut pieces: Vec<Piece> = others.into_iter().map(other).collect();
    let mut nearest = (f64::INFINITY, 0);
    let mut before = 0_usize;
    for border in 0..=pieces.len() {
        let distance = (before as f64 - depth * total).abs();
        if distance < nearest.0 {
            nearest = (distance, border);
        }
        before += pieces.get(border).map_or(0, |piece| estimate(&piece.text));
    }
    pieces.splice(nearest.1..nearest.1, needed.into_iter().map(wanted));
    pieces
}

/// The needed texts in their order, at random places among the others.
fn anywhere(random: &mut Random, needed: Vec<String>, others: Vec<String>) -> Vec<Piece> {
    let mut slots: Vec<bool> = needed.iter().map(|_| true).collect();
    slots.extend(others.iter().map(|_| false));
    random.shuffle(&mut slots);
    let mut needed = needed.into_iter().map(wanted);
    let mut others = others.into_iter().map(other);
    slots
        .into_iter()
        .filter_map(|is_needed| {
            if is_needed {
                needed.next()
            } else {
                others.next()
            }
        })
        .collect()
}

fn join(pieces: Vec<Piece>) -> Document {
    let mut text = String::new();
    let mut evidence = Vec::new();
    for piece in pieces {
        if !text.is_empty() {
            text.push(' ');
        }
        let start = text.len();
        text.push_str(&piece.text);
        if piece.is_needed {
            evidence.push(start..text.len());
        }
    }
    Document { text, evidence }
}

fn estimate_all(texts: &[String]) -> usize {
    texts.iter().map(|text| estimate(text)).sum()
}

fn wanted(text: String) -> Piece {
    Piece {
        text,
        is_needed: true,
    }
}

fn other(text: String) -> Piece {
    Piece {
        text,
        is_needed: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(target: usize, depth: Option<f64>) -> Document {
        let material = Material {
            needed: vec!["Needle one.".into(), "Needle two.".into()],
            depth,
            distract: Box::new(|_| Some("Hay.".into())),
            filler: Filler::default(),
        };
        Document::build(&mut Random::new(9, 0, 0, 0), target, material)
    }

    #[test]
    fn a_document_is_short_of_its_length_by_less_than_a_sentence() {
        for target in 20..300 {
            let length = estimate(&build(target, None).text);
            assert!(
                (target.saturating_sub(3)..=target).contains(&length),
                "{target}: {length}"
            );
        }
    }

    #[test]
    fn needed_texts_keep_their_order_and_their_spans() {
        for depth in [None, Some(0.0), Some(0.3), Some(1.0)] {
            let document = build(400, depth);
            let found: Vec<&str> = document
                .evidence
                .iter()
                .map(|span| &document.text[span.clone()])
                .collect();
            assert_eq!(found, ["Needle one.", "Needle two."]);
        }
    }

    #[test]
    fn depth_zero_is_the_beginning_and_depth_one_the_end() {
        assert!(
            build(200, Some(0.0))
                .text
                .starts_with("Needle one. Needle two.")
        );
        assert!(
            build(200, Some(1.0))
                .text
                .ends_with("Needle one. Needle two.")
        );
    }

    #[test]
    fn distractors_take_less_than_half() {
        let document = build(400, None);
        // 400 less 6 needed leaves 394, of which 45 % are 177 tokens: 88 times `Hay.`
        assert_eq!(document.text.matches("Hay.").count(), 88);
    }
}
