//! A training run on disk: one file that holds everything that the next step needs.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor, Var};
use kvlens_datasets::read_at_most;
use safetensors::SafeTensors;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::optimizer::{Moments, fresh_moments};
use crate::SessionError;
use crate::error::Context;
use crate::files::{UNSEALED, is_sealed, seal, serialized, write_file};
use crate::model::Parameters;

/// Far above what parameters of a window and their moments take.
const MOST_BYTES: u64 = 1 << 36;

/// The one metadata key of the file.
const METADATA: &str = "kvlens";

/// Parameters, moments and curve after some steps: P the settings of the run, C a point of its curve.
pub(crate) struct TrainingState<P, C> {
    pub(crate) plan: P,
    pub(crate) parameters: Parameters,
    /// In the parameters' order.
    pub(crate) moments: Vec<Moments>,
    pub(crate) curve: Vec<C>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata<P, C> {
    /// Of the whole file; states of earlier programs do not say.
    #[serde(default)]
    sha256: Option<String>,
    plan: P,
    curve: Vec<C>,
}

impl<P, C> TrainingState<P, C>
where
    P: Clone + Serialize + DeserializeOwned,
    C: Clone + Serialize + DeserializeOwned,
{
    /// A run that has done no step.
    pub(crate) fn new(plan: P, parameters: Parameters) -> Result<Self, SessionError> {
        Ok(Self {
            moments: fresh_moments(&parameters)?,
            plan,
            parameters,
            curve: Vec::new(),
        })
    }

    /// Steps done.
    pub(crate) fn steps(&self) -> usize {
        self.curve.len()
    }

    /// Writes the file whole or not at all.
    pub(crate) fn save(&self, path: &Path) -> Result<(), SessionError> {
        let metadata = Metadata {
            sha256: Some(UNSEALED.to_owned()),
            plan: self.plan.clone(),
            curve: self.curve.clone(),
        };
        let text = serde_json::to_string(&metadata).map_err(|error| unreadable(path, &error))?;
        let mut tensors = BTreeMap::new();
        for ((name, parameter), moments) in self.parameters.iter().zip(&self.moments) {
            tensors.insert(format!("parameter.{name}"), parameter.as_tensor().clone());
            match moments {
                Moments::Momentum(momentum) => {
                    tensors.insert(format!("momentum.{name}"), momentum.clone());
                }
                Moments::Adam { first, second } => {
                    tensors.insert(format!("first.{name}"), first.clone());
                    tensors.insert(format!("second.{name}"), second.clone());
                }
            }
        }
        let mut bytes = serialized(&tensors, METADATA, text)?;
        seal(&mut bytes);
        write_file(path, &bytes)
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`SessionError::Checkpoint`] if it is something else or damaged.
    pub(crate) fn load(path: &Path, device: &Device) -> Result<Self, SessionError> {
        let bytes = read_at_most(path, MOST_BYTES).io("read the state of the training", path)?;
        let (_, header) =
            SafeTensors::read_metadata(&bytes).map_err(|error| unreadable(path, &error))?;
        let text = header
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(METADATA))
            .ok_or_else(|| unreadable(path, &"it has no plan"))?;
        let Metadata {
            sha256,
            plan,
            curve,
        } = serde_json::from_str(text).map_err(|error| unreadable(path, &error))?;
        if sha256.is_some_and(|sha256| !is_sealed(&bytes, &sha256)) {
            return Err(unreadable(path, &"its SHA-256 differs"));
        }
        let mut tensors = candle_core::safetensors::load_buffer(&bytes, device)
            .map_err(|error| unreadable(path, &error))?;
        let names: Vec<String> = tensors
            .keys()
            .filter_map(|name| name.strip_prefix("parameter.").map(str::to_owned))
            .collect();
        let mut parameters = Parameters::new();
        for name in names {
            if let Some(tensor) = tensors.remove(&format!("parameter.{name}")) {
                parameters.insert(name, Var::from_tensor(&tensor)?);
            }
        }
        let mut moments = fresh_moments(&parameters)?;
        for ((name, _), moments) in parameters.iter().zip(&mut moments) {
            let mut take = |kind: &str, place: &mut Tensor| {
                let tensor = tensors
                    .remove(&format!("{kind}.{name}"))
                    .filter(|t| t.dims() == place.dims());
                *place =
                    tensor.ok_or_else(|| unreadable(path, &format!("it lacks '{kind}.{name}'")))?;
                Ok::<(), SessionError>(())
            };
            match moments {
                Moments::Momentum(momentum) => take("momentum", momentum)?,
                Moments::Adam { first, second } => {
                    take("first", first)?;
                    take("second", second)?;
                }
            }
        }
        Ok(Self {
            plan,
            parameters,
            moments,
            curve,
        })
    }
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> SessionError {
    SessionError::Checkpoint {
        reason: format!(
            "this is not the state of a training run, or it is damaged; start anew without --resume ({error})"
        ),
        path: path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_anywhere_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let tensor = Tensor::new(&[1.0_f32, -2.0, 0.5], &Device::Cpu).unwrap();
        let parameters =
            Parameters::from([("rows".to_owned(), Var::from_tensor(&tensor).unwrap())]);
        type State = TrainingState<String, f32>;
        let mut state = State::new("plan".to_owned(), parameters).unwrap();
        state.curve.push(0.25);
        state.save(&path).unwrap();
        assert_eq!(State::load(&path, &Device::Cpu).unwrap().curve, [0.25]);
        let good = std::fs::read(&path).unwrap();
        for place in 0..good.len() {
            let mut flipped = good.clone();
            flipped[place] ^= 1;
            std::fs::write(&path, flipped).unwrap();
            assert!(State::load(&path, &Device::Cpu).is_err(), "byte {place}");
        }
    }
}
