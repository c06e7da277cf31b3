//! Picking the next token from logits, on the CPU and the same way for every device.

use candle_core::Tensor;
use kvlens_analysis::fidelity;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::SessionError;

/// The most likely token of logits `[vocabulary]`; of equals the one with the lower id. A device's own argmax may take
/// another of them.
///
/// # Errors
/// [`SessionError::Analysis`] for logits that are not finite.
pub(crate) fn top_token(logits: &Tensor) -> Result<u32, SessionError> {
    Ok(fidelity::top_token(&logits.to_vec1::<f32>()?)?)
}

/// A token drawn from the softmax of logits `[vocabulary]` divided by a temperature above 0.
///
/// # Errors
/// [`SessionError::Analysis`] for logits that are not finite.
pub(crate) fn sampled_token(
    logits: &Tensor,
    temperature: f64,
    chance: &mut ChaCha8Rng,
) -> Result<u32, SessionError> {
    let logits = logits.to_vec1::<f32>()?;
    let top = fidelity::top_token(&logits)?;
    let largest = f64::from(logits.get(top as usize).copied().unwrap_or_default());
    let weight = |logit: &f32| ((f64::from(*logit) - largest) / temperature).exp();
    let total: f64 = logits.iter().map(weight).sum();
    let mut left = chance.random::<f64>() * total;
    for (token, logit) in (0_u32..).zip(&logits) {
        left -= weight(logit);
        if left < 0.0 {
            return Ok(token);
        }
    }
    // rounding left a hair over
    Ok(top)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use rand_chacha::rand_core::SeedableRng;

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
        let mut chance = ChaCha8Rng::seed_from_u64(3);
        let mut counts = [0.0_f64; 3];
        for _ in 0..20_000 {
            let token = sampled_token(&logits, 0.5, &mut chance).unwrap();
            counts[token as usize] += 1.0 / 20_000.0;
        }
        // four standard deviations of a share near 1/4
        for (share, expected) in counts.iter().zip([0.0351, 0.2595, 0.7054]) {
            assert!((share - expected).abs() < 0.013, "{counts:?}");
        }
    }
}
