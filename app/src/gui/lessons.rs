//! Guided tours on the built-in model: each step sets the views, says what to look at, and lets the reader play on.
//!
//! A step is a list of the same commands that clicks send. Its text names no figure of its own: numbers stand in
//! braces and are filled in from what is on the screen, so that they are true of the session that is open.

mod content;

use serde::{Deserialize, Serialize};

use super::command::Command;
use super::data::Data;
use super::derived::Derived;
use super::state::Choices;
use crate::demo::DEMO_WINDOWS;
pub use content::lessons;

/// A tour.
pub struct Lesson {
    /// Its title.
    pub title: &'static str,
    /// What one knows after it.
    pub aim: &'static str,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// One step of a tour.
pub struct Step {
    /// What it is about.
    pub title: &'static str,
    /// What to look at; see [`filled`].
    pub text: &'static str,
    /// Something to try before going on.
    pub try_it: &'static str,
    /// What sets the views.
    pub commands: Vec<Command>,
}

/// Where one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LessonPlace {
    /// Which tour.
    pub lesson: usize,
    /// Which of its steps.
    pub step: usize,
}

impl LessonPlace {
    /// The place so many steps on, if the tour has it.
    #[must_use]
    pub fn moved(self, steps: i32) -> Option<Self> {
        let step = self.step.checked_add_signed(steps as isize)?;
        let lesson = lessons().into_iter().nth(self.lesson)?;
        (step < lesson.steps.len()).then_some(Self { step, ..self })
    }
}

/// The first built-in prompts: the same facts with the question at the end and at the start.
const DEMO_SAMPLES: [&str; 2] = ["facts-512-end-0", "facts-512-start-0"];

/// Whether the open session is one that the tours can be given on.
#[must_use]
pub fn fits(data: &Data) -> bool {
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

/// The text with what is on the screen in the place of `{window}`, `{budget}`, `{tokens}`, `{metric}`, `{value}`
/// (of the window over the selected heads), `{needed}`, `{oracle_kept}`, `{window_kept}` and `{layer_head}`.
#[must_use]
pub fn filled(text: &str, derived: &Derived, choices: &Choices) -> String {
    let evidence = derived.evidence();
    let window = derived.window.as_deref().unwrap_or("the window");
    let bands = derived.bands().iter();
    let value = bands
        .filter(|known| known.label == window)
        .find_map(|known| {
            known
                .band(choices.metric)?
                .mean
                .get(derived.budget_index)
                .copied()
        });
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
        (
            "{value}",
            value.map_or("…".to_owned(), |value| format!("{value:.2}")),
        ),
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
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_every_step_is_known() {
        let (derived, choices) = (Derived::default(), Choices::default());
        for lesson in lessons() {
            assert!(!lesson.steps.is_empty(), "{}", lesson.title);
            for step in &lesson.steps {
                for text in [step.text, step.try_it] {
                    let text = filled(text, &derived, &choices);
                    assert!(!text.contains(['{', '}']), "{}: {text}", step.title);
                }
            }
        }
    }

    #[test]
    fn one_cannot_leave_a_tour_by_its_ends() {
        let first = LessonPlace { lesson: 0, step: 0 };
        assert_eq!(first.moved(-1), None);
        let steps = lessons()[0].steps.len();
        let last = first.moved(steps as i32 - 1).unwrap();
        assert_eq!(last.moved(1), None);
        assert_eq!(last.moved(-1).unwrap().step, steps - 2);
    }
}
