//! What a model takes that lies in no checkpoint.

use candle_core::DType;

use super::estimator::needs_of;
use super::stages::SampleStages;
use crate::SessionError;
use crate::footprint::{RunShape, UnloadedModel};
use crate::model::{ModelConfig, ModelSource};
use crate::plan::{DecodePlan, Keep};
use crate::windows::{Decode, Window};

/// Bytes of a GPU's memory that the capture of one prompt of T = `prompt_tokens` takes at most beside the weights.
///
/// # Errors
/// What a window says of the files that it needs.
pub(crate) fn device_bytes_beside_weights(
    config: &ModelConfig,
    dtype: DType,
    prompt_tokens: usize,
    decode: DecodePlan,
    windows: &[Window],
) -> Result<f64, SessionError> {
    // no window looks beside a built-in model
    let source = ModelSource::Demo;
    let windows: Vec<&Window> = windows.iter().collect();
    let decode = Decode::planned(decode, 0);
    let needs = decode.needs(&source)?.and(&needs_of(&windows, &source)?);
    let stages = SampleStages {
        run: RunShape {
            config,
            source: &source,
            prompt_tokens,
            element_bytes: dtype.size_in_bytes(),
            on_gpu: true,
            widens_products: false,
            dequantises: false,
            threads: rayon::current_num_threads(),
        },
        model: &UnloadedModel::without_weights(config.clone()),
        needs: &needs,
        decode: &decode,
        windows: &windows,
        keep: Keep::default(),
        numbers: None,
        is_only: true,
        shares_prefill: false,
    };
    let stages = stages.stages()?.into_iter();
    Ok(stages.fold(0.0, |most, stage| stage.together.device.max(most)))
}
