//! Reading a sample's file: what stands before its tensors, all of it, or what one key/value head needs.

use safetensors::tensor::{Metadata, TensorView};

use candle_core::safetensors::Load as _;
use candle_core::{Device, Tensor};

use super::kept_bytes::KeptBytes;
use super::manifest::ModelShape;
use super::opened_file::OpenedFile;
use super::sample_file::{
    CapturedSample, DECODE_KEYS, KEYS, LayerRange, METADATA_KEY, OUTPUT_GRAMS, OUTPUT_NORMS,
    SampleHeader, SampleTexts, VALUES,
};
use super::shape_check;
use crate::SessionError;
use crate::attention_rows::PromptKeys;
use crate::cached_values::CachedValues;
use crate::decode_keys::DecodeKeys;
use crate::model::CapturedRows;
use crate::observation::{
    Evidence, Observation, ObservationInfo, QueryRows, ReducedRows, ReducedScores, Reduction,
    ScoreKind, TokenScores,
};

/// What to read of tensors by layer and head.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// Everything.
    Whole,
    /// Some layers.
    Layers(LayerRange),
    /// One key/value head of a layer, and the query heads that share it.
    HeadGroup { layer: usize, kv_head: usize },
}

/// A file whose header was read and fits the model.
pub(super) struct SampleReader<'a> {
    file: OpenedFile,
    header: SampleHeader,
    table: Metadata,
    data_start: u64,
    shape: &'a ModelShape,
}

impl<'a> SampleReader<'a> {
    pub(super) fn new(mut file: OpenedFile, shape: &'a ModelShape) -> Result<Self, SessionError> {
        let (table, data_start) = file.table()?;
        let texts = table
            .metadata()
            .as_ref()
            .ok_or_else(|| file.damaged("it has no metadata"))?
            .get(METADATA_KEY)
            .ok_or_else(|| file.damaged(&format!("it has no metadata '{METADATA_KEY}'")))?;
        let texts: SampleTexts =
            serde_json::from_str(texts).map_err(|error| file.damaged(&error.to_string()))?;
        let header = SampleHeader {
            record: texts.record,
            observations: texts.observations,
            tensor_bytes: table.data_len(),
            kept: KeptBytes::of(&table, data_start),
        };
        shape_check::check(&header, &table, shape).map_err(|reason| file.damaged(&reason))?;
        Ok(Self {
            file,
            header,
            table,
            data_start,
            shape,
        })
    }

    pub(super) fn header(&self) -> &SampleHeader {
        &self.header
    }

    pub(super) fn into_header(self) -> SampleHeader {
        self.header
    }

    /// The sample, or as much of it as if the model had that part only.
    pub(super) fn sample(&mut self, part: Part) -> Result<CapturedSample, SessionError> {
        let end = self.data_start + self.header.tensor_bytes as u64;
        self.file.require_length(end)?;
        let keys = self.keys(part)?;
        let decode_keys = self.decode_keys(part)?;
        let values = self.values(part, decode_keys.as_ref())?;
        let mut observations = Vec::with_capacity(self.header.observations.len());
        for (index, info) in self.header.observations.clone().into_iter().enumerate() {
            observations.push(self.observation(index, info, part)?);
        }
        self.file.require_unchanged()?;
        let mut observations = observations.into_iter();
        let oracle = observations
            .next()
            .ok_or_else(|| self.file.damaged(shape_check::NO_DECODE_STAGE))?;
        let sample = CapturedSample::new(
            self.header.record.clone(),
            oracle,
            observations.collect(),
            keys,
            values,
        )
        .with_decode_keys(decode_keys);
        Ok(match part {
            Part::Layers(layers) => sample.of_layers(layers),
            Part::Whole | Part::HeadGroup { .. } => sample,
        })
    }

    fn keys(&mut self, part: Part) -> Result<PromptKeys, SessionError> {
        let shape = self.shape;
        let (query_heads, sliding_windows) = match part {
            Part::Whole => (shape.query_heads, shape.sliding_windows.clone()),
            Part::Layers(layers) => {
                let windows = shape.sliding_windows.iter().skip(layers.first);
                (
                    shape.query_heads,
                    windows.take(layers.count).copied().collect(),
                )
            }
            Part::HeadGroup { layer, .. } => {
                let window = shape.sliding_windows.get(layer).copied().flatten();
                let group = shape.query_heads.checked_div(shape.kv_heads);
                (group.unwrap_or_default(), vec![window])
            }
        };
        if self.table.info(KEYS).is_none() {
            let kv_heads = match part {
                Part::Whole | Part::Layers(_) => shape.kv_heads,
                Part::HeadGroup { .. } => 1,
            };
            let tokens = self.header.record.prompt_ids.len();
            let dims = (sliding_windows.len(), kv_heads, tokens, shape.head_dim);
            return Ok(PromptKeys::absent(dims, query_heads, sliding_windows));
        }
        let keys = self.layers(KEYS, part)?;
        PromptKeys::new(keys, query_heads, sliding_windows).map_err(|error| self.unfit(error))
    }

    /// Keys of the tokens behind the prompt, if they were kept.
    fn decode_keys(&mut self, part: Part) -> Result<Option<DecodeKeys>, SessionError> {
        match self.table.info(DECODE_KEYS) {
            Some(_) => Ok(Some(DecodeKeys::new(self.layers(DECODE_KEYS, part)?))),
            None => Ok(None),
        }
    }

    /// Values, if they were kept.
    fn values(
        &mut self,
        part: Part,
        decode_keys: Option<&DecodeKeys>,
    ) -> Result<Option<CachedValues>, SessionError> {
        let [prompt, _, decode_values] = VALUES;
        let (Some(_), Some(decode_keys)) = (self.table.info(prompt), decode_keys) else {
            return Ok(None);
        };
        let values = CachedValues::new(
            self.layers(prompt, part)?,
            decode_keys.clone(),
            self.layers(decode_values, part)?,
            self.layers(OUTPUT_NORMS, part)?,
            match self.table.info(OUTPUT_GRAMS) {
                Some(_) => Some(self.layers(OUTPUT_GRAMS, part)?),
                None => None,
            },
        );
        values.map(Some).map_err(|error| self.unfit(error))
    }

    /// A tensor `[L, ...]` as one for each layer.
    fn layers(&mut self, name: &str, part: Part) -> Result<Vec<Tensor>, SessionError> {
        let all = self.tensor(name, part)?;
        let layers = (0..all.dim(0)?).map(|layer| Ok(all.get(layer)?));
        layers.collect()
    }

    fn observation(
        &mut self,
        index: usize,
        info: ObservationInfo,
        part: Part,
    ) -> Result<Observation, SessionError> {
        let evidence = match &info.reduced {
            Some(reductions) => self.reduced(index, reductions, part).map(Evidence::Reduced),
            None => self.evidence(index, info.ready_made, part),
        };
        evidence
            .and_then(|evidence| Observation::new(info, evidence))
            .map_err(|error| self.unfit(error))
    }

    fn evidence(
        &mut self,
        index: usize,
        ready_made: Option<ScoreKind>,
        part: Part,
    ) -> Result<Evidence, SessionError> {
        let mut read = |name: &str, part| self.tensor(&format!("observation.{index}.{name}"), part);
        if let Some(kind) = ready_made {
            return Ok(Evidence::Scores(TokenScores::new(
                kind,
                &read("scores", part)?,
            )?));
        }
        let rows = self.query_rows(index, part)?;
        Ok(Evidence::Queries(rows))
    }

    fn query_rows(&mut self, index: usize, part: Part) -> Result<QueryRows, SessionError> {
        let mut read = |name: &str, part| self.tensor(&format!("observation.{index}.{name}"), part);
        let rows = CapturedRows {
            queries: read("queries", part)?,
            log_sum_exp: read("log_sum_exp", part)?,
        };
        let positions = read("positions", Part::Whole)?.to_vec1()?;
        let visible_keys = read("visible_keys", Part::Whole)?.to_vec1()?;
        QueryRows::new(rows, positions, visible_keys)
    }

    /// Scores in place of keys, and the queries if they were kept.
    fn reduced(
        &mut self,
        index: usize,
        reductions: &[Reduction],
        part: Part,
    ) -> Result<ReducedRows, SessionError> {
        let name = |part: &str| format!("observation.{index}.{part}");
        let mut scores = Vec::with_capacity(reductions.len());
        for (place, &reduction) in reductions.iter().enumerate() {
            scores.push(ReducedScores {
                reduction,
                scores: self.tensor(&name(&format!("reduced.{place}")), part)?,
                prompt_shares: self.tensor(&name(&format!("prompt_shares.{place}")), part)?,
            });
        }
        let queries = match self.table.info(&name("queries")) {
            Some(_) => Some(self.query_rows(index, part)?),
            None => None,
        };
        let places = ["positions", "visible_keys"];
        let places = places.map(|part| self.tensor(&name(part), Part::Whole));
        let [positions, visible_keys] = places;
        let places = [positions?.to_vec1()?, visible_keys?.to_vec1()?];
        Ok(ReducedRows::new(places, scores, queries))
    }

    /// Reads the bytes of a tensor, or of a part of one `[L, heads, ...]`, and makes it one of candle's.
    fn tensor(&mut self, name: &str, part: Part) -> Result<Tensor, SessionError> {
        let info = self
            .table
            .info(name)
            .ok_or_else(|| self.file.damaged(&shape_check::missing(name)))?;
        let (start, end) = info.data_offsets;
        let (shape, skipped) = part.of(&info.shape, self.shape.kv_heads);
        let element_bits = info.dtype.bitsize();
        let bytes = |elements: usize| (elements * element_bits / 8) as u64;
        let count = bytes(shape.iter().product()).min((end - start) as u64);
        let dtype = info.dtype;
        let place = self.data_start + start as u64 + bytes(skipped);
        let data = self.file.read(place, count)?;
        let view = TensorView::new(dtype, shape, &data)
            .map_err(|error| self.file.damaged(&error.to_string()))?;
        view.load(&Device::Cpu)
            .map_err(|error| self.file.damaged(&error.to_string()))
    }

    /// Whoever changed the file is at fault, and not this program.
    fn unfit(&self, error: SessionError) -> SessionError {
        match error {
            SessionError::Internal { reason } => self.file.damaged(&reason),
            error => error,
        }
    }
}

impl Part {
    /// Shape of this part of a tensor, and how many of its numbers stand before it. One score row for all heads is
    /// part of every group.
    fn of(self, dims: &[usize], kv_heads: usize) -> (Vec<usize>, usize) {
        let (layer, kv_head, heads, rest) = match (self, dims) {
            (Self::HeadGroup { layer, kv_head }, [_, heads, rest @ ..]) => {
                (layer, kv_head, heads, rest)
            }
            (Self::Layers(layers), [_, rest @ ..]) => {
                let numbers: usize = rest.iter().product();
                return ([&[layers.count], rest].concat(), layers.first * numbers);
            }
            _ => return (dims.to_vec(), 0),
        };
        let (first, count) = if heads.is_multiple_of(kv_heads) {
            let group = heads / kv_heads.max(1);
            (kv_head * group, group)
        } else {
            (0, *heads)
        };
        let numbers: usize = rest.iter().product();
        let skipped = (layer * heads + first) * numbers;
        ([&[1, count], rest].concat(), skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_one_run_of_the_numbers() {
        let part = Part::HeadGroup {
            layer: 2,
            kv_head: 1,
        };
        // keys [L, G, T, D] of 2 key/value heads: behind 2 layers and one head of 5 x 3 numbers
        assert_eq!(
            part.of(&[4, 2, 5, 3], 2),
            (vec![1, 1, 5, 3], (2 * 2 + 1) * 15)
        );
        // queries [L, H, W, D] of 6 query heads: heads 3, 4 and 5
        assert_eq!(
            part.of(&[4, 6, 7, 3], 2),
            (vec![1, 3, 7, 3], (2 * 6 + 3) * 21)
        );
        // scores [L, 1, T] that all heads share
        assert_eq!(part.of(&[4, 1, 5], 2), (vec![1, 1, 5], 2 * 5));
        assert_eq!(Part::Whole.of(&[4, 6, 7], 2), (vec![4, 6, 7], 0));
        // two layers behind the first one
        let two = Part::Layers(LayerRange {
            first: 1,
            count: 2,
            of: 4,
        });
        assert_eq!(two.of(&[4, 6, 7], 2), (vec![2, 6, 7], 6 * 7));
    }
}
