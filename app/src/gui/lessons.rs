//! Guided tours: each step sets the views, says what to look at, and lets the reader play on.
//!
//! A lesson is a Markdown file. Its title and aim stand above the first step; a step is a section with its text,
//! what to try, and a block of the same commands that clicks send. A text names no figure of its own: numbers stand
//! in braces and are filled in from what is on the screen, so that they are true of the session that is open.

mod read;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use kvlens_analysis::Metric;

use super::command::Command;
use super::data::Data;
use super::derived::Derived;
use super::derived::queries::QueryLine;
use super::questions::fidelity::FidelityPoint;
use super::state::Choices;
use crate::demo::DEMO_WINDOWS;
pub use read::read_lesson;

/// The lessons that the program brings, in the order of the menu.
const BUILT_IN: [&str; 7] = [
    include_str!("../../help/lessons/1-the-cache.md"),
    include_str!("../../help/lessons/2-the-last-window.md"),
    include_str!("../../help/lessons/3-looking-ahead.md"),
    include_str!("../../help/lessons/4-the-budget.md"),
    include_str!("../../help/lessons/5-the-ceiling.md"),
    include_str!("../../help/lessons/6-the-answer.md"),
    include_str!("../../help/lessons/7-position.md"),
];

/// A lesson.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// Its title.
    pub title: String,
    /// What one knows after it.
    pub aim: String,
    /// Whether it is given on the built-in model's prompts, which are captured first.
    pub needs_demo: bool,
    /// What sets the views before every step, and before a question that comes first.
    pub setup: Vec<Command>,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// One step of a lesson.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it is about.
    pub title: String,
    /// What is asked before the views are shown.
    pub prediction: Option<Prediction>,
    /// What to look at, in Markdown; see [`filled`].
    pub text: String,
    /// Something to try before going on; may be empty.
    pub try_it: String,
    /// What sets the views.
    pub commands: Vec<Command>,
}

/// A question about what the step is going to show.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The question, in Markdown.
    pub question: String,
    /// What can be answered.
    pub choices: Vec<String>,
    /// Which of them is right; a test holds it against the numbers.
    pub right: usize,
}

/// The lesson that is given, and where in it one is.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenLesson {
    /// The lesson.
    pub lesson: Arc<Lesson>,
    /// Which of its steps.
    pub step: usize,
    /// What was predicted, by step; none where the step was shown without a guess.
    pub predicted: BTreeMap<usize, Option<usize>>,
}

impl OpenLesson {
    /// The first step of a lesson.
    #[must_use]
    pub fn begin(lesson: Arc<Lesson>) -> Self {
        Self {
            lesson,
            step: 0,
            predicted: BTreeMap::new(),
        }
    }

    /// What has to be predicted before the step is shown.
    #[must_use]
    pub fn asks(&self) -> Option<&Prediction> {
        let step = self.lesson.steps.get(self.step)?;
        let is_open = !self.predicted.contains_key(&self.step);
        step.prediction.as_ref().filter(|_| is_open)
    }

    /// The same with a prediction for this step.
    #[must_use]
    pub fn with_prediction(mut self, choice: Option<usize>) -> Self {
        self.predicted.insert(self.step, choice);
        self
    }

    /// The lesson of the program after this one.
    #[must_use]
    pub fn next_lesson(&self) -> Option<&'static Arc<Lesson>> {
        let all = lessons();
        let place = all.iter().position(|known| *known == self.lesson)?;
        all.get(place + 1)
    }

    /// The place so many steps on, if the lesson has it.
    #[must_use]
    pub fn moved(&self, steps: i32) -> Option<Self> {
        let step = self.step.checked_add_signed(steps as isize)?;
        (step < self.lesson.steps.len()).then(|| Self {
            step,
            ..self.clone()
        })
    }
}

/// The lessons that the program brings.
#[must_use]
pub fn lessons() -> &'static [Arc<Lesson>] {
    static LESSONS: OnceLock<Vec<Arc<Lesson>>> = OnceLock::new();
    LESSONS.get_or_init(|| {
        // a test holds that each of them can be read
        let read = BUILT_IN.iter().filter_map(|text| Lesson::parse(text).ok());
        read.map(Arc::new).collect()
    })
}

/// The first built-in prompts: the same facts with the question at the end and at the start.
const DEMO_SAMPLES: [&str; 2] = ["facts-512-end-0", "facts-512-start-0"];

/// Whether the lesson can be given on what is open.
#[must_use]
pub fn fits(lesson: &Lesson, data: &Data) -> bool {
    !lesson.needs_demo || shows_demo(data)
}

fn shows_demo(data: &Data) -> bool {
    let Some(session) = &data.session else {
        return false;
    };
    let Some(shown) = &session.shown else {
        return false;
    };
    let has = |label: &&str| {
        let mut windows = shown.sample.windows.iter();
        windows.any(|window| window.label == **label)
    };
    let ids = session.info.samples.iter().map(|row| row.id.as_str());
    let are_demo = ids.take(DEMO_SAMPLES.len()).eq(DEMO_SAMPLES);
    session.info.model == "demo" && are_demo && DEMO_WINDOWS.iter().all(has)
}

/// What a window has of something; none where it is not known.
type OfWindow = fn(&Derived, &str) -> Option<String>;

/// What a text can name together with a window, as in `{recall last:8}`: metrics at the budget, means over the selected
/// heads; of the evictions that were measured of the sample on show, at the smallest budget, the KL divergence in nats
/// and what the model then says (also of `full`); the mean cosine of the window's queries with the decode stage's.
const NAMED: [(&str, OfWindow); 7] = [
    ("recall", |derived, window| {
        at_budget(derived, window, Metric::Recall)
    }),
    ("kept_recall", |derived, window| {
        at_budget(derived, window, Metric::KeptRecall)
    }),
    ("hit_rate", |derived, window| {
        at_budget(derived, window, Metric::HitRate)
    }),
    ("kl", |derived, window| {
        evicted(derived, window).map(|point| format!("{:.2}", point.figures.fidelity.kl))
    }),
    ("says", |derived, window| {
        evicted(derived, window).map(|point| point.generated.trim().to_owned())
    }),
    ("cosine_before", |derived, window| {
        let line = queries_of(derived, window)?;
        line.before
            .as_ref()
            .map(|cosines| format!("{:.2}", cosines.selected.mean))
    }),
    ("cosine_after", |derived, window| {
        queries_of(derived, window).map(|line| format!("{:.2}", line.after.selected.mean))
    }),
];

fn at_budget(derived: &Derived, window: &str, metric: Metric) -> Option<String> {
    let mut bands = derived.bands().iter();
    let band = bands.find(|known| known.label == window)?.band(metric)?;
    let value = band.mean.get(derived.budget_index)?;
    Some(format!("{value:.2}"))
}

fn evicted<'a>(derived: &'a Derived, window: &str) -> Option<&'a FidelityPoint> {
    let points = derived.fidelity()?.of_shown.iter();
    points
        .filter(|point| point.label == window)
        .min_by_key(|point| point.budget_tokens)
}

fn queries_of<'a>(derived: &'a Derived, window: &str) -> Option<&'a QueryLine> {
    let mut lines = derived.queries()?.lines.iter();
    lines.find(|line| line.label == window && line.intervention.is_none())
}

/// The text with what is on the screen in the place of `{window}`, `{budget}`, `{tokens}`, `{metric}`, `{value}`
/// (of the window over the selected heads), `{ceiling}` (of the same, where methods are compared), `{needed}`, `{oracle_kept}`, `{window_kept}`,
/// `{layer_head}`, and what a window has of something, such as `{recall last:8}`: see `NAMED`.
#[must_use]
pub fn filled(text: &str, derived: &Derived, choices: &Choices) -> String {
    let evidence = derived.evidence();
    let window = derived.window.as_deref().unwrap_or("the window");
    let of_window = |window: &str| {
        let mut bands = derived.bands().iter();
        bands.find(|known| known.label == window)
    };
    let bands = of_window(window);
    let at_budget = |values: Option<&[f64]>| {
        let value = values.and_then(|values| values.get(derived.budget_index));
        value.map_or("…".to_owned(), |value| format!("{value:.2}"))
    };
    let curve = bands.and_then(|bands| bands.band(choices.metric));
    let value = at_budget(curve.map(|band| band.mean.as_slice()));
    let ceiling = at_budget(bands.and_then(|bands| bands.ceiling(choices.metric)));
    let head = choices.primary_head();
    let fields = [
        ("{window}", window.to_owned()),
        ("{budget}", derived.budget_tokens().to_string()),
        (
            "{tokens}",
            derived
                .tokens()
                .map_or(0, |tokens| tokens.len())
                .to_string(),
        ),
        ("{metric}", choices.metric.label().to_owned()),
        ("{value}", value),
        ("{ceiling}", ceiling),
        ("{needed}", evidence.needed.to_string()),
        ("{oracle_kept}", evidence.oracle.to_string()),
        ("{window_kept}", evidence.window.to_string()),
        (
            "{layer_head}",
            head.map_or("all heads".to_owned(), |head| {
                format!("layer {}, head {}", head.layer, head.head)
            }),
        ),
    ];
    let mut filled = text.to_owned();
    for (field, value) in fields {
        filled = filled.replace(field, &value);
    }
    for (opening, read) in NAMED {
        while let Some((before, after)) = filled.split_once(&format!("{{{opening} ")) {
            let (window, behind) = after.split_once('}').unwrap_or((after, ""));
            let value = read(derived, window).unwrap_or_else(|| "…".to_owned());
            filled = format!("{before}{value}{behind}");
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lesson_can_be_read_and_every_field_of_every_step_is_known() {
        let (derived, choices) = (Derived::default(), Choices::default());
        for text in BUILT_IN {
            let lesson = Lesson::parse(text).unwrap();
            assert!(
                lesson.needs_demo && !lesson.aim.is_empty(),
                "{}",
                lesson.title
            );
            for step in &lesson.steps {
                assert!(!step.commands.is_empty() && !step.try_it.is_empty());
                for text in [&step.text, &step.try_it] {
                    let text = filled(text, &derived, &choices);
                    assert!(!text.contains(['{', '}']), "{}: {text}", step.title);
                }
            }
        }
        assert_eq!(lessons().len(), BUILT_IN.len());
    }

    #[test]
    fn one_cannot_leave_a_lesson_by_its_ends() {
        let lesson = Arc::clone(&lessons()[0]);
        let steps = lesson.steps.len();
        let first = OpenLesson::begin(lesson);
        assert_eq!(first.moved(-1), None);
        let last = first.moved(steps as i32 - 1).unwrap();
        assert_eq!(last.moved(1), None);
        assert_eq!(last.moved(-1).unwrap().step, steps - 2);
    }
}
