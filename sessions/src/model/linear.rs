//! Matrices of weights, as floating point or quantised, and what is done with them.

use std::ops::Range;
use std::sync::Arc;

use candle_core::quantized::ggml_file::qtensor_from_ggml;
use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{DType, Device, Tensor};
use candle_nn::Module;
use rayon::prelude::*;

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

    /// Consecutive rows `start..start + count`: a view, or a copy of quantised ones.
    fn part(&self, start: usize, count: usize) -> Result<Self, SessionError> {
        match self {
            Self::Dense(matrix) => Ok(Self::Dense(matrix.narrow(0, start, count)?)),
            Self::Quantised(matrix) => quantised_rows(matrix, start..start + count),
        }
    }

    /// A copy with rows in this order.
    fn reordered(&self, order: &[u32]) -> Result<Self, SessionError> {
        match self {
            Self::Dense(matrix) => {
                let order = Tensor::new(order, matrix.device())?;
                Ok(Self::Dense(matrix.index_select(&order, 0)?))
            }
            Self::Quantised(matrix) => {
                quantised_rows(matrix, order.iter().map(|&row| row as usize))
            }
        }
    }
}

/// A copy of some rows, as they are stored: no block of numbers reaches over the end of a row.
fn quantised_rows(
    matrix: &QTensor,
    wanted: impl ExactSizeIterator<Item = usize>,
) -> Result<Matrix, SessionError> {
    let (rows, width) = matrix.shape().dims2()?;
    let (bytes, count) = (matrix.data()?, wanted.len());
    let row_bytes = bytes.len() / rows.max(1);
    let mut taken = Vec::with_capacity(count * row_bytes);
    for row in wanted {
        let bytes = bytes.get(row * row_bytes..(row + 1) * row_bytes);
        taken.extend_from_slice(bytes.ok_or_else(|| {
            candle_core::Error::Msg(format!("row {row} of a matrix with {rows} rows"))
        })?);
    }
    let format = matrix.dtype();
    let taken = qtensor_from_ggml(format, &taken, vec![count, width], &matrix.device())?;
    Ok(Matrix::Quantised(Arc::new(taken)))
}

/// From so many rows on, a quantised matrix is made floating point for the product. candle's kernels for the processor
/// take row by row, each of which costs about a third of making the matrix floating point, whose product with many
/// rows is ten times faster.
const MANY_ROWS: usize = 8;

/// How much of a matrix is floating point at a time: as few as a product does not suffer from.
const BLOCK_BYTES: usize = 64 << 20;

/// How many rows of a matrix `[width out, width in]` are floating point at a time.
fn block_rows(width_in: usize) -> usize {
    (BLOCK_BYTES / size_of::<f32>() / width_in.max(1)).max(1)
}

/// The most bytes that [`Linear::forward`] takes for rows `[R, width in]` besides its result where the matrix
/// `[width out, width in]` is quantised, on the processor.
pub(crate) fn dequantised_bytes(rows: usize, width_out: usize, width_in: usize) -> f64 {
    if rows < MANY_ROWS {
        return 0.0;
    }
    let block = block_rows(width_in).min(width_out);
    let numbers = |rows: usize, columns: usize| (rows * columns * size_of::<f32>()) as f64;
    // pieces and the block that they are joined to; the blocks' products and what they are joined to
    let joined = if block < width_out {
        numbers(rows, width_out)
    } else {
        0.0
    };
    2.0 * numbers(block, width_in) + joined
}

fn quantised_product(matrix: &Arc<QTensor>, rows: &Tensor) -> Result<Tensor, SessionError> {
    Ok(QMatMul::QTensor(matrix.clone()).forward(&rows.contiguous()?)?)
}

/// `W x` for a few rows: with more than one candle lays some matrices out a second time, and keeps that.
fn one_by_one(matrix: &Arc<QTensor>, rows: &Tensor) -> Result<Tensor, SessionError> {
    let products = (0..rows.dim(0)?)
        .map(|row| quantised_product(matrix, &rows.narrow(0, row, 1)?))
        .collect::<Result<Vec<_>, SessionError>>()?;
    Ok(Tensor::cat(&products, 0)?)
}

/// `W x` for many rows `[R, width in]`, with W made floating point block by block.
fn dense_product(matrix: &QTensor, rows: &Tensor) -> Result<Tensor, SessionError> {
    let (width_out, width_in) = matrix.shape().dims2()?;
    let block = block_rows(width_in);
    let mut products = Vec::new();
    for start in (0..width_out).step_by(block) {
        let weight = dequantised_rows(matrix, start..width_out.min(start + block))?;
        products.push(rows.matmul(&weight.to_dtype(rows.dtype())?.t()?)?);
    }
    match products.len() {
        1 => Ok(products.swap_remove(0)),
        _ => Ok(Tensor::cat(&products, 1)?),
    }
}

/// Rows of a matrix as floating point, `[count, width in]`, made on all threads.
fn dequantised_rows(matrix: &QTensor, wanted: Range<usize>) -> Result<Tensor, SessionError> {
    const ROWS_OF_A_THREAD: usize = 64;
    let starts: Vec<usize> = wanted.clone().step_by(ROWS_OF_A_THREAD).collect();
    let pieces = starts
        .into_par_iter()
        .map(|start| {
            let rows = start..wanted.end.min(start + ROWS_OF_A_THREAD);
            let indices = Tensor::arange(rows.start as u32, rows.end as u32, &matrix.device())?;
            matrix.embedding(&indices)
        })
        .collect::<Result<Vec<Tensor>, _>>()?;
    Ok(Tensor::cat(&pieces, 0)?)
}

/// `W x + b`. candle's product of a few rows with a quantised matrix rounds x to 8 bits in blocks (of 32 numbers, or of
/// 256 for the K formats), and passes no gradient; that of many rows is the one with the dequantised matrix.
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
                let product = match (rows.device().is_cpu(), rows.dim(0)?) {
                    // a card has kernels for any number of rows
                    (false, _) | (true, 1) => quantised_product(weight, rows)?,
                    (true, count) if count < MANY_ROWS => one_by_one(weight, rows)?,
                    (true, _) => dense_product(weight, rows)?,
                };
                Ok(match &self.bias {
                    Some(bias) => product.broadcast_add(bias)?,
                    None => product,
                })
            }
        }
    }

    /// The matrix as floating point on the CPU, `[width out, width in]` f32.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if the device fails.
    pub(crate) fn dense(&self) -> Result<Tensor, SessionError> {
        Ok(match &self.weight {
            Matrix::Dense(weight) => weight.to_device(&Device::Cpu)?.to_dtype(DType::F32)?,
            Matrix::Quantised(weight) => weight
                .dequantize(&weight.device())?
                .to_device(&Device::Cpu)?,
        })
    }

    /// Consecutive outputs `start..start + width`.
    ///
    /// # Errors
    /// [`SessionError::Tensor`] if there are not so many.
    pub(crate) fn part(&self, start: usize, width: usize) -> Result<Self, SessionError> {
        let bias = self.bias.as_ref();
        Ok(Self {
            weight: self.weight.part(start, width)?,
            bias: bias.map(|bias| bias.narrow(0, start, width)).transpose()?,
        })
    }

    /// The same with outputs in this order.
    pub(crate) fn reordered(&self, order: &[u32]) -> Result<Self, SessionError> {
        let bias = self.bias.as_ref().map(|bias| {
            let order = Tensor::new(order, bias.device())?;
            bias.index_select(&order, 0)
        });
        Ok(Self {
            weight: self.weight.reordered(order)?,
            bias: bias.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::quantized::GgmlDType;

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

    /// In one block and in several, of which the last is shorter. A processor's product may add in another order where
    /// the matrix is cut: a roundoff of f32 for each of as many additions as the matrix is wide.
    #[test]
    fn many_rows_are_multiplied_with_the_dequantised_matrix() {
        for (width_out, width_in) in [(24, 512), (130, 256), (2 * block_rows(4096) + 5, 4096)] {
            let weight = numbers(width_out, width_in, 1.37);
            let rows = numbers(MANY_ROWS, width_in, 0.73);
            let quantised = QTensor::quantize(&weight, GgmlDType::Q4K).unwrap();
            let dequantised = quantised.dequantize(&Device::Cpu).unwrap();
            let expected = rows.matmul(&dequantised.t().unwrap()).unwrap();
            let linear = Linear::new(Matrix::Quantised(Arc::new(quantised)), None);
            let difference = (linear.forward(&rows).unwrap() - &expected).unwrap();
            let share = largest(&difference) / largest(&expected);
            let bound = width_in as f32 * 0.5 * f32::EPSILON;
            assert!(share < bound, "{width_out} x {width_in}: {share}");
        }
    }

    #[test]
    fn parts_of_a_quantised_matrix_are_its_rows() {
        for format in [GgmlDType::Q8_0, GgmlDType::Q4K] {
            let whole = QTensor::quantize(&numbers(7, 512, 1.37), format).unwrap();
            let dense = whole.dequantize(&Device::Cpu).unwrap();
            let linear = Linear::new(Matrix::Quantised(Arc::new(whole)), None);
            let part = linear.part(2, 3).unwrap();
            let Matrix::Quantised(part) = part.weight else {
                panic!("{format:?} became floating point");
            };
            let difference =
                (part.dequantize(&Device::Cpu).unwrap() - dense.narrow(0, 2, 3).unwrap()).unwrap();
            assert_eq!(largest(&difference), 0.0);
            assert!(linear.part(5, 3).is_err());
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
