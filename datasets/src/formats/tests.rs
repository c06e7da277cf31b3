//! Rows written by hand in every documented layout.

use std::fs;
use std::path::Path;

use crate::formats::{Format, TemplateOrigin};
use crate::options::LoadOptions;
use crate::sample::{QuestionPlace, Sample};
use crate::scores::{Metric, score};
use crate::spec::DataSpec;
use crate::{DatasetError, LoadReport, Loaded, load_with};

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self, spec: &str) -> Result<Loaded, DatasetError> {
        let spec: DataSpec = match spec.split_once(':') {
            Some((name, path)) => format!("{name}:{}", self.path().join(path).display()),
            None => self.path().join(spec).display().to_string(),
        }
        .parse()
        .unwrap();
        load_with(&[spec], &LoadOptions::default())
    }
}

fn one(row: &str) -> (Sample, LoadReport) {
    let folder = Folder::with(&[("file.jsonl", row)]);
    let mut loaded = folder.load("file.jsonl").unwrap();
    assert_eq!(loaded.samples.len(), 1);
    (loaded.samples.remove(0), loaded.report)
}

#[test]
fn babilong_joins_text_and_question() {
    let row = r#"{"input": "Mary went to the office.", "question": "Where is Mary? ", "target": "office"}"#;
    let (sample, report) = one(row);
    assert_eq!(
        sample.prompt,
        "Mary went to the office.\n\nQuestion: Where is Mary? \nAnswer:"
    );
    assert_eq!(sample.answer.as_deref(), Some("office"));
    assert_eq!(score(&sample, "In the Office."), Some(1.0));
    assert_eq!(report.sources[0].format, "babilong");
    let folder = Folder::with(&[
        ("data/qa1/4k.json", &format!("[{row}]")),
        ("data/qa1/64k.json", &format!("[{row}]")),
        ("data/qa12/4k.json", &format!("[{row}]")),
    ]);
    let loaded = folder.load("babilong:data").unwrap();
    let seen: Vec<_> = loaded
        .samples
        .iter()
        .map(|s| (s.id.as_str(), s.task.as_str(), s.asked_length))
        .collect();
    assert_eq!(
        seen,
        [
            ("qa1-4000-0", "qa1", Some(4_000)),
            ("qa1-64000-0", "qa1", Some(64_000)),
            ("qa12-4000-0", "qa12", Some(4_000))
        ]
    );
    let scoring = loaded.samples[0].scoring.as_ref().unwrap();
    assert_eq!(scoring.metric, Metric::OnlyLabel);
    assert_eq!(score(&loaded.samples[0], "office or kitchen"), Some(0.0));
    assert_eq!(score(&loaded.samples[2], "office or kitchen"), Some(1.0));
    assert_eq!(folder.load("babilong:data/qa1").unwrap().samples.len(), 2);
}

#[test]
fn infinitebench_joins_instruction_context_and_question_and_takes_numbers() {
    let row = r#"{"id": 3, "prompt": "Find it.", "context": "[88, 2]", "input": "The largest number?", "answer": 88}"#;
    let folder = Folder::with(&[("math_find.jsonl", row)]);
    let loaded = folder.load("infinitebench:").unwrap();
    let sample = &loaded.samples[0];
    assert_eq!(
        sample.prompt,
        "Find it.\n\n[88, 2]\n\nThe largest number?\n\nAnswer:"
    );
    assert_eq!(sample.answer.as_deref(), Some("88"));
    assert_eq!(sample.id, "math_find-3");
    assert_eq!(sample.answer_tokens, Some(3));
    assert_eq!(score(sample, "It is 88."), Some(1.0));
    assert!(loaded.report.sources[0].unread.is_empty());
    // a row of an unknown file is recognised as well
    assert_eq!(one(row).0.prompt, sample.prompt);
}

#[test]
fn infinitebench_choices_have_letters() {
    let row = r#"{"id": 0, "context": "Long.", "input": "Which?", "answer": ["red"], "options": ["blue", "red", "green", "pink"]}"#;
    let folder = Folder::with(&[("longbook_choice_eng.jsonl", row)]);
    let sample = folder.load("infinitebench:").unwrap().samples.remove(0);
    assert!(
        sample.prompt.contains("Which?\n\nA. blue\nB. red\n"),
        "{}",
        sample.prompt
    );
    let parts = sample.parts.as_ref().unwrap();
    assert!(parts.question.contains("D. pink"), "{parts:?}");
    assert_eq!(score(&sample, "B"), Some(1.0));
    assert_eq!(score(&sample, "A"), Some(0.0));
    assert_eq!(score(&sample, "the answer is red"), Some(1.0));
}

const LOOGLE: &str = r#"{"input": "Ann digs. Bo sings.", "title": "T", "qa_pairs": "[{'Q': 'Who digs?', 'A': 'Ann', 'S': ['Ann digs.', 'Not there.']}, {'Q': \"Who's singing?\", 'A': 'Bo', 'S': ['Bo sings.']}]", "output": "none"}"#;

#[test]
fn loogle_gives_a_prompt_for_each_question() {
    let folder = Folder::with(&[("shortdep_qa.jsonl", LOOGLE)]);
    let loaded = folder.load("shortdep_qa.jsonl").unwrap();
    let [first, second] = &loaded.samples[..] else {
        panic!("{:?}", loaded.samples);
    };
    assert!(first.prompt.starts_with("Ann digs. Bo sings.\n\n"));
    assert!(first.prompt.contains("Question: Who digs?"));
    assert!(second.prompt.contains("Question: Who's singing?"));
    assert_eq!(second.answer.as_deref(), Some("Bo"));
    assert_eq!(&second.prompt[second.evidence[0].clone()], "Bo sings.");
    assert_eq!(first.document, second.document);
    assert_ne!(first.question, second.question);
    assert_eq!(
        (first.id.as_str(), second.id.as_str()),
        ("shortdep_qa-0-0", "shortdep_qa-0-1")
    );
    let source = &loaded.report.sources[0];
    assert_eq!(
        (source.rows, source.samples, source.lost_evidence),
        (1, 2, 1)
    );
    let unread: Vec<&String> = source.unread.keys().collect();
    assert_eq!(unread, ["output", "title"]);
}

#[test]
fn loogle_reads_its_templates_summaries_clozes_and_single_questions() {
    let folder = Folder::with(&[
        (
            "config/task2prompt.json",
            r#"{"shortdep_qa": "Doc: {input}\nQ: {Q}\nA: "}"#,
        ),
        ("config/task2maxlen.json", r#"{"shortdep_qa": 300}"#),
        ("data/shortdep_qa.jsonl", LOOGLE),
        (
            "data/longdep_summarization.jsonl",
            r#"{"input": "A paper.", "title": "T", "qa_pairs": "none", "output": "Sum."}"#,
        ),
        (
            "data/shortdep_cloze.jsonl",
            r#"{"input": "Doc.", "title": "T", "qa_pairs": "[{'Q': '<mask-0> met <mask-1>', 'A': {'<mask-0>': 'Ann', '<mask-1>': 'Bo'}}]", "output": "none"}"#,
        ),
        (
            "data/longdep_qa.jsonl",
            r#"{"context": "Ann digs.", "question": "Who digs?", "answer": "Ann", "evidence": "['Ann digs.']", "doc_id": "d", "task": "longdep_qa", "id": "1", "title": "T"}"#,
        ),
    ]);
    let loaded = folder.load("loogle:").unwrap();
    let of = |task: &str| {
        let found = loaded.samples.iter().find(|sample| sample.task == task);
        found.unwrap()
    };
    let qa = of("shortdep_qa");
    assert_eq!(qa.prompt, "Doc: Ann digs. Bo sings.\nQ: Who digs?\nA: ");
    assert_eq!(qa.answer_tokens, Some(300));
    assert_eq!(of("longdep_summarization").answer.as_deref(), Some("Sum."));
    assert_eq!(score(of("shortdep_cloze"), "Ann and Bo"), Some(1.0));
    assert_eq!(score(of("shortdep_cloze"), "Ann"), Some(0.5));
    assert_eq!(
        &of("longdep_qa").prompt[of("longdep_qa").evidence[0].clone()],
        "Ann digs."
    );
}

const LONGBENCH: &str = r#"{"input": "Who?", "context": "Ann did.", "answers": ["Ann", "Ann B."], "length": 2, "dataset": "qasper", "language": "en", "all_classes": null, "_id": "f00"}"#;

#[test]
fn longbench_reads_its_own_templates_and_lengths() {
    let folder = Folder::with(&[
        (
            "LongBench/config/dataset2prompt.json",
            r#"{"qasper": "Read.\n{context}\n\nQuestion: {input}\n\nAnswer:", "lcc": "Go on.\n{context}Next:\n"}"#,
        ),
        ("LongBench/config/dataset2maxlen.json", r#"{"qasper": 128}"#),
        ("LongBench/data/qasper.jsonl", LONGBENCH),
        ("LongBench/data/qasper_e.jsonl", LONGBENCH),
        (
            "LongBench/data/lcc.jsonl",
            r#"{"input": "", "context": "x = 1\n", "answers": ["y = 2"], "length": 2, "dataset": "lcc", "language": "python", "all_classes": null, "_id": "c"}"#,
        ),
    ]);
    let loaded = folder.load("longbench:LongBench/qasper").unwrap();
    assert_eq!(loaded.samples.len(), 2);
    let sample = &loaded.samples[0];
    assert_eq!(
        sample.prompt,
        "Read.\nAnn did.\n\nQuestion: Who?\n\nAnswer:"
    );
    assert_eq!(
        (
            sample.dataset.as_str(),
            sample.task.as_str(),
            sample.id.as_str()
        ),
        ("longbench", "qasper", "f00")
    );
    assert_eq!(sample.answer_tokens, Some(128));
    assert!(!sample.without_chat);
    assert_eq!(score(sample, "the Ann B"), Some(1.0));
    assert_eq!(sample.question_place, Some(QuestionPlace::End));
    assert_eq!(
        sample.with_question(QuestionPlace::Start).unwrap().prompt,
        "Read.\nQuestion: Who?\n\nAnn did.\n\nAnswer:"
    );
    let source = &loaded.report.sources[0];
    let origin = source.templates.keys().next().unwrap();
    assert!(
        matches!(origin, TemplateOrigin::File(path) if path.ends_with("config/dataset2prompt.json"))
    );
    let unread: Vec<&String> = source.unread.keys().collect();
    assert_eq!(unread, ["language", "length"]);
    let all = folder.load("longbench:LongBench").unwrap().samples;
    assert_eq!(all.len(), 3);
    let code = &all[0];
    assert_eq!(code.prompt, "Go on.\nx = 1\nNext:\n");
    assert!(code.without_chat);
    let error = folder.load("longbench:LongBench/nothing").unwrap_err();
    assert!(error.to_string().contains("the task nothing"), "{error}");
}

#[test]
fn longbench_without_its_templates_says_so_and_still_asks() {
    let (sample, report) = one(LONGBENCH);
    assert!(
        sample.prompt.ends_with("Question: Who?\n\nAnswer:"),
        "{}",
        sample.prompt
    );
    assert!(
        report
            .to_string()
            .contains("a plain template of this program"),
        "{report}"
    );
    let (summary, _) = one(
        r#"{"input": "", "context": "Long report.", "answers": ["Short."], "dataset": "gov_report", "all_classes": null, "_id": "g"}"#,
    );
    assert_eq!(
        summary.prompt,
        "Long report.\n\nSum up the text above.\n\nSummary:"
    );
    let absent = summary.with_question(QuestionPlace::Absent).unwrap();
    assert_eq!(absent.prompt, "Long report.");
    let (trec, _) = one(
        r#"{"input": "Question: x\nType:", "context": "Question: a\nType: Date", "answers": ["Date"], "dataset": "trec", "all_classes": ["Date", "Place"], "_id": "t"}"#,
    );
    assert!(trec.without_chat);
    assert_eq!(score(&trec, "Date\nQuestion: Place"), Some(1.0));
    assert_eq!(score(&trec, "Date or Place"), Some(0.5));
}

#[test]
fn a_broken_file_of_templates_is_named() {
    let folder = Folder::with(&[
        ("config/dataset2prompt.json", "{"),
        ("data/qasper.jsonl", LONGBENCH),
    ]);
    let error = folder.load("longbench:data").unwrap_err().to_string();
    assert!(error.ends_with("dataset2prompt.json"), "{error}");
}

#[test]
fn longbench_v2_has_four_choices() {
    let row = r#"{"_id": "x", "domain": "Code", "sub_domain": "S", "difficulty": "hard", "length": "long", "question": "Which?", "choice_A": "one", "choice_B": "two", "choice_C": "three", "choice_D": "four", "answer": "C", "context": "Text."}"#;
    let (sample, report) = one(row);
    assert!(sample.prompt.contains("(C) three"), "{}", sample.prompt);
    assert_eq!(score(&sample, "The correct answer is (C)"), Some(1.0));
    assert_eq!(score(&sample, "The correct answer is (A)"), Some(0.0));
    let unread: Vec<&String> = report.sources[0].unread.keys().collect();
    assert_eq!(unread, ["difficulty", "length", "sub_domain"]);
    let folder = Folder::with(&[
        (
            "prompts/0shot.txt",
            "Text: $DOC$\n\n$Q$\n$C_A$ $C_B$ $C_C$ $C_D$\nGo:",
        ),
        ("data.json", &format!("[{row}]")),
    ]);
    let sample = folder
        .load("longbench-v2:data.json")
        .unwrap()
        .samples
        .remove(0);
    assert_eq!(
        sample.prompt,
        "Text: Text.\n\nWhich?\none two three four\nGo:"
    );
    let parts = sample.parts.unwrap();
    assert_eq!(
        (parts.question.as_str(), parts.after.as_str()),
        ("Which?\none two three four", "\nGo:")
    );
}

const RULER: &str = r#"{"index": 1266, "input": "Find it.", "outputs": ["12", "34"], "length": 4000, "answer_prefix": " It is", "token_position_answer": 1000}"#;

#[test]
fn ruler_takes_task_and_length_from_folders_and_keeps_the_prefix_apart() {
    let qa =
        r#"{"index": 0, "input": "Who?", "outputs": ["Ann", "Ann Bell", "A. Bell"], "length": 9}"#;
    let folder = Folder::with(&[
        ("4096/data/niah_multivalue/validation.jsonl", RULER),
        ("8192/data/niah_multivalue/validation.jsonl", RULER),
        ("4096/data/qa_1/validation.jsonl", qa),
    ]);
    let loaded = folder.load("ruler:").unwrap();
    let seen: Vec<_> = loaded
        .samples
        .iter()
        .map(|s| (s.task.as_str(), s.asked_length, s.id.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("niah_multivalue", Some(4096), "niah_multivalue-4096-0"),
            ("qa_1", Some(4096), "qa_1-4096-0"),
            ("niah_multivalue", Some(8192), "niah_multivalue-8192-0"),
        ]
    );
    let niah = &loaded.samples[0];
    assert_eq!(niah.prompt, "Find it.");
    assert_eq!(niah.answer_prefix.as_deref(), Some(" It is"));
    assert_eq!(niah.prompt_and_prefix(), "Find it. It is");
    assert_eq!(niah.depth, Some(0.25));
    assert_eq!(niah.answer_tokens, Some(128));
    assert_eq!(score(niah, "it is 34"), Some(0.5));
    assert_eq!(niah.answer.as_deref(), Some("12, 34"));
    let qa = &loaded.samples[1];
    assert_eq!(score(qa, "a. bell it was"), Some(1.0));
    assert_eq!(qa.values, ["Ann"]);
    assert!(loaded.report.sources[0].unread.contains_key("index"));
}

#[test]
fn ruler_with_context_and_question_apart_can_be_asked_anywhere() {
    let (sample, report) = one(
        r#"{"context": "Ann has 7.", "question": "What has Ann?", "answer_prefix": " Ann has", "answer": ["7"], "task": "niah_single_1", "max_new_tokens": 128}"#,
    );
    assert_eq!(report.sources[0].format, "ruler");
    assert_eq!(sample.prompt, "Ann has 7.\nWhat has Ann?");
    assert_eq!(sample.task, "niah_single_1");
    let start = sample.with_question(QuestionPlace::Start).unwrap();
    assert_eq!(
        start.prompt_and_prefix(),
        "What has Ann?\nAnn has 7. Ann has"
    );
}

#[test]
fn l_eval_gives_a_prompt_for_each_instruction() {
    let row = r#"{"instructions": ["Who?", "What?"], "outputs": ["Ann", "Digging"], "input": "Ann digs.", "source": "s", "evaluation": "f1"}"#;
    let folder = Folder::with(&[("Generation/paper.jsonl", row)]);
    let loaded = folder.load("l-eval:").unwrap();
    assert_eq!(loaded.samples.len(), 2);
    assert_eq!(loaded.samples[1].prompt, "Ann digs.\n\nWhat?\n\nAnswer:");
    assert_eq!(score(&loaded.samples[1], "digging"), Some(1.0));
    assert_eq!(loaded.samples[0].document, loaded.samples[1].document);
    let uneven = row.replace(", \"Digging\"", "");
    let error = Folder::with(&[("a.jsonl", &uneven)])
        .load("a.jsonl")
        .unwrap_err();
    assert!(
        error.to_string().contains("2 instructions but 1 outputs"),
        "{error}"
    );
}

#[test]
fn plain_rows_are_read_by_their_names() {
    let prompt = |row: &str| one(row).0.prompt;
    assert_eq!(
        prompt(
            r#"{"context": "Ann did.", "question": "Who?", "question_place": "start", "answer_prefix": "\nAnswer:"}"#
        ),
        "Who?\n\nAnn did."
    );
    assert_eq!(prompt(r#"{"input": "Whole."}"#), "Whole.");
    assert_eq!(prompt(r#"{"text": "Whole."}"#), "Whole.");
    assert_eq!(
        prompt(r#"{"instruction": "Read.", "context": "Ann did.", "input": "Who?"}"#),
        "Read.\n\nAnn did.\n\nWho?"
    );
    let (bare, _) = one(r#"{"input": "", "context": "Long text.", "answers": ["Short."]}"#);
    assert_eq!(
        (bare.prompt.as_str(), bare.question_place),
        ("Long text.", None)
    );
    let (number, _) = one(r#"{"prompt": "How many?", "answer": 42}"#);
    assert_eq!(number.answer.as_deref(), Some("42"));
    let (list, _) = one(r#"{"prompt": "p", "outputs": ["a", 2, true]}"#);
    assert_eq!(list.values, ["a", "2", "true"]);
    let (either, _) = one(r#"{"prompt": "p", "answers": ["cat", "dog"]}"#);
    assert_eq!(score(&either, "a dog"), Some(1.0));
    assert_eq!(either.values, ["cat"]);
}

#[test]
fn a_context_is_named_whatever_is_asked_of_it_and_wherever() {
    let name = |line: &str| one(line).0.document;
    let end = name(r#"{"context": "Ann did.", "question": "Who?"}"#);
    assert!(end.is_some());
    let start = r#"{"context": "Ann did.", "question": "Who?", "question_place": "start"}"#;
    assert_eq!(name(start), end);
    assert_eq!(name(r#"{"context": "Ann did.", "question": "What?"}"#), end);
    assert_ne!(name(r#"{"context": "Bo did.", "question": "Who?"}"#), end);
    assert_eq!(name(r#"{"prompt": "Ann did. Who?"}"#), None);
}

#[test]
fn a_folder_says_which_files_it_did_not_read() {
    let folder = Folder::with(&[
        ("a.jsonl", r#"{"prompt": "a"}"#),
        ("b/c.txt", "text"),
        ("README.md", "x"),
        ("config/dataset2prompt.json", "{}"),
    ]);
    let loaded = folder.load("").unwrap();
    assert_eq!(loaded.samples.len(), 2);
    let report = loaded.report.to_string();
    assert!(
        report.contains("not read: ") && report.contains("README.md"),
        "{report}"
    );
    let error = folder.load("longbench:config").unwrap_err();
    assert!(matches!(error, DatasetError::Empty { .. }), "{error}");
    assert!(folder.load("longbench:nowhere/x").is_err());
    assert_eq!(Format::from_name("nothing"), None);
}
