//! Lessons.

use std::path::PathBuf;

use egui::{Key, Modifiers};
use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, EnumIter, IntoStaticStr};

use super::entry::{Entry, Menu, Offer};
use crate::gui::lessons::lessons;
use crate::gui::views::View;

/// A command about lessons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, EnumDiscriminants)]
#[strum_discriminants(name(LessonKind), derive(EnumIter, IntoStaticStr))]
pub enum LessonCommand {
    /// Begin a lesson, by its number in the menu.
    StartLesson(usize),
    /// Go so many steps on in it, or set the views of the same step again. Forward shows first what the step asks one
    /// to predict, and leads from the last step to the next lesson.
    StepLesson(i32),
    /// Predict what the step shows, by the number of the choice; without one it is shown without a guess.
    Predict(Option<usize>),
    /// End it.
    CloseLesson,
    /// Ask for the file of a lesson of one's own.
    AskForLesson,
    /// Begin a lesson of one's own: a folder with a `lesson.md`, or such a file.
    OpenLesson(PathBuf),
}

impl LessonKind {
    /// What menus and palette offer of it.
    pub(super) fn offer(self, view: &View<'_>) -> Offer {
        let is_open = view.lesson.is_some();
        match self {
            Self::StartLesson => Offer::each(lessons().iter().enumerate(), |(number, lesson)| {
                Entry::new(lesson.title.clone(), LessonCommand::StartLesson(number))
                    .of("Lesson")
                    .menu(Menu::Help, 0)
                    .submenu("Lessons")
            }),
            Self::StepLesson => Offer::each(
                [
                    ("Lesson: back", -1),
                    ("Lesson: show again", 0),
                    ("Lesson: next", 1),
                ],
                |(text, steps)| {
                    let entry =
                        Entry::new(text, LessonCommand::StepLesson(steps)).possible_if(is_open);
                    match steps {
                        // also the keys of a presenter's remote control
                        1 => entry.key(Modifiers::NONE, Key::PageDown),
                        -1 => entry.key(Modifiers::NONE, Key::PageUp),
                        _ => entry,
                    }
                },
            ),
            Self::Predict => Offer::Elsewhere("the choices stand in the step that asks"),
            Self::CloseLesson => Offer::one(
                Entry::new("End the lesson", LessonCommand::CloseLesson).possible_if(is_open),
            ),
            Self::AskForLesson => Offer::one(
                Entry::new("Open a lesson", LessonCommand::AskForLesson)
                    .help("A Markdown file with steps and the commands that set the views")
                    .asks()
                    .menu(Menu::Help, 0),
            ),
            Self::OpenLesson => Offer::one(
                Entry::typed("Open lesson", "my-lesson", |path| {
                    LessonCommand::OpenLesson(path).into()
                })
                .menu(Menu::Help, 0),
            ),
        }
    }
}
