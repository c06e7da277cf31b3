//! What things are hidden in: noise, generated prose, other needles, or a text of the user's.

use std::path::Path;

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
    Text(Vec<String>),
}

impl Kind {
    /// `noise`, `generated`, or the path of a text file.
    ///
    /// # Errors
    /// A file that cannot be read, is no UTF-8 or holds no word.
    pub(super) fn read(word: &str) -> Result<Self, DatasetError> {
        match word {
            "noise" => Ok(Self::Noise),
            "generated" => Ok(Self::Prose),
            path => {
                let path = Path::new(path);
                let bytes =
                    read_at_most(path, MOST_TEXT_BYTES).map_err(|source| DatasetError::Read {
                        path: path.to_owned(),
                        source,
                    })?;
                let text = String::from_utf8(bytes).map_err(|error| DatasetError::NotUtf8 {
                    path: path.to_owned(),
                    byte: error.utf8_error().valid_up_to(),
                })?;
                let sentences = sentences(text.trim_start_matches('\u{feff}'));
                if sentences.is_empty() {
                    return Err(DatasetError::Empty {
                        path: path.to_owned(),
                    });
                }
                Ok(Self::Text(sentences))
            }
        }
    }
}

/// The sentences of a text, white space as single blanks. A sentence ends with `.`, `!`, `?` or their wide forms.
fn sentences(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut sentence = String::new();
    for word in text.split_whitespace() {
        if !sentence.is_empty() {
            sentence.push(' ');
        }
        sentence.push_str(word);
        let bare = word.trim_end_matches(['"', '\'', ')', '”', '’', '»', '」']);
        if bare.ends_with(['.', '!', '?', '。', '！', '？']) {
            found.push(std::mem::take(&mut sentence));
        }
    }
    if !sentence.is_empty() {
        found.push(sentence);
    }
    found
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
                let sentences = sentences.clone();
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
            let words = if self.may_cut {
                piece.split_whitespace().count().max(1)
            } else {
                piece.len().div_ceil(CHARACTERS_A_WORD)
            };
            if words > left {
                let source = if self.may_cut { piece } else { NOISE_LINE };
                pieces.push(first_words(source, left));
                break;
            }
            left -= words;
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

/// The first words, closed by a full stop.
fn first_words(text: &str, count: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().cycle().take(count).collect();
    let text = words.join(" ");
    if text.ends_with(['.', '!', '?']) {
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
            Kind::Text(sentences("One two. Three four five. Six.")),
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
    fn a_file_without_words_and_one_that_is_missing_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, " \n").unwrap();
        let error = Kind::read(&path.to_string_lossy()).unwrap_err();
        assert!(error.to_string().ends_with("a.txt"), "{error}");
        assert!(Kind::read("no/such.txt").is_err());
    }
}
