//! Rows that are given as embeddings in place of tokens, such as Judge Q's soft tokens (arXiv 2509.10798).
//!
//! The n rows are run behind the prompt at positions T..T+n-1, see the prompt and each other, and observe the
//! prompt with their queries `[L, H, n, D]`. Score of prompt token j: the mean over the rows of their attention
//! on j, the softmax running over all that a row sees. Then as SnapKV does: max pooling with kernel 7, each
//! query head on its own (the paper does not say; its baselines ran so).

use std::time::Instant;

use candle_core::Tensor;
use kvlens_analysis::{Pooling, Scoring};

use super::ObservationWindow;
use super::appended::{Appended, cost_of_appended};
use crate::SessionError;
use crate::model::{Adapters, Model};
use crate::observation::{Cost, Observation, QueryRows};
use crate::prefill::{Needs, Prefilled, RunControl};

/// A window of embeddings.
#[derive(Debug, Clone)]
pub struct SoftTokens {
    label: String,
    /// `[n, hidden]`.
    embeddings: Tensor,
    adapters: Option<Adapters>,
}

impl SoftTokens {
    /// `embeddings` is `[n, hidden]`, in any dtype and on any device.
    ///
    /// # Errors
    /// [`SessionError::Plan`] if there is no row, [`SessionError::Tensor`] if there are not two dimensions.
    pub fn new(label: &str, embeddings: Tensor) -> Result<Self, SessionError> {
        let (rows, _) = embeddings.dims2()?;
        if rows == 0 {
            return Err(SessionError::Plan {
                reason: format!("window '{label}' has no soft token"),
            });
        }
        Ok(Self {
            label: label.to_owned(),
            embeddings,
            adapters: None,
        })
    }

    /// With low-rank additions to the linear layers, active on these rows alone.
    pub(crate) fn with_adapters(self, adapters: Option<Adapters>) -> Self {
        Self { adapters, ..self }
    }

    /// Runs the rows behind the prompt.
    pub(crate) fn run(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        control: &mut RunControl<'_>,
    ) -> Result<(QueryRows, Cost), SessionError> {
        let started = Instant::now();
        let prompt_tokens = prefilled.prompt_tokens();
        let appended = Appended {
            embeddings: self.embeddings.clone(),
            first_position: prompt_tokens as u32,
            adapters: self.adapters.as_ref(),
        };
        let rows = appended.run(model, prefilled, control)?;
        let appended = cost_of_appended(model, &rows, prompt_tokens);
        let added = self.adapters.as_ref().map_or(0, Adapters::numbers);
        let cost = Cost {
            seconds: started.elapsed().as_secs_f64(),
            // a product takes a multiplication and an addition
            flops: appended.flops + 2.0 * (rows.count() * added) as f64,
            ..appended
        };
        Ok((rows, cost))
    }
}

impl ObservationWindow for SoftTokens {
    fn label(&self) -> &str {
        &self.label
    }

    fn needs(&self) -> Needs {
        let rows = self.embeddings.dims().first().copied().unwrap_or(0);
        Needs {
            extra_tokens: rows,
            extra_positions: rows,
            ..Needs::default()
        }
    }

    fn scoring(&self) -> Scoring {
        Scoring {
            pool: Pooling::Max { kernel: 7 },
            ..Scoring::default()
        }
    }

    fn prepare(&mut self, model: &Model) -> Result<(), SessionError> {
        let (_, width) = self.embeddings.dims2()?;
        let hidden = model.config().hidden_size;
        if width != hidden {
            return Err(SessionError::Plan {
                reason: format!(
                    "window '{}' has embeddings of width {width}, but the model's are {hidden} wide; they were made for another model",
                    self.label
                ),
            });
        }
        self.embeddings = model.like_embeddings(&self.embeddings)?;
        Ok(())
    }

    fn observe(
        &self,
        model: &Model,
        prefilled: &mut Prefilled,
        control: &mut RunControl<'_>,
    ) -> Result<Observation, SessionError> {
        let (rows, cost) = self.run(model, prefilled, control)?;
        Observation::by_queries(self.info(Vec::new(), cost), rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CancelFlag;
    use crate::model::{DeviceChoice, DtypeChoice, ModelSource};
    use crate::windows::{WindowLabel, parse_window};

    fn demo_model() -> Model {
        Model::load(&ModelSource::Demo, DeviceChoice::Cpu, DtypeChoice::F32).unwrap()
    }

    fn observe(window: &dyn ObservationWindow, model: &Model, ids: &[u32]) -> Observation {
        let cancel = CancelFlag::default();
        let mut control = RunControl {
            cancel: &cancel,
            on_tokens: &mut |_, _| {},
        };
        let mut prefilled = Prefilled::run(model, ids, &window.needs(), &mut control).unwrap();
        window.observe(model, &mut prefilled, &mut control).unwrap()
    }

    #[test]
    fn a_soft_token_set_to_the_embedding_of_a_token_is_that_token() {
        let model = demo_model();
        let ids = model
            .encode_prompt("The harbor was quiet.", None)
            .unwrap()
            .ids;
        let last = model.embed(&ids[ids.len() - 4..]).unwrap();
        let mut soft = SoftTokens::new("soft", last).unwrap();
        soft.prepare(&model).unwrap();
        let soft = observe(&soft, &model, &ids);
        let label: WindowLabel = "dapq:n=4,content=last".parse().unwrap();
        let tokens = observe(parse_window(&label).unwrap().as_ref(), &model, &ids);
        let queries = |observation: &Observation| -> Vec<f32> {
            let rows = observation.query_rows().unwrap();
            rows.queries().flatten_all().unwrap().to_vec1().unwrap()
        };
        assert_eq!(queries(&soft), queries(&tokens));
        assert!(soft.token_ids().is_empty());
        assert_eq!(tokens.token_ids(), &ids[ids.len() - 4..]);
    }

    #[test]
    fn embeddings_of_another_width_are_refused() {
        let model = demo_model();
        let narrow = Tensor::zeros((2, 8), candle_core::DType::F32, &candle_core::Device::Cpu);
        let mut soft = SoftTokens::new("soft", narrow.unwrap()).unwrap();
        let error = soft.prepare(&model).unwrap_err().to_string();
        assert!(error.contains("another model"), "{error}");
    }
}
