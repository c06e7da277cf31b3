//! Field names of LongBench, RULER and our own, and what bad lines say.

use super::*;

fn read(line: &str) -> Result<Sample, DatasetError> {
    let origin = Origin {
        path: "some/file.jsonl".as_ref(),
        dataset: "file.jsonl",
        stem: "file",
    };
    let (number, object) = objects(line, &origin).next().unwrap()?;
    sample(&object, number, &origin)
}

fn problem(line: &str) -> String {
    read(line).unwrap_err().to_string()
}

#[test]
fn longbench_fields_are_known() {
    let sample = read(
        r#"{"input": "Who?", "context": "Ann did.", "answers": ["Ann", "Ann B."], "length": 2, "dataset": "qasper", "language": "en", "all_classes": null, "_id": "f00"}"#,
    )
    .unwrap();
    assert_eq!(sample.prompt, "Ann did.\n\nWho?");
    assert_eq!(sample.question_place, Some(QuestionPlace::End));
    assert_eq!(sample.task, "qasper");
    assert_eq!(sample.id, "f00");
    assert_eq!(sample.answer.as_deref(), Some("Ann"));
    assert_eq!(sample.values, ["Ann"]);
}

#[test]
fn a_summary_task_without_question_is_its_context() {
    let sample = read(r#"{"input": "", "context": "Long text.", "answers": ["Short."]}"#).unwrap();
    assert_eq!(sample.prompt, "Long text.");
    assert_eq!(sample.question_place, None);
}

#[test]
fn the_question_can_be_put_first() {
    let sample = read(
        r#"{"context": "Ann did.", "question": "Who?", "question_place": "start", "answer_prefix": "\nAnswer:"}"#,
    )
    .unwrap();
    assert_eq!(sample.prompt, "Who?\n\nAnn did.\nAnswer:");
    assert_eq!(sample.question_place, Some(QuestionPlace::Start));
}

#[test]
fn a_context_is_named_whatever_is_asked_of_it_and_wherever() {
    let name = |line: &str| read(line).unwrap().document;
    let end = name(r#"{"context": "Ann did.", "question": "Who?"}"#);
    assert!(end.is_some());
    let start = r#"{"context": "Ann did.", "question": "Who?", "question_place": "start"}"#;
    assert_eq!(name(start), end);
    assert_eq!(name(r#"{"context": "Ann did.", "question": "What?"}"#), end);
    assert_ne!(name(r#"{"context": "Bo did.", "question": "Who?"}"#), end);
    assert_eq!(name(r#"{"prompt": "Ann did. Who?"}"#), None);
}

#[test]
fn ruler_fields_are_known() {
    let sample =
        read(r#"{"index": 7, "input": "Find it.", "outputs": ["12", "34"], "length": 2}"#).unwrap();
    assert_eq!(sample.prompt, "Find it.");
    assert_eq!(sample.id, "7");
    assert_eq!(sample.values, ["12", "34"]);
    assert_eq!(sample.answer.as_deref(), Some("12, 34"));
    assert_eq!(crate::score(&sample, "it is 34"), Some(0.5));
}

#[test]
fn own_fields_are_known() {
    let sample = read(
        r#"{"text": "Ünal sings. Bo digs.", "answer": "Bo digs.", "values": ["digs"], "evidence": ["Bo digs.", [0, 12]], "task": "who"}"#,
    )
    .unwrap();
    assert_eq!(sample.evidence, [0..12, 13..21]);
    assert_eq!(&sample.prompt[13..21], "Bo digs.");
    assert_eq!(sample.answer.as_deref(), Some("Bo digs."));
    assert_eq!(sample.task, "who");
    assert_eq!(sample.id, "file-0");
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert_eq!(read("\u{feff}{\"prompt\": \"a\"}").unwrap().prompt, "a");
}

#[test]
fn bad_lines_say_what_is_wrong() {
    for (line, words) in [
        (r#"{"answer": "a"}"#, "no prompt"),
        (r#"{"prompt": " \n"}"#, "empty prompt"),
        (r#"{"prompt": 3}"#, "prompt that is not text"),
        (r#"["a"]"#, "not a JSON object"),
        (r#"{"prompt": "a""#, "not valid JSON"),
        (r#"{"prompt": "a", "id": 1.5}"#, "field id"),
        (
            r#"{"prompt": "a", "answers": "b", "values": "c"}"#,
            "field values",
        ),
        (
            r#"{"prompt": "a", "question_place": "middle"}"#,
            "neither start nor end",
        ),
        (r#"{"prompt": "a", "evidence": ["b"]}"#, "does not stand"),
        (r#"{"prompt": "a", "evidence": [[0, 2]]}"#, "byte offsets"),
        (r#"{"prompt": "é", "evidence": [[0, 1]]}"#, "byte offsets"),
    ] {
        let message = problem(line);
        assert!(message.contains(words), "{line}: {message}");
        assert!(message.starts_with("line 1 "), "{message}");
        assert!(message.ends_with("some/file.jsonl"), "{message}");
    }
}
