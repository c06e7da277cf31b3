//! The loss of a step's rows and its gradient, in parts that run side by side.

use candle_core::{D, Tensor};

use super::rows::Row;
use crate::SessionError;
use crate::model::one_sweep::cross_entropy;
use crate::model::{Decoder, Kernels, Parameters};
use crate::training::steps::{add, gradient_of};
use crate::training::threads::Threads;

/// What a step says of the model before it changes it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct StepFigures {
    /// Weighted mean cross-entropy, in nats per token.
    pub(crate) loss: f64,
    /// Value tokens whose prediction was the most probable token.
    pub(crate) values_right: usize,
    /// Value tokens in all.
    pub(crate) values: usize,
}

/// Sum over parts of the gradient of the weighted mean cross-entropy, one tensor a parameter in their order.
pub(crate) struct Gradient {
    pub(crate) of_parameters: Vec<Tensor>,
    pub(crate) figures: StepFigures,
}

/// Runs the parts on as many threads as there are, adds what they give in the parts' order, whoever was first.
///
/// Every part runs inside a pool of one thread: two parts at once use two cores better than two threads share
/// each small product, and the sums do not depend on how many cores there are.
pub(crate) fn of_step(
    decoder: &Decoder,
    parameters: &Parameters,
    rows: &[Row],
    part_rows: usize,
    threads: &Threads,
) -> Result<Gradient, SessionError> {
    let total: f64 = rows
        .iter()
        .flat_map(|row| &row.predictions)
        .map(|prediction| f64::from(prediction.weight))
        .sum();
    let parts: Vec<&[Row]> = rows.chunks(part_rows.max(1)).collect();
    let results = threads.map(&parts, |part| of_part(decoder, parameters, part, total))?;
    let mut results = results.into_iter();
    let mut sum = results.next().ok_or_else(|| SessionError::Internal {
        reason: "a training step needs at least one row".to_owned(),
    })?;
    for part in results {
        add(&mut sum.of_parameters, &part.of_parameters)?;
        sum.figures.loss += part.figures.loss;
        sum.figures.values_right += part.figures.values_right;
        sum.figures.values += part.figures.values;
    }
    Ok(sum)
}

/// The part's share of the loss and its gradient.
fn of_part(
    decoder: &Decoder,
    parameters: &Parameters,
    rows: &[Row],
    total_weight: f64,
) -> Result<Gradient, SessionError> {
    let (loss, figures) = loss(decoder, rows, total_weight)?;
    Ok(Gradient {
        of_parameters: gradient_of(&loss, parameters)?,
        figures,
    })
}

/// Sum of the rows' weighted cross-entropies divided by `total_weight`: a scalar that carries its gradient.
pub(crate) fn loss(
    decoder: &Decoder,
    rows: &[Row],
    total_weight: f64,
) -> Result<(Tensor, StepFigures), SessionError> {
    let length = rows.first().map_or(0, |row| row.ids.len());
    let ids: Vec<u32> = rows
        .iter()
        .flat_map(|row| row.ids.iter().copied())
        .collect();
    let stream = decoder.forward_sequences(&ids, rows.len())?;
    let (mut places, mut targets, mut weights, mut is_value) = (vec![], vec![], vec![], vec![]);
    for (index, row) in rows.iter().enumerate() {
        for prediction in &row.predictions {
            places.push((index * length + prediction.after) as u32);
            targets.push(prediction.target);
            weights.push(prediction.weight);
            is_value.push(prediction.is_value);
        }
    }
    let device = decoder.device();
    let stream = stream.index_select(&Tensor::new(places, device)?, 0)?;
    let logits = decoder.logits(&stream)?;
    let count = targets.len();
    let best = logits.detach().argmax(D::Minus1)?.to_vec1::<u32>()?;
    let right = best.iter().zip(&targets).zip(&is_value);
    let values_right = right
        .filter(|((best, target), is_value)| **is_value && best == target)
        .count();
    let values = is_value.iter().filter(|is_value| **is_value).count();
    let weights = Tensor::from_vec(weights, count, device)?;
    let nats = nats(decoder.kernels(), &logits, targets)?;
    let loss = ((nats * weights)?.sum_all()? / total_weight)?;
    let figures = StepFigures {
        loss: f64::from(loss.to_scalar::<f32>()?),
        values_right,
        values,
    };
    Ok((loss, figures))
}

/// Cross-entropies `[N]` of logits `[N, V]`.
fn nats(kernels: Kernels, logits: &Tensor, targets: Vec<u32>) -> Result<Tensor, SessionError> {
    if kernels.one_sweep {
        return Ok(cross_entropy(logits, targets)?);
    }
    let targets = Tensor::from_vec(targets, (logits.dim(0)?, 1), logits.device())?;
    let maxima = logits.detach().max_keepdim(D::Minus1)?;
    let shifted = logits.broadcast_sub(&maxima)?;
    let log_sums = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    Ok((log_sums - shifted.gather(&targets, D::Minus1)?)?.squeeze(1)?)
}
