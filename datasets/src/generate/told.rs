//! What a document tells, so that several questions about it do not contradict each other.

use std::collections::BTreeSet;

use super::distractors::{Asked, other_people};
use super::document::{Distract, Material};
use super::filler::Filler;
use super::person::People;
use super::random::Random;
use super::tasks::key_value::{Ledger, other_keys};
use super::tasks::passage::{Passages, other_passages};
use super::tasks::variables::{Parcels, other_chains};

/// Makes one more distractor, whose people are new to the document.
pub(super) type Source = Box<dyn FnMut(&mut Random, &mut People) -> Option<String>>;

/// Everything that the questions of one document ask about, and all names that are taken.
#[derive(Clone, Default)]
pub(super) struct Told {
    /// Everybody who was named.
    pub people: People,
    /// The words of unusual codes.
    pub codes: BTreeSet<&'static str>,
    /// The people whose facts are asked for.
    pub asked: Asked,
    /// The keys whose values are asked for.
    pub ledger: Ledger,
    /// The people among whom the asked parcels go round.
    pub parcels: Parcels,
    /// The passages that are to be copied.
    pub passages: Passages,
    /// Sentences that say nothing of anybody.
    pub filler: Filler,
}

impl Told {
    /// What the document is made of: the needed texts, and others that resemble what was asked.
    pub(super) fn into_material(self, needed: Vec<String>, depth: Option<f64>) -> Material {
        let mut sources: Vec<Source> = Vec::new();
        if self.asked.questions > 0 {
            sources.push(other_people(self.asked));
        }
        if !self.ledger.values.is_empty() {
            sources.push(other_keys(self.ledger));
        }
        if !self.parcels.people.is_empty() {
            sources.push(other_chains(self.parcels));
        }
        if !self.passages.topics.is_empty() {
            sources.push(other_passages(self.passages));
        }
        Material {
            needed,
            depth,
            distract: any_of(sources, self.people),
            filler: self.filler,
        }
    }
}

/// Each distractor from any of the sources, which share the names.
fn any_of(mut sources: Vec<Source>, mut people: People) -> Distract {
    Box::new(move |random| {
        // a single source takes no number, because seeds were given out before there were several
        let drawn = if sources.len() > 1 {
            random.below(sources.len())
        } else {
            0
        };
        sources.get_mut(drawn)?(random, &mut people)
    })
}
