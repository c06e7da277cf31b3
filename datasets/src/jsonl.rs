//! One JSON object a line. Which field names mean what is documented at [`load`](crate::load).

use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::DatasetError;
use crate::sample::{QuestionPlace, Sample, document_name};

type Object = Map<String, Value>;

/// What a file gives to every sample in it.
pub(crate) struct Origin<'a> {
    pub path: &'a Path,
    pub dataset: &'a str,
    pub stem: &'a str,
}

impl Origin<'_> {
    fn bad_line(&self, line: usize, problem: impl Into<String>) -> DatasetError {
        DatasetError::Line {
            path: self.path.to_owned(),
            line,
            problem: problem.into(),
        }
    }
}

/// The objects of the lines that are not blank, with line numbers counted from 1.
pub(crate) fn objects<'a>(
    text: &'a str,
    origin: &'a Origin<'a>,
) -> impl Iterator<Item = Result<(usize, Object), DatasetError>> + 'a {
    // Editors on Windows put a byte order mark before the first line.
    text.trim_start_matches('\u{feff}')
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            let number = index + 1;
            match serde_json::from_str(line) {
                Ok(Value::Object(object)) => Ok((number, object)),
                Ok(_) => Err(origin.bad_line(number, "is not a JSON object")),
                Err(error) => Err(origin.bad_line(
                    number,
                    format!("is not valid JSON (column {})", error.column()),
                )),
            }
        })
}

/// The sample that one line describes.
pub(crate) fn sample(
    object: &Object,
    line: usize,
    origin: &Origin<'_>,
) -> Result<Sample, DatasetError> {
    let fields = Fields {
        object,
        line,
        origin,
    };
    let (prompt, question_place) = fields.prompt()?;
    let (answer, values) = fields.answer_and_values()?;
    Ok(Sample {
        id: fields.id()?,
        dataset: origin.dataset.to_owned(),
        task: fields
            .text(&["task", "dataset"])?
            .unwrap_or(origin.stem)
            .to_owned(),
        evidence: fields.evidence(&prompt)?,
        prompt,
        answer,
        values,
        question_place,
        document: fields.document()?,
        ..Sample::default()
    })
}

struct Fields<'a> {
    object: &'a Object,
    line: usize,
    origin: &'a Origin<'a>,
}

impl<'a> Fields<'a> {
    fn bad(&self, problem: impl Into<String>) -> DatasetError {
        self.origin.bad_line(self.line, problem)
    }

    /// The first of these fields that is present and not null.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, &'a Value)> {
        names.iter().find_map(|name| {
            let value = self.object.get(*name)?;
            (!value.is_null()).then_some((*name, value))
        })
    }

    fn text(&self, names: &[&'static str]) -> Result<Option<&'a str>, DatasetError> {
        let Some((name, value)) = self.first(names) else {
            return Ok(None);
        };
        match value.as_str() {
            Some(text) => Ok(Some(text)),
            None => Err(self.bad(format!("has a field {name} that is not text"))),
        }
    }

    fn id(&self) -> Result<String, DatasetError> {
        match self.first(&["id", "_id", "index"]) {
            None => Ok(format!("{}-{}", self.origin.stem, self.line - 1)),
            Some((_, Value::String(id))) if !id.trim().is_empty() => Ok(id.clone()),
            Some((_, Value::Number(id))) if !id.is_f64() => Ok(id.to_string()),
            Some((name, _)) => Err(self.bad(format!(
                "has a field {name} that is neither text nor a whole number"
            ))),
        }
    }

    fn prompt(&self) -> Result<(String, Option<QuestionPlace>), DatasetError> {
        let place = self.question_place()?;
        let (mut prompt, place) = if let Some(text) = self.text(&["prompt", "text"])? {
            (text.to_owned(), place)
        } else if let Some(context) = self.text(&["context"])? {
            let question = self.text(&["input", "question"])?.ok_or_else(|| {
                self.bad("has a context but no question (field input or question)")
            })?;
            joined(context, question, place)
        } else if let Some(text) = self.text(&["input"])? {
            (text.to_owned(), place)
        } else {
            return Err(self.bad(
                "has no prompt (field prompt, text or input, or context with input or question)",
            ));
        };
        prompt.push_str(self.text(&["answer_prefix"])?.unwrap_or_default());
        if prompt.trim().is_empty() {
            return Err(self.bad("has an empty prompt"));
        }
        Ok((prompt, place))
    }

    /// The name of the context, where it is a field of its own that a question is asked about.
    fn document(&self) -> Result<Option<String>, DatasetError> {
        if self.first(&["prompt", "text"]).is_some() {
            return Ok(None);
        }
        Ok(self.text(&["context"])?.map(document_name))
    }

    fn question_place(&self) -> Result<Option<QuestionPlace>, DatasetError> {
        let Some(label) = self.text(&["question_place"])? else {
            return Ok(None);
        };
        match QuestionPlace::from_label(label) {
            Some(place) => Ok(Some(place)),
            None => Err(self.bad("has a question_place that is neither start nor end")),
        }
    }

    fn answer_and_values(&self) -> Result<(Option<String>, Vec<String>), DatasetError> {
        let (answer, from_answer) = match self.first(&["answer", "outputs", "answers"]) {
            None => (None, Vec::new()),
            Some((_, Value::String(answer))) => (Some(answer.clone()), Vec::new()),
            Some((name @ "answers", value)) => {
                let first: Vec<String> = self.texts(name, value)?.into_iter().take(1).collect();
                (first.first().cloned(), first)
            }
            Some((name, value)) => {
                let all = self.texts(name, value)?;
                ((!all.is_empty()).then(|| all.join(", ")), all)
            }
        };
        let values = match self.first(&["values"]) {
            Some((name, value)) => self.texts(name, value)?,
            None => from_answer,
        };
        Ok((answer, values))
    }

    fn texts(&self, name: &str, value: &Value) -> Result<Vec<String>, DatasetError> {
        let list = value.as_array().and_then(|list| {
            list.iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<Vec<String>>>()
        });
        list.ok_or_else(|| self.bad(format!("has a field {name} that is not a list of texts")))
    }

    fn evidence(&self, prompt: &str) -> Result<Vec<Range<usize>>, DatasetError> {
        let Some((_, value)) = self.first(&["evidence"]) else {
            return Ok(Vec::new());
        };
        let list = value
            .as_array()
            .ok_or_else(|| self.bad("has an evidence that is not a list"))?;
        let mut spans = list
            .iter()
            .map(|item| self.span(item, prompt))
            .collect::<Result<Vec<_>, _>>()?;
        spans.sort_by_key(|span| (span.start, span.end));
        Ok(spans)
    }

    fn span(&self, item: &Value, prompt: &str) -> Result<Range<usize>, DatasetError> {
        if let Some(passage) = item.as_str().filter(|passage| !passage.is_empty()) {
            return prompt
                .find(passage)
                .map(|start| start..start + passage.len())
                .ok_or_else(|| self.bad("has evidence that does not stand in the prompt"));
        }
        let offsets: Option<Vec<usize>> = item.as_array().and_then(|pair| {
            pair.iter()
                .map(|offset| offset.as_u64().and_then(|offset| offset.try_into().ok()))
                .collect()
        });
        match offsets.as_deref() {
            Some(&[start, end]) if start < end && prompt.get(start..end).is_some() => {
                Ok(start..end)
            }
            _ => Err(self.bad(
                "has evidence that is neither a passage of the prompt nor a pair of byte offsets \
                 in it",
            )),
        }
    }
}

/// Context and question with a blank line between, in the order asked for. A context without any
/// question (summaries of LongBench) stays as it is.
fn joined(
    context: &str,
    question: &str,
    place: Option<QuestionPlace>,
) -> (String, Option<QuestionPlace>) {
    if question.trim().is_empty() {
        return (context.to_owned(), place);
    }
    let place = place.unwrap_or(QuestionPlace::End);
    let prompt = match place {
        QuestionPlace::Start => format!("{question}\n\n{context}"),
        QuestionPlace::End => format!("{context}\n\n{question}"),
    };
    (prompt, Some(place))
}

#[cfg(test)]
mod tests;
