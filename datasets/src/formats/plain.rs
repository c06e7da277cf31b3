//! Rows of any origin, by the names of their fields.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;

use serde_json::Value;

use super::Source;
use super::draft::{Draft, Evidence};
use super::row::{Problem, Row, scalar, texts_of};
use super::template::{Template, TemplateOrigin};
use crate::error::DatasetError;
use crate::options::EvidenceUnit;
use crate::sample::QuestionPlace;
use crate::scores::Metric;

/// What a field can be read as, with the names by which it is known; the first that is present counts.
const ROLES: [(&str, &[&str]); 12] = [
    ("prompt", &["prompt", "text"]),
    ("document", &["context", "document"]),
    ("question", &["question", "input"]),
    ("instruction", &["instruction"]),
    ("answer", &["answer", "outputs", "target", "output"]),
    ("answers", &["answers"]),
    ("values", &["values"]),
    ("id", &["id", "_id", "index"]),
    ("task", &["task", "dataset"]),
    ("evidence", &["evidence"]),
    ("answer_prefix", &["answer_prefix"]),
    ("answer_tokens", &["max_new_tokens"]),
];

/// Which fields of a row are read as what, where their names do not say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldMap(BTreeMap<&'static str, String>);

impl FieldMap {
    /// Whether every field goes by its name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `ROLE=FIELD`, such as `question=ask`.
    ///
    /// # Errors
    /// A text that is not of this form, a role that there is not, a role given twice.
    pub fn add(&mut self, text: &str) -> Result<(), DatasetError> {
        let wrong = || DatasetError::FieldMap {
            text: text.to_owned(),
            known: ROLES.map(|(role, _)| role).join(", "),
        };
        let (role, field) = text.split_once('=').ok_or_else(wrong)?;
        let known = ROLES.iter().find(|(name, _)| *name == role.trim());
        let (role, _) = known.ok_or_else(wrong)?;
        let earlier = self.0.insert(role, field.trim().to_owned());
        if earlier.is_some() || field.trim().is_empty() {
            return Err(wrong());
        }
        Ok(())
    }
}

impl FromStr for FieldMap {
    type Err = DatasetError;

    /// Reads `ROLE=FIELD,ROLE=FIELD`.
    fn from_str(text: &str) -> Result<Self, DatasetError> {
        let mut map = Self::default();
        for part in text.split(',') {
            map.add(part)?;
        }
        Ok(map)
    }
}

pub(super) fn read<'a>(
    row: &Row<'a>,
    source: &'a Source<'_>,
    number: usize,
) -> Result<Vec<Draft>, Problem> {
    let reader = Reader { row, source };
    let texts = reader.texts()?;
    let task = reader.text("task")?.unwrap_or(source.stem).to_owned();
    let mut draft = Draft {
        place: reader.place()?,
        answer_prefix: reader.text("answer_prefix")?.map(str::to_owned),
        answer_tokens: reader.answer_tokens()?,
        evidence: reader.evidence()?,
        document: texts.document.is_some().then_some("document"),
        questions: &["question"],
        ..Draft::new(
            reader.id(number)?,
            source.file,
            task,
            template(&texts, source, row),
        )
    };
    for (name, text) in [
        ("prompt", texts.prompt),
        ("document", texts.document),
        ("question", texts.question),
        ("instruction", texts.instruction),
    ] {
        draft
            .slots
            .insert(name.to_owned(), text.unwrap_or_default().to_owned());
    }
    if source.options.template.is_some() {
        reader.all_slots(&mut draft);
    }
    reader.answer(&mut draft)?;
    Ok(vec![draft])
}

/// The texts that a prompt is made of.
#[derive(Clone, Copy, Default)]
struct Texts<'a> {
    prompt: Option<&'a str>,
    document: Option<&'a str>,
    question: Option<&'a str>,
    instruction: Option<&'a str>,
}

/// The user's template with the slots of document and question under these names, whatever their fields are called:
/// so that the parts of the prompt are known.
fn by_role(template: &str, texts: &Texts<'_>, row: &Row<'_>) -> String {
    let mut template = template.to_owned();
    for (role, text) in [("document", texts.document), ("question", texts.question)] {
        for name in row.names() {
            if text.is_some() && row.holds(&name, text) {
                template = template.replace(&format!("{{{name}}}"), &format!("{{{role}}}"));
            }
        }
    }
    template
}

fn template(texts: &Texts<'_>, source: &Source<'_>, row: &Row<'_>) -> Template {
    if let Some(text) = &source.options.template {
        return Template::braces(&by_role(text, texts, row), TemplateOrigin::User);
    }
    if texts.prompt.is_some() {
        return Template::braces("{prompt}", TemplateOrigin::Whole);
    }
    let mut text = String::new();
    for (name, part) in [
        ("instruction", texts.instruction),
        ("document", texts.document),
        ("question", texts.question),
    ] {
        if part.is_some_and(|part| !part.trim().is_empty()) {
            let between = if text.is_empty() { "" } else { "\n\n" };
            // writing to a string cannot fail
            let _ = write!(text, "{between}{{{name}}}");
        }
    }
    Template::own(&text)
}

/// How many fields of a row are named.
const NAMED: usize = 12;

struct Reader<'r, 'a, 's> {
    row: &'r Row<'a>,
    source: &'a Source<'s>,
}

impl<'a> Reader<'_, 'a, '_> {
    /// The names of the fields that are read as this.
    fn names(&self, role: &'static str) -> Vec<&'a str> {
        if let Some(name) = self.source.options.fields.0.get(role) {
            return vec![name];
        }
        let known = ROLES.iter().find(|(name, _)| *name == role);
        known.map_or_else(Vec::new, |(_, names)| names.to_vec())
    }

    fn first(&self, role: &'static str) -> Option<(&'a str, &'a Value)> {
        self.row.first(&self.names(role), role)
    }

    fn text(&self, role: &'static str) -> Result<Option<&'a str>, Problem> {
        self.row.first_text(&self.names(role), role)
    }

    /// Which fields are prompt, document, question and instruction depends on which others there are: a `prompt`
    /// beside a `context` is an instruction; an `input` beside a `question` is the document, beside a `context` the
    /// question, and alone the prompt; a `document` is one where there is no `prompt`.
    fn texts(&self) -> Result<Texts<'a>, Problem> {
        let row = self.row;
        let is_mapped = |role| self.source.options.fields.0.contains_key(role);
        let has = |name: &str| row.has(name);
        let is_whole = has("prompt") || has("text");
        let has_document = has("context") || (has("document") && !is_whole);
        let mut texts = Texts {
            instruction: self.text("instruction")?,
            ..Texts::default()
        };
        if is_mapped("prompt") || (!is_mapped("document") && !has_document) {
            let is_pair = has("input") && has("question") && !is_whole;
            if is_pair && !is_mapped("prompt") {
                texts.document = row.text("input", "document")?;
                texts.question = row.text("question", "question")?;
                return Ok(texts);
            }
            texts.prompt = self.text("prompt")?;
            if texts.prompt.is_none() && !is_mapped("prompt") {
                texts.prompt = row.text("input", "prompt")?;
            }
            return match texts.prompt {
                Some(_) => Ok(texts),
                None => Err(self.no_prompt("prompt")),
            };
        }
        texts.document = self.text("document")?;
        texts.question = self.text("question")?;
        if texts.instruction.is_none() {
            texts.instruction = row.text("prompt", "instruction")?;
        }
        match (texts.document, texts.question, texts.instruction) {
            (None, ..) => Err(self.no_prompt("document")),
            (_, None, None) => Err(format!(
                "has a context but no question (field input or question){}",
                self.fields()
            )),
            _ => Ok(texts),
        }
    }

    fn no_prompt(&self, role: &'static str) -> Problem {
        match self.source.options.fields.0.get(role) {
            Some(name) => format!("has no field {name}"),
            None => format!(
                "has no prompt (field prompt, text or input, or context or document with input or question){}",
                self.fields()
            ),
        }
    }

    /// The fields that there are, for who looks for the one that was meant.
    fn fields(&self) -> String {
        let names = self.row.names();
        let more = if names.len() > NAMED { ", …" } else { "" };
        let names = names.into_iter().take(NAMED).collect::<Vec<_>>();
        match names.is_empty() {
            true => String::new(),
            false => format!("; its fields are {}{more}", names.join(", ")),
        }
    }

    /// Every field that is text or number, for a user's template.
    fn all_slots(&self, draft: &mut Draft) {
        let Some(template) = &self.source.options.template else {
            return;
        };
        for name in self.row.names() {
            if template.contains(&format!("{{{name}}}"))
                && !draft.slots.contains_key(&name)
                && let Some(text) = self.row.get(&name, "slot of the template").and_then(scalar)
            {
                draft.slots.insert(name, text);
            }
        }
    }

    fn id(&self, number: usize) -> Result<String, Problem> {
        match self.first("id") {
            None => Ok(self.source.row_id(self.source.stem, number)),
            Some((_, Value::String(id))) if !id.trim().is_empty() => Ok(id.clone()),
            Some((name, Value::String(_))) => Err(format!("has an empty field {name}")),
            Some((_, Value::Number(id))) if !id.is_f64() => Ok(id.to_string()),
            Some((name, _)) => Err(format!(
                "has a field {name} that is neither text nor a whole number"
            )),
        }
    }

    fn answer_tokens(&self) -> Result<Option<usize>, Problem> {
        match self.names("answer_tokens").first() {
            Some(name) => self.row.count(name, "answer length"),
            None => Ok(None),
        }
    }

    fn place(&self) -> Result<Option<QuestionPlace>, Problem> {
        match self.row.text("question_place", "question's place")? {
            None => Ok(None),
            Some(label) => QuestionPlace::from_label(label).map(Some).ok_or_else(|| {
                "has a question_place that is neither start nor end, both nor absent".to_owned()
            }),
        }
    }

    /// A list under `answer`, `outputs`, `target` or `output` is wanted whole; of `answers` any one is right.
    fn answer(&self, draft: &mut Draft) -> Result<(), Problem> {
        if let Some((name, value)) = self.first("answer") {
            let all = texts_of(name, value)?;
            draft.answer = (!all.is_empty()).then(|| all.join(", "));
            if value.is_array() {
                draft.values = all;
            }
        } else if let Some((name, value)) = self.first("answers") {
            let all = texts_of(name, value)?;
            draft.answer = all.first().cloned();
            draft.values = all.iter().take(1).cloned().collect();
            if all.len() > 1 {
                draft.scoring = Some(crate::scores::Scoring::new(Metric::MatchPart, all));
            }
        }
        if let Some((name, value)) = self.first("values") {
            draft.values = texts_of(name, value)?;
            draft.scoring = None;
        }
        Ok(())
    }

    fn evidence(&self) -> Result<Vec<Evidence>, Problem> {
        let unit = self.source.options.evidence_unit;
        let mut evidence = match self.first("evidence") {
            Some((name, value)) => {
                // named once more, so that the report says what its numbers were taken for
                self.row.get(name, unit.evidence_role());
                spans(name, value, unit)?
            }
            None => Vec::new(),
        };
        let characters = "evidence_characters";
        if let Some(value) = self
            .row
            .get(characters, EvidenceUnit::Characters.evidence_role())
        {
            evidence.extend(spans(characters, value, EvidenceUnit::Characters)?);
        }
        Ok(evidence)
    }
}

fn spans(name: &str, value: &Value, unit: EvidenceUnit) -> Result<Vec<Evidence>, Problem> {
    let list = value
        .as_array()
        .ok_or_else(|| format!("has a field {name} that is not a list"))?;
    let items = list.iter().map(|item| {
        if let Some(passage) = item.as_str().filter(|passage| !passage.is_empty()) {
            return Ok(Evidence::Passage(passage.to_owned()));
        }
        let offsets: Option<Vec<usize>> = item.as_array().and_then(|pair| {
            let numbers = pair.iter().map(|offset| offset.as_u64()?.try_into().ok());
            numbers.collect()
        });
        match (offsets.as_deref(), unit) {
            (Some(&[start, end]), EvidenceUnit::Bytes) => Ok(Evidence::Bytes(start..end)),
            (Some(&[start, end]), EvidenceUnit::Characters) => Ok(Evidence::Characters(start..end)),
            _ => Err(format!(
                "has in its field {name} neither a passage of the prompt nor a pair of {} offsets in it",
                unit.word()
            )),
        }
    });
    items.collect()
}
