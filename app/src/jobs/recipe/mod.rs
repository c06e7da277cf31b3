//! A paper's table from one request: capture, measure, draw, and a page that holds what was published beside what was
//! measured here.

mod differences;
mod ingredients;
mod numbers;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use kvlens_analysis::Metric;
use kvlens_analysis::profile::ProfileNumber;
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, ModelSource};
use kvlens_sessions::{CapturePlan, DecodePlan, Session, StartMode};
use minijinja::{Environment, context};

use super::capture::{CaptureRequest, run as capture};
use super::failure::Failure;
use super::figure::{FigureRequest, WidthChoice, command_line, draw};
use super::measure::{DEFAULT_SWEEP, MeasureRequest, Pairs, run as measure};
use super::models::Models;
use super::{Cancel, Watch};
use crate::measurement::decode_eviction::USUAL_EVERY;
use differences::of_differences;
use ingredients::{Recipe, RecipeFigure, find};
use numbers::{Number, markdown, of_agreement, of_figure};

pub use ingredients::recipes;

/// The format of figures where none is asked for.
pub const DEFAULT_FORMAT: &str = "svg";

/// Size of the figures' text in points.
const FONT_SIZE: f64 = 7.0;

/// A recipe with what it shall be made of.
#[derive(Clone, Debug)]
pub struct RecipeRequest {
    /// One of the program's, or the file of another.
    pub name: String,
    /// The model.
    pub model: ModelSource,
    /// Prompts in place of the recipe's.
    pub data: Vec<String>,
    /// Wrap prompts in the model's chat template.
    pub chat: bool,
    /// Where it runs.
    pub device: DeviceChoice,
    /// Its number format.
    pub dtype: DtypeChoice,
    /// `svg`, `pdf` or `png`.
    pub format: String,
    /// The folder for everything.
    pub out: PathBuf,
    /// Go on in a folder that is there with what an earlier run captured; tables, figures and page are made anew.
    pub resume: bool,
}

impl RecipeRequest {
    /// Refuses what can be refused without the model.
    ///
    /// # Errors
    /// A recipe, windows or prompts that are not understood; an output that is there and not to be gone on with.
    pub fn check(&self) -> Result<()> {
        let (recipe, _) = find(&self.name)?;
        if self.out.exists() && !self.resume {
            return Err(Failure::BadInput(format!(
                "the output is already there; give another --out, or --resume to go on with what was captured: {}",
                self.out.display()
            ))
            .into());
        }
        self.capture(&recipe).check()
    }

    fn capture(&self, recipe: &Recipe) -> CaptureRequest {
        let data = match self.data.is_empty() {
            true => recipe.data.clone(),
            false => self.data.clone(),
        };
        CaptureRequest {
            plan: CapturePlan {
                windows: recipe.windows.clone(),
                decode: DecodePlan {
                    max_tokens: recipe.decode_tokens,
                    ..DecodePlan::default()
                },
                chat: self.chat,
                device: self.device,
                dtype: self.dtype,
                repeat_cost: recipe.repeat_cost,
                ..CapturePlan::plain(self.model.clone(), data)
            },
            prompts: None,
            out: self.out.join("session.kvlens"),
            start: match self.resume {
                true => StartMode::Resume,
                false => StartMode::New,
            },
        }
    }

    fn tables(&self) -> PathBuf {
        self.out.join("tables")
    }

    fn measurement(&self, recipe: &Recipe) -> MeasureRequest {
        MeasureRequest {
            options: recipe.options,
            head_tests: false,
            metric: recipe
                .differences
                .first()
                .map_or(Metric::Recall, |table| table.metric),
            pairs: match recipe.differences.is_empty() {
                true => Pairs::First,
                false => Pairs::All,
            },
            ..MeasureRequest::new(
                vec![self.capture(recipe).out],
                self.tables(),
                recipe.budgets.clone(),
            )
        }
    }

    fn figure(&self, recipe: &Recipe, figure: &RecipeFigure) -> Result<FigureRequest> {
        let first = recipe.budgets.first().copied();
        let budget = figure.budget.or(first);
        Ok(FigureRequest {
            sessions: vec![self.capture(recipe).out],
            kind: figure.kind,
            out: self.out.join(format!("{}.{}", figure.name, self.format)),
            samples: Vec::new(),
            windows: figure.windows.clone(),
            against: None,
            layers: Vec::new(),
            heads: Vec::new(),
            budget: budget
                .with_context(|| format!("the figure '{}' has no budget", figure.name))?,
            metric: figure.metric,
            profile: ProfileNumber::default(),
            margin: None,
            width: WidthChoice::Single,
            font_size: FONT_SIZE,
            range: None,
            sweep: DEFAULT_SWEEP,
            rank_every: USUAL_EVERY,
            options: recipe.options,
            typed: Vec::new(),
        })
    }

    /// The command that does the same.
    #[must_use]
    pub fn command(&self) -> String {
        let mut words = vec!["recipe".to_owned(), self.name.clone()];
        words.extend(["--model".to_owned(), self.model.to_string()]);
        if !self.data.is_empty() {
            words.push("--data".to_owned());
            words.extend(self.data.clone());
        }
        if self.chat {
            words.push("--chat".to_owned());
        }
        if self.device != DeviceChoice::Auto {
            words.extend(["--device".to_owned(), self.device.to_string()]);
        }
        if self.dtype != DtypeChoice::Auto {
            words.extend(["--dtype".to_owned(), self.dtype.to_string()]);
        }
        if self.format != DEFAULT_FORMAT {
            words.extend(["--format".to_owned(), self.format.clone()]);
        }
        words.extend(["--out".to_owned(), self.out.display().to_string()]);
        command_line(&words)
    }
}

/// Captures, measures, draws, and writes the page; gives its file. What was captured stays after a failure.
///
/// # Errors
/// Bad input; what any of these jobs refuses; [`Failure::Interrupted`] after a cancel; a page that cannot be written;
/// behind the page, samples that could not be read.
pub fn run(
    request: &RecipeRequest,
    models: &mut Models,
    watch: &mut dyn Watch,
    cancel: &Cancel,
) -> Result<PathBuf> {
    request.check()?;
    let (recipe, page) = find(&request.name)?;
    let captured = capture(&request.capture(&recipe), models, watch, cancel)?;
    if captured.failed > 0 {
        watch.note(&format!(
            "warning: {} samples could not be captured and are in no number",
            captured.failed
        ));
    }
    let measured = measure(&request.measurement(&recipe), watch, cancel)?;
    let mut tables: BTreeMap<&str, Vec<Number>> = BTreeMap::new();
    let (mut files, mut captions) = (BTreeMap::new(), BTreeMap::new());
    for figure in &recipe.figures {
        let drawn = draw(&request.figure(&recipe, figure)?, watch, cancel)?;
        tables.insert(&figure.name, of_figure(&drawn, figure.kind));
        captions.insert(figure.name.as_str(), drawn.caption);
        files.insert(
            figure.name.as_str(),
            format!("{}.{}", figure.name, request.format),
        );
    }
    for agreement in &recipe.agreements {
        let numbers = of_agreement(&request.tables(), agreement)?;
        tables.insert(&agreement.name, numbers);
    }
    let mut tables: BTreeMap<&str, String> = tables
        .into_iter()
        .map(|(name, numbers)| (name, markdown(name, &numbers, &recipe.published)))
        .collect();
    for differences in &recipe.differences {
        let table = of_differences(&request.tables(), differences, &recipe.budgets)?;
        tables.insert(&differences.name, table);
    }
    let session = Session::open(&request.capture(&recipe).out)?;
    let text = Environment::new()
        .render_str(
            &page,
            context! {
                title => &recipe.title,
                run => run_sentence(&recipe, &session),
                samples => session.sample_count(),
                caution => caution(request, &session),
                tables => tables,
                files => files,
                captions => captions,
            },
        )
        .map_err(|error| {
            Failure::BadInput(format!("the page of '{}' is none: {error}", request.name))
        })?;
    let path = request.out.join("page.md");
    let about = format!(
        "{text}\n\n`{}` wrote this page, the figures with their numbers, `tables/` and the session (kvlens {}).\n",
        request.command(),
        env!("CARGO_PKG_VERSION")
    );
    fs::write(&path, about)
        .with_context(|| format!("the page cannot be written: {}", path.display()))?;
    let said = format!("the page is of the others: {}", path.display());
    measured.left_out.refuse(&said)?;
    Ok(path)
}

/// What was run.
fn run_sentence(recipe: &Recipe, session: &Session) -> String {
    let plan = &session.manifest().plan;
    let data: Vec<String> = plan.data.iter().map(|data| format!("`{data}`")).collect();
    format!(
        "model `{}`, {} prompts ({}), up to {} greedy decode steps. {}",
        session.manifest().model.name,
        session.sample_count(),
        data.join(", "),
        plan.decode.max_tokens,
        recipe.options.compared()
    )
}

/// What no reader shall take from the page.
fn caution(request: &RecipeRequest, session: &Session) -> String {
    let few = format!(
        "With {} prompts of few kinds, intervals are over these prompts and tell nothing of others.",
        session.sample_count()
    );
    match request.model {
        ModelSource::Demo => format!(
            "The built-in model has about a million parameters and was trained on texts of this kind: its numbers say \
             nothing of a real model, neither in size nor in order. {few}"
        ),
        _ => few,
    }
}
