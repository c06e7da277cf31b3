//! Guided tours: each step sets the views, says what to look at, and lets the reader play on.
//!
//! A lesson is a Markdown file. Its title and aim stand above the first step; a step is a section with its text,
//! what to try, and a block of the same commands that clicks send. A text names no figure of its own: numbers stand
//! in braces and are filled in from what is on the screen, so that they are true of the session that is open.

mod read;

use std::sync::{Arc, OnceLock};

use kvlens_analysis::Metric;

use super::command::Command;
use super::data::Data;
use super::derived::Derived;
use super::state::Choices;
use crate::demo::DEMO_WINDOWS;
pub use read::read_lesson;

/// The lessons that the program brings, in the order of the menu.
const BUILT_IN: [&str; 5] = [
    include_str!("../../help/lessons/1-the-cache.md"),
    include_str!("../../help/lessons/2-the-last-window.md"),
    include_str!("../../help/lessons/3-looking-ahead.md"),
    include_str!("../../help/lessons/4-the-budget.md"),
    include_str!("../../help/lessons/5-the-ceiling.md"),
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
    /// Its steps.
    pub steps: Vec<Step>,
}

/// One step of a lesson.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it is about.
    pub title: String,
    /// What to look at, in Markdown; see [`filled`].
    pub text: String,
    /// Something to try before going on; may be empty.
    pub try_it: String,
    /// What sets the views.
    pub commands: Vec<Command>,
}

/// The lesson that is given, and where in it one is.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenLesson {
    /// The lesson.
    pub lesson: Arc<Lesson>,
    /// Which of its steps.
    pub step: usize,
}

impl OpenLesson {
    /// The place so many steps on, if the lesson has it.
    #[must_use]
    pub fn moved(&self, steps: i32) -> Option<Self> {
        let step = self.step.checked_add_signed(steps as isize)?;
        let lesson = Arc::clone(&self.lesson);
        (step < lesson.steps.len()).then_some(Self { lesson, step })
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

/// Metrics that a text can name together with a window, as in `{recall last:8}`.
const NAMED: [Metric; 3] = [Metric::Recall, Metric::KeptRecall, Metric::HitRate];

/// The text with what is on the screen in the place of `{window}`, `{budget}`, `{tokens}`, `{metric}`, `{value}`
/// (of the window over the selected heads), `{ceiling}` (of the same, where methods are compared), `{needed}`, `{oracle_kept}`, `{window_kept}`,
/// `{layer_head}`, and a metric of a window, such as `{recall last:8}`.
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
    for metric in NAMED {
        let opening = format!("{{{} ", metric.column());
        while let Some((before, after)) = filled.split_once(&opening) {
            let (window, behind) = after.split_once('}').unwrap_or((after, ""));
            let curve = of_window(window).and_then(|bands| bands.band(metric));
            let value = at_budget(curve.map(|band| band.mean.as_slice()));
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
        let first = OpenLesson { lesson, step: 0 };
        assert_eq!(first.moved(-1), None);
        let last = first.moved(steps as i32 - 1).unwrap();
        assert_eq!(last.moved(1), None);
        assert_eq!(last.moved(-1).unwrap().step, steps - 2);
    }
}
