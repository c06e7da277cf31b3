//! Rows that are given as embeddings in place of tokens, such as Judge Q's soft tokens (arXiv 2509.10798).
//!
//! The n rows are run behind the prompt at positions T..T+n-1, see the prompt and each other, and observe the
//! prompt with their queries `[L, H, n, D]`. Score of prompt token j: the mean over the rows of their attention
//! on j, the softmax running over all that a row sees. Then as SnapKV does: max pooling with kernel 7, each
//! query head on its own (the paper does not say; its baselines ran so).

use candle_core::Tensor;

use super::appended::Appended;
use super::{Observe, Observed, Run};
use crate::SessionError;
use crate::model::{Adapters, Model};
use crate::prefill::Needs;

/// Rows of embeddings, ready for a model.
pub(crate) struct SoftTokens {
    /// `[n, hidden]`, of the model's dtype and on its device.
    embeddings: Tensor,
    count: usize,
    adapters: Option<Adapters>,
}

impl SoftTokens {
    /// `embeddings` is `[n, hidden]`, in any dtype and on any device; `adapters` are low-rank additions to the linear
    /// layers, active on these rows alone.
    ///
    /// # Errors
    /// [`SessionError::Plan`] if there is no row, or rows of another width than the model's;
    /// [`SessionError::Tensor`] if there are not two dimensions.
    pub(crate) fn new(
        model: &Model,
        embeddings: &Tensor,
        adapters: Option<Adapters>,
    ) -> Result<Self, SessionError> {
        let (count, width) = embeddings.dims2()?;
        let hidden = model.config().hidden_size;
        if count == 0 || width != hidden {
            return Err(SessionError::Plan {
                reason: format!(
                    "there are {count} soft tokens of width {width}, but at least one is needed and the model's are {hidden} wide; they were made for another model"
                ),
            });
        }
        Ok(Self {
            embeddings: model.like_embeddings(embeddings)?,
            count,
            adapters,
        })
    }
}

impl Observe for SoftTokens {
    fn needs(&self) -> Needs {
        Needs {
            extra_tokens: self.count,
            extra_positions: self.count,
            ..Needs::default()
        }
    }

    fn observe(&self, run: &mut Run<'_>) -> Result<Observed, SessionError> {
        let appended = Appended {
            embeddings: self.embeddings.clone(),
            first_position: run.prompt_tokens() as u32,
            adapters: self.adapters.as_ref(),
        };
        let rows = appended.run(run)?;
        let added = self.adapters.as_ref().map_or(0, Adapters::numbers);
        // a product takes a multiplication and an addition
        run.computed(2.0 * (rows.count() * added) as f64);
        Ok(Observed::rows(rows, Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CancelFlag;
    use crate::model::{DeviceChoice, DtypeChoice, ModelSource};
    use crate::observation::Observation;
    use crate::prefill::{Prefilled, RunControl};
    use crate::windows::{ReadyWindow, WindowLabel, parse_window};

    fn demo_model() -> Model {
        Model::load(&ModelSource::Demo, DeviceChoice::Cpu, DtypeChoice::F32).unwrap()
    }

    fn observe(window: &ReadyWindow, model: &Model, ids: &[u32]) -> Observation {
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
        let soft = SoftTokens::new(&model, &last, None).unwrap();
        let soft = observe(&ReadyWindow::new("soft", soft), &model, &ids);
        let label: WindowLabel = "dapq:n=4,content=last".parse().unwrap();
        let dapq = parse_window(&label).unwrap().ready(&model).unwrap();
        let tokens = observe(&dapq, &model, &ids);
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
        let soft = SoftTokens::new(&model, &narrow.unwrap(), None);
        let error = soft.err().unwrap().to_string();
        assert!(error.contains("another model"), "{error}");
    }
}
