//! What is typed to name prompts: a built-in task with options, or a file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::builtin;
use crate::error::DatasetError;
use crate::formats::Format;

/// Names the prompts of one source.
///
/// Written `demo`, `niah:length=1024,depth=0.5`, as a path to a file or folder, or `BENCHMARK:PATH` with the name of
/// a [`Format`], such as `longbench:data/LongBench` or, for one task of it, `longbench:data/LongBench/narrativeqa`.
/// A file that exists wins over a built-in task of the same name. What looks like a path (it holds
/// a separator or ends with a dot and an extension) is one even when nothing is there, so that the
/// error speaks of the missing file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataSpec {
    /// A task that the program carries or generates itself.
    BuiltIn {
        /// The task's name.
        task: String,
        /// Options by key.
        options: BTreeMap<String, String>,
    },
    /// A file of prompts, or a folder of such files, whose layout is found out.
    File(PathBuf),
    /// A file or folder of this layout; or a folder with a task's name behind it.
    Benchmark {
        /// The layout.
        format: Format,
        /// The file, the folder, or folder and task.
        path: PathBuf,
    },
}

impl FromStr for DataSpec {
    type Err = DatasetError;

    /// # Errors
    /// When there is no such built-in task, option or option value.
    fn from_str(text: &str) -> Result<Self, DatasetError> {
        if Path::new(text).is_file() {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let (name, options) = match text.split_once(':') {
            Some((name, options)) => (name, options),
            None => (text, ""),
        };
        if builtin::find(name).is_some() {
            let options = parse_options(options)?;
            builtin::check(name, &options)?;
            return Ok(Self::BuiltIn {
                task: name.to_owned(),
                options,
            });
        }
        if let Some(format) = Format::from_name(name).filter(|_| !options.trim().is_empty()) {
            return Ok(Self::Benchmark {
                format,
                path: PathBuf::from(options),
            });
        }
        if looks_like_path(text) || Path::new(text).is_dir() {
            return Ok(Self::File(PathBuf::from(text)));
        }
        Err(builtin::unknown_task(text))
    }
}

impl fmt::Display for DataSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Benchmark { format, path } => write!(f, "{format}:{}", path.display()),
            Self::BuiltIn { task, options } => {
                write!(f, "{task}")?;
                for (index, (key, value)) in options.iter().enumerate() {
                    let separator = if index == 0 { ':' } else { ',' };
                    write!(f, "{separator}{key}={value}")?;
                }
                Ok(())
            }
        }
    }
}

fn looks_like_path(text: &str) -> bool {
    text.contains(['/', '\\']) || Path::new(text).extension().is_some()
}

fn parse_options(text: &str) -> Result<BTreeMap<String, String>, DatasetError> {
    let mut options = BTreeMap::new();
    for option in text.split(',').filter(|option| !option.is_empty()) {
        let syntax = || DatasetError::OptionSyntax {
            option: option.to_owned(),
        };
        let (key, value) = option.split_once('=').ok_or_else(syntax)?;
        let earlier = options.insert(key.trim().to_owned(), value.trim().to_owned());
        if earlier.is_some() {
            return Err(syntax());
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LoadOptions, Sample, load_with};

    fn loaded(specs: &[DataSpec]) -> Vec<Sample> {
        load_with(specs, &LoadOptions::default()).unwrap().samples
    }

    #[test]
    fn a_task_with_options_is_read_and_written_back() {
        let spec: DataSpec = "demo:question=start,length=512".parse().unwrap();
        let DataSpec::BuiltIn { task, options } = &spec else {
            panic!("{spec:?}");
        };
        assert_eq!(task, "demo");
        assert_eq!(options["question"], "start");
        assert_eq!(options["length"], "512");
        assert_eq!(spec.to_string(), "demo:length=512,question=start");
        assert_eq!(spec.to_string().parse::<DataSpec>().unwrap(), spec);
    }

    #[test]
    fn a_generated_task_gives_as_many_samples_as_asked_with_the_question_where_asked() {
        let text = "niah:length=1024,depth=0.5,question=start,samples=5,seed=7";
        let spec: DataSpec = text.parse().unwrap();
        let samples = loaded(std::slice::from_ref(&spec));
        assert_eq!(samples.len(), 5);
        assert_eq!(samples[4].id, "niah-1024-start-seed7-4");
        assert_eq!(samples[4].dataset, "generated");
        assert!(
            samples[4]
                .prompt
                .starts_with(" Question: Report the code of ")
        );
        let both = [
            text.parse().unwrap(),
            "niah:samples=5,seed=7".parse().unwrap(),
        ];
        let samples = loaded(&both);
        assert_eq!(samples[9].id, "niah-1024-end-seed7-4");
        assert_eq!(samples[9].values, samples[4].values);
    }

    #[test]
    fn a_generated_task_is_refused_with_its_options_when_typed() {
        let short = "multi-niah:length=128,needles=7,question=both";
        let error = short.parse::<DataSpec>().unwrap_err().to_string();
        assert!(error.contains("not length=128"), "{error}");
        let error = "niah:hops=2".parse::<DataSpec>().unwrap_err().to_string();
        assert!(error.contains("depth=0..1|sweep"), "{error}");
    }

    #[test]
    fn a_task_without_options_is_written_without_a_colon() {
        let spec: DataSpec = "demo".parse().unwrap();
        assert_eq!(spec.to_string(), "demo");
    }

    #[test]
    fn a_file_that_exists_wins_over_a_task_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo");
        std::fs::write(&path, "x").unwrap();
        let spec: DataSpec = path.to_str().unwrap().parse().unwrap();
        assert_eq!(spec, DataSpec::File(path));
    }

    #[test]
    fn an_unknown_task_lists_the_known_ones() {
        let error = "nonsense".parse::<DataSpec>().unwrap_err().to_string();
        assert!(error.contains("demo"), "{error}");
        assert!(error.ends_with("nonsense"), "{error}");
        let nearest = |name: &str| name.parse::<DataSpec>().unwrap_err().to_string();
        assert!(nearest("dmeo").contains("the nearest is 'demo'"));
    }

    #[test]
    fn an_unknown_option_or_value_lists_the_known_ones() {
        let error = "demo:depth=0.5"
            .parse::<DataSpec>()
            .unwrap_err()
            .to_string();
        assert!(error.contains("question=start|end"), "{error}");
        let error = "demo:question=middle"
            .parse::<DataSpec>()
            .unwrap_err()
            .to_string();
        assert!(error.contains("question=start|end"), "{error}");
        let error = "demo:question".parse::<DataSpec>().unwrap_err().to_string();
        assert!(error.contains("key=value"), "{error}");
        assert!("demo:length=512,length=1024".parse::<DataSpec>().is_err());
    }

    #[test]
    fn a_grid_of_lengths_and_depths_has_samples_for_every_cell() {
        for task in ["niah", "niah_single_2"] {
            let text = format!("{task}:length=256..1k/2,depth=0..1/3,samples=2");
            let spec: DataSpec = text.parse().unwrap();
            let samples = loaded(std::slice::from_ref(&spec));
            assert_eq!(samples.len(), 12);
            let ids: std::collections::BTreeSet<&str> =
                samples.iter().map(|sample| sample.id.as_str()).collect();
            assert_eq!(ids.len(), 12);
            let last = &samples[11];
            assert_eq!(last.id, format!("{task}-1024-end-seed0-1-depth1"));
            assert_eq!((last.asked_length, last.depth), (Some(1024), Some(1.0)));
        }
        let error = "niah:length=1k..8k".parse::<DataSpec>().unwrap_err();
        assert!(error.to_string().contains("A..B/COUNT"), "{error}");
    }

    #[test]
    fn a_benchmark_is_named_before_its_path() {
        for (text, format, path) in [
            ("longbench:data/x", Format::LongBench, "data/x"),
            ("l-eval:C:\\x", Format::LEval, "C:\\x"),
        ] {
            let spec: DataSpec = text.parse().unwrap();
            let path = PathBuf::from(path);
            assert_eq!(spec, DataSpec::Benchmark { format, path });
            assert_eq!(spec.to_string(), text);
        }
        assert!("longbench".parse::<DataSpec>().is_err());
        for format in Format::ALL {
            assert_eq!(Format::from_name(format.name()), Some(format));
        }
    }

    #[test]
    fn what_looks_like_a_path_is_a_file_even_when_missing() {
        for text in ["missing.jsonl", "folder/missing"] {
            assert_eq!(
                text.parse::<DataSpec>().unwrap(),
                DataSpec::File(PathBuf::from(text))
            );
        }
    }
}
