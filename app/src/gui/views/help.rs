//! Help: what a view shows and how to read it, and the glossary.

use egui::{Id, ScrollArea, TextEdit, Ui, Window};

use crate::gui::command::{Commands, ProgramCommand};
use crate::gui::glossary;
use crate::gui::layout::Pane;
use crate::gui::markdown::{Section, sections};
use crate::gui::widgets::first_focus::is_opening;
use crate::gui::widgets::markdown::markdown;

/// What help is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelpPage {
    /// Of a view.
    Pane(Pane),
    /// Every term.
    Glossary,
}

/// The heading above the terms of a page.
const TERMS: &str = "Terms";

/// Draws the open page in a window of its own.
pub fn help_ui(ui: &Ui, page: HelpPage, commands: &mut Commands) {
    let mut open = true;
    let title = match page {
        HelpPage::Pane(pane) => format!("Help: {}", pane.title()),
        HelpPage::Glossary => "Glossary".to_owned(),
    };
    Window::new(title)
        .open(&mut open)
        .collapsible(false)
        .default_width(440.0)
        .default_height(420.0)
        .anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO)
        .show(ui.ctx(), |ui| {
            let found = match page {
                HelpPage::Pane(_) => Vec::new(),
                HelpPage::Glossary => search_ui(ui),
            };
            ScrollArea::vertical()
                .auto_shrink(false)
                .max_height(480.0)
                .show(ui, |ui| match page {
                    HelpPage::Pane(pane) => pane_ui(ui, pane),
                    HelpPage::Glossary if found.is_empty() => {
                        ui.weak("No term has these words");
                    }
                    HelpPage::Glossary => sections_ui(ui, &found),
                });
        });
    if !open {
        commands.send(ProgramCommand::ToggleHelp(page_of(page)));
    }
}

/// The pane of a page; none for the glossary.
fn page_of(page: HelpPage) -> Option<Pane> {
    match page {
        HelpPage::Pane(pane) => Some(pane),
        HelpPage::Glossary => None,
    }
}

/// A field that has the keyboard as soon as the page opens; gives the terms that have what is typed.
fn search_ui(ui: &mut Ui) -> Vec<Section<'static>> {
    let id = Id::unique("search in the glossary");
    let is_opening = is_opening(ui.ctx(), id);
    let typed = ui.data(|data| data.get_temp::<String>(id));
    let mut words = typed.filter(|_| !is_opening).unwrap_or_default();
    let field = TextEdit::singleline(&mut words)
        .hint_text("Search terms and texts")
        .desired_width(f32::INFINITY);
    let field = ui.add(field);
    field.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Search the glossary")
    });
    if is_opening {
        field.request_focus();
    }
    let found = glossary::found(&words);
    ui.data_mut(|data| data.insert_temp(id, words));
    found
}

fn pane_ui(ui: &mut Ui, pane: Pane) {
    let (_, mut page) = sections(pane.view().help());
    page.retain(|section| section.heading != TERMS);
    sections_ui(ui, &page);
    let terms = terms_of(pane);
    if !terms.is_empty() {
        ui.separator();
        let known = terms.into_iter().filter_map(glossary::term);
        sections_ui(ui, &known.collect::<Vec<_>>());
    }
}

fn sections_ui(ui: &mut Ui, sections: &[Section<'_>]) {
    for section in sections {
        markdown(ui, section.whole);
    }
}

/// The terms that a view's page links to.
fn terms_of(pane: Pane) -> Vec<&'static str> {
    let (_, page) = sections(pane.view().help());
    let list = page.into_iter().find(|section| section.heading == TERMS);
    let lines = list.map_or("", |list| list.body).lines();
    let name = |line: &'static str| Some(line.strip_prefix("- [")?.split_once("](")?.0);
    lines.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_is_explained_with_terms_that_there_are() {
        for pane in Pane::all() {
            let (_, page) = sections(pane.view().help());
            for heading in ["What it shows", "How to read it"] {
                let mut page = page.iter();
                assert!(page.any(|it| it.heading == heading), "{pane:?}: {heading}");
            }
            for name in terms_of(pane) {
                assert!(glossary::term(name).is_some(), "{pane:?}: {name}");
            }
        }
        assert_eq!(terms_of(Pane::SAMPLES), ["decode stage"]);
    }
}
