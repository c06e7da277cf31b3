//! One sample: prefill once, then the decode stage and every window.

use std::ops::Range;
use std::time::Instant;

use kvlens_datasets::score;

use super::CaptureJob;
use super::events::{CaptureEvent, Stage};
use super::prepared::PreparedSample;
use crate::SessionError;
use crate::observation::Observation;
use crate::prefill::{Prefilled, RunControl};
use crate::store::{CapturedSample, LaterQuestion, SampleRecord};
use crate::windows::{Decode, ReadyWindow};

/// A prompt that was run, and what the windows saw of it: the same for every question that comes after it.
pub(super) struct SeenPrompt {
    prefilled: Prefilled,
    observations: Vec<Observation>,
}

impl CaptureJob<'_> {
    pub(super) fn capture_sample(
        &self,
        prepared: &PreparedSample<'_>,
        shared: &mut Option<SeenPrompt>,
        on_event: &mut dyn FnMut(CaptureEvent),
    ) -> Result<CapturedSample, SessionError> {
        let started = Instant::now();
        let decode = Decode::behind(
            prepared.prompt.question_ids.clone(),
            self.plan.decode.of(prepared.sample.answer_tokens),
            prepared.answer_ids.clone(),
        );
        let (mut prefilled, seen) = self.prefill(prepared, shared.take(), on_event)?;
        let oracle = self.observe(&decode, &Stage::Decode, &mut prefilled, on_event)?;
        let keep = self.plan.keep();
        let decode_keys = match keep.has_decode_keys() {
            true => Some(prefilled.decode_keys()?),
            false => None,
        };
        let decode_values = match keep.has_values() {
            true => Some(prefilled.decode_values()?),
            false => None,
        };
        let observations = match seen {
            Some(observations) => observations,
            None => self.observe_all(&mut prefilled, on_event)?,
        };
        let keys = match keep.has_keys() {
            true => prefilled.keys_on_host(self.model)?,
            false => prefilled.keys_for_scoring(self.model)?,
        };
        let record = self.record(prepared, &oracle, started.elapsed().as_secs_f64())?;
        let values = match (&decode_keys, decode_values) {
            (Some(keys), Some(values)) => {
                Some(prefilled.cached_values(self.model, keys.clone(), values)?)
            }
            _ => None,
        };
        // for another question of the same prompt; on the CPU the keys are in use anyway
        *shared = prepared
            .sample
            .later_question
            .is_some()
            .then(|| SeenPrompt {
                prefilled,
                observations: observations.clone(),
            });
        let sample = CapturedSample::new(record, oracle, observations, keys, values)
            .with_decode_keys(decode_keys)
            .kept(keep)?;
        match self.plan.numbers {
            Some(numbers) => sample.rounded(numbers),
            None => Ok(sample),
        }
    }

    /// The prompt's forward pass, or the one before, with what was seen of it, if it was of the same prompt.
    fn prefill(
        &self,
        prepared: &PreparedSample<'_>,
        shared: Option<SeenPrompt>,
        on_event: &mut dyn FnMut(CaptureEvent),
    ) -> Result<(Prefilled, Option<Vec<Observation>>), SessionError> {
        let ids = &prepared.prompt.ids;
        if let Some(seen) = shared.filter(|shared| shared.prefilled.prompt_ids() == ids) {
            on_event(CaptureEvent::Progress {
                stage: Stage::Prefill,
                done_tokens: ids.len(),
                total_tokens: ids.len(),
            });
            return Ok((seen.prefilled, Some(seen.observations)));
        }
        let mut control = RunControl {
            cancel: self.cancel,
            on_tokens: &mut |done_tokens, total_tokens| {
                on_event(CaptureEvent::Progress {
                    stage: Stage::Prefill,
                    done_tokens,
                    total_tokens,
                });
            },
        };
        let needs = self.room.clone().and(self.needs);
        let prefilled = Prefilled::run(self.model, ids, &needs, &mut control)?;
        Ok((prefilled, None))
    }

    fn observe_all(
        &self,
        prefilled: &mut Prefilled,
        on_event: &mut dyn FnMut(CaptureEvent),
    ) -> Result<Vec<Observation>, SessionError> {
        let observed = self.windows.iter().map(|window| {
            let stage = Stage::Window(window.label().to_owned());
            self.observe_timed(window, &stage, prefilled, on_event)
        });
        observed.collect()
    }

    /// Observes as often as the plan says and keeps the median of the times.
    fn observe_timed(
        &self,
        window: &ReadyWindow,
        stage: &Stage,
        prefilled: &mut Prefilled,
        on_event: &mut dyn FnMut(CaptureEvent),
    ) -> Result<Observation, SessionError> {
        let mut observation = self.observe(window, stage, prefilled, on_event)?;
        let mut seconds = vec![observation.cost().seconds];
        for _ in 1..self.plan.repeat_cost {
            observation = self.observe(window, stage, prefilled, on_event)?;
            seconds.push(observation.cost().seconds);
        }
        Ok(observation.with_seconds(median(seconds)))
    }

    fn observe(
        &self,
        window: &ReadyWindow,
        stage: &Stage,
        prefilled: &mut Prefilled,
        on_event: &mut dyn FnMut(CaptureEvent),
    ) -> Result<Observation, SessionError> {
        let mut control = RunControl {
            cancel: self.cancel,
            on_tokens: &mut |done_tokens, total_tokens| {
                on_event(CaptureEvent::Progress {
                    stage: stage.clone(),
                    done_tokens,
                    total_tokens,
                });
            },
        };
        window.observe(self.model, prefilled, &mut control)
    }

    fn record(
        &self,
        prepared: &PreparedSample<'_>,
        oracle: &Observation,
        seconds: f64,
    ) -> Result<SampleRecord, SessionError> {
        let sample = prepared.sample;
        let generated = self.model.decode_text(oracle.token_ids())?;
        Ok(SampleRecord {
            id: sample.id.clone(),
            dataset: sample.dataset.clone(),
            task: sample.task.clone(),
            prompt: sample.prompt_and_prefix().into_owned(),
            answer: sample.answer.clone(),
            values: sample.values.clone(),
            scoring: sample.scoring.clone(),
            // a forced answer says nothing of what the model can do
            score: prepared
                .answer_ids
                .is_none()
                .then(|| score(sample, &generated))
                .flatten(),
            generated,
            question_place: sample.question_place,
            document: sample.document.clone(),
            question: sample.question.clone(),
            asked_later: asked_later(prepared),
            answer_tokens: sample.answer_tokens,
            asked_length: sample.asked_length,
            depth: sample.depth,
            prompt_ids: prepared.prompt.ids.clone(),
            token_texts: prepared.prompt.token_texts.clone(),
            generated_ids: oracle.token_ids().to_vec(),
            generated_texts: self.model.decode_pieces(oracle.token_ids())?,
            evidence_tokens: token_ranges(&prepared.prompt.byte_spans, &sample.evidence),
            largest_rounding: None,
            seconds,
        })
    }
}

fn asked_later(prepared: &PreparedSample<'_>) -> Option<LaterQuestion> {
    Some(LaterQuestion {
        text: prepared.sample.later_text()?,
        ids: prepared.prompt.question_ids.clone(),
    })
}

/// The middle value, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2).copied();
    let lower = values.get(values.len().saturating_sub(1) / 2).copied();
    upper.zip(lower).map_or(0.0, |(a, b)| (a + b) / 2.0)
}

/// The tokens that any of the byte ranges touches, as maximal runs.
fn token_ranges(token_spans: &[Range<usize>], byte_ranges: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (token, span) in token_spans.iter().enumerate() {
        let touched = byte_ranges
            .iter()
            .any(|bytes| span.start < bytes.end && bytes.start < span.end);
        match runs.last_mut() {
            Some(run) if touched && run.end == token => run.end += 1,
            _ if touched => runs.push(token..token + 1),
            _ => {}
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), 3.0);
        assert_eq!(median(vec![7.0]), 7.0);
    }

    #[test]
    fn evidence_is_every_token_that_it_touches() {
        let tokens = [0..0, 0..3, 3..6, 6..9, 9..12];
        assert_eq!(
            token_ranges(&tokens, &[4..5, 7..8]),
            vec![Range { start: 2, end: 4 }]
        );
        assert_eq!(token_ranges(&tokens, &[0..3, 9..10]), [1..2, 4..5]);
        assert_eq!(token_ranges(&tokens, &[]), Vec::<Range<usize>>::new());
    }
}
