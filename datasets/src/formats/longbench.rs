//! LongBench: `context`, `input` and `answers`, the task in `dataset`; templates and answer lengths in `config`.

use super::draft::Draft;
use super::row::{Problem, Row};
use super::template::Template;
use super::{Source, has};
use crate::records::Fields;
use crate::scores::{Metric, Scoring};

pub(super) fn fits(fields: &Fields) -> bool {
    has(fields, &["context", "input", "answers"])
        && (has(fields, &["all_classes"]) || has(fields, &["dataset", "_id"]))
}

pub(super) fn read(
    row: &Row<'_>,
    source: &Source<'_>,
    number: usize,
) -> Result<Vec<Draft>, Problem> {
    let task = row.text("dataset", "task")?.unwrap_or(source.stem);
    let task = task.strip_suffix("_e").unwrap_or(task).to_owned();
    let context = row.needed("context", "document")?;
    let input = row.text("input", "question")?.unwrap_or_default();
    let answers = row.texts("answers", "alternative answers")?;
    let classes = row.texts("all_classes", "classes")?;
    let id = row.text("_id", "id")?.map(str::to_owned);
    let metric = metric_of(&task);
    let template = source
        .config
        .template(&task)
        .unwrap_or_else(|| own_template(metric, &task));
    let mut draft = Draft {
        document: Some("context"),
        questions: &["input"],
        answer_tokens: source.config.answer_tokens(&task),
        without_chat: is_few_shot(&task) || metric == Some(Metric::CodeSimilarity),
        ..Draft::new(
            id.unwrap_or_else(|| source.row_id(&task, number)),
            "longbench",
            task.clone(),
            template,
        )
    }
    .with_slots([("context", context), ("input", input)]);
    draft = match metric {
        Some(metric) => draft.with_alternatives(metric, answers),
        None => Draft {
            answer: answers.first().cloned(),
            values: answers.into_iter().take(1).collect(),
            ..draft
        },
    };
    draft.scoring = draft.scoring.map(|scoring| Scoring {
        classes,
        first_line: is_few_shot(&task),
        ..scoring
    });
    Ok(vec![draft])
}

/// The benchmark's metric of each task; none for a task that it does not have.
fn metric_of(task: &str) -> Option<Metric> {
    Some(match task {
        "narrativeqa" | "qasper" | "multifieldqa_en" | "hotpotqa" | "2wikimqa" | "musique"
        | "triviaqa" => Metric::TokenF1,
        "multifieldqa_zh" => Metric::CharacterF1,
        "gov_report" | "qmsum" | "multi_news" | "samsum" => Metric::RougeL,
        "dureader" | "vcsum" => Metric::CharacterRougeL,
        "trec" | "lsht" => Metric::Classification,
        "passage_retrieval_en" | "passage_retrieval_zh" => Metric::Retrieval,
        "passage_count" => Metric::Count,
        "lcc" | "repobench-p" => Metric::CodeSimilarity,
        _ => return None,
    })
}

/// Tasks whose prompts are rows of examples: no chat template, and only the first line of the answer counts.
fn is_few_shot(task: &str) -> bool {
    matches!(task, "trec" | "triviaqa" | "samsum" | "lsht")
}

/// What is asked where the benchmark's own templates do not lie beside the data.
fn own_template(metric: Option<Metric>, task: &str) -> Template {
    let text = match metric {
        _ if is_few_shot(task) => "{context}\n{input}",
        Some(Metric::CodeSimilarity) => "{context}{input}",
        Some(Metric::RougeL | Metric::CharacterRougeL) if !matches!(task, "qmsum" | "dureader") => {
            "{context}\n\nSum up the text above.\n\nSummary:"
        }
        Some(Metric::Count) => {
            "{context}\n\nHow many different paragraphs are there above, counting equal ones once? Give the number.\n\nNumber:"
        }
        Some(Metric::Retrieval) => {
            "{context}\n\nWhich paragraph above does the following abstract sum up? Name it as the text does.\n\n{input}\n\nAnswer:"
        }
        _ => "{context}\n\nAnswer in as few words as you can.\n\nQuestion: {input}\n\nAnswer:",
    };
    Template::own(text)
}
