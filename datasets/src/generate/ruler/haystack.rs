//! What things are hidden in: noise, generated prose, other needles, or a text of the user's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bounded::read_at_most;
use crate::error::DatasetError;
use crate::folder::MOST_TEXT_BYTES;
use crate::generate::filler::Filler;
use crate::generate::random::Random;

/// Sentences that are said over and over.
const NOISE: [&str; 5] = [
    "Clouds pass over the quiet fields.",
    "The kettle is warm and the floor is swept.",
    "Somebody walks up the stairs and down again.",
    "The clock in the hall shows the hour.",
    "Then the light changes and all is as before.",
];

/// The kinds of haystacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The same few sentences again and again.
    Noise,
    /// Generated sentences, none twice but for short remarks.
    Prose,
    /// The sentences of a file, from the beginning and over again.
    Text(Arc<[String]>),
}

impl Kind {
    /// `noise`, `generated`, or the path of a text file.
    ///
    /// # Errors
    /// [`DatasetError::Haystack`] for a file that cannot be read, is no text or holds no word.
    pub(super) fn read(word: &str) -> Result<Self, DatasetError> {
        match word {
            "noise" => Ok(Self::Noise),
            "generated" => Ok(Self::Prose),
            path => match read_text(Path::new(path)) {
                Ok(sentences) => Ok(Self::Text(sentences.into())),
                Err(problem) => Err(DatasetError::Haystack {
                    path: PathBuf::from(path),
                    problem,
                }),
            },
        }
    }

    /// How many words a text of the user's has.
    pub(super) fn words(&self) -> Option<usize> {
        match self {
            Self::Noise | Self::Prose => None,
            Self::Text(sentences) => Some(sentences.iter().map(|sentence| words(sentence)).sum()),
        }
    }
}

/// The sentences of a file, or what is wrong with it, as the end of a sentence.
fn read_text(path: &Path) -> Result<Vec<String>, String> {
    let bytes = read_at_most(path, MOST_TEXT_BYTES).map_err(|error| {
        format!("cannot be read ({error}); it is `noise`, `generated` or a text file")
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let byte = error.utf8_error().valid_up_to();
        format!("is not UTF-8 text (first wrong byte at {byte})")
    })?;
    if let Some(byte) = text.find('\0') {
        return Err(format!("is no text: it holds a NUL (byte {byte})"));
    }
    let sentences = sentences(text.trim_start_matches('\u{feff}'));
    match sentences.is_empty() {
        true => Err("holds no word".to_owned()),
        false => Ok(sentences),
    }
}

/// Marks that end a sentence wherever they stand, also where no blank follows.
const WIDE_ENDS: [char; 3] = ['。', '！', '？'];

/// What may follow the end of a sentence and belongs to it.
const CLOSING: [char; 7] = ['"', '\'', ')', '”', '’', '»', '」'];

/// The sentences of a text, white space as single blanks. A sentence ends with `.`, `!` or `?` before white space, or
/// with one of their wide forms.
fn sentences(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut sentence = String::new();
    for word in text.split_whitespace() {
        if !sentence.is_empty() {
            sentence.push(' ');
        }
        let mut rest = word;
        while let Some(end) = wide_end(rest) {
            sentence.push_str(&rest[..end]);
            found.push(std::mem::take(&mut sentence));
            rest = &rest[end..];
        }
        sentence.push_str(rest);
        if rest.trim_end_matches(CLOSING).ends_with(['.', '!', '?']) {
            found.push(std::mem::take(&mut sentence));
        }
    }
    let last = sentence.trim_end();
    if !last.is_empty() {
        found.push(last.to_owned());
    }
    found
}

/// Where the first sentence that ends with a wide mark ends.
fn wide_end(word: &str) -> Option<usize> {
    let mark = word.find(WIDE_ENDS)?;
    let behind = word.get(mark..)?.trim_start_matches(WIDE_ENDS);
    Some(word.len() - behind.trim_start_matches(CLOSING).len())
}

/// Makes the next piece of a haystack.
type Make = Box<dyn FnMut(&mut Random) -> String>;

/// A haystack without end.
pub(super) struct Haystack {
    random: Random,
    make: Make,
    separator: &'static str,
    /// Whether a piece may be cut: one that holds values is whole or not there.
    may_cut: bool,
    made: Vec<String>,
}

impl Haystack {
    /// A haystack of this kind; a text of the user's begins at a sentence of its own for each sample.
    pub(super) fn of(kind: &Kind, random: &mut Random) -> Self {
        let own = random.fork();
        match kind {
            Kind::Noise => {
                let mut at = 0;
                let make: Make = Box::new(move |_| {
                    at += 1;
                    NOISE[(at - 1) % NOISE.len()].to_owned()
                });
                Self::made_by(own, make, " ", true)
            }
            Kind::Prose => {
                let mut filler = Filler::default();
                let make: Make = Box::new(move |random| filler.sentence(random));
                Self::made_by(own, make, " ", true)
            }
            Kind::Text(sentences) => {
                let sentences = Arc::clone(sentences);
                let mut at = random.below(sentences.len());
                let make: Make = Box::new(move |_| {
                    let sentence = sentences.get(at % sentences.len()).cloned();
                    at += 1;
                    sentence.unwrap_or_default()
                });
                Self::made_by(own, make, " ", true)
            }
        }
    }

    /// A haystack of whole pieces, such as other needles; room for less than one is filled with noise.
    pub(super) fn pieces(make: Make, separator: &'static str, random: &mut Random) -> Self {
        let own = random.fork();
        Self::made_by(own, make, separator, false)
    }

    fn made_by(random: Random, make: Make, separator: &'static str, may_cut: bool) -> Self {
        Self {
            random,
            make,
            separator,
            may_cut,
            made: Vec::new(),
        }
    }

    /// What stands between two pieces.
    pub(super) fn separator(&self) -> &'static str {
        self.separator
    }

    /// Pieces of `size` words in all, the last one cut where it would be more. Whole pieces count by their characters,
    /// so that the noise in the place of the last one is never shorter than the piece that will replace it: the number
    /// of tokens then grows by single words, and a length can be met.
    pub(super) fn words(&mut self, size: usize) -> Vec<String> {
        let mut pieces = Vec::new();
        let mut left = size;
        for index in 0.. {
            if index == self.made.len() {
                let piece = (self.make)(&mut self.random);
                self.made.push(piece);
            }
            let Some(piece) = self.made.get(index).filter(|_| left > 0) else {
                break;
            };
            let count = if self.may_cut {
                words(piece).max(1)
            } else {
                piece.len().div_ceil(CHARACTERS_A_WORD)
            };
            if count > left {
                let source = if self.may_cut { piece } else { NOISE_LINE };
                pieces.push(first_words(source, left));
                break;
            }
            left -= count;
            pieces.push(piece.clone());
        }
        pieces
    }
}

/// Identifiers take a token for two to three characters, a word of noise at least one.
const CHARACTERS_A_WORD: usize = 2;

/// What fills the room for less than a piece.
const NOISE_LINE: &str = "And so the day goes on and on and the road goes up and down and the door is open and the \
    lamp is lit and the cup is full and the wind is low and the sky is wide and the path is long and the hill is steep";

/// A word of more characters counts as several, and may be cut, so that a text without blanks has a length, too.
const LONG_WORD: usize = 48;

fn words(text: &str) -> usize {
    text.split_whitespace().map(words_of).sum()
}

fn words_of(word: &str) -> usize {
    let characters = word.chars().count();
    match characters > LONG_WORD || word.contains(is_written_without_blanks) {
        true => characters.div_ceil(CHARACTERS_A_WORD),
        false => 1,
    }
}

/// Letters of scripts that put no blanks between words: Thai and Lao, Burmese, Khmer, Chinese and Japanese.
fn is_written_without_blanks(letter: char) -> bool {
    matches!(letter, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
        || matches!(letter, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// The first words, closed by a full stop.
fn first_words(text: &str, count: usize) -> String {
    let mut first = Vec::new();
    let mut left = count;
    for word in text.split_whitespace().cycle() {
        if left == 0 {
            break;
        }
        let (words, mut characters) = (words_of(word), word.char_indices());
        let end = match words > left {
            true => characters.nth(left * CHARACTERS_A_WORD).map(|(at, _)| at),
            false => None,
        };
        first.push(end.map_or(word, |end| &word[..end]));
        left -= words.min(left);
    }
    let text = first.join(" ");
    if text.ends_with(['.', '!', '?']) || text.ends_with(WIDE_ENDS) {
        text
    } else {
        text.trim_end_matches([',', ';', ':']).to_owned() + "."
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_text_is_cut_into_sentences() {
        let text = "One two.\r\n\r\n\"Three!\" 四。 Mr. Five\u{2028}ends";
        assert_eq!(
            sentences(text),
            ["One two.", "\"Three!\"", "四。", "Mr.", "Five ends"]
        );
    }

    #[test]
    fn a_haystack_has_as_many_words_as_asked_and_grows_at_its_end() {
        let kinds = [
            Kind::Noise,
            Kind::Prose,
            Kind::Text(sentences("One two. Three four five. Six.").into()),
        ];
        for kind in kinds {
            let mut random = Random::new(1, 2, 3, 4);
            let mut haystack = Haystack::of(&kind, &mut random);
            let mut earlier = String::new();
            for size in 1..60 {
                let text = haystack.words(size).join(" ");
                assert_eq!(text.split_whitespace().count(), size);
                assert!(text.starts_with(earlier.trim_end_matches('.')), "{text}");
                assert!(text.ends_with(['.', '!', '?']), "{text}");
                earlier = text;
            }
        }
    }

    #[test]
    fn what_is_no_haystack_is_named_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let refused = |text: &[u8]| {
            fs::write(&path, text).unwrap();
            let error = Kind::read(&path.to_string_lossy()).unwrap_err().to_string();
            assert!(error.ends_with("a.txt"), "{error}");
            error
        };
        assert!(refused(b" \n").contains("the haystack holds no word"));
        assert!(refused(b"").contains("the haystack holds no word"));
        assert!(
            refused(b"One.\xff").contains("the haystack is not UTF-8 text (first wrong byte at 4)")
        );
        assert!(refused(b"One\0.").contains("it holds a NUL (byte 3)"));
        let error = Kind::read("no/such.txt").unwrap_err().to_string();
        assert!(error.contains("the haystack cannot be read"), "{error}");
    }

    #[test]
    fn a_text_without_blanks_is_sentences_and_words_too() {
        let text = "他走了。她说「好！」然后笑了？！\u{3000}end of it";
        assert_eq!(
            sentences(text),
            ["他走了。", "她说「好！」", "然后笑了？！", "end of it"]
        );
        let endless = "x".repeat(1_000);
        assert_eq!(words(&endless), 500);
        assert_eq!(first_words(&endless, 3), "xxxxxx.");
        assert_eq!(first_words(&format!("a {endless}"), 2), "a xx.");
        assert_eq!(words("他走了。 ok"), 3);
        assert_eq!(first_words("他走了。 ok", 1), "他走.");
        // what is no text of its own to cut stays a word
        assert_eq!(words("<https://www.gnu.org/licenses/why-not.html>"), 1);
    }
}
