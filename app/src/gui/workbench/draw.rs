//! Where everything stands in the window.

use std::collections::BTreeSet;

use egui::{Context, Rect, Ui};

use super::Workbench;
use super::look::Look;
use super::panes::PaneBehavior;
use super::present::present_ui;
use crate::gui::data::Severity;
use crate::gui::layout::Pane;
use crate::gui::numbers::TableFormat;
use crate::gui::theme::Theme;
use crate::gui::views::View;
use crate::gui::views::browser::Browsed;
use crate::gui::views::budget_bar::budget_bar_ui;
use crate::gui::views::capture::capture_ui;
use crate::gui::views::export::export_ui;
use crate::gui::views::help::help_ui;
use crate::gui::views::lesson::lesson_ui;
use crate::gui::views::menu::menu_ui;
use crate::gui::views::palette::palette_ui;
use crate::gui::views::recipes::recipes_ui;
use crate::gui::views::running::confirmation_ui;
use crate::gui::views::shortcuts::shortcuts_ui;
use crate::gui::views::top_bar::top_bar_ui;
use crate::gui::views::welcome::welcome_ui;

impl Workbench {
    /// Whether the text that is to be scrolled is drawn anew later: of another sample, or larger.
    fn is_text_coming(&self, context: &Context) -> bool {
        let is_zooming = context.cumulative_frame_nr() < self.zoomed_in_frame;
        is_zooming || self.is_deriving() && self.derived.tokens().is_none()
    }

    /// Draws everything; gives where the views stand.
    pub(super) fn draw(&mut self, ui: &mut Ui, look: &Look) -> Rect {
        let presented = self.presented();
        let is_presenting = !presented.is_empty();
        let panes: BTreeSet<Pane> = Pane::all().filter(|pane| self.layout.has(*pane)).collect();
        let scroll_to = match self.is_text_coming(ui.ctx()) {
            true => None,
            false => self.scroll_to.take(),
        };
        let view = View {
            settings: &self.settings,
            data: &self.data,
            derived: &self.derived,
            beside: self
                .data
                .beside
                .as_ref()
                .filter(|beside| beside.shown.is_some())
                .map(|_| &self.derived_beside),
            theme: Theme::of(ui.visuals()),
            panes: &panes,
            hover: &self.hover,
            scroll_to,
            lesson: self.lesson.as_ref(),
            is_lesson_set: self.script.is_empty(),
            can_undo: self.undoer.has_undo(look),
            can_redo: self.undoer.has_redo(look),
        };
        if !self.is_deriving()
            && let Some((pane, format)) = self.numbers_wanted.take()
        {
            let read = pane.view().numbers();
            match read.and_then(|read| read(&view)) {
                Some(table) if format == TableFormat::Html => {
                    self.page_table = Some(table.written(format));
                }
                Some(table) => {
                    ui.ctx().copy_text(table.written(format));
                    let text = match format {
                        TableFormat::Tabs => "Copied; paste into a spreadsheet".to_owned(),
                        format => format!("Copied as {}", format.label()),
                    };
                    self.toasts.push(Severity::Success, text);
                }
                None => {
                    let text = format!("{} has no numbers to copy yet", pane.title());
                    self.toasts.push(Severity::Warning, text);
                }
            }
        }
        let commands = &mut self.commands;
        if !is_presenting {
            egui::Panel::top("menu").show(ui, |ui| menu_ui(ui, &view, commands));
            egui::Panel::top("session").show(ui, |ui| top_bar_ui(ui, &view, commands));
        }
        if let Some(open) = &self.lesson {
            egui::Panel::left("lesson panel")
                .default_size(270.0)
                .size_range(230.0..=480.0)
                .show(ui, |ui| lesson_ui(ui, &view, open, commands));
        } else if !self.settings.hide_capture && !is_presenting {
            egui::Panel::left("capture panel")
                .default_size(240.0)
                .size_range(210.0..=420.0)
                .show(ui, |ui| capture_ui(ui, &view, commands));
        }
        let views = if self.data.session.is_none() {
            let panel = egui::CentralPanel::default();
            panel
                .show(ui, |ui| welcome_ui(ui, &view, commands))
                .response
        } else if is_presenting {
            let panel = egui::CentralPanel::default();
            panel
                .show(ui, |ui| present_ui(ui, &view, &presented, commands))
                .response
        } else {
            egui::Panel::bottom("budget").show(ui, |ui| budget_bar_ui(ui, &view, commands));
            let layout = &mut self.layout;
            let paper = egui::Frame::new().fill(ui.visuals().panel_fill);
            let panel = egui::CentralPanel::no_frame().frame(paper);
            let shown = panel.show(ui, |ui| {
                let mut behavior = PaneBehavior {
                    view: &view,
                    commands,
                    unseen: layout.unseen,
                };
                layout.tree_mut().ui(&mut behavior, ui);
                layout.unseen = behavior.unseen;
            });
            shown.response
        };
        if self.export_open {
            export_ui(ui, &view, commands);
        }
        if self.recipes_open {
            recipes_ui(ui, &view, &self.sessions_folder, commands);
        }
        if self.shortcuts_open {
            shortcuts_ui(ui, commands);
        }
        if let Some(asked) = self.confirmation {
            confirmation_ui(ui.ctx(), asked, commands);
        }
        if let Some(page) = self.help {
            help_ui(ui, page, commands);
        }
        if let Some(browser) = &mut self.browser {
            match browser.show(ui, view.theme) {
                Browsed::Open => {}
                Browsed::Closed => self.browser = None,
                Browsed::Chosen(purpose, path) => {
                    self.browser = None;
                    self.chosen_paths.push((purpose, path));
                }
            }
        }
        if let Some(palette) = &mut self.palette {
            palette_ui(ui, &view, palette, commands);
        }
        views.rect
    }
}
