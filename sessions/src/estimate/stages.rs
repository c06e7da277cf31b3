//! The stages of a capture, with what stands in memory together in each.

use kvlens_analysis::Scoring;

use crate::SessionError;
use crate::footprint::{Memory, RunShape, UnloadedModel, WindowMemory};
use crate::half_format::HalfFormat;
use crate::plan::Keep;
use crate::prefill::{CHUNK_TOKENS, Needs};
use crate::store::reductions;
use crate::windows::Window;

/// What the program itself takes, with its threads and their buffers for products, in bytes: measured with the
/// built-in model, whose own parts are small.
const PROGRAM_BYTES: f64 = 24e6;

/// Name of the part that is the weights.
pub(super) const WEIGHTS_PART: &str = "weights";

/// Name of the part that is their second layout.
pub(super) const REPACKED_PART: &str = "weights laid out for the processor";

/// Name of the part that is the program itself.
pub const PROGRAM_PART: &str = "program";

/// Text of one prompt token in a sample's file: its id twice, its piece, its share of the prompt, in bytes.
const TEXT_BYTES_PER_TOKEN: f64 = 30.0;

/// A moment of a capture at which memory stands highest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemoryStage {
    /// The weights are read.
    Load,
    /// The prompt runs.
    Prefill,
    /// The decode stage.
    Decode,
    /// A window observes, by its label.
    Window(String),
    /// The sample is gathered and written.
    Write,
}

impl std::fmt::Display for MemoryStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Load => "load",
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::Window(label) => label,
            Self::Write => "write",
        })
    }
}

/// A stage with its memory.
#[derive(Debug, Clone, PartialEq)]
pub struct StageMemory {
    /// Which.
    pub stage: MemoryStage,
    /// What the stage itself takes at its worst moment, beside what stands there already.
    pub own: Memory,
    /// Everything that stands together then.
    pub together: Memory,
    /// What the process shows beside that without needing it: pages of mapped files, which the system takes
    /// back when memory is short. In bytes of the computer's own memory.
    pub reclaimable: f64,
}

/// Something that stands in memory over several stages.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryPart {
    /// What it is.
    pub name: &'static str,
    /// How much it takes.
    pub memory: Memory,
}

/// One sample of a capture, by its shapes.
pub(super) struct SampleStages<'a> {
    pub(super) run: RunShape<'a>,
    pub(super) model: &'a UnloadedModel,
    pub(super) needs: &'a Needs,
    pub(super) decode: &'a Window,
    pub(super) windows: &'a [&'a Window],
    /// What is kept of it beside its observations.
    pub(super) keep: Keep,
    /// The format in which that is kept, where it is not the model's.
    pub(super) numbers: Option<HalfFormat>,
    /// Whether it is the only one: the weights of another have their second layout already when it begins.
    pub(super) is_only: bool,
    /// Whether the cache may stay for another question of the same prompt.
    pub(super) shares_prefill: bool,
}

impl SampleStages<'_> {
    /// What stands over several stages.
    pub(super) fn parts(&self) -> Vec<MemoryPart> {
        let part = |name, memory| MemoryPart { name, memory };
        let tokenizer = self.model.tokenizer();
        let weights = self.model.weights.bytes(self.run.element_bytes as f64);
        let mut parts = vec![
            part(WEIGHTS_PART, self.run.beside_the_model(weights)),
            part("tokenizer", tokenizer),
            part(PROGRAM_PART, Memory::on_host(PROGRAM_BYTES)),
            part("key/value cache", self.cache()),
            part("kept of the prompt for windows", self.kept_of_prompt()),
        ];
        let repacked = self.model.repacked(&self.run);
        if repacked.total() > 0.0 {
            parts.insert(1, part(REPACKED_PART, repacked));
        }
        parts
    }

    /// Every stage in its order.
    pub(super) fn stages(&self) -> Result<Vec<StageMemory>, SessionError> {
        let decode = self.decode.memory(&self.run)?;
        let windows = self
            .windows
            .iter()
            .map(|window| Ok((window.label().to_owned(), window.memory(&self.run)?)))
            .collect::<Result<Vec<_>, SessionError>>()?;
        let loaded_by_windows: Memory = windows.iter().map(|(_, window)| window.loaded).sum();
        let program = Memory::on_host(PROGRAM_BYTES);
        let read = program + self.model.loaded(&self.run) + loaded_by_windows;
        let loaded = read + self.model.repacked(&self.run);
        let standing = loaded + self.cache() + self.kept_of_prompt();
        let before_prefill = if self.is_only { read } else { loaded };
        let mut stages = vec![self.load(read), self.prefill(before_prefill)];
        let mut observed = 0.0;
        let mut observe = |stage, window: &WindowMemory| {
            let before = standing + Memory::on_host(observed);
            observed += window.observation_bytes;
            stages.push(of_stage(stage, window.working, before));
        };
        let with_cache = WindowMemory {
            observation_bytes: decode.observation_bytes + self.decode_cache()?,
            ..decode
        };
        observe(MemoryStage::Decode, &with_cache);
        for (label, window) in &windows {
            observe(MemoryStage::Window(label.clone()), window);
        }
        stages.push(self.write(loaded, standing, observed)?);
        Ok(stages)
    }

    /// Bytes of the sample's file.
    pub(super) fn file_bytes(&self) -> Result<f64, SessionError> {
        let texts = TEXT_BYTES_PER_TOKEN * self.run.prompt_tokens as f64;
        let cache = self.kept_keys() + self.decode_cache()? + self.prompt_values();
        // norms and products of the output projection stay in single precision
        let whole = match self.keep.has_values() {
            true => self.scores() + self.output_grams(),
            false => 0.0,
        };
        let rows = self.kept_rows()?;
        let scores = self.kept_observations()? - rows;
        Ok(self.as_stored(cache - whole + rows) + whole + scores + texts)
    }

    /// Bytes of keys, values or queries in the format in which they are kept.
    fn as_stored(&self, bytes: f64) -> f64 {
        match self.numbers {
            Some(numbers) => bytes * numbers.bytes() as f64 / self.run.element_bytes as f64,
            None => bytes,
        }
    }

    /// Bytes of what is kept of observed rows.
    fn kept_rows(&self) -> Result<f64, SessionError> {
        if !self.keep.has_queries() {
            return Ok(0.0);
        }
        let windows = self.windows.iter().filter(|window| window.gives_rows());
        let mut bytes = self.decode.memory(&self.run)?.observation_bytes;
        for window in windows {
            bytes += window.memory(&self.run)?.observation_bytes;
        }
        Ok(bytes)
    }

    /// Bytes of what is kept of the observations: as they are, or what takes the place of their rows without keys.
    fn kept_observations(&self) -> Result<f64, SessionError> {
        let rows = self.windows.iter().filter(|window| window.gives_rows());
        let published: Vec<Scoring> = rows.map(|window| window.scoring()).collect();
        let mut bytes = self.kept_of(self.decode, &published)?;
        for window in self.windows {
            bytes += self.kept_of(window, &[window.scoring()])?;
        }
        Ok(bytes)
    }

    /// Of one observation, whose rows are scored by default and in these ways.
    fn kept_of(&self, window: &Window, scorings: &[Scoring]) -> Result<f64, SessionError> {
        let observed = window.memory(&self.run)?.observation_bytes;
        if self.keep.has_keys() || !window.gives_rows() {
            return Ok(observed);
        }
        let scores = match self.keep.has_scores() {
            true => reductions(scorings).len() as f64 * self.scores(),
            false => 0.0,
        };
        let queries = if self.keep.has_queries() {
            observed
        } else {
            0.0
        };
        Ok(scores + queries)
    }

    /// One score for each query head and prompt token.
    fn scores(&self) -> f64 {
        self.run.scores(self.run.config.query_heads)
    }

    fn kept_keys(&self) -> f64 {
        match self.keep.has_keys() {
            true => self.run.keys(),
            false => 0.0,
        }
    }

    /// Values of the prompt with their norms behind the output projection, where they are kept.
    fn prompt_values(&self) -> f64 {
        match self.keep.has_values() {
            true => self.run.keys() + self.scores() + self.output_grams(),
            false => 0.0,
        }
    }

    /// What is kept of the output projection beside values.
    fn output_grams(&self) -> f64 {
        let config = self.run.config;
        let heads = (config.layers * config.query_heads) as f64;
        heads * (config.head_dim * config.head_dim) as f64 * 4.0
    }

    /// Keys and values of the decode stage, where they are kept.
    fn decode_cache(&self) -> Result<f64, SessionError> {
        let steps = self.decode.needs(self.run.source)?.extra_tokens;
        let cache = self.run.cache(self.run.config.kv_heads, steps);
        let kept = [self.keep.has_decode_keys(), self.keep.has_values()];
        let kept = kept.iter().filter(|kept| **kept).count();
        Ok(cache / 2.0 * kept as f64)
    }

    fn cache(&self) -> Memory {
        let tokens = self
            .run
            .prompt_tokens
            .saturating_add(self.needs.extra_tokens);
        let heads = self.run.config.kv_heads;
        self.run.beside_the_model(self.run.cache(heads, tokens))
    }

    fn last_rows(&self) -> usize {
        self.needs.last_rows.clamp(1, self.run.prompt_tokens.max(1))
    }

    /// What prefill leaves for the windows: its last rows, sums of attention, moments of the queries.
    fn kept_of_prompt(&self) -> Memory {
        Memory::on_host(self.run.rows(self.last_rows())) + self.passes()
    }

    fn passes(&self) -> Memory {
        let config = self.run.config;
        let sums = match self.needs.column_sums {
            true => self.scores(),
            false => 0.0,
        };
        let (heads, width) = (config.query_heads as f64, config.head_dim as f64);
        // sums of q and of q qT, in double precision
        let moments = config.layers as f64 * heads * width * (width + 1.0) * 8.0;
        let moments = self.needs.query_moments.len() as f64 * moments;
        // summed where the queries are, then brought to where they are used
        let brought = match self.run.on_gpu {
            true => Memory::on_host(moments),
            false => Memory::default(),
        };
        self.run.beside_the_model(sums + moments) + brought
    }

    fn load(&self, loaded: Memory) -> StageMemory {
        let element_bytes = self.run.element_bytes as f64;
        let loading = self.model.weights.loading(element_bytes);
        let weights = self.model.weights.bytes(element_bytes);
        let own = self.run.beside_the_model(loading.needed - weights);
        StageMemory {
            reclaimable: loading.resident - loading.needed,
            ..of_stage(MemoryStage::Load, own, loaded)
        }
    }

    fn prefill(&self, loaded: Memory) -> StageMemory {
        let (run, tokens) = (&self.run, self.run.prompt_tokens);
        let chunk = CHUNK_TOKENS.min(tokens);
        // queries of a chunk are kept whole as long as any of its rows is
        let last_chunk = tokens.saturating_sub(1) / CHUNK_TOKENS;
        let first_chunk = (tokens - self.last_rows().min(tokens)) / CHUNK_TOKENS;
        let kept = tokens - first_chunk * CHUNK_TOKENS;
        let rows = if first_chunk < last_chunk {
            kept.max(chunk)
        } else {
            chunk
        };
        let forward = run.forward(chunk, tokens);
        let running = forward.max(self.moments_of_chunk(chunk));
        // pieces of several chunks are joined, and then those of all layers
        let joined = if first_chunk < last_chunk { 2.0 } else { 1.0 };
        let joining = Memory::on_host(joined * run.rows(self.last_rows()));
        let own = run.beside_the_model(run.rows(rows)) + running.max(joining);
        let standing = loaded + self.cache() + self.passes();
        of_stage(MemoryStage::Prefill, own, standing)
    }

    /// A layer's queries in double precision: as they are, the halves of them turned back, both halves together.
    fn moments_of_chunk(&self, chunk: usize) -> Memory {
        let config = self.run.config;
        let queries = chunk as f64 * config.query_heads as f64 * config.head_dim as f64;
        match self.needs.query_moments.is_empty() {
            true => Memory::default(),
            false => self.run.beside_the_model(3.0 * queries * 8.0),
        }
    }

    /// First the keys stand beside the cache, if that is on a GPU and they are kept; then the model's rows are gone, and
    /// the values unless they are kept, and the file's bytes stand beside what they are made of.
    fn write(
        &self,
        loaded: Memory,
        standing: Memory,
        observed: f64,
    ) -> Result<StageMemory, SessionError> {
        let gathered = Memory::on_host(observed);
        let (keys, values) = (self.run.keys(), self.prompt_values());
        let copying = match self.run.on_gpu {
            true => Memory::on_host(self.kept_keys() + values),
            false => Memory::default(),
        };
        let left = self.kept_observations()?;
        let file = match self.keep.has_keys() {
            // both as they are and rounded, with what tells the change; then these, the file's bytes, and those of one
            // tensor that becomes a part of it
            true if self.numbers.is_some() => {
                let rounded = self.as_stored(keys + values + observed);
                let rounding = keys + values + rounded + 2.0 * self.scores();
                Memory::on_host(rounding.max(2.0 * rounded + self.as_stored(keys) - observed))
            }
            // both as they are, the file's bytes, and those of one tensor that becomes a part of it
            true => Memory::on_host(keys + values + observed + keys + values + keys),
            // the scores are made of the keys, where these are, and of all queries, and written without them
            false => {
                let made = self.run.beside_the_model(keys) + Memory::on_host(left + self.scores());
                made.max(Memory::on_host(left + left + self.scores() - observed))
            }
        };
        let first = of_stage(MemoryStage::Write, copying, standing + gathered);
        let kept = if self.shares_prefill {
            standing
        } else {
            loaded
        };
        let second = of_stage(MemoryStage::Write, file, kept + gathered);
        Ok(StageMemory {
            own: if first.together.total() > second.together.total() {
                first.own
            } else {
                second.own
            },
            together: first.together.max(second.together),
            ..first
        })
    }
}

fn of_stage(stage: MemoryStage, own: Memory, standing: Memory) -> StageMemory {
    StageMemory {
        stage,
        own,
        together: standing + own,
        reclaimable: 0.0,
    }
}
