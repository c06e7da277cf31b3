//! Numbers as text that gives the same number back to the last bit, NaN among them, which JSON's own numbers do not.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

fn text(value: f64) -> String {
    // the shortest digits that name this number and no other
    value.to_string()
}

fn number<E: serde::de::Error>(text: &str) -> Result<f64, E> {
    text.parse().map_err(|error: std::num::ParseFloatError| {
        E::custom(format!("'{text}' is no number ({error})"))
    })
}

pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*value))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    number(&String::deserialize(deserializer)?)
}

/// Of a number that may be missing.
pub mod option {
    use super::*;

    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(text).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| number(&text)).transpose()
    }
}

/// Of steps: KL divergence and whether both find the same token, of each.
pub mod steps {
    use kvlens_analysis::fidelity::StepFidelity;

    use super::*;

    pub fn serialize<S: Serializer>(
        steps: &[StepFidelity],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(steps.iter().map(|step| (text(step.kl), step.agrees)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<StepFidelity>, D::Error> {
        let steps = Vec::<(String, bool)>::deserialize(deserializer)?;
        let step = |(text, agrees): (String, bool)| {
            let kl = number(&text)?;
            Ok(StepFidelity { kl, agrees })
        };
        steps.into_iter().map(step).collect()
    }
}

/// Of means over steps: KL divergence and agreement.
pub mod means {
    use kvlens_analysis::fidelity::MeanFidelity;

    use super::*;

    pub fn serialize<S: Serializer>(
        means: &MeanFidelity,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        (text(means.kl), text(means.agreement)).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<MeanFidelity, D::Error> {
        let (kl, agreement) = <(String, String)>::deserialize(deserializer)?;
        Ok(MeanFidelity {
            kl: number(&kl)?,
            agreement: number(&agreement)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Held(#[serde(with = "super")] f64);

    #[test]
    fn every_number_comes_back_to_the_last_bit() {
        let odd = [
            0.1,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::MIN_POSITIVE / 8.0,
            f64::MAX,
        ];
        // and 10,000 patterns of bits
        let bits = (1..=10_000_u64).map(|n| f64::from_bits(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        for value in odd.into_iter().chain(bits) {
            let text = serde_json::to_string(&Held(value)).unwrap();
            let Held(back) = serde_json::from_str(&text).unwrap();
            let is_same = back.to_bits() == value.to_bits() || back.is_nan() && value.is_nan();
            assert!(is_same, "{value} {text}");
        }
    }
}
