//! A sample before its prompt is composed.

use std::ops::Range;

use super::row::Problem;
use super::template::{Slots, Template, TemplateOrigin};
use crate::parts::PromptParts;
use crate::sample::{QuestionPlace, Sample, text_name};
use crate::scores::{Metric, Scoring};

/// What a row says of one sample.
pub(crate) struct Draft {
    pub id: String,
    pub dataset: String,
    pub task: String,
    /// What a template may use, by name.
    pub slots: Slots,
    /// The slot that is asked about.
    pub document: Option<&'static str>,
    /// The slots that ask.
    pub questions: &'static [&'static str],
    pub template: Template,
    /// Where the question shall stand; where the template has it when `None`.
    pub place: Option<QuestionPlace>,
    pub answer: Option<String>,
    pub values: Vec<String>,
    pub scoring: Option<Scoring>,
    pub evidence: Vec<Evidence>,
    pub answer_prefix: Option<String>,
    pub answer_tokens: Option<usize>,
    pub without_chat: bool,
    pub asked_length: Option<usize>,
    pub depth: Option<f64>,
}

/// Where the needed facts stand.
pub(crate) enum Evidence {
    /// Bytes of the prompt.
    Bytes(Range<usize>),
    /// Characters (Unicode scalar values, as Python counts) of the prompt.
    Characters(Range<usize>),
    /// The first occurrence of this passage, which must be there.
    Passage(String),
    /// The first occurrence of this passage, if there is one: benchmarks quote with small changes.
    Quote(String),
}

impl Draft {
    /// A sample of which only names and template are known.
    pub(crate) fn new(id: String, dataset: &str, task: String, template: Template) -> Self {
        Self {
            id,
            dataset: dataset.to_owned(),
            task,
            slots: Slots::new(),
            document: None,
            questions: &[],
            template,
            place: None,
            answer: None,
            values: Vec::new(),
            scoring: None,
            evidence: Vec::new(),
            answer_prefix: None,
            answer_tokens: None,
            without_chat: false,
            asked_length: None,
            depth: None,
        }
    }

    /// With these texts in the slots of the same names.
    pub(crate) fn with_slots<const N: usize>(mut self, slots: [(&str, &str); N]) -> Self {
        let slots = slots.map(|(name, text)| (name.to_owned(), text.to_owned()));
        self.slots.extend(slots);
        self
    }

    /// With alternative answers: the first is forced and searched for, all are scored by the metric.
    pub(crate) fn with_alternatives(self, metric: Metric, answers: Vec<String>) -> Self {
        let scoring = (!answers.is_empty()).then(|| Scoring::new(metric, answers.clone()));
        Self {
            answer: answers.first().cloned(),
            values: answers.into_iter().take(1).collect(),
            scoring,
            ..self
        }
    }

    /// With answers all of which are wanted.
    pub(crate) fn with_all(self, answers: Vec<String>) -> Self {
        let scoring =
            (!answers.is_empty()).then(|| Scoring::new(Metric::MatchAll, answers.clone()));
        Self {
            answer: (!answers.is_empty()).then(|| answers.join(", ")),
            values: answers,
            scoring,
            ..self
        }
    }

    /// The sample, how its template came about, and how many quotes were not found.
    pub(crate) fn sample(self) -> Result<(Sample, TemplateOrigin, usize), Problem> {
        let composed = self
            .template
            .compose(&self.slots, self.document, self.questions)?;
        let place = composed.place.map(|place| self.place.unwrap_or(place));
        let prompt = match (&composed.parts, place) {
            (Some(parts), Some(place)) => parts.compose(place),
            _ => composed.prompt,
        };
        if prompt.trim().is_empty() {
            return Err("has an empty prompt".to_owned());
        }
        let document = place.zip(composed.parts.as_ref());
        let document = document.map_or(0..0, |(place, parts)| parts.document_span(place));
        let (evidence, lost) = spans(&self.evidence, &prompt, document.start)?;
        let name = |part: fn(&PromptParts) -> &String| {
            let parts = composed.parts.as_ref();
            parts.map(part).filter(|text| !text.trim().is_empty())
        };
        let sample = Sample {
            id: self.id,
            dataset: self.dataset,
            task: self.task,
            evidence,
            answer: self.answer,
            values: self.values,
            question_place: place.or(self.place),
            document: name(|parts| &parts.document).map(|text| text_name(text)),
            question: name(|parts| &parts.question).map(|text| text_name(text)),
            later_question: document_question(&composed.parts, place),
            parts: composed.parts,
            prompt,
            asked_length: self.asked_length,
            depth: self.depth,
            answer_prefix: self.answer_prefix.filter(|prefix| !prefix.is_empty()),
            answer_tokens: self.answer_tokens,
            without_chat: self.without_chat,
            scoring: self.scoring,
        };
        Ok((sample, self.template.origin, lost))
    }
}

fn document_question(parts: &Option<PromptParts>, place: Option<QuestionPlace>) -> Option<String> {
    parts.as_ref()?.later_question(place?)
}

/// The byte spans of the evidence, sorted, and how many quotes were not found. Passages are searched from `start` on
/// first, so that a question that repeats one does not count.
fn spans(
    evidence: &[Evidence],
    prompt: &str,
    start: usize,
) -> Result<(Vec<Range<usize>>, usize), Problem> {
    let find = |passage: &str| {
        let later = prompt.get(start..).and_then(|text| text.find(passage));
        let at = later.map(|at| at + start).or_else(|| prompt.find(passage));
        at.map(|at| at..at + passage.len())
    };
    let mut spans = Vec::new();
    let mut lost = 0;
    for item in evidence {
        match item {
            Evidence::Bytes(span) => spans.push(checked(span, prompt)?),
            Evidence::Characters(span) => spans.push(bytes_of(span, prompt)?),
            Evidence::Passage(passage) => spans.push(
                find(passage)
                    .ok_or_else(|| "has evidence that does not stand in the prompt".to_owned())?,
            ),
            Evidence::Quote(passage) => match find(passage.trim()) {
                Some(span) if !span.is_empty() => spans.push(span),
                _ => lost += 1,
            },
        }
    }
    spans.sort_by_key(|span| (span.start, span.end));
    Ok((spans, lost))
}

fn checked(span: &Range<usize>, prompt: &str) -> Result<Range<usize>, Problem> {
    if span.start >= span.end || span.end > prompt.len() {
        return Err(format!(
            "has evidence at bytes {} to {} of a prompt of {} bytes",
            span.start,
            span.end,
            prompt.len()
        ));
    }
    match prompt.get(span.clone()) {
        Some(_) => Ok(span.clone()),
        None => Err(format!(
            "has evidence at bytes {} to {}, which cut a letter in two; offsets that Python counts are characters: \
             call the field evidence_characters",
            span.start, span.end
        )),
    }
}

fn bytes_of(span: &Range<usize>, prompt: &str) -> Result<Range<usize>, Problem> {
    let mut ends = prompt
        .char_indices()
        .map(|(at, _)| at)
        .chain([prompt.len()]);
    let start = ends.nth(span.start);
    let length = span.end.checked_sub(span.start + 1);
    match (start, length.and_then(|length| ends.nth(length))) {
        (Some(start), Some(end)) => Ok(start..end),
        _ => Err(format!(
            "has evidence at characters {} to {} of a prompt of {} characters",
            span.start,
            span.end,
            prompt.chars().count()
        )),
    }
}
