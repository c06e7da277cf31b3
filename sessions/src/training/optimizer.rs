//! The update rules: Muon for matrices, Adam for everything else.

use candle_core::{DType, Tensor, Var};

use crate::SessionError;
use crate::model::Parameters;

/// Momentum of Muon.
const MOMENTUM: f64 = 0.95;

/// Decay of Adam's two moments and what keeps its division finite, for gradients of a usual size.
const ADAM_DECAY: (f64, f64) = (0.9, 0.95);
pub(crate) const ADAM_EPSILON: f64 = 1e-8;

/// Coefficients of the quintic iteration that Jordan et al. 2024 ("Muon: an optimizer for hidden layers in
/// neural networks") give for the orthogonalisation, and how often it is applied.
const NEWTON_SCHULZ: (f64, f64, f64) = (3.4445, -4.7750, 2.0315);
const NEWTON_SCHULZ_STEPS: usize = 5;

/// What the update rule remembers of one parameter between steps.
#[derive(Debug, Clone)]
pub(crate) enum Moments {
    /// Muon: the running sum of gradients, of the parameter's shape.
    Momentum(Tensor),
    /// Adam: running means of the gradient and of its square.
    Adam { first: Tensor, second: Tensor },
}

/// How far one step goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    pub(crate) matrix: f64,
    pub(crate) vector: f64,
    /// What keeps Adam's division finite: far below the gradients.
    pub(crate) adam_epsilon: f64,
}

impl Moments {
    /// Zeros for a parameter: Muon for the matrices inside layers, Adam for embeddings and norms.
    pub(crate) fn new(name: &str, parameter: &Var) -> Result<Self, SessionError> {
        let zeros = parameter.as_tensor().zeros_like()?.detach();
        Ok(if parameter.rank() == 2 && name.contains(".layers.") {
            Self::Momentum(zeros)
        } else {
            Self::Adam {
                first: zeros.clone(),
                second: zeros,
            }
        })
    }

    /// Moves `parameter` by its gradient. `step` counts from 0.
    pub(crate) fn update(
        &mut self,
        parameter: &Var,
        gradient: &Tensor,
        step: usize,
        rates: Rates,
    ) -> Result<(), SessionError> {
        let change = match self {
            Self::Momentum(momentum) => {
                *momentum = ((&*momentum * MOMENTUM)? + gradient)?;
                let ahead = (gradient + (&*momentum * MOMENTUM)?)?;
                let (rows, columns) = parameter.dims2()?;
                let scale = (rows as f64 / columns as f64).max(1.0).sqrt();
                (orthogonalised(&ahead)? * (rates.matrix * scale))?
            }
            Self::Adam { first, second } => {
                let (decay1, decay2) = ADAM_DECAY;
                *first = ((&*first * decay1)? + (gradient * (1.0 - decay1))?)?;
                *second = ((&*second * decay2)? + (gradient.sqr()? * (1.0 - decay2))?)?;
                let count = i32::try_from(step + 1).unwrap_or(i32::MAX);
                let mean = (&*first / (1.0 - decay1.powi(count)))?;
                let square = (&*second / (1.0 - decay2.powi(count)))?;
                (mean.div(&(square.sqrt()? + rates.adam_epsilon)?)? * rates.vector)?
            }
        };
        parameter.set(&(parameter.as_tensor() - change)?.detach())?;
        Ok(())
    }
}

/// A matrix with the same singular vectors and singular values near 1 (Newton-Schulz iteration).
fn orthogonalised(matrix: &Tensor) -> Result<Tensor, SessionError> {
    let (rows, columns) = matrix.dims2()?;
    let is_tall = rows > columns;
    let matrix = matrix.detach();
    let mut x = if is_tall {
        matrix.t()?.contiguous()?
    } else {
        matrix
    };
    let norm = x.sqr()?.sum_all()?.to_scalar::<f32>()?.sqrt();
    x = (x / (f64::from(norm) + 1e-7))?;
    let (a, b, c) = NEWTON_SCHULZ;
    for _ in 0..NEWTON_SCHULZ_STEPS {
        let square = x.matmul(&x.t()?)?;
        let polynomial = ((&square * b)? + (square.matmul(&square)? * c)?)?;
        x = ((&x * a)? + polynomial.matmul(&x)?)?;
    }
    Ok(if is_tall { x.t()?.contiguous()? } else { x })
}

/// Shortens gradients, in the parameters' order, to a common norm of at most `limit`; gives the norm before.
pub(crate) fn clip(gradients: &mut [Tensor], limit: f64) -> Result<f64, SessionError> {
    let mut squares = 0.0;
    for gradient in gradients.iter() {
        squares += f64::from(
            gradient
                .sqr()?
                .sum_all()?
                .to_dtype(DType::F32)?
                .to_scalar::<f32>()?,
        );
    }
    let norm = squares.sqrt();
    if norm > limit {
        for gradient in gradients.iter_mut() {
            *gradient = (&*gradient * (limit / norm))?;
        }
    }
    Ok(norm)
}

/// Fresh moments for all parameters, in their order.
pub(crate) fn fresh_moments(parameters: &Parameters) -> Result<Vec<Moments>, SessionError> {
    parameters
        .iter()
        .map(|(name, parameter)| Moments::new(name, parameter))
        .collect()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn muon_makes_singular_values_near_one() {
        let values: Vec<f32> = (0..24)
            .map(|i| ((i * 37 % 11) as f32 - 5.0) * 0.3)
            .collect();
        for shape in [(4, 6), (6, 4)] {
            let matrix = Tensor::from_vec(values.clone(), shape, &Device::Cpu).unwrap();
            let q = orthogonalised(&matrix).unwrap();
            let gram = if shape.0 < shape.1 {
                q.matmul(&q.t().unwrap()).unwrap()
            } else {
                q.t().unwrap().matmul(&q).unwrap()
            };
            for (row, line) in gram.to_vec2::<f32>().unwrap().iter().enumerate() {
                for (column, &value) in line.iter().enumerate() {
                    // the iteration ends with singular values between 0.7 and 1.2, by its authors' design
                    let wanted = if row == column { 0.45..1.5 } else { -0.5..0.5 };
                    assert!(wanted.contains(&value), "{row} {column} {value}");
                }
            }
        }
    }

    #[test]
    fn adam_steps_by_the_rate_at_first_and_follows_the_formula_after() {
        let parameter = Var::new(&[1.0f32, 1.0], &Device::Cpu).unwrap();
        let mut moments = Moments::new("model.norm.weight", &parameter).unwrap();
        let rates = Rates {
            matrix: 0.0,
            vector: 0.1,
            adam_epsilon: ADAM_EPSILON,
        };
        let gradient = Tensor::new(&[3.0f32, -0.5], &Device::Cpu).unwrap();
        moments.update(&parameter, &gradient, 0, rates).unwrap();
        let first = parameter.to_vec1::<f32>().unwrap();
        assert!(
            (first[0] - 0.9).abs() < 1e-6 && (first[1] - 1.1).abs() < 1e-6,
            "{first:?}"
        );
        let none = Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap();
        moments.update(&parameter, &none, 1, rates).unwrap();
        // means 0.9 * 0.1 * g / (1 - 0.81), squares 0.95 * 0.05 * g^2 / (1 - 0.9025)
        let step = 0.1 * (0.09 / 0.19) / (0.0475f64 / 0.0975).sqrt();
        let second = parameter.to_vec1::<f32>().unwrap();
        assert!(
            (f64::from(second[0]) - (0.9 - step)).abs() < 1e-6,
            "{second:?}"
        );
    }

    #[test]
    fn clipping_keeps_the_direction() {
        let mut gradients = vec![
            Tensor::new(&[3.0f32], &Device::Cpu).unwrap(),
            Tensor::new(&[4.0f32], &Device::Cpu).unwrap(),
        ];
        assert!((clip(&mut gradients, 1.0).unwrap() - 5.0).abs() < 1e-6);
        let clipped: Vec<f32> = gradients
            .iter()
            .map(|g| g.to_vec1::<f32>().unwrap()[0])
            .collect();
        assert!((clipped[0] - 0.6).abs() < 1e-6 && (clipped[1] - 0.8).abs() < 1e-6);
    }
}
