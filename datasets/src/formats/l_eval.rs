//! L-Eval: one document with several `instructions` and their `outputs`; `evaluation` says how they are judged.

use super::draft::Draft;
use super::row::{Problem, Row};
use super::template::Template;
use super::{Source, has};
use crate::records::Fields;
use crate::scores::Metric;

pub(super) fn fits(fields: &Fields) -> bool {
    has(fields, &["instructions", "outputs", "input"])
}

pub(super) fn read(
    row: &Row<'_>,
    source: &Source<'_>,
    number: usize,
) -> Result<Vec<Draft>, Problem> {
    let task = source.stem.to_owned();
    let document = row.needed("input", "document")?;
    let instructions = row.texts("instructions", "questions")?;
    let outputs = row.texts("outputs", "answers")?;
    let metric = metric_of(&task, row.text("evaluation", "metric")?.unwrap_or_default());
    if instructions.is_empty() {
        return Err("has no instructions".to_owned());
    }
    if !outputs.is_empty() && outputs.len() != instructions.len() {
        return Err(format!(
            "has {} instructions but {} outputs",
            instructions.len(),
            outputs.len()
        ));
    }
    let id = source.row_id(&task, number);
    let drafts = instructions.iter().enumerate().map(|(index, instruction)| {
        let answers: Vec<String> = outputs.get(index).cloned().into_iter().collect();
        let draft = Draft {
            document: Some("input"),
            questions: &["instruction"],
            ..Draft::new(
                format!("{id}-{index}"),
                "l-eval",
                task.clone(),
                Template::own("{input}\n\n{instruction}\n\nAnswer:"),
            )
        }
        .with_slots([("input", document), ("instruction", instruction)]);
        match metric {
            Some(metric) => draft.with_alternatives(metric, answers),
            None => Draft {
                answer: answers.first().cloned(),
                ..draft
            },
        }
    });
    Ok(drafts.collect())
}

/// What the benchmark's word stands for. It reports the mean of ROUGE-1, 2 and L where ROUGE-L stands here; what a
/// model or people judge has no metric.
fn metric_of(task: &str, word: &str) -> Option<Metric> {
    match word {
        "exam" if task.starts_with("gsm") => Some(Metric::LastInteger),
        "exam" if matches!(task, "quality" | "tpo" | "coursera") => Some(Metric::FirstLetter),
        "exam" => Some(Metric::MatchPart),
        "f1" => Some(Metric::TokenF1),
        "rouge" => Some(Metric::RougeLsum),
        _ => None,
    }
}
