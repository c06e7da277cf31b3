//! What loading gives and says: today's files, options, reports.

use std::fs;

use super::*;
use crate::choices::SamplePart;
use crate::fit::{Fit, TokenCounter};
use crate::formats::TemplateOrigin;
use crate::sample::QuestionPlace;

fn load_file(
    name: &str,
    text: impl AsRef<[u8]>,
    options: &LoadOptions<'_>,
) -> Result<Loaded, DatasetError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    load_with(&[DataSpec::File(path)], options)
}

fn load_text(name: &str, text: impl AsRef<[u8]>) -> Result<Vec<Sample>, DatasetError> {
    load_file(name, text, &LoadOptions::default()).map(|loaded| loaded.samples)
}

fn ids(samples: &[Sample]) -> Vec<&str> {
    samples.iter().map(|sample| sample.id.as_str()).collect()
}

#[test]
fn a_text_file_is_one_prompt_as_it_is() {
    let samples = load_text("story.txt", "\u{feff} Once\r\n\nupon a time.\0 \n").unwrap();
    assert_eq!(samples.len(), 1);
    assert_eq!(samples[0].prompt, " Once\r\n\nupon a time.\0 \n");
    assert_eq!(samples[0].id, "story");
    assert_eq!(samples[0].dataset, "story.txt");
    assert_eq!(samples[0].task, "text");
    assert_eq!(samples[0].answer, None);
}

#[test]
fn an_empty_file_is_refused() {
    for name in ["a.txt", "a.jsonl", "a.json"] {
        let error = load_text(name, " \n\n").unwrap_err();
        assert!(matches!(error, DatasetError::Empty { .. }), "{error}");
    }
}

#[test]
fn an_unknown_extension_says_which_are_read() {
    let error = load_text("a.csv", "x").unwrap_err().to_string();
    assert!(
        error.contains(".txt") && error.contains(".jsonl") && error.contains(".parquet"),
        "{error}"
    );
    assert!(error.ends_with("a.csv"), "{error}");
}

#[test]
fn a_missing_file_and_bytes_that_are_no_text_are_named() {
    let missing = DataSpec::File("no/such.txt".into());
    let error = load_with(&[missing], &LoadOptions::default()).unwrap_err();
    assert!(error.to_string().ends_with("no/such.txt"), "{error}");
    let error = load_text("a.txt", b"abc\xff").unwrap_err();
    assert!(matches!(error, DatasetError::NotUtf8 { byte: 3, .. }));
    for name in ["a.txt", "a.jsonl"] {
        let error = load_text(name, b"\xff\xfea\0").unwrap_err();
        assert!(error.to_string().contains("UTF-16"), "{error}");
    }
}

#[test]
fn missing_ids_come_from_stem_and_row_and_repeated_ones_are_numbered() {
    let loaded = load_file(
        "facts.jsonl",
        "\u{feff}{\"prompt\":\"a\"}\n\n{\"prompt\":\"b\",\"id\":\"x\"}\r\n{\"prompt\":\"c\",\"id\":\"x\"}\n{\"prompt\":\"d\",\"id\":\"x-2\"}\n{\"prompt\":\"e\"}\n",
        &LoadOptions::default(),
    )
    .unwrap();
    let samples = &loaded.samples;
    assert_eq!(ids(samples), ["facts-0", "x", "x-2", "x-2-2", "facts-5"]);
    assert_eq!(samples[0].task, "facts");
    assert_eq!(samples[0].dataset, "facts.jsonl");
    let report = loaded.report.to_string();
    assert!(report.contains("were numbered: 2"), "{report}");
}

#[test]
fn ids_are_unique_across_sources() {
    let spec: DataSpec = "demo:samples=1".parse().unwrap();
    let both = [spec.clone(), spec];
    let samples = load_with(&both, &LoadOptions::default()).unwrap().samples;
    assert_eq!(ids(&samples), ["facts-512-end-0", "facts-512-end-0-2"]);
}

#[test]
fn a_bad_row_is_named_or_left_out_as_asked() {
    let bad = [
        (r#"{"context": "b"}"#, "question"),
        (r#"{"prompt": "#, "valid JSON"),
        (r#"{"prompt": "\ud800"}"#, "surrogate"),
        (r#"{"prompt": "a", "answer": NaN}"#, "NaN"),
        (r#"{"prompt": " \n"}"#, "empty prompt"),
        (r#"{"prompt": 3}"#, "prompt that is not text"),
        (r#"["a"]"#, "not a JSON object"),
        (r#"{"prompt": "a", "id": 1.5}"#, "field id"),
        (r#"{"prompt": "a", "id": ""}"#, "an empty field id"),
        (r#"{"context": "", "question": ""}"#, "empty prompt"),
        (r#"{"prompt": "a", "values": {"c": 1}}"#, "field values"),
        (
            r#"{"prompt": "a", "question_place": "middle"}"#,
            "neither start nor end",
        ),
        (r#"{"prompt": "a", "evidence": ["b"]}"#, "does not stand"),
        (r#"{"prompt": "a", "evidence": [[0, 2]]}"#, "bytes 0 to 2"),
        (r#"{"prompt": "a", "evidence": [[0, 0]]}"#, "bytes 0 to 0"),
        (
            r#"{"prompt": "é", "evidence": [[0, 1]]}"#,
            "cut a letter in two",
        ),
        (
            r#"{"prompt": "é", "evidence": [[0, 1, 2]]}"#,
            "byte offsets",
        ),
        (
            r#"{"prompt": "é", "evidence_characters": [[0, 2]]}"#,
            "characters 0 to 2",
        ),
        (r#"{"answer": "a"}"#, "no prompt"),
    ];
    let leave = LoadOptions {
        bad_rows: BadRows::LeaveOut,
        ..LoadOptions::default()
    };
    for (line, words) in bad {
        let text = format!("{{\"prompt\":\"a\"}}\n{line}\n{{\"prompt\":\"c\"}}\n");
        let error = load_text("a.jsonl", &text).unwrap_err().to_string();
        assert!(error.starts_with("line 2 "), "{error}");
        assert!(error.contains(words), "{line}: {error}");
        assert!(error.ends_with("a.jsonl"), "{error}");
        let loaded = load_file("a.jsonl", &text, &leave).unwrap();
        assert_eq!(ids(&loaded.samples), ["a-0", "a-2"]);
        let left_out = &loaded.report.sources[0].left_out;
        assert_eq!((left_out.count, left_out.first[0].number), (1, 2));
        let report = loaded.report.to_string();
        assert!(report.contains("left out: line 2 "), "{report}");
        assert!(report.contains(words), "{report}");
        let alone = load_file("a.jsonl", line, &leave).unwrap_err().to_string();
        assert!(
            alone.contains("line 1 ") && alone.contains(words),
            "{alone}"
        );
    }
}

#[test]
fn a_report_is_written_to_a_manifest_and_read_back() {
    let leave = LoadOptions {
        bad_rows: BadRows::LeaveOut,
        ..LoadOptions::default()
    };
    let report = load_file("a.jsonl", "{\"prompt\":\"a\"}\nx\n", &leave)
        .unwrap()
        .report;
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<LoadReport>(&text).unwrap(), report);
}

#[test]
fn rows_of_a_json_file_are_called_rows() {
    let error = load_text("a.json", r#"[{"prompt": "a"}, {"x": 1}]"#).unwrap_err();
    assert!(
        error.to_string().starts_with("row 2 has no prompt"),
        "{error}"
    );
    let samples = load_text("a.json", r#"[{"prompt": "a"}, {"prompt": "b"}]"#).unwrap();
    assert_eq!(ids(&samples), ["a-0", "a-1"]);
}

#[test]
fn offsets_count_bytes_or_characters_and_the_report_says_what_was_read() {
    let bytes = r#"{"text": "Ünal sings. Bo digs.", "answer": "Bo digs.", "values": ["digs"], "evidence": ["Bo digs.", [0, 12]], "task": "who", "note": 1}"#;
    let loaded = load_file("a.jsonl", bytes, &LoadOptions::default()).unwrap();
    let sample = &loaded.samples[0];
    assert_eq!(sample.evidence, [0..12, 13..21]);
    assert_eq!(sample.values, ["digs"]);
    let report = loaded.report.to_string();
    for words in [
        "a.jsonl: 1 sample of 1 line, read as plain",
        "text as prompt",
        "evidence as evidence (passages or byte offsets)",
        "not read: note",
        "prompts: prompts as they stand in the rows",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
    let characters = bytes.replace("[0, 12]", "[0, 11]");
    let options = LoadOptions {
        evidence_unit: crate::options::EvidenceUnit::Characters,
        ..LoadOptions::default()
    };
    let loaded = load_file("a.jsonl", &characters, &options).unwrap();
    assert_eq!(loaded.samples[0].evidence, [0..12, 13..21]);
    let report = loaded.report.to_string();
    assert!(report.contains("or character offsets"), "{report}");
    let own = characters.replace("\"evidence\"", "\"evidence_characters\"");
    let loaded = load_file("a.jsonl", own, &LoadOptions::default()).unwrap();
    assert_eq!(loaded.samples[0].evidence, [0..12, 13..21]);
}

#[test]
fn fields_can_be_named_and_a_template_given() {
    let row = r#"{"passage": "Ann digs.", "ask": "Who?", "gold": ["Ann", "A."], "key": 7, "year": 1999, "answers": ["x"]}"#;
    let options = LoadOptions {
        fields: "document=passage,question=ask,answers=gold,id=key"
            .parse()
            .unwrap(),
        ..LoadOptions::default()
    };
    let loaded = load_file("a.jsonl", row, &options).unwrap();
    let sample = &loaded.samples[0];
    assert_eq!(sample.prompt, "Ann digs.\n\nWho?");
    assert_eq!(sample.id, "7");
    assert_eq!(crate::score(sample, "it is A."), Some(1.0));
    assert_eq!(loaded.report.sources[0].unread.len(), 2);
    let options = LoadOptions {
        template: Some("In {year}: {document}\nQ: {question}\nA:".to_owned()),
        ..options
    };
    let loaded = load_file("a.jsonl", row, &options).unwrap();
    let sample = &loaded.samples[0];
    assert_eq!(sample.prompt, "In 1999: Ann digs.\nQ: Who?\nA:");
    assert_eq!(sample.parts.as_ref().unwrap().question, "Q: Who?");
    assert!(
        loaded.report.sources[0]
            .templates
            .contains(&TemplateOrigin::User)
    );
    for wrong in ["x", "nothing=y", "id=a,id=b", "id="] {
        assert!(wrong.parse::<crate::FieldMap>().is_err(), "{wrong}");
    }
    // slots may go by the fields' own names
    let options = LoadOptions {
        template: Some("{passage}\nQ: {ask}\nA:".to_owned()),
        ..options
    };
    let sample = load_file("a.jsonl", row, &options)
        .unwrap()
        .samples
        .remove(0);
    assert_eq!(sample.prompt, "Ann digs.\nQ: Who?\nA:");
    assert_eq!(sample.parts.as_ref().unwrap().document, "Ann digs.");
    let missing = LoadOptions {
        fields: "prompt=nowhere".parse().unwrap(),
        ..LoadOptions::default()
    };
    let error = load_file("a.jsonl", row, &missing).unwrap_err();
    assert!(error.to_string().contains("no field nowhere"), "{error}");
}

#[test]
fn a_limit_and_ids_choose_samples() {
    let text = "{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}\nnonsense\n";
    let options = LoadOptions {
        limit: Some(2),
        ..LoadOptions::default()
    };
    // the bad row behind the limit is read, because the limit is met only when one more is wanted
    assert!(load_file("a.jsonl", text, &options).is_err());
    let text = "{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}\n{\"prompt\":\"c\"}\nnonsense\n";
    let loaded = load_file("a.jsonl", text, &options).unwrap();
    assert_eq!(ids(&loaded.samples), ["a-0", "a-1"]);
    assert!(loaded.report.to_string().contains("stopped at the limit"));
    let only = |id: &str| LoadOptions {
        only: [id.to_owned()].into(),
        ..LoadOptions::default()
    };
    let good = text.replace("nonsense\n", "");
    let loaded = load_file("a.jsonl", &good, &only("a-1")).unwrap();
    assert_eq!(ids(&loaded.samples), ["a-1"]);
    let error = load_file("a.jsonl", &good, &only("a-9")).unwrap_err();
    assert!(error.to_string().contains("a-9"), "{error}");
}

#[test]
fn reading_can_be_stopped() {
    let spec: DataSpec = "facts:samples=5,length=200".parse().unwrap();
    let mut seen = 0;
    let report = read_each(&[spec.clone(), spec], &LoadOptions::default(), &mut |_| {
        seen += 1;
        if seen == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
    .unwrap();
    assert_eq!(seen, 2);
    assert_eq!(report.sources[0].samples, 2);
}

#[test]
fn written_samples_are_read_back_as_they_are() {
    let spec: DataSpec = "niah:samples=3,length=200,question=both".parse().unwrap();
    let mut samples = load_with(&[spec], &LoadOptions::default()).unwrap().samples;
    samples[0].answer_prefix = Some(" x".to_owned());
    let mut text = Vec::new();
    crate::write_samples(&mut text, &samples).unwrap();
    let loaded = load_file("a.jsonl", text, &LoadOptions::default()).unwrap();
    assert_eq!(loaded.samples, samples);
    assert_eq!(loaded.report.sources[0].format, "kvlens");
    assert!(loaded.report.sources[0].unread.is_empty());
}

/// Every run of letters and every other character but blanks is a token; four more for what stands around a prompt.
struct Words;

impl TokenCounter for Words {
    fn spans(&self, text: &str) -> Result<Vec<std::ops::Range<usize>>, String> {
        let mut spans: Vec<std::ops::Range<usize>> = Vec::new();
        let mut in_word = false;
        for (at, c) in text.char_indices() {
            let end = at + c.len_utf8();
            match spans.last_mut() {
                Some(last) if in_word && c.is_alphanumeric() => last.end = end,
                _ if c == ' ' => {}
                _ => spans.push(at..end),
            }
            in_word = c.is_alphanumeric();
        }
        Ok(spans)
    }

    fn prompt_tokens(&self, sample: &Sample) -> Result<usize, String> {
        let later = sample.later_text().unwrap_or_default();
        Ok(self.spans(&sample.prompt_and_prefix())?.len() + self.spans(&later)?.len() + 4)
    }
}

fn fitted(limit_tokens: usize, too_long: TooLong) -> LoadOptions<'static> {
    LoadOptions {
        tokens: Some(&Words),
        fit: Some(Fit {
            limit_tokens,
            too_long,
        }),
        ..LoadOptions::default()
    }
}

const LONG: &str = r#"{"context": "a b c d e f g h i j k l m n o p", "question": "Who is it?", "evidence": ["b c", "h i", "o p"]}
{"context": "short", "question": "Who?"}
"#;

#[test]
fn too_long_prompts_are_refused_or_left_out_and_counted() {
    let error = load_file("a.jsonl", LONG, &fitted(20, TooLong::Refuse)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the prompt of a-0 has 26 tokens and the model has room for 20; cut such prompts or leave them out"
    );
    let loaded = load_file("a.jsonl", LONG, &fitted(20, TooLong::LeaveOut)).unwrap();
    assert_eq!(ids(&loaded.samples), ["a-1"]);
    let report = loaded.report.to_string();
    assert!(
        report.contains("too long, left out: a-0 of 26 tokens"),
        "{report}"
    );
    let loaded = load_file("a.jsonl", LONG, &fitted(26, TooLong::Refuse)).unwrap();
    assert_eq!(loaded.samples.len(), 2);
}

#[test]
fn the_middle_is_cut_out_with_as_many_tokens_before_as_behind() {
    let loaded = load_file("a.jsonl", LONG, &fitted(20, TooLong::CutMiddle)).unwrap();
    let sample = &loaded.samples[0];
    // 22 tokens of text, 4 around them: 6 go, 8 stay before and 8 behind
    assert_eq!(sample.prompt, "a b c d e f g h  o p\n\nWho is it?");
    let spans: Vec<&str> = sample
        .evidence
        .iter()
        .map(|span| &sample.prompt[span.clone()])
        .collect();
    assert_eq!(spans, ["b c", "o p"]);
    assert_eq!(
        sample.parts.as_ref().unwrap().document,
        "a b c d e f g h  o p"
    );
    let source = &loaded.report.sources[0];
    assert_eq!((source.cut.count, source.lost_evidence), (1, 1));
    assert_eq!(source.cut.first[0].to_tokens, 20);
}

#[test]
fn the_left_is_cut_off() {
    let loaded = load_file("a.jsonl", LONG, &fitted(20, TooLong::CutLeft)).unwrap();
    assert_eq!(
        loaded.samples[0].prompt,
        " g h i j k l m n o p\n\nWho is it?"
    );
}

#[test]
fn a_cut_never_takes_the_question() {
    let loaded = load_file("a.jsonl", LONG, &fitted(9, TooLong::CutMiddle)).unwrap();
    assert_eq!(ids(&loaded.samples), ["a-1"]);
    let report = loaded.report.to_string();
    assert!(report.contains("than the document has"), "{report}");
    let loaded = load_file("a.jsonl", LONG, &fitted(8, TooLong::CutLeft)).unwrap();
    assert_eq!(loaded.report.sources[0].too_long.count, 2);
}

#[test]
fn one_document_is_cut_alike_for_every_place() {
    let cut = |place| {
        let options = LoadOptions {
            question: Some(place),
            ..fitted(20, TooLong::CutMiddle)
        };
        load_file("a.jsonl", LONG, &options)
            .unwrap()
            .samples
            .remove(0)
    };
    let [start, end, both, absent] = QuestionPlace::ALL.map(cut);
    // the question that comes later has its room
    assert_eq!(absent.prompt, "a b c d e f g h  o p");
    assert_eq!(start.parts, end.parts);
    assert_eq!(start.document, end.document);
    assert_eq!(start.prompt, "Who is it?\n\na b c d e f g h  o p");
    // the second question and the two line breaks before it are six tokens more: 12 of the document's 16 go
    assert_eq!(both.prompt, "Who is it?\n\na b c d \n\nWho is it?");
    for sample in [&start, &end, &both] {
        assert!(
            Words.prompt_tokens(sample).unwrap() <= 20,
            "{}",
            sample.prompt
        );
    }
}

#[test]
fn questions_of_a_whole_file_are_moved_or_refused() {
    let absent = LoadOptions {
        question: Some(QuestionPlace::Absent),
        ..LoadOptions::default()
    };
    let two =
        "{\"context\":\"Doc.\",\"question\":\"A?\"}\n{\"context\":\"Doc.\",\"question\":\"B?\"}\n";
    let samples = load_file("a.jsonl", two, &absent).unwrap().samples;
    assert_eq!(samples[0].prompt, samples[1].prompt);
    assert_eq!(samples[0].document, samples[1].document);
    assert_ne!(samples[0].question, samples[1].question);
    assert_eq!(samples[1].later_question.as_deref(), Some("\n\nB?"));
    let error = load_file("a.jsonl", "{\"prompt\":\"x\"}", &absent).unwrap_err();
    assert!(error.to_string().contains("no question apart"), "{error}");
}

#[test]
fn the_demo_task_is_loaded_by_its_specification() {
    let spec: DataSpec = "demo:question=start".parse().unwrap();
    let samples = load_with(&[spec], &LoadOptions::default()).unwrap().samples;
    assert_eq!(samples.len(), 4);
    assert!(
        samples
            .iter()
            .all(|sample| sample.question_place == Some(QuestionPlace::Start)
                && sample.dataset == "demo"
                && sample.task == "facts")
    );
}

#[test]
fn parts_make_up_the_whole_with_the_ids_of_the_whole() {
    let rows = "{\"prompt\":\"a\",\"id\":\"x\"}\n".repeat(5);
    let load = |part| {
        let options = LoadOptions {
            part,
            ..LoadOptions::default()
        };
        load_file("p.jsonl", &rows, &options).unwrap().samples
    };
    let part = |first, samples| {
        Some(SamplePart {
            first,
            samples,
            of: 5,
        })
    };
    let whole = load(None);
    assert_eq!(ids(&whole), ["x", "x-2", "x-3", "x-4", "x-5"]);
    assert_eq!(ids(&load(part(2, 2))), ["x-3", "x-4"]);
    let parts = [part(0, 2), part(2, 2), part(4, 1)].map(load);
    assert_eq!(parts.concat(), whole);
}
