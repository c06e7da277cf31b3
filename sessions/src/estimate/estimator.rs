//! A capture plan and its prompts to amounts of memory.

use std::ops::Range;

use candle_core::{DType, Device};
use kvlens_datasets::{Sample, Samples, TokenCounter};

use super::fit::AvailableMemory;
use super::stages::{MemoryPart, REPACKED_PART, SampleStages, StageMemory, WEIGHTS_PART};
use crate::SessionError;
use crate::capture::{Lengths, check_positions, refuse_far_too_long};
use crate::footprint::{Memory, RunShape, UnloadedModel};
use crate::model::{Checkpoint, ModelSource, TextCodec, device_name, free_device_memory};
use crate::plan::{CapturePlan, DecodePlan, Keep};
use crate::prefill::Needs;
use crate::windows::{Decode, Window, expand_all, parse_windows};

/// Bytes of text for each position of the model that are counted at once: about two tokens' worth.
const BYTES_A_POSITION: usize = 8;

/// At least so many bytes are counted at once, which takes some hundred megabytes.
const LEAST_PIECE_BYTES: usize = 1 << 20;

/// What a capture takes. Memory is that of its longest prompt, question and decode stage, with which it stands highest.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryEstimate {
    /// T of the longest prompt.
    pub prompt_tokens: usize,
    /// Q of the longest question that comes after its prompt.
    pub question_tokens: usize,
    /// S at most.
    pub decode_tokens: usize,
    /// The device, as `--device` writes it.
    pub device: String,
    /// The number format, such as `f32`.
    pub dtype: &'static str,
    /// What stands over several stages.
    pub parts: Vec<MemoryPart>,
    /// The stages in their order.
    pub stages: Vec<StageMemory>,
    /// Samples of the session.
    pub samples: usize,
    /// All files of the session together, on disk.
    pub session_bytes: f64,
    /// What they keep.
    pub keep: Keep,
    /// Bytes of the device's memory that can be had; none for the CPU, or where it cannot be told.
    pub device_free_bytes: Option<u64>,
}

impl MemoryEstimate {
    /// The most that is needed, on the device and beside it.
    pub fn peak(&self) -> Memory {
        let stages = self.stages.iter();
        stages.fold(Memory::default(), |peak, stage| peak.max(stage.together))
    }

    /// What the weights take.
    fn weights(&self) -> Memory {
        let parts = self.parts.iter();
        let of_weights = parts.filter(|part| [WEIGHTS_PART, REPACKED_PART].contains(&part.name));
        of_weights.map(|part| part.memory).sum()
    }

    /// For a model that is loaded already: what its weights take is not asked for again.
    pub fn count_weights_as_available(&mut self, available: &mut AvailableMemory) {
        let weights = self.weights();
        let add = |bytes: &mut Option<u64>, loaded: f64| {
            if let Some(bytes) = bytes {
                *bytes = bytes.saturating_add(loaded as u64);
            }
        };
        add(&mut available.host_bytes, weights.host);
        add(&mut self.device_free_bytes, weights.device);
    }

    /// The most that the process shows of the computer's own memory (its largest resident set), in bytes.
    pub fn peak_resident_bytes(&self) -> f64 {
        let stages = self.stages.iter();
        stages.fold(0.0, |peak, stage| {
            peak.max(stage.together.host + stage.reclaimable)
        })
    }

    /// The stage that needs most.
    pub fn peak_stage(&self) -> String {
        let highest = self
            .stages
            .iter()
            .max_by(|a, b| a.together.total().total_cmp(&b.together.total()));
        highest.map_or_else(String::new, |stage| stage.stage.to_string())
    }
}

/// Another run than the one that was asked for.
#[derive(Debug, Clone)]
pub(super) struct Variation {
    pub(super) prompt_tokens: usize,
    pub(super) question_tokens: usize,
    pub(super) decode_tokens: usize,
    pub(super) dtype: DType,
    pub(super) windows: Vec<String>,
    pub(super) samples: usize,
}

impl Variation {
    /// As long as the longer of both in every part.
    fn or_longer(self, other: &Self) -> Self {
        Self {
            prompt_tokens: self.prompt_tokens.max(other.prompt_tokens),
            question_tokens: self.question_tokens.max(other.question_tokens),
            decode_tokens: self.decode_tokens.max(other.decode_tokens),
            ..self
        }
    }
}

/// A plan with its model's sizes and its tokenizer, without the weights.
pub struct CaptureEstimator {
    plan: CapturePlan,
    model: UnloadedModel,
    text: TextCodec,
    windows: Vec<Window>,
    /// What the windows need of prefill.
    needs: Needs,
    device: Device,
    dtype: DType,
}

impl CaptureEstimator {
    /// Looks at the checkpoint of a plan.
    ///
    /// # Errors
    /// A sentence for a checkpoint or a window that is unusable, as far as that shows without the weights.
    pub fn open(plan: &CapturePlan) -> Result<Self, SessionError> {
        plan.decode.check()?;
        let checkpoint = Checkpoint::find(&plan.model)?;
        let model = UnloadedModel::of(&checkpoint, plan.dtype)?;
        let device = plan.device.open()?.device;
        let stored = model.config.stored_dtype.as_deref();
        let windows = parse_windows(&expand_all(&plan.windows, &plan.model))?;
        let needs = needs_of(&windows.iter().collect::<Vec<_>>(), &plan.model)?;
        Ok(Self {
            dtype: plan.dtype.resolve(&device, stored)?,
            needs,
            windows,
            text: TextCodec::open(&checkpoint)?,
            plan: plan.clone(),
            model,
            device,
        })
    }

    /// Estimates the capture of these samples.
    ///
    /// # Errors
    /// A prompt that cannot be encoded, or that passes the model's positions with what stands behind it; what a
    /// window says of the files that it needs.
    pub fn estimate<'a>(
        &self,
        samples: impl Into<Samples<'a>>,
    ) -> Result<MemoryEstimate, SessionError> {
        let samples = samples.into();
        let positions = self.positions();
        let mut longest = self.nothing_yet(samples.len());
        let mut session_bytes = 0.0;
        for sample in samples.iter() {
            let sample = &*sample?;
            let lengths = self.lengths(sample)?;
            check_positions(sample, lengths, &self.plan, &self.needs, positions)?;
            let run = Variation {
                prompt_tokens: lengths.prompt_tokens,
                question_tokens: lengths.question_tokens,
                decode_tokens: self.plan.decode.of(sample.answer_tokens).max_tokens,
                ..longest.clone()
            };
            session_bytes += self.with_stages(&run, |stages| stages.file_bytes())?;
            longest = longest.or_longer(&run);
        }
        Ok(MemoryEstimate {
            session_bytes,
            ..self.of(&longest)?
        })
    }

    /// All files of a session of these samples together, on disk.
    ///
    /// # Errors
    /// As [`estimate`](Self::estimate).
    pub fn session_bytes<'a>(&self, samples: impl Into<Samples<'a>>) -> Result<f64, SessionError> {
        Ok(self.estimate(samples)?.session_bytes)
    }

    /// T and Q of a sample as it will run.
    ///
    /// # Errors
    /// A prompt that cannot be encoded, or that is far too long for the model.
    fn lengths(&self, sample: &Sample) -> Result<Lengths, SessionError> {
        let text = sample.prompt_and_prefix();
        let count = |part: &str| Ok(self.text.encode_continuation(part)?.len());
        refuse_far_too_long(sample, &text, self.model.config.max_positions, count)?;
        let encoded = self.text.encode_sample(sample, self.plan.chat())?;
        Ok(Lengths::of(&encoded))
    }

    /// Whether the checkpoint brings a chat template.
    pub fn has_chat_template(&self) -> bool {
        self.text.chat_template().is_some()
    }

    /// How many tokens a text has, without special tokens. Of one that no prompt is long enough for, in pieces that end
    /// with a line or a word where they can: a tokenizer takes hundreds of times the bytes of what it is given.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn text_tokens(&self, text: &str) -> Result<usize, String> {
        let (mut tokens, mut rest) = (0, text);
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(self.piece_end(rest));
            tokens += self.spans(piece)?.len();
            rest = behind;
        }
        Ok(tokens)
    }

    /// Where the first piece of a text ends.
    fn piece_end(&self, text: &str) -> usize {
        let bytes = self.positions().saturating_mul(BYTES_A_POSITION);
        let bytes = bytes.max(LEAST_PIECE_BYTES);
        if text.len() <= bytes {
            return text.len();
        }
        let piece = &text[..text.floor_char_boundary(bytes)];
        let end = piece.rfind('\n').or_else(|| piece.rfind(' '));
        end.filter(|&end| end > 0).unwrap_or(piece.len())
    }

    fn of(&self, run: &Variation) -> Result<MemoryEstimate, SessionError> {
        Ok(MemoryEstimate {
            prompt_tokens: run.prompt_tokens,
            question_tokens: run.question_tokens,
            decode_tokens: run.decode_tokens,
            device: device_name(&self.device),
            dtype: self.dtype.as_str(),
            parts: self.with_stages(run, |stages| Ok(stages.parts()))?,
            stages: self.with_stages(run, |stages| stages.stages())?,
            samples: run.samples,
            session_bytes: 0.0,
            keep: self.plan.keep(),
            device_free_bytes: free_device_memory(&self.device),
        })
    }

    /// The run as the plan has it, before any prompt.
    fn nothing_yet(&self, samples: usize) -> Variation {
        Variation {
            prompt_tokens: 0,
            question_tokens: 0,
            decode_tokens: 0,
            dtype: self.dtype,
            windows: self.window_labels(),
            samples,
        }
    }

    /// Whether weights stay quantised.
    pub(super) fn is_quantised(&self) -> bool {
        self.model.weights.are_quantised()
    }

    pub(super) fn dtype(&self) -> DType {
        self.dtype
    }

    pub(super) fn window_labels(&self) -> Vec<String> {
        let windows = self.windows.iter();
        windows.map(|window| window.label().to_owned()).collect()
    }

    /// The most that another run needs.
    pub(super) fn peak(&self, variation: &Variation) -> Result<Memory, SessionError> {
        let stages = self.with_stages(variation, |stages| stages.stages())?;
        let stages = stages.into_iter();
        Ok(stages.fold(Memory::default(), |peak, stage| peak.max(stage.together)))
    }

    /// The window that takes most by itself.
    pub(super) fn heaviest_window(
        &self,
        variation: &Variation,
    ) -> Result<Option<String>, SessionError> {
        let run = self.run(variation);
        let mut heaviest: Option<(f64, String)> = None;
        for window in self.windows_of(variation) {
            let memory = window.memory(&run)?;
            let bytes = (memory.loaded + memory.working).total() + memory.observation_bytes;
            if heaviest.as_ref().is_none_or(|(most, _)| bytes > *most) {
                heaviest = Some((bytes, window.label().to_owned()));
            }
        }
        Ok(heaviest.map(|(_, label)| label))
    }

    fn windows_of(&self, variation: &Variation) -> Vec<&Window> {
        self.windows
            .iter()
            .filter(|window| {
                variation
                    .windows
                    .iter()
                    .any(|label| label == window.label())
            })
            .collect()
    }

    fn run(&self, variation: &Variation) -> RunShape<'_> {
        RunShape {
            config: &self.model.config,
            source: &self.plan.model,
            prompt_tokens: variation.prompt_tokens,
            element_bytes: variation.dtype.size_in_bytes(),
            on_gpu: !self.device.is_cpu(),
            widens_products: self.device.is_cpu() && variation.dtype == DType::BF16,
            dequantises: self.device.is_cpu() && self.is_quantised(),
            threads: rayon::current_num_threads(),
        }
    }

    fn with_stages<T>(
        &self,
        variation: &Variation,
        of: impl Fn(&SampleStages<'_>) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let windows = self.windows_of(variation);
        let plan = DecodePlan {
            max_tokens: variation.decode_tokens,
            ..self.plan.decode.clone()
        };
        let decode = Decode::planned(plan, variation.question_tokens);
        let source = &self.plan.model;
        let needs = decode.needs(source)?.and(&needs_of(&windows, source)?);
        of(&SampleStages {
            run: self.run(variation),
            model: &self.model,
            needs: &needs,
            decode: &decode,
            windows: &windows,
            keep: self.plan.keep(),
            numbers: self.plan.numbers,
            is_only: variation.samples == 1,
            shares_prefill: variation.question_tokens > 0 && variation.samples > 1,
        })
    }
}

/// What these windows need of prefill.
pub(super) fn needs_of(windows: &[&Window], source: &ModelSource) -> Result<Needs, SessionError> {
    let mut windows = windows.iter();
    windows.try_fold(Needs::default(), |needs, window| {
        Ok(needs.and(&window.needs(source)?))
    })
}

/// By the tokenizer of the plan's model.
impl TokenCounter for CaptureEstimator {
    fn spans(&self, text: &str) -> Result<Vec<Range<usize>>, String> {
        self.text.spans(text).map_err(|error| error.to_string())
    }

    fn prompt_tokens(&self, sample: &Sample) -> Result<usize, String> {
        // also of a prompt that is far too long, which may be cut or left out
        let (first, rest) = sample.prompt.split_at(self.piece_end(&sample.prompt));
        let count = |sample: &Sample| {
            let encoded = self.text.encode_sample(sample, self.plan.chat());
            let encoded = encoded.map_err(|error| error.to_string())?;
            Ok(encoded.ids.len() + encoded.question_ids.len())
        };
        if rest.is_empty() {
            return count(sample);
        }
        let beginning = Sample {
            prompt: first.to_owned(),
            later_question: sample.later_question.clone(),
            answer_prefix: sample.answer_prefix.clone(),
            without_chat: sample.without_chat,
            ..Sample::default()
        };
        Ok::<usize, String>(count(&beginning)? + self.text_tokens(rest)?)
    }

    fn tokens_behind(&self, sample: &Sample) -> usize {
        let steps = self.plan.decode.of(sample.answer_tokens).max_tokens;
        steps.max(self.needs.extra_positions)
    }

    fn positions(&self) -> usize {
        self.model.config.max_positions
    }
}
