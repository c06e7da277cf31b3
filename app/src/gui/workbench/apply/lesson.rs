//! What commands about lessons do.

use std::path::Path;
use std::sync::Arc;

use super::Workbench;
use crate::gui::command::LessonCommand;
use crate::gui::data::Severity;
use crate::gui::dialogs::Purpose;
use crate::gui::layout::{Layout, Preset};
use crate::gui::lessons::{Lesson, OpenLesson, fits, lessons, read_lesson};

impl Workbench {
    pub(super) fn apply_lesson(&mut self, command: LessonCommand, context: &egui::Context) {
        match command {
            LessonCommand::StartLesson(number) => {
                if let Some(lesson) = lessons().get(number) {
                    self.begin_lesson(Arc::clone(lesson));
                }
            }
            LessonCommand::StepLesson(steps) => {
                if let Some(open) = self.lesson.clone() {
                    self.step_lesson(open, steps);
                }
            }
            LessonCommand::Predict(choice) => {
                if let Some(open) = self.lesson.clone().filter(|open| open.asks().is_some()) {
                    self.show_lesson(open.with_prediction(choice));
                }
            }
            LessonCommand::CloseLesson => self.leave_lesson(),
            LessonCommand::AskForLesson => self.dialogs.ask(Purpose::Lesson, "", context),
            LessonCommand::OpenLesson(path) => self.read_lesson(&path),
        }
    }

    fn read_lesson(&mut self, path: &Path) {
        match read_lesson(path) {
            Ok(lesson) => self.begin_lesson(Arc::new(lesson)),
            Err(error) => self.note(Severity::Error, format!("{error:#}")),
        }
    }

    /// A lesson stands in the places for a class from its first frame on, also while it asks or captures; where the
    /// panes stood before comes back when it ends.
    fn begin_lesson(&mut self, lesson: Arc<Lesson>) {
        let before = std::mem::replace(&mut self.layout, Layout::of(Preset::Teach));
        self.layout_before_lesson.get_or_insert(before);
        self.forget_written_layout();
        self.show_lesson(OpenLesson::begin(lesson));
    }

    /// Ends the lesson, if one is given.
    pub(super) fn leave_lesson(&mut self) {
        self.lesson = None;
        if let Some(layout) = self.layout_before_lesson.take() {
            self.layout = layout;
            self.forget_written_layout();
        }
    }

    fn step_lesson(&mut self, open: OpenLesson, steps: i32) {
        if steps > 0 && open.asks().is_some() {
            self.show_lesson(open.with_prediction(None));
        } else if let Some(place) = open.moved(steps) {
            self.show_lesson(place);
        } else if steps > 0
            && let Some(next) = open.next_lesson()
        {
            self.begin_lesson(Arc::clone(next));
        }
    }

    /// Sets the views of a step, unless it asks for a prediction first; captures the prompts of the built-in model
    /// before if the lesson is given on them.
    fn show_lesson(&mut self, place: OpenLesson) {
        let Some(step) = place.lesson.steps.get(place.step) else {
            return;
        };
        self.script.clear();
        match place.asks() {
            None => self.script.extend(step.commands.iter().cloned()),
            // a question that comes first is asked over the views of the lesson, and not over what was there before
            Some(_) if place.step == 0 => self.script.extend(place.lesson.setup.iter().cloned()),
            Some(_) => {}
        }
        if !fits(&place.lesson, &self.data) {
            self.capture_demo();
        }
        self.lesson = Some(place);
    }
}
