//! The windows that can be typed. A new kind of window is one entry of [`KINDS`].

use kvlens_datasets::nearest_name;

use super::dapq::dapq;
use super::draft::draft;
use super::expected_attention::expected_attention;
use super::h2o::h2o;
use super::key_norm::key_norm;
use super::last_prompt::{last_prompt, snapkv_adakv, snapkv_kvpress};
use super::lookahead::{laq, laq_plus_plus};
use super::random::random;
use super::score_file::score_file;
use super::scoring_options::scored_as_typed;
use super::streaming::streaming;
use super::tova::tova;
use super::trained::{judge_q, lookahead_kv};
use super::union::union;
use super::{DECODE_LABEL, TrainedMethod, Window, WindowLabel, WindowOptions};
use crate::SessionError;
use crate::label::one_for_each_budget;
use crate::model::{Companion, ModelSource};

/// A kind of window, for help texts and choosers.
pub struct WindowKind {
    /// What stands before the colon.
    pub name: &'static str,
    /// How it is written with its options.
    pub syntax: &'static str,
    /// A label to start from.
    pub example: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Whether it stands in `all`: it can be used without options, and is not another one by a name of its own.
    pub in_all: bool,
    /// Makes the window from its options; those that it does not read are refused.
    build: fn(&mut WindowOptions<'_>) -> Result<Window, SessionError>,
}

/// A kind that is another one as some program has it, and so not in `all`.
const fn preset(
    name: &'static str,
    syntax: &'static str,
    summary: &'static str,
    build: fn(&mut WindowOptions<'_>) -> Result<Window, SessionError>,
) -> WindowKind {
    WindowKind {
        in_all: false,
        ..kind(name, syntax, summary, build)
    }
}

/// A kind that can be used without options.
const fn kind(
    name: &'static str,
    syntax: &'static str,
    summary: &'static str,
    build: fn(&mut WindowOptions<'_>) -> Result<Window, SessionError>,
) -> WindowKind {
    WindowKind {
        name,
        syntax,
        example: name,
        summary,
        in_all: true,
        build,
    }
}

const KINDS: &[WindowKind] = &[
    kind(
        "last",
        "last[:w=32]",
        "the queries of the last W prompt tokens (SnapKV)",
        last_prompt,
    ),
    preset(
        "snapkv",
        "snapkv[:w=32]",
        "last by its paper's name, as released: max:7, each query head on its own",
        last_prompt,
    ),
    preset(
        "snapkv-kvpress",
        "snapkv-kvpress[:w=64]",
        "SnapKV as kvpress has it: avg:5, then the mean of the query heads of a key/value head",
        snapkv_kvpress,
    ),
    preset(
        "snapkv-adakv",
        "snapkv-adakv[:w=32]",
        "SnapKV as AdaKV's repository has it: the mean of the query heads of a key/value head, then max:7",
        snapkv_adakv,
    ),
    kind(
        "laq",
        "laq[:n=8,budget=10%|final[@5%+10%...],method=snapkv|h2o|streaming,stage-w=32,heads=query|kv,mask=causal|as-released]",
        "the queries of n tokens decoded ahead on an evicted copy of the cache (Lookahead Q-Cache)",
        laq,
    ),
    kind(
        "laq++",
        "laq++[:w=8,...]",
        "the last W prompt queries and those of laq, whose options it takes",
        laq_plus_plus,
    ),
    kind(
        "dapq",
        "dapq[:n=32,content=prefix-suffix|random|repeat|last|decode,prefix=4,seed=0,shift=0]",
        "the queries of n pseudo tokens at the positions of the first decode tokens (DapQ)",
        dapq,
    ),
    kind(
        "judge-q",
        "judge-q[:file=PATH,weights=any]",
        "the queries of soft tokens that were trained for the model (Judge Q)",
        judge_q,
    ),
    kind(
        "lookahead-kv",
        "lookahead-kv[:file=PATH,weights=any]",
        "the queries of tokens and low-rank adapters that were trained for the model (LookaheadKV)",
        lookahead_kv,
    ),
    kind(
        "draft",
        "draft[:n=32,w=33,model=DIR,dtype=auto | budget=10%,method=...,stage-w=32,heads=query|kv]",
        "the last W prompt queries and the model's own for tokens that a smaller model, or itself on an evicted cache, drafted (SpecKV)",
        draft,
    ),
    kind(
        "tova",
        "tova",
        "the last prompt query, averaged over the heads of a layer (TOVA)",
        tova,
    ),
    kind(
        "h2o",
        "h2o",
        "the attention of all prompt queries, summed up (H2O); its published split is recent=50%",
        h2o,
    ),
    kind(
        "streaming",
        "streaming[:sinks=4]",
        "position alone: the first tokens and the most recent (StreamingLLM); not attention",
        streaming,
    ),
    kind(
        "expected",
        "expected[:sinks=4,future=512,epsilon=0]",
        "queries drawn as the prompt's were, at positions to come (Expected Attention); not attention",
        expected_attention,
    ),
    kind(
        "knorm",
        "knorm",
        "minus the norm of the key; not attention",
        key_norm,
    ),
    kind(
        "random",
        "random[:seed=0]",
        "chance, the floor under every window; not attention",
        random,
    ),
    WindowKind {
        name: "file",
        example: "file:scores.safetensors",
        syntax: "file:PATH[,name=NAME]",
        summary: "scores that another program made, from a safetensors file or a Parquet table; not attention",
        in_all: false,
        build: score_file,
    },
    WindowKind {
        name: "union",
        example: "union:of=last:8+laq",
        syntax: "union:[by=rows|best-rank|mean-rank,]of=WINDOW+WINDOW...",
        summary: "several windows as one, merged by their rows or by the places that they give",
        in_all: false,
        build: union,
    },
];

/// Every kind of window, in the order of help texts.
pub fn registered() -> &'static [WindowKind] {
    KINDS
}

/// The windows that `all` stands for with a model: every kind with its defaults, but no trained one whose file
/// the model lacks. What else was typed stays.
pub(crate) fn expand_all(labels: &[String], model: &ModelSource) -> Vec<String> {
    let of_all = |label: &String| match label.as_str() {
        "all" => {
            let there = in_all().filter(|kind| !lacks_file(kind, model));
            there.map(name).collect()
        }
        _ => vec![label.clone()],
    };
    labels.iter().flat_map(of_all).collect()
}

/// The trained windows that `all` does not stand for, because the model has no file of theirs.
pub fn left_out_of_all(labels: &[String], model: &ModelSource) -> Vec<&'static str> {
    let asks_for_all = labels.iter().any(|label| label == "all");
    let lacking = in_all().filter(|kind| asks_for_all && lacks_file(kind, model));
    lacking.map(|kind| kind.name).collect()
}

/// Whether a window is a trained one without a file beside the model.
fn lacks_file(kind: &WindowKind, model: &ModelSource) -> bool {
    let methods = [TrainedMethod::JudgeQ, TrainedMethod::LookaheadKv];
    let mut methods = methods.into_iter();
    let method = methods.find(|method| method.name() == kind.name);
    method.is_some_and(|method| Companion::find(model, &method.file_name()).is_none())
}

fn in_all() -> impl Iterator<Item = &'static WindowKind> {
    KINDS.iter().filter(|kind| kind.in_all)
}

fn name(kind: &WindowKind) -> String {
    kind.name.to_owned()
}

/// Makes windows from what was typed. `all` stands for every kind with its defaults; a window with `budget=final`
/// becomes one for each of its budgets.
///
/// # Errors
/// [`SessionError::Plan`] for a name that is not registered, an option that is wrong, or a label twice.
pub fn parse_windows(labels: &[String]) -> Result<Vec<Window>, SessionError> {
    let wrong = |reason: String| Err(SessionError::Plan { reason });
    let typed = labels.iter().flat_map(|label| match label.as_str() {
        "all" => in_all().map(name).collect(),
        _ => vec![label.clone()],
    });
    let mut observations = Vec::new();
    for text in typed {
        observations.extend(one_for_each_budget(&text)?);
    }
    let mut windows: Vec<Window> = Vec::new();
    for text in observations {
        let label: WindowLabel = text.parse()?;
        let parsed = parse_window(&label)?;
        if windows
            .iter()
            .any(|window| window.label() == parsed.label())
        {
            return wrong(format!("window '{}' is there twice", parsed.label()));
        }
        windows.push(parsed);
    }
    if windows.is_empty() {
        return wrong("no window was given; give at least one, such as last:32".to_owned());
    }
    Ok(windows)
}

/// Makes one window from its label.
///
/// # Errors
/// [`SessionError::Plan`] for a name that is not registered or an option that is wrong.
pub fn parse_window(label: &WindowLabel) -> Result<Window, SessionError> {
    let wrong = |reason: String| Err(SessionError::Plan { reason });
    if label.name() == DECODE_LABEL {
        return wrong(
            "the oracle 'decode' is always captured; leave it out of the windows".to_owned(),
        );
    }
    match KINDS.iter().find(|kind| kind.name == label.name()) {
        Some(kind) => {
            let mut options = label.options();
            let window = scored_as_typed((kind.build)(&mut options)?, &mut options)?;
            options.finish()?;
            Ok(window.labelled(label.text()))
        }
        None => {
            let known: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
            wrong(format!(
                "there is no window '{}', the nearest is '{}' (there is: {}); `kvlens doctor` lists their options",
                label.name(),
                nearest_name(label.name(), &known),
                known.join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_mistyped_brings_the_nearest() {
        for (typed, meant) in [
            ("lats:32", "last"),
            ("judgeq", "judge-q"),
            ("snap", "snapkv"),
        ] {
            let refused = parse_window(&typed.parse().unwrap())
                .err()
                .unwrap()
                .to_string();
            assert!(
                refused.contains(&format!("the nearest is '{meant}'")),
                "{refused}"
            );
        }
    }

    #[test]
    fn every_kind_has_an_example_that_can_be_used() {
        for kind in registered() {
            let label: WindowLabel = kind.example.parse().unwrap();
            assert_eq!(label.name(), kind.name);
            assert_eq!(parse_window(&label).unwrap().label(), kind.example);
            assert!(!kind.in_all || kind.example == kind.name);
        }
    }

    #[test]
    fn what_all_leaves_out_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let without_files = ModelSource::from(folder.path().to_owned());
        let all = ["all".to_owned()];
        assert_eq!(
            left_out_of_all(&all, &without_files),
            ["judge-q", "lookahead-kv"]
        );
        assert!(left_out_of_all(&all, &ModelSource::Demo).is_empty());
        assert!(left_out_of_all(&["tova".to_owned()], &without_files).is_empty());
    }

    fn parse(labels: &[&str]) -> Result<Vec<String>, String> {
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        parse_windows(&labels)
            .map(|windows| {
                windows
                    .iter()
                    .map(|window| window.label().to_owned())
                    .collect()
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn labels_stay_as_typed() {
        assert_eq!(
            parse(&["last:8", "last:w=16"]).unwrap(),
            ["last:8", "last:w=16"]
        );
        let in_all = registered().iter().filter(|kind| kind.in_all);
        assert_eq!(parse(&["all"]).unwrap().len(), in_all.count());
    }

    #[test]
    fn unknown_doubled_and_oracle_windows_are_refused() {
        assert!(parse(&["lats:8"]).unwrap_err().contains("last, snapkv, "));
        assert!(parse(&["last:8", "last:8"]).unwrap_err().contains("twice"));
        assert!(parse(&["decode"]).unwrap_err().contains("always captured"));
        assert!(parse(&[]).unwrap_err().contains("no window"));
    }
}
