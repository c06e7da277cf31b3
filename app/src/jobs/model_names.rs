//! What the models of several sessions are called in tables and figures.

use std::collections::HashMap;

use kvlens_sessions::{DecodePlan, Session};

use super::found_sessions::sample_key;

/// Characters of a hash that tell models of one name apart.
const HASH_LETTERS: usize = 8;

/// A model's own name, unless sessions of other weights or of another number format have the same, or sessions decoded
/// the same prompt otherwise: then what differs stands behind it. Samples are grouped by it, so none of them is averaged
/// with those of another model, and no prompt counts twice because it was decoded twice.
pub struct ModelNames {
    /// Of every session, each once.
    models: Vec<Identity>,
    /// Whether sessions that differ in their decode stages alone are told apart.
    by_decoding: bool,
}

/// What tells sessions of a model apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    name: String,
    dtype: String,
    weights: String,
    decoding: [String; 5],
}

impl ModelNames {
    /// Of all sessions that are looked at together.
    pub fn of(sessions: &[Session]) -> Self {
        let mut models: Vec<Identity> = Vec::new();
        for session in sessions {
            let identity = Identity::of(session);
            if !models.contains(&identity) {
                models.push(identity);
            }
        }
        let differ_in_decoding = models.iter().enumerate().any(|(index, one)| {
            let mut others = models[..index].iter();
            others.any(|other| one.is_model_of(other))
        });
        Self {
            by_decoding: differ_in_decoding && are_decoded_otherwise(sessions),
            models,
        }
    }

    /// Of one of these sessions.
    pub fn name(&self, session: &Session) -> String {
        self.name_of(&Identity::of(session))
    }

    fn name_of(&self, identity: &Identity) -> String {
        let Identity {
            name,
            dtype,
            weights,
            decoding,
        } = identity;
        let namesakes = || self.models.iter().filter(|other| other.name == *name);
        let mut told = name.clone();
        if namesakes().any(|other| other.dtype != *dtype) {
            told = format!("{told} {dtype}");
        }
        if namesakes().any(|other| other.weights != *weights) {
            let hash = weights.get(..HASH_LETTERS).unwrap_or(weights);
            told = format!("{told} {hash}");
        }
        for (index, words) in decoding.iter().enumerate() {
            let mut same_model = namesakes().filter(|other| other.is_model_of(identity));
            let differs = same_model.any(|other| other.decoding[index] != *words);
            if self.by_decoding && differs && !words.is_empty() {
                told = format!("{told}, {words}");
            }
        }
        told
    }
}

impl Identity {
    fn of(session: &Session) -> Self {
        let manifest = session.manifest();
        Self {
            name: manifest.model.name.clone(),
            dtype: manifest.dtype.clone(),
            weights: manifest.model.weights_sha256.clone(),
            decoding: decoding(&manifest.plan.decode),
        }
    }

    /// Whether both are of one model in one number format.
    fn is_model_of(&self, other: &Self) -> bool {
        (&self.name, &self.dtype, &self.weights) == (&other.name, &other.dtype, &other.weights)
    }
}

/// A plan of decoding in words, one for each part in which two may differ; empty where there is nothing to say.
fn decoding(plan: &DecodePlan) -> [String; 5] {
    let length = match plan.sample_lengths {
        true => "decode as asked".to_owned(),
        false => format!("decode {}", plan.max_tokens),
    };
    let either = |is: bool, yes: &str, no: &str| if is { yes } else { no }.to_owned();
    let sampling = plan.temperature;
    [
        length,
        either(plan.ignore_eos, "past its end", "to its end"),
        either(plan.teacher_forced, "reference answers", "own answers"),
        sampling.map_or_else(|| "greedy".to_owned(), |at| format!("temperature {at}")),
        sampling.map_or_else(String::new, |_| format!("seed {}", plan.seed)),
    ]
}

/// Whether a prompt has other decode stages by the same model in the same number format. What cannot be read says nothing
/// here; whoever reads it for its numbers says so.
fn are_decoded_otherwise(sessions: &[Session]) -> bool {
    let mut content_of = HashMap::new();
    sessions.iter().any(|session| {
        let Identity {
            name,
            dtype,
            weights,
            ..
        } = Identity::of(session);
        let keys = session.of_records(|header| sample_key(session, &header.record));
        keys.into_iter().flatten().any(|key| {
            let prompt = (name.clone(), dtype.clone(), weights.clone(), key.prompt);
            let first = content_of
                .entry(prompt)
                .or_insert_with(|| key.content.clone());
            *first != key.content
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(plans: &[DecodePlan], by_decoding: bool) -> Vec<String> {
        let identity = |plan: &DecodePlan| Identity {
            name: "demo".to_owned(),
            dtype: "f32".to_owned(),
            weights: "0123456789".to_owned(),
            decoding: decoding(plan),
        };
        let models: Vec<Identity> = plans.iter().map(identity).collect();
        let names = ModelNames {
            models: models.clone(),
            by_decoding,
        };
        models.iter().map(|model| names.name_of(model)).collect()
    }

    #[test]
    fn decode_stages_are_told_apart_by_what_they_differ_in() {
        let of = |max_tokens, temperature, seed| DecodePlan {
            max_tokens,
            temperature,
            seed,
            ..DecodePlan::default()
        };
        let lengths = [of(8, None, 0), of(12, None, 3)];
        assert_eq!(names(&lengths, true), ["demo, decode 8", "demo, decode 12"]);
        assert_eq!(names(&lengths, false), ["demo", "demo"]);
        let sampled = [of(8, None, 0), of(8, Some(0.7), 1), of(8, Some(0.7), 2)];
        assert_eq!(
            names(&sampled, true),
            [
                "demo, greedy",
                "demo, temperature 0.7, seed 1",
                "demo, temperature 0.7, seed 2"
            ]
        );
    }
}
