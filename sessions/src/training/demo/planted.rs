//! Heads that begin with a purpose: the first two of layer 0 look one and two tokens back, and the first
//! key/value group of layers 1 and 2 is an induction head (Olsson et al. 2022): it looks for the token after
//! an earlier occurrence of the current one and copies it. The weights are made for what layer 1 receives;
//! layer 2 begins with the same ones, which match less sharply on its larger stream. Everything is trained
//! afterwards; but the query heads of one planted group begin alike and get the same gradient, so they stay
//! alike. The built-in model has two such pairs.
//!
//! Without this start the phase change in which a small model learns to retrieve comes several times later.
//!
//! The residual stream begins in three parts: dimension 0 is the same for all tokens, the rest of the first
//! half tells tokens apart, the second half is where layer 0 writes what stood before.

use super::initial::EMBEDDING_DEVIATION;
use crate::SessionError;
use crate::model::ModelConfig;
use crate::training::random::Draws;

/// A parameter on its way: name, shape, values in row-major order.
pub(crate) type Value = (String, Vec<usize>, Vec<f32>);

/// Size of the shared dimension in the embedding, in standard deviations of the others.
const SHARED_DEVIATIONS: f64 = 4.0;

/// Size of the embedding's second half, in the same unit.
const SECOND_HALF_DEVIATIONS: f64 = 0.2;

/// Length of a position-only query or key in each rotary plane that it uses, and how many planes that are,
/// from the fastest: together they tell neighbouring positions apart and hide the fastest's periods.
const POSITION_LENGTH: f64 = 6.0;
const POSITION_PLANES: usize = 5;

/// Factor on the induction heads' queries and keys each, whose components have variance 1 without it.
const MATCH_STRENGTH: f64 = 2.0;

/// How much of a token's embedding an induction head adds to the residual stream.
const COPY_STRENGTH: f64 = 1.0;

/// Layers that get an induction group.
const INDUCTION_LAYERS: [usize; 2] = [1, 2];

/// Heads of layer 0 that look back.
const LOOKING_BACK: usize = 2;

/// Plants the heads into values that were drawn.
///
/// # Errors
/// [`SessionError::Plan`] if the shape has too few layers, heads or dimensions.
pub(crate) fn plant(
    values: &mut [Value],
    config: &ModelConfig,
    draws: &mut Draws,
) -> Result<(), SessionError> {
    let (hidden, width) = (config.hidden_size, config.head_dim);
    let fits = config.layers > INDUCTION_LAYERS.len()
        && config.query_heads / config.kv_heads >= LOOKING_BACK
        && width >= 2 * POSITION_PLANES
        && hidden / 2 >= LOOKING_BACK * width;
    if !fits {
        return Err(SessionError::Plan {
            reason: format!(
                "heads can be planted into at least {} layers, {LOOKING_BACK} query heads a key/value head, heads of {} or more dimensions and twice {LOOKING_BACK} heads' width; train without planting",
                INDUCTION_LAYERS.len() + 1,
                2 * POSITION_PLANES
            ),
        });
    }
    let garden = Garden::new(config, draws);
    garden.divide_embedding(matrix(values, "model.embed_tokens.weight")?);
    garden.plant_looking_back(values)?;
    for layer in INDUCTION_LAYERS {
        garden.plant_induction(values, layer)?;
    }
    Ok(())
}

/// Sizes that all planted heads agree on.
struct Garden {
    hidden: usize,
    /// D
    width: usize,
    query_heads: usize,
    per_group: usize,
    frequencies: Vec<f32>,
    /// `[D, hidden]`: what a head reads of a token's identity; of a normed embedding it makes components of
    /// variance 1.
    identity: Vec<f32>,
    /// Root mean square of the stream before layer 0 and before layer 1, in embedding deviations.
    size_before: [f64; 2],
}

impl Garden {
    fn new(config: &ModelConfig, draws: &mut Draws) -> Self {
        let (hidden, width) = (config.hidden_size, config.head_dim);
        let half = hidden / 2;
        let told_apart = (half - 1) as f64;
        let first_half = told_apart + SHARED_DEVIATIONS.powi(2);
        let second_half = (hidden - half) as f64 * SECOND_HALF_DEVIATIONS.powi(2);
        let size = |written: f64| ((first_half + second_half + written) / hidden as f64).sqrt();
        let size_before = [size(0.0), size((LOOKING_BACK * width) as f64)];
        let deviation = size_before[0] / told_apart.sqrt();
        let mut identity = draws.spread(width * hidden, deviation);
        for row in identity.chunks_exact_mut(hidden) {
            for (dimension, value) in row.iter_mut().enumerate() {
                if dimension == 0 || dimension >= half {
                    *value = 0.0;
                }
            }
        }
        Self {
            hidden,
            width,
            query_heads: config.query_heads,
            per_group: config.query_heads / config.kv_heads,
            frequencies: config.rope.inverse_frequencies(width, 1),
            identity,
            size_before,
        }
    }

    fn divide_embedding(&self, embedding: &mut [f32]) {
        for token in embedding.chunks_exact_mut(self.hidden) {
            for (dimension, value) in token.iter_mut().enumerate() {
                if dimension == 0 {
                    *value = (SHARED_DEVIATIONS * EMBEDDING_DEVIATION) as f32;
                } else if dimension >= self.hidden / 2 {
                    *value *= SECOND_HALF_DEVIATIONS as f32;
                }
            }
        }
    }

    /// Queries and keys of layer 0's first group read only the shared dimension, so they depend on the
    /// position alone; values carry the token's identity, each head's into its own part of the second half.
    fn plant_looking_back(&self, values: &mut [Value]) -> Result<(), SessionError> {
        let (hidden, width) = (self.hidden, self.width);
        let length = POSITION_LENGTH * self.size_before[0] / SHARED_DEVIATIONS;
        let planes: Vec<(usize, f64)> = self
            .frequencies
            .iter()
            .take(POSITION_PLANES)
            .map(|frequency| f64::from(*frequency))
            .enumerate()
            .collect();
        let queries = matrix(values, "model.layers.0.self_attn.q_proj.weight")?;
        clear_rows(queries, hidden, 0..LOOKING_BACK * width);
        for head in 0..LOOKING_BACK {
            for &(plane, frequency) in &planes {
                let angle = -frequency * (head + 1) as f64;
                let row = head * width + plane;
                set(queries, hidden, row, 0, length * angle.cos());
                set(queries, hidden, row + width / 2, 0, length * angle.sin());
            }
        }
        let keys = matrix(values, "model.layers.0.self_attn.k_proj.weight")?;
        clear_rows(keys, hidden, 0..width);
        for &(plane, _) in &planes {
            set(keys, hidden, plane, 0, length);
        }
        self.read_identity(matrix(values, "model.layers.0.self_attn.v_proj.weight")?);
        let output = matrix(values, "model.layers.0.self_attn.o_proj.weight")?;
        let columns = self.query_heads * width;
        for head in 0..LOOKING_BACK {
            clear_columns(output, columns, head * width..(head + 1) * width);
            for component in 0..width {
                let row = hidden / 2 + head * width + component;
                set(
                    output,
                    columns,
                    row,
                    head * width + component,
                    EMBEDDING_DEVIATION,
                );
            }
        }
        Ok(())
    }

    /// Queries read the current token, keys what layer 0 wrote of the token before, both only in the slow
    /// rotary planes, which hardly turn over the first lengths of the curriculum; values read the token.
    fn plant_induction(&self, values: &mut [Value], layer: usize) -> Result<(), SessionError> {
        let (hidden, width) = (self.hidden, self.width);
        let prefix = format!("model.layers.{layer}.self_attn");
        let slow: Vec<usize> = (0..width)
            .filter(|row| row % (width / 2) >= width * 3 / 16)
            .collect();
        let [before, after] = self.size_before;
        let queries = matrix(values, &format!("{prefix}.q_proj.weight"))?;
        clear_rows(queries, hidden, 0..self.per_group * width);
        for head in 0..self.per_group {
            for &row in &slow {
                for column in 0..hidden {
                    let read = self.identity_at(row, column) * after / before;
                    set(
                        queries,
                        hidden,
                        head * width + row,
                        column,
                        MATCH_STRENGTH * read,
                    );
                }
            }
        }
        let keys = matrix(values, &format!("{prefix}.k_proj.weight"))?;
        clear_rows(keys, hidden, 0..width);
        for &row in &slow {
            set(keys, hidden, row, hidden / 2 + row, MATCH_STRENGTH * after);
        }
        self.read_identity(matrix(values, &format!("{prefix}.v_proj.weight"))?);
        let output = matrix(values, &format!("{prefix}.o_proj.weight"))?;
        // reading and writing with the same matrix gives back the embedding times its rows' squares
        let square = before.powi(2) * width as f64 / (hidden / 2 - 1) as f64;
        let back = COPY_STRENGTH * EMBEDDING_DEVIATION * after / square;
        for head in 0..self.per_group {
            for row in 0..hidden {
                for column in 0..width {
                    let written = back * self.identity_at(column, row);
                    set(
                        output,
                        self.query_heads * width,
                        row,
                        head * width + column,
                        written,
                    );
                }
            }
        }
        Ok(())
    }

    /// Makes the first key/value head's values the identity.
    fn read_identity(&self, value_projection: &mut [f32]) {
        if let Some(group) = value_projection.get_mut(..self.identity.len()) {
            group.copy_from_slice(&self.identity);
        }
    }

    fn identity_at(&self, row: usize, column: usize) -> f64 {
        let value = self.identity.get(row * self.hidden + column);
        value.copied().map_or(0.0, f64::from)
    }
}

fn clear_rows(data: &mut [f32], columns: usize, rows: std::ops::Range<usize>) {
    if let Some(block) = data.get_mut(rows.start * columns..rows.end * columns) {
        block.fill(0.0);
    }
}

fn clear_columns(data: &mut [f32], columns: usize, cleared: std::ops::Range<usize>) {
    for row in data.chunks_exact_mut(columns) {
        if let Some(block) = row.get_mut(cleared.clone()) {
            block.fill(0.0);
        }
    }
}

fn matrix<'a>(values: &'a mut [Value], name: &str) -> Result<&'a mut Vec<f32>, SessionError> {
    values
        .iter_mut()
        .find(|(found, _, _)| found == name)
        .map(|(_, _, data)| data)
        .ok_or_else(|| SessionError::Internal {
            reason: format!("there is no parameter '{name}' to plant heads into"),
        })
}

fn set(data: &mut [f32], columns: usize, row: usize, column: usize, value: f64) {
    if let Some(place) = data.get_mut(row * columns + column) {
        *place = value as f32;
    }
}
