//! From a specification to samples.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::builtin;
use crate::error::DatasetError;
use crate::jsonl::{self, Origin};
use crate::sample::Sample;
use crate::spec::DataSpec;

/// Loads the samples of one source; at least one, with unique ids.
///
/// * A `.txt` file is one sample: its text exactly as it is, the id is the file's stem, the task
///   is `text`.
/// * A `.jsonl` file holds one JSON object a line; blank lines are skipped. Fields are found by name:
///
/// | field of the sample | names, the first present one counts |
/// |---|---|
/// | `id` | `id`, `_id`, `index` (text or a whole number); else stem and line index from 0 |
/// | `task` | `task`, `dataset`; else the file's stem |
/// | `prompt` | `prompt`, `text`; else `context` joined with `input` or `question` by a blank line; else `input`. A field `answer_prefix` is put after it |
/// | `answer` | `answer`, `outputs`, `answers`; of a list under `answers` the first, of another list all joined by `, ` |
/// | `values` | `values`; else a list under `answer` or `outputs`; else the first of `answers` |
/// | `evidence` | `evidence`: a list of `[start, end]` byte offsets in the prompt, or of passages whose first occurrence in the prompt counts |
/// | `question_place` | `question_place`: `start` or `end`. Where context and question are joined it also decides which comes first, and it is `end` when absent |
///
/// These are the names of LongBench (`context`, `input`, `answers`, `dataset`, `_id`) and RULER
/// (`index`, `input`, `outputs`, `answer_prefix`). LongBench's `answers` are alternatives, of
/// which only the first is used here: [`score`](crate::score) is not LongBench's own metric, and
/// its prompt templates are not added either.
///
/// An id that occurs again gets `-2`, `-3` and so on appended; nothing is refused for it.
///
/// # Errors
/// An unknown task or option, an unreadable file or one that holds no prompt, an unknown
/// extension, a line that is not JSON or lacks a prompt (named by its number).
pub fn load(spec: &DataSpec) -> Result<Vec<Sample>, DatasetError> {
    let mut samples = load_source(spec)?;
    make_ids_unique(&mut samples);
    Ok(samples)
}

/// Loads several sources one after the other, with ids that are unique across all of them.
///
/// # Errors
/// As [`load`].
pub fn load_all(specs: &[DataSpec]) -> Result<Vec<Sample>, DatasetError> {
    let mut samples = Vec::new();
    for spec in specs {
        samples.extend(load_source(spec)?);
    }
    make_ids_unique(&mut samples);
    Ok(samples)
}

fn load_source(spec: &DataSpec) -> Result<Vec<Sample>, DatasetError> {
    match spec {
        DataSpec::BuiltIn { task, options } => builtin::load(task, options),
        DataSpec::File(path) => load_file(path),
    }
}

fn load_file(path: &Path) -> Result<Vec<Sample>, DatasetError> {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase());
    let is_lines = match extension.as_deref() {
        Some("txt") => false,
        Some("jsonl") => true,
        _ => {
            return Err(DatasetError::UnknownExtension {
                path: path.to_owned(),
            });
        }
    };
    let text = read_text(path)?;
    if text.trim().is_empty() {
        return Err(DatasetError::Empty {
            path: path.to_owned(),
        });
    }
    let stem = lossy(path.file_stem());
    let dataset = lossy(path.file_name());
    if is_lines {
        let origin = Origin {
            path,
            dataset: &dataset,
            stem: &stem,
        };
        jsonl::objects(&text, &origin)
            .map(|line| line.and_then(|(number, object)| jsonl::sample(&object, number, &origin)))
            .collect()
    } else {
        Ok(vec![Sample {
            id: stem,
            dataset,
            task: "text".to_owned(),
            prompt: text,
            ..Sample::default()
        }])
    }
}

fn lossy(name: Option<&std::ffi::OsStr>) -> String {
    name.map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn read_text(path: &Path) -> Result<String, DatasetError> {
    let bytes = fs::read(path).map_err(|source| DatasetError::Read {
        path: path.to_owned(),
        source,
    })?;
    String::from_utf8(bytes).map_err(|error| DatasetError::NotUtf8 {
        path: path.to_owned(),
        byte: error.utf8_error().valid_up_to(),
    })
}

fn make_ids_unique(samples: &mut [Sample]) {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for sample in samples {
        let mut copy = 1_usize;
        let mut id = sample.id.clone();
        while !taken.insert(id.clone()) {
            copy += 1;
            id = format!("{}-{copy}", sample.id);
        }
        sample.id = id;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::QuestionPlace;

    fn load_text(name: &str, text: impl AsRef<[u8]>) -> Result<Vec<Sample>, DatasetError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        load(&DataSpec::File(path))
    }

    fn ids(samples: &[Sample]) -> Vec<&str> {
        samples.iter().map(|sample| sample.id.as_str()).collect()
    }

    #[test]
    fn a_text_file_is_one_prompt_as_it_is() {
        let samples = load_text("story.txt", " Once\n\nupon a time. \n").unwrap();
        assert_eq!(samples.len(), 1);
        assert_eq!(samples[0].prompt, " Once\n\nupon a time. \n");
        assert_eq!(samples[0].id, "story");
        assert_eq!(samples[0].dataset, "story.txt");
        assert_eq!(samples[0].task, "text");
        assert_eq!(samples[0].answer, None);
    }

    #[test]
    fn an_empty_file_is_refused() {
        for name in ["a.txt", "a.jsonl"] {
            let error = load_text(name, " \n\n").unwrap_err();
            assert!(matches!(error, DatasetError::Empty { .. }), "{error}");
        }
    }

    #[test]
    fn an_unknown_extension_says_which_are_read() {
        let error = load_text("a.csv", "x").unwrap_err().to_string();
        assert!(
            error.contains(".txt") && error.contains(".jsonl"),
            "{error}"
        );
        assert!(error.ends_with("a.csv"), "{error}");
    }

    #[test]
    fn a_missing_file_and_bytes_that_are_no_text_are_named() {
        let error = load(&DataSpec::File("no/such.txt".into())).unwrap_err();
        assert!(error.to_string().ends_with("no/such.txt"), "{error}");
        let error = load_text("a.txt", b"abc\xff").unwrap_err();
        assert!(matches!(error, DatasetError::NotUtf8 { byte: 3, .. }));
    }

    #[test]
    fn missing_ids_come_from_stem_and_line_and_repeated_ones_are_numbered() {
        let samples = load_text(
            "facts.jsonl",
            "{\"prompt\":\"a\"}\n\n{\"prompt\":\"b\",\"id\":\"x\"}\n{\"prompt\":\"c\",\"id\":\"x\"}\n{\"prompt\":\"d\",\"id\":\"x-2\"}\n{\"prompt\":\"e\"}\n",
        )
        .unwrap();
        assert_eq!(ids(&samples), ["facts-0", "x", "x-2", "x-2-2", "facts-5"]);
        assert_eq!(samples[0].task, "facts");
        assert_eq!(samples[0].dataset, "facts.jsonl");
    }

    #[test]
    fn ids_are_unique_across_sources() {
        let spec: DataSpec = "demo:samples=1".parse().unwrap();
        let samples = load_all(&[spec.clone(), spec]).unwrap();
        assert_eq!(ids(&samples), ["facts-512-end-0", "facts-512-end-0-2"]);
    }

    #[test]
    fn a_bad_line_is_named_by_file_and_number() {
        let error = load_text("a.jsonl", "{\"prompt\":\"a\"}\n{\"context\":\"b\"}\n")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("line 2 "), "{error}");
        assert!(error.contains("question"), "{error}");
        assert!(error.ends_with("a.jsonl"), "{error}");
        let error = load_text("a.jsonl", "\n{\"prompt\":\n")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("line 2 "), "{error}");
    }

    #[test]
    fn the_demo_task_is_loaded_by_its_specification() {
        let spec: DataSpec = "demo:question=start".parse().unwrap();
        let samples = load(&spec).unwrap();
        assert_eq!(samples.len(), 4);
        assert!(
            samples
                .iter()
                .all(|sample| sample.question_place == Some(QuestionPlace::Start)
                    && sample.dataset == "demo"
                    && sample.task == "facts")
        );
    }
}
