//! Picking the next token from logits, on the CPU and the same way for every device.

use candle_core::Tensor;
use candle_transformers::generation::{LogitsProcessor, Sampling};
use kvlens_analysis::fidelity;

use crate::SessionError;

/// The most likely token of logits `[vocabulary]`; of equals the one with the lower id. A device's own argmax may take
/// another of them.
///
/// # Errors
/// [`SessionError::Analysis`] for logits that are not finite.
pub(crate) fn top_token(logits: &Tensor) -> Result<u32, SessionError> {
    Ok(fidelity::top_token(&logits.to_vec1::<f32>()?)?)
}

/// Picks the tokens of a generation: the most likely ones, or by chance at a temperature.
pub(crate) struct TokenChooser {
    /// None where the most likely token is taken.
    by_chance: Option<LogitsProcessor>,
}

impl TokenChooser {
    /// A temperature of 0 is none. The seed fixes the draws.
    pub(crate) fn new(temperature: Option<f64>, seed: u64) -> Self {
        let temperature = temperature.filter(|temperature| *temperature > 0.0);
        Self {
            by_chance: temperature.map(|temperature| {
                LogitsProcessor::from_sampling(seed, Sampling::All { temperature })
            }),
        }
    }

    /// The next token by its logits, `[vocabulary]`.
    ///
    /// # Errors
    /// [`SessionError::Analysis`] for logits that are not finite.
    pub(crate) fn choose(&mut self, logits: &Tensor) -> Result<u32, SessionError> {
        let top = top_token(logits)?;
        match &mut self.by_chance {
            None => Ok(top),
            Some(processor) => Ok(processor.sample(logits)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn of_equals_the_lower_id_is_taken() {
        // a reduction by 1,024 threads would compare 1,024 with 0 before it meets 1
        let mut logits = vec![0.0_f32; 3000];
        for best in [1, 1024, 2048] {
            logits[best] = 7.5;
        }
        let logits = Tensor::new(logits, &Device::Cpu).unwrap();
        assert_eq!(top_token(&logits).unwrap(), 1);
        let broken = Tensor::new(&[1.0_f32, f32::NAN], &Device::Cpu).unwrap();
        assert!(top_token(&broken).is_err());
    }

    #[test]
    fn draws_come_as_often_as_the_temperature_says() {
        // weights 1, e^2, e^3 at temperature 0.5: shares 0.0351, 0.2595 and 0.7054
        let logits = Tensor::new(&[0.0_f32, 1.0, 1.5], &Device::Cpu).unwrap();
        let mut chooser = TokenChooser::new(Some(0.5), 3);
        let mut counts = [0.0_f64; 3];
        for _ in 0..20_000 {
            let token = chooser.choose(&logits).unwrap();
            counts[token as usize] += 1.0 / 20_000.0;
        }
        // four standard deviations of a share near 1/4
        for (share, expected) in counts.iter().zip([0.0351, 0.2595, 0.7054]) {
            assert!((share - expected).abs() < 0.013, "{counts:?}");
        }
    }
}
