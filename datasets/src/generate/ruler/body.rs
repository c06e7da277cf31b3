//! A text of any size with things hidden in it.

use std::ops::Range;

use super::haystack::Haystack;

/// A text, and where in it stands what the answer needs.
pub(in crate::generate) struct Rendered {
    pub text: String,
    /// Bytes of the text, sorted.
    pub evidence: Vec<Range<usize>>,
}

/// Makes the text of a given size: the larger, the longer, and the same size gives the same text.
pub(in crate::generate) trait Body {
    /// `size` counts words, or entries of a list.
    fn render(&mut self, size: usize) -> Rendered;
}

/// Something to be hidden.
pub(super) struct Hidden {
    /// Where: 0 at the start of the text, 1 at its end.
    pub depth: f64,
    pub text: String,
    /// The part of it that the answer needs; empty of a decoy.
    pub evidence: Range<usize>,
}

impl Hidden {
    /// A text all of which the answer needs.
    pub(super) fn needed(depth: f64, text: String) -> Self {
        let evidence = 0..text.len();
        Self {
            depth,
            text,
            evidence,
        }
    }

    /// A text that only resembles what is asked for.
    pub(super) fn decoy(depth: f64, text: String) -> Self {
        Self {
            depth,
            text,
            evidence: 0..0,
        }
    }
}

/// Things hidden in a haystack, those of one depth in their order.
pub(super) struct HiddenIn {
    haystack: Haystack,
    hidden: Vec<Hidden>,
}

impl HiddenIn {
    pub(super) fn new(haystack: Haystack, mut hidden: Vec<Hidden>) -> Self {
        hidden.sort_by(|a, b| a.depth.total_cmp(&b.depth));
        Self { haystack, hidden }
    }
}

impl Body for HiddenIn {
    fn render(&mut self, size: usize) -> Rendered {
        let separator = self.haystack.separator();
        let pieces = self.haystack.words(size);
        let total: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut out = Writer::new(separator);
        let mut hidden = self.hidden.iter().peekable();
        let mut before = 0_usize;
        for piece in &pieces {
            // a hidden text goes to the nearer end of the piece that its depth falls into
            let middle = (before + piece.len() / 2) as f64;
            while let Some(next) = hidden.next_if(|next| next.depth * total as f64 <= middle) {
                out.hide(next);
            }
            out.write(piece);
            before += piece.len();
        }
        for next in hidden {
            out.hide(next);
        }
        out.done
    }
}

struct Writer {
    separator: &'static str,
    done: Rendered,
}

impl Writer {
    fn new(separator: &'static str) -> Self {
        let done = Rendered {
            text: String::new(),
            evidence: Vec::new(),
        };
        Self { separator, done }
    }

    fn write(&mut self, text: &str) {
        if !self.done.text.is_empty() {
            self.done.text.push_str(self.separator);
        }
        self.done.text.push_str(text);
    }

    fn hide(&mut self, hidden: &Hidden) {
        self.write(&hidden.text);
        let start = self.done.text.len() - hidden.text.len();
        if !hidden.evidence.is_empty() {
            let Range { start: from, end } = hidden.evidence;
            self.done.evidence.push(start + from..start + end);
        }
    }
}
