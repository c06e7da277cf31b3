//! Matrices of weights, as floating point or quantised, and what is done with them.

use std::sync::Arc;

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{DType, Tensor};
use candle_nn::Module;

use crate::SessionError;

/// A matrix, `[width out, width in]`. A clone shares the numbers.
#[derive(Debug, Clone)]
pub(crate) enum Matrix {
    Dense(Tensor),
    /// In blocks of a GGUF format, which stay as they are in memory.
    Quantised(Arc<QTensor>),
}

impl Matrix {
    /// Rows by their indices `[R]` (u32): `[R, width in]`. Of a quantised matrix only these rows are made floating
    /// point: a whole embedding would take as much as some layers.
    pub(crate) fn rows(&self, indices: &Tensor, dtype: DType) -> Result<Tensor, SessionError> {
        Ok(match self {
            Self::Dense(matrix) => matrix.embedding(indices)?,
            Self::Quantised(matrix) => matrix.embedding(indices)?.to_dtype(dtype)?,
        })
    }
}

/// `W x + b`. candle's product with a quantised matrix rounds x to 8 bits in blocks (of 32 numbers, or of 256
/// for the K formats), and passes no gradient.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    weight: Matrix,
    bias: Option<Tensor>,
}

impl Linear {
    /// Of a matrix `[width out, width in]` and a bias `[width out]`.
    pub(crate) fn new(weight: Matrix, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// `[R, width in]` to `[R, width out]`.
    pub(crate) fn forward(&self, rows: &Tensor) -> Result<Tensor, SessionError> {
        match &self.weight {
            Matrix::Dense(weight) => {
                let linear = candle_nn::Linear::new(weight.clone(), self.bias.clone());
                Ok(linear.forward(rows)?)
            }
            Matrix::Quantised(weight) => {
                let product = QMatMul::QTensor(weight.clone()).forward(&rows.contiguous()?)?;
                Ok(match &self.bias {
                    Some(bias) => product.broadcast_add(bias)?,
                    None => product,
                })
            }
        }
    }

    /// Consecutive outputs `start..start + width`, as a view.
    ///
    /// # Errors
    /// [`SessionError::Config`] for a quantised matrix, which no view can cut.
    pub(crate) fn part(&self, start: usize, width: usize) -> Result<Self, SessionError> {
        let Matrix::Dense(weight) = &self.weight else {
            return Err(SessionError::Config {
                reason: "fused projections are not supported where they are quantised".to_owned(),
            });
        };
        let bias = self.bias.as_ref();
        Ok(Self {
            weight: Matrix::Dense(weight.narrow(0, start, width)?),
            bias: bias.map(|bias| bias.narrow(0, start, width)).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::GgmlDType;
    use candle_core::{Device, Tensor};

    use super::*;

    const FORMATS: [(GgmlDType, GgmlDType); 6] = [
        (GgmlDType::Q4_0, GgmlDType::Q8_0),
        (GgmlDType::Q5_0, GgmlDType::Q8_0),
        (GgmlDType::Q8_0, GgmlDType::Q8_0),
        (GgmlDType::Q4K, GgmlDType::Q8K),
        (GgmlDType::Q5K, GgmlDType::Q8K),
        (GgmlDType::Q6K, GgmlDType::Q8K),
    ];

    /// Numbers between -1 and 1 that repeat only after a long while.
    fn numbers(rows: usize, width: usize, step: f64) -> Tensor {
        let values: Vec<f32> = (0..rows * width)
            .map(|index| (index as f64 * step).sin() as f32)
            .collect();
        Tensor::from_vec(values, (rows, width), &Device::Cpu).unwrap()
    }

    fn largest(tensor: &Tensor) -> f32 {
        let largest = tensor.abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        largest.to_scalar().unwrap()
    }

    /// The only rounding is that of the inputs, to 8 bits: on inputs that are so already, nothing but the order
    /// of additions in f32 differs, 2^-24 times some hundred additions.
    #[test]
    fn a_quantised_product_is_that_of_the_dequantised_matrix_with_rounded_inputs() {
        let (weight, rows) = (numbers(24, 512, 1.37), numbers(5, 512, 0.73));
        for (format, input_format) in FORMATS {
            let quantised = QTensor::quantize(&weight, format).unwrap();
            let dequantised = quantised.dequantize(&Device::Cpu).unwrap();
            let rounded = QTensor::quantize(&rows, input_format).unwrap();
            let rounded = rounded.dequantize(&Device::Cpu).unwrap();
            let expected = rounded.matmul(&dequantised.t().unwrap()).unwrap();
            let linear = Linear::new(Matrix::Quantised(Arc::new(quantised)), None);
            let difference = (linear.forward(&rows).unwrap() - &expected).unwrap();
            let share = largest(&difference) / largest(&expected);
            assert!(share < 1e-4, "{format:?}: {share}");
        }
    }

    #[test]
    fn rows_of_a_quantised_matrix_are_those_of_the_dequantised_one() {
        let matrix = QTensor::quantize(&numbers(7, 256, 1.37), GgmlDType::Q4K).unwrap();
        let dense = Matrix::Dense(matrix.dequantize(&Device::Cpu).unwrap());
        let quantised = Matrix::Quantised(Arc::new(matrix));
        let indices = Tensor::new(&[3_u32, 0, 3], &Device::Cpu).unwrap();
        let rows = |matrix: &Matrix| matrix.rows(&indices, DType::F32).unwrap();
        let difference = (rows(&quantised) - rows(&dense)).unwrap();
        assert_eq!(largest(&difference), 0.0);
    }
}
