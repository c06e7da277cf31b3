//! The plan of a sweep: a plan file of captures with more axes, and how its tasks are cut, measured and submitted.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kvlens_analysis::{Budget, Compare, distinct};
use kvlens_datasets::TooLong;
use kvlens_sessions::CapturePlan;
use toml::{Table, Value};

use super::args::{CaptureArguments, DEFAULT_BUDGETS};
use super::capture_grid::{Cell, data_stem, model_stem, of_plan, unused};
use super::plan_file::{PlanFile, read_table};
use crate::jobs::failure::Failure;
use crate::jobs::prompts;
use crate::jobs::sweep::{Axes, SlurmSettings, SweepCell, SweepPlan, file_name};

/// Keys that a plan of captures does not have.
pub const SWEEP_KEYS: [&str; 4] = ["samples-per-task", "budgets", "compare", "slurm"];

/// Keys of an entry of `decode`, each of which may also stand for all of them.
const DECODE_KEYS: [&str; 3] = ["temperature", "ignore-eos", "teacher-forced"];

/// Characters of a name at most; names of several become those of files.
const LONGEST_NAME: usize = 60;

/// A plan file that was read, before its data are.
pub struct SweepFile {
    /// The sweep's folder.
    pub out: PathBuf,
    name: String,
    runs: Vec<Run>,
    samples_per_task: Option<usize>,
    budgets: Vec<Budget>,
    compare: Compare,
    slurm: SlurmSettings,
}

/// One choice of windows, decode settings and seed.
struct Run {
    /// Names of the three.
    names: [String; 3],
    /// What a cell's name says of it: those of which there are several.
    suffix: String,
    cells: Vec<Cell>,
}

impl SweepFile {
    /// Reads a plan file.
    ///
    /// # Errors
    /// [`Failure::BadInput`] for what is not understood.
    pub fn read(path: &Path) -> Result<Self> {
        let mut table = read_table(path, &SWEEP_KEYS)?;
        let refused = |reason: &str| {
            let reason = reason.trim().replace('\n', " ");
            Failure::BadInput(format!("the plan: {reason}: {}", path.display()))
        };
        let slurm = match table.remove("slurm") {
            None => SlurmSettings::default(),
            Some(value) => value.try_into().map_err(|error: toml::de::Error| {
                refused(&format!("slurm: {}", error.message()))
            })?,
        };
        let budgets = budgets(table.remove("budgets")).map_err(|reason| refused(&reason))?;
        let compare = match table.remove("compare") {
            None => Compare::default(),
            Some(value) => text_of(&value)
                .parse()
                .map_err(|error| refused(&format!("compare: {error}")))?,
        };
        let samples_per_task = match table.remove("samples-per-task") {
            None => None,
            Some(Value::Integer(count)) if count > 0 => usize::try_from(count).ok(),
            Some(other) => {
                return Err(refused(&format!(
                    "samples-per-task must be a whole number of at least 1, not {}",
                    text_of(&other)
                ))
                .into());
            }
        };
        let runs = runs(&table, path)?;
        let out = table.get("out").and_then(Value::as_str);
        Ok(Self {
            out: out.map(PathBuf::from).unwrap_or_default(),
            name: path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            runs,
            samples_per_task,
            budgets,
            compare,
            slurm,
        })
    }

    /// The models, each once.
    pub fn models(&self) -> Vec<&CapturePlan> {
        let mut plans: Vec<&CapturePlan> = Vec::new();
        for cell in self.runs.iter().flat_map(|run| &run.cells) {
            if plans.iter().all(|plan| plan.model != cell.plan.model) {
                plans.push(&cell.plan);
            }
        }
        plans
    }

    /// Counts the samples of every cell, for which the models must be here.
    ///
    /// # Errors
    /// What the data refuse.
    pub fn plan(self) -> Result<SweepPlan> {
        let mut names = Vec::new();
        let mut cells = Vec::new();
        let mut counted = HashMap::new();
        for run in &self.runs {
            for cell in &run.cells {
                let (model, data) = (model_stem(&cell.plan.model), data_stem(&cell.plan.data));
                let name = unused(short(&format!("{model}-{data}{}", run.suffix)), &names);
                names.push(name.clone());
                let samples = samples(&cell.plan, &mut counted)?;
                let [windows, decode, seed] = run.names.clone();
                cells.push(SweepCell {
                    name,
                    axes: Axes {
                        model: short(&model),
                        data: short(&data),
                        windows,
                        decode,
                        seed,
                    },
                    plan: cell.plan.clone(),
                    samples,
                    samples_per_task: self.samples_per_task.unwrap_or(samples).max(1),
                });
            }
        }
        distinct_axes(&mut cells);
        Ok(SweepPlan::new(
            self.name,
            self.budgets,
            self.compare,
            cells,
            self.slurm,
        ))
    }
}

/// Two models, or two data, may end in one name; no two cells may write one file.
fn distinct_axes(cells: &mut [SweepCell]) {
    let mut models: Vec<(String, String)> = Vec::new();
    let mut data: Vec<(String, String)> = Vec::new();
    for cell in cells {
        let model = cell.plan.model.to_string();
        cell.axes.model = named(&mut models, &cell.axes.model, model);
        let of_data = cell.plan.data.join(" ");
        cell.axes.data = named(&mut data, &cell.axes.data, of_data);
    }
}

/// The name of an entry, which no other entry has.
fn named(known: &mut Vec<(String, String)>, name: &str, entry: String) -> String {
    if let Some((name, _)) = known.iter().find(|(_, other)| *other == entry) {
        return name.clone();
    }
    let names: Vec<String> = known.iter().map(|(name, _)| name.clone()).collect();
    let name = unused(name.to_owned(), &names);
    known.push((name.clone(), entry));
    name
}

/// How many samples a capture has. Where nothing is cut or left out to fit, windows and decode stage do not matter.
fn samples(plan: &CapturePlan, counted: &mut HashMap<String, usize>) -> Result<usize> {
    let key = (plan.prompts.too_long == TooLong::Refuse)
        .then(|| format!("{} {:?}", plan.model, plan.data));
    if let Some(&count) = key.as_ref().and_then(|key| counted.get(key)) {
        return Ok(count);
    }
    let count = prompts::count(plan)?;
    if let Some(key) = key {
        counted.insert(key, count);
    }
    Ok(count)
}

fn budgets(value: Option<Value>) -> Result<Vec<Budget>, String> {
    let texts: Vec<String> = match value {
        None => DEFAULT_BUDGETS.split(',').map(str::to_owned).collect(),
        Some(Value::Array(values)) => values.iter().map(text_of).collect(),
        Some(other) => vec![text_of(&other)],
    };
    let budgets = texts.iter().map(|text| text.parse::<Budget>());
    let budgets: Vec<Budget> = budgets
        .collect::<Result<_, _>>()
        .map_err(|error| format!("budgets: {error}"))?;
    if budgets.is_empty() {
        return Err("budgets: there is none".to_owned());
    }
    Ok(distinct(budgets))
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        other => format!("a {}", other.type_str()),
    }
}

/// Every choice of windows, decode settings and seed, each with the cells of its models and data.
fn runs(table: &Table, path: &Path) -> Result<Vec<Run>> {
    let windows = window_axis(table.get("windows"));
    let decode = list(table.get("decode"));
    let seeds = list(table.get("seed"));
    let mut names: [Vec<String>; 3] = Default::default();
    let mut runs = Vec::new();
    for (w, windows_value) in windows.iter().enumerate() {
        for (d, decode_value) in decode.iter().enumerate() {
            for (s, seed_value) in seeds.iter().enumerate() {
                let mut table = table.clone();
                for (key, value) in [
                    ("windows", windows_value),
                    ("decode", decode_value),
                    ("seed", seed_value),
                ] {
                    set(&mut table, key, value.clone()).map_err(|reason| refused(path, &reason))?;
                }
                let file =
                    PlanFile::of_table(&table).map_err(|error| refused(path, error.message()))?;
                let cells = of_plan(&CaptureArguments::default(), file)?;
                let Some(plan) = cells.first().map(|cell| cell.plan.clone()) else {
                    continue;
                };
                let mut name = |axis: usize, entry: usize, name: String| {
                    let names = &mut names[axis];
                    if names.len() <= entry {
                        names.push(unused(short(&name), names));
                    }
                    names[entry].clone()
                };
                let names = [
                    name(0, w, plan.windows.join("+")),
                    name(1, d, decode_name(&plan)),
                    name(2, s, plan.decode.seed.to_string()),
                ];
                let several = [windows.len(), decode.len(), seeds.len()].map(|count| count > 1);
                let told = names.iter().zip(several).zip(["", "", "seed"]);
                let suffix = told
                    .filter(|((_, several), _)| *several)
                    .map(|((name, _), what)| format!("-{what}{name}"));
                runs.push(Run {
                    suffix: suffix.collect(),
                    names,
                    cells,
                });
            }
        }
    }
    Ok(runs)
}

fn refused(path: &Path, reason: &str) -> Failure {
    let reason = reason.trim().replace('\n', " ");
    Failure::BadInput(format!("the plan: {reason}: {}", path.display()))
}

/// One list of windows, or a list of such lists.
fn window_axis(value: Option<&Value>) -> Vec<Option<Value>> {
    match value {
        Some(Value::Array(entries))
            if !entries.is_empty() && entries.iter().all(Value::is_array) =>
        {
            entries.iter().cloned().map(Some).collect()
        }
        other => vec![other.cloned()],
    }
}

/// One value, or a list of such.
fn list(value: Option<&Value>) -> Vec<Option<Value>> {
    match value {
        Some(Value::Array(entries)) if !entries.is_empty() => {
            entries.iter().cloned().map(Some).collect()
        }
        other => vec![other.cloned()],
    }
}

/// Puts an axis's entry where a plan of captures has its key.
fn set(table: &mut Table, key: &str, value: Option<Value>) -> Result<(), String> {
    match value {
        None => {}
        Some(Value::Table(entry)) if key == "decode" => {
            table.remove(key);
            for (name, value) in entry {
                match name.as_str() {
                    "tokens" => table.insert(key.to_owned(), value),
                    known if DECODE_KEYS.contains(&known) => table.insert(name, value),
                    other => {
                        return Err(format!(
                            "decode: there is no key '{other}' (known: tokens, {})",
                            DECODE_KEYS.join(", ")
                        ));
                    }
                };
            }
        }
        Some(value) => {
            table.insert(key.to_owned(), value);
        }
    }
    Ok(())
}

fn decode_name(plan: &CapturePlan) -> String {
    let decode = &plan.decode;
    let mut name = decode.max_tokens.to_string();
    if let Some(temperature) = decode.temperature {
        name.push_str(&format!("-t{temperature}"));
    }
    if decode.teacher_forced {
        name.push_str("-forced");
    }
    if decode.ignore_eos {
        name.push_str("-on");
    }
    name
}

/// A name that a file may have, cut where it is long; what was cut away is told apart by the number of `unused`.
fn short(name: &str) -> String {
    let name = file_name(name);
    let name = name.trim_start_matches('.');
    name.chars().take(LONGEST_NAME).collect()
}

/// The folder of a sweep: itself, or the `out` of its plan.
///
/// # Errors
/// A plan that cannot be read.
pub fn folder_of(path: &Path) -> Result<PathBuf> {
    if path.is_dir() {
        return Ok(path.to_owned());
    }
    Ok(SweepFile::read(path)
        .context("neither a sweep's folder nor its plan")?
        .out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::sweep::{SWEEP_FILE, Sweep};

    fn plan(text: &str) -> Result<SweepPlan, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.toml");
        std::fs::write(&path, text).unwrap();
        let file = SweepFile::read(&path).map_err(|error| format!("{error:#}"))?;
        file.plan().map_err(|error| format!("{error:#}"))
    }

    const PLAN: &str =
        "model = ['demo']\ndata = ['demo:samples=3', 'demo:samples=1']\nout = 'runs'\n";

    #[test]
    fn no_damage_of_a_sweep_ends_the_program() {
        let sentence = |error: anyhow::Error| format!("{error:#}");
        let text = format!(
            "{PLAN}windows = [['last:8', 'knorm'], ['last:4']]\nseed = [1, 2]\nsamples-per-task = 2\n\
             decode = [4, {{ tokens = 8, temperature = 0.5 }}]\nbudgets = [64, '10%']\ncompare = 'methods'\n\
             [slurm]\ngpus = 1\nmemory = '8G'\ntime = '01:00:00'\nsetup = ['module load cuda']\n"
        );
        crate::damages::each_is_read_or_refused("plan.toml", &text, |path| {
            SweepFile::read(path).map(drop).map_err(sentence)
        });
        let folder = tempfile::tempdir().unwrap();
        let begun = Sweep::begin(folder.path(), plan(&text).unwrap()).unwrap();
        let json = std::fs::read_to_string(folder.path().join(SWEEP_FILE)).unwrap();
        crate::damages::each_is_read_or_refused(SWEEP_FILE, &json, |path| {
            let sweep = Sweep::open(path.parent().unwrap_or(path)).map_err(sentence)?;
            // no task of it lies outside its folder
            for task in sweep.tasks() {
                assert!(sweep.session(task.cell).starts_with(sweep.sessions()));
            }
            Ok(())
        });
        // more tasks than anybody has room for are not laid out
        let endless = json.replace("\"samples_per_task\": 2", "\"samples_per_task\": 1");
        let endless = endless.replacen("\"samples\": 3", "\"samples\": 1000000000000000000", 1);
        assert!(endless != json, "{json}");
        std::fs::write(folder.path().join(SWEEP_FILE), endless).unwrap();
        let refused = Sweep::open(folder.path()).map(drop).map_err(sentence);
        assert!(refused.unwrap_err().contains("more than"));
        drop(begun);
    }

    #[test]
    fn every_axis_is_gone_through_and_samples_are_cut_into_tasks() {
        let plan = plan(&format!(
            "{PLAN}windows = [['last:8', 'knorm'], ['last:4']]\nseed = [1, 2]\nsamples-per-task = 2\n\
             decode = [4, {{ tokens = 8, temperature = 0.5 }}]\nbudgets = [64, '10%']\n[slurm]\ngpus = 1"
        ))
        .unwrap();
        assert_eq!(plan.cells.len(), 2 * 2 * 2 * 2);
        let last = plan.cells.last().unwrap();
        assert_eq!(last.name, "demo-demo-samples-1-last-4-8-t0.5-seed2");
        assert_eq!(last.plan.windows, ["last:4"]);
        assert_eq!(last.plan.decode.temperature, Some(0.5));
        assert_eq!((last.plan.decode.max_tokens, last.plan.decode.seed), (8, 2));
        assert_eq!(last.axes.windows, "last-4");
        let sweep = crate::jobs::sweep::Sweep {
            folder: "x".into(),
            plan: plan.clone(),
        };
        let parts: Vec<_> = sweep.tasks().iter().map(|task| task.part).collect();
        // three samples in two tasks, one in one, for each of the eight runs
        assert_eq!(parts.len(), 8 * 3);
        assert_eq!((parts[1].first, parts[1].samples, parts[1].of), (2, 1, 3));
        assert_eq!(plan.budgets.len(), 2);
    }

    #[test]
    fn a_plan_of_captures_is_a_sweep_of_whole_cells() {
        let plan = plan(PLAN).unwrap();
        let names: Vec<&str> = plan.cells.iter().map(|cell| cell.name.as_str()).collect();
        assert_eq!(names, ["demo-demo-samples-3", "demo-demo-samples-1"]);
        assert_eq!(plan.cells[0].samples_per_task, 3);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let refused = |more: &str| plan(&format!("{PLAN}{more}")).unwrap_err();
        assert!(refused("samples-per-task = 0").contains("at least 1"));
        assert!(refused("budgets = ['x']").contains("budgets"));
        assert!(refused("decode = [{ token = 4 }]").contains("'token'"));
        assert!(refused("seed = ['a']").contains("the plan"));
        assert!(refused("[slurm]\npartitions = 'x'").contains("partitions"));
        assert!(refused("slurms = 1").contains("'slurm'"));
    }
}
