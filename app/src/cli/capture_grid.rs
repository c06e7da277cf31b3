//! What `kvlens capture` is to run: one capture, or those of a plan file.

use std::path::{Path, PathBuf};

use anyhow::Result;
use kvlens_sessions::model::ModelSource;
use kvlens_sessions::{CapturePlan, Session};

use super::args::CaptureArguments;
use super::plan_file::{Entry, PlanFile};
use crate::jobs::failure::Failure;
use crate::jobs::sweep::file_name;

/// A capture and its session's folder; none where only an estimate was asked for.
#[derive(Debug, PartialEq)]
pub struct Cell {
    pub plan: CapturePlan,
    pub out: Option<PathBuf>,
}

/// The captures in their order: model by model, and for each model the data in turn.
///
/// # Errors
/// [`Failure::BadInput`] for a plan file that cannot be used, or that leaves something open.
pub fn cells(arguments: &CaptureArguments) -> Result<Vec<Cell>> {
    if let Some(Some(session)) = &arguments.resume {
        return Ok(vec![begun(arguments, session)?]);
    }
    match &arguments.plan {
        None => Ok(vec![single(arguments)?]),
        Some(path) => of_plan(arguments, PlanFile::read(path)?),
    }
}

/// The capture that a session was begun with.
fn begun(arguments: &CaptureArguments, session: &Path) -> Result<Cell> {
    let nothing_else = CaptureArguments {
        resume: arguments.resume.clone(),
        estimate: arguments.estimate,
        ..CaptureArguments::default()
    };
    if *arguments != nothing_else {
        return Err(Failure::BadInput(format!(
            "--resume SESSION goes on by the plan that the session holds; leave out the other flags, or give them all with --out and a --resume alone: {}",
            session.display()
        ))
        .into());
    }
    // a plan is taken from a manifest only that nobody changed
    let open = Session::open(session)?;
    if open.is_in_parts() {
        return Err(Failure::BadInput(format!(
            "the session is in parts, each of which is written by itself; run its sweep again, or go on with one part: {}",
            session.display()
        ))
        .into());
    }
    let plan = open.manifest().plan.clone();
    Ok(Cell {
        plan,
        out: Some(session.to_owned()),
    })
}

fn single(arguments: &CaptureArguments) -> Result<Cell> {
    if arguments.model.is_none() || arguments.data.is_empty() || no_out(arguments) {
        return Err(Failure::BadInput(
            "--resume without a session goes on by the rest of the command, which needs --model, --data and --out; or give the session: --resume SESSION"
                .to_owned(),
        )
        .into());
    }
    // the command line is refused without a model
    let model = arguments.model.clone().unwrap_or(ModelSource::Demo);
    Ok(Cell {
        plan: arguments.flags.plan(model, arguments.data.clone())?,
        out: arguments.out.clone(),
    })
}

fn no_out(arguments: &CaptureArguments) -> bool {
    arguments.out.is_none() && !arguments.estimate
}

/// The cells of a plan file.
///
/// # Errors
/// [`Failure::BadInput`] for what it leaves open.
pub fn of_plan(arguments: &CaptureArguments, file: PlanFile) -> Result<Vec<Cell>> {
    let flags = arguments.flags.clone().or(file.flags);
    // what contradicts itself is told before what is left open
    let shared = flags.plan(ModelSource::Demo, Vec::new())?;
    let lacks = |key: &str| Failure::BadInput(format!("the plan names no {key}, nor does --{key}"));
    let models: Vec<ModelSource> = match &arguments.model {
        Some(model) => vec![model.clone()],
        None => file.model.into_iter().map(ModelSource::from).collect(),
    };
    let data: Vec<Vec<String>> = if arguments.data.is_empty() {
        file.data.into_iter().map(Entry::into_texts).collect()
    } else {
        vec![arguments.data.clone()]
    };
    let out = arguments.out.clone().or(file.out);
    if models.is_empty() {
        return Err(lacks("model").into());
    }
    if data.is_empty() || data.iter().any(Vec::is_empty) {
        return Err(lacks("data").into());
    }
    if out.is_none() && !arguments.estimate {
        return Err(lacks("out").into());
    }
    let mut names = Vec::new();
    let mut cells = Vec::new();
    for model in &models {
        for data in &data {
            let name = unused(format!("{}-{}", model_stem(model), data_stem(data)), &names);
            cells.push(Cell {
                plan: CapturePlan {
                    model: model.clone(),
                    data: data.clone(),
                    ..shared.clone()
                },
                out: out.as_ref().map(|out| out.join(format!("{name}.kvlens"))),
            });
            names.push(name);
        }
    }
    Ok(cells)
}

/// The last part of a model's path or id.
pub fn model_stem(model: &ModelSource) -> String {
    let text = model.to_string();
    let last = Path::new(&text).file_name();
    file_name(&last.map_or(text.clone(), |last| last.to_string_lossy().into_owned()))
}

/// What was typed, files without their folder and ending.
pub fn data_stem(data: &[String]) -> String {
    let stems = data.iter().map(|spec| {
        let is_file = [".txt", ".jsonl", ".parquet"]
            .iter()
            .any(|ending| spec.ends_with(ending));
        let stem = Path::new(spec).file_stem().filter(|_| is_file);
        stem.map_or(spec.clone(), |stem| stem.to_string_lossy().into_owned())
    });
    file_name(&stems.collect::<Vec<_>>().join("+"))
}

/// The name, with the first number that makes it differ from the others.
pub fn unused(name: String, others: &[String]) -> String {
    if !others.contains(&name) {
        return name;
    }
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut free = numbered.filter(|name| !others.contains(name));
    free.next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use kvlens_sessions::model::{AttentionKernel, ChatVariables};

    use super::super::capture_flags::CaptureFlags;
    use super::*;

    fn cells_of(plan: &str, arguments: CaptureArguments) -> Result<Vec<Cell>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.toml");
        std::fs::write(&path, plan).unwrap();
        let arguments = CaptureArguments {
            plan: Some(path),
            ..arguments
        };
        cells(&arguments).map_err(|error| error.to_string())
    }

    fn names(cells: &[Cell]) -> Vec<String> {
        let outs = cells.iter().filter_map(|cell| cell.out.as_ref());
        outs.map(|out| out.display().to_string()).collect()
    }

    const PLAN: &str = "model = ['demo', 'org/name@v1', 'other/demo']\n\
        data = ['niah:length=512,samples=2', ['x/a.jsonl', 'b.txt']]\nout = 'runs'\ndecode = 8\nseed = 3";

    #[test]
    fn a_grid_has_a_session_of_its_own_for_each_model_and_data() {
        let cells = cells_of(PLAN, CaptureArguments::default()).unwrap();
        assert_eq!(
            names(&cells),
            [
                "runs/demo-niah-length-512-samples-2.kvlens",
                "runs/demo-a+b.kvlens",
                "runs/name-v1-niah-length-512-samples-2.kvlens",
                "runs/name-v1-a+b.kvlens",
                "runs/demo-niah-length-512-samples-2-2.kvlens",
                "runs/demo-a+b-2.kvlens",
            ]
        );
        assert_eq!(cells[0].plan.decode.max_tokens, 8);
        assert!(!cells[0].plan.decode.sample_lengths);
        assert_eq!(cells[0].plan.windows, ["last:32"]);
    }

    #[test]
    fn flags_take_the_place_of_keys() {
        let flags = CaptureArguments {
            model: Some(ModelSource::Demo),
            data: vec!["demo".to_owned()],
            flags: CaptureFlags {
                decode: Some(4),
                attention: Some(AttentionKernel::Flash),
                ..CaptureFlags::default()
            },
            out: Some("elsewhere".into()),
            ..CaptureArguments::default()
        };
        let cells = cells_of(PLAN, flags).unwrap();
        assert_eq!(names(&cells), ["elsewhere/demo-demo.kvlens"]);
        assert_eq!(cells[0].plan.decode.max_tokens, 4);
        assert_eq!(cells[0].plan.decode.seed, 3);
        assert_eq!(cells[0].plan.attention, AttentionKernel::Flash);
        let of_file = cells_of(
            &format!("attention = 'flash'\n{PLAN}"),
            CaptureArguments::default(),
        );
        assert_eq!(of_file.unwrap()[0].plan.attention, AttentionKernel::Flash);
    }

    #[test]
    fn chat_variables_are_the_flags_or_else_the_files() {
        let plan = format!("{PLAN}\nchat = true\nchat-variable = ['enable_thinking=false']");
        let of = |arguments| cells_of(&plan, arguments).unwrap().swap_remove(0).plan;
        let variables = |text: &str| ChatVariables::parse(&[text.to_owned()]).unwrap();
        assert_eq!(
            of(CaptureArguments::default()).chat_variables,
            variables("enable_thinking=false")
        );
        let flags = CaptureArguments {
            flags: CaptureFlags {
                chat_variable: vec!["effort=low".to_owned()],
                ..CaptureFlags::default()
            },
            ..CaptureArguments::default()
        };
        assert_eq!(of(flags).chat_variables, variables("effort=low"));
    }

    #[test]
    fn a_plan_that_leaves_something_open_is_refused() {
        let refused = |plan: &str| cells_of(plan, CaptureArguments::default()).unwrap_err();
        assert!(refused("data = ['demo']\nout = 'x'").contains("--model"));
        assert!(refused("model = ['demo']\nout = 'x'").contains("--data"));
        assert!(refused("model = ['demo']\ndata = ['demo']").contains("--out"));
        assert!(refused("device = 'tpu'").contains("tpu"));
        assert!(refused("chat-variable = ['a=1']").contains("add --chat"));
        assert!(refused("chat = true\nchat-variable = ['a']").contains("has no '='"));
        assert!(refused("teacher-forced = true\ntemperature = 0.5").contains("nothing to sample"));
    }
}
