//! How alike the queries of a window are to those of the decode stage, with their positions and without
//! (DapQ's Table 1, arXiv 2603.11564). `dapq:content=decode`, `dapq:content=decode,shift=-256` and
//! `dapq:content=random` are its interventions on either alone.

use anyhow::Result;
use kvlens_analysis::queries::{QueryCosine, QueryVectors, query_cosine};
use kvlens_sessions::model::RopeConfig;
use kvlens_sessions::{CapturedSample, Observation, QueryRows};

/// Cosines of a window's rows with the decode steps, the first with the first and so on.
#[derive(Debug, Clone)]
pub struct WindowQueries {
    /// Pairs of rows: the smaller of the window's rows and the decode steps.
    pub rows: usize,
    /// Mean position of the window's rows minus that of the decode steps.
    pub position_gap: f64,
    /// Before the rotary embedding; none for a session that does not say which it was.
    pub before_rotation: Option<QueryCosine>,
    /// After it, as the model attends.
    pub after_rotation: QueryCosine,
}

/// Compares the queries of a window with those of the decode stage; none for a window without queries.
///
/// # Errors
/// What the sample's tensors or the numerics refuse.
pub fn window_queries(
    captured: &CapturedSample,
    window: &Observation,
    rope: Option<&RopeConfig>,
) -> Result<Option<WindowQueries>> {
    let decode = captured.decode_rows()?;
    let Some(rows) = window.query_rows() else {
        return Ok(None);
    };
    let count = rows.count().min(decode.count());
    let (rows, decode) = (rows.range(0..count)?, decode.range(0..count)?);
    let gaps = rows.positions().iter().zip(decode.positions());
    let position_gap = gaps
        .map(|(&a, &b)| f64::from(a) - f64::from(b))
        .sum::<f64>()
        / count as f64;
    let prompt_tokens = captured.record.prompt_ids.len();
    let before_rotation = match rope {
        Some(rope) => Some(cosine(&rows, &decode, |rows| {
            rows.unrotated(rope, prompt_tokens)
        })?),
        None => None,
    };
    Ok(Some(WindowQueries {
        rows: count,
        position_gap,
        before_rotation,
        after_rotation: cosine(&rows, &decode, QueryRows::values)?,
    }))
}

fn cosine<E: Into<anyhow::Error>>(
    rows: &QueryRows,
    decode: &QueryRows,
    values: impl Fn(&QueryRows) -> Result<Vec<f32>, E>,
) -> Result<QueryCosine> {
    let (left, right) = (
        values(rows).map_err(Into::into)?,
        values(decode).map_err(Into::into)?,
    );
    let (layers, heads, count, head_dim) = rows.queries().dims4()?;
    let vectors = |values| QueryVectors {
        values,
        layers,
        heads,
        rows: count,
        head_dim,
    };
    Ok(query_cosine(vectors(&left), vectors(&right))?)
}
