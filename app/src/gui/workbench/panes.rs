//! Which view stands in which pane.

use egui::style::ScrollAnimation;
use egui::{Frame, Margin, Ui, WidgetText};
use egui_tiles::{Behavior, SimplificationOptions, TileId, Tiles, UiResponse};

use crate::gui::command::{Commands, LayoutCommand, ProgramCommand, export_entries};
use crate::gui::layout::Pane;
use crate::gui::views::View;
use crate::gui::views::menu::entry_ui;

use super::picture::remember_place;

pub(super) struct PaneBehavior<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) commands: &'a mut Commands,
    /// The pane whose tab is still to be scrolled into sight.
    pub(super) unseen: Option<Pane>,
}

impl PaneBehavior<'_> {
    /// What can be taken away from a view.
    fn menu_ui(&mut self, ui: &mut Ui, pane: Pane) {
        for entry in export_entries(pane) {
            entry_ui(ui, &entry, self.commands);
        }
    }
}

impl Behavior<Pane> for PaneBehavior<'_> {
    fn pane_ui(&mut self, ui: &mut Ui, _tile: TileId, pane: &mut Pane) -> UiResponse {
        Frame::new().inner_margin(Margin::same(6)).show(ui, |ui| {
            remember_place(ui, *pane);
            pane.view().ui(ui, self.view, self.commands);
        });
        UiResponse::None
    }

    fn tab_title_for_pane(&mut self, pane: &Pane) -> WidgetText {
        pane.title().into()
    }

    /// A click on a tab brings its view to the front as the menu does; the tab of a view that was brought there comes
    /// into sight whole.
    fn on_tab_button(
        &mut self,
        tiles: &mut Tiles<Pane>,
        tile: TileId,
        button: egui::Response,
    ) -> egui::Response {
        let Some(pane) = tiles.get_pane(&tile).copied() else {
            return button;
        };
        if button.clicked() {
            self.commands.send(LayoutCommand::ShowPane(pane));
        }
        if self.unseen == Some(pane) {
            if button.interact_rect.width() < button.rect.width() {
                button.scroll_to_me_animation(None, ScrollAnimation::none());
                button.ctx.request_repaint();
            } else {
                self.unseen = None;
            }
        }
        button
    }

    /// A `?` for the view in front of these tabs.
    fn top_bar_right_ui(
        &mut self,
        tiles: &Tiles<Pane>,
        ui: &mut Ui,
        _tile: TileId,
        tabs: &egui_tiles::Tabs,
        _scroll_offset: &mut f32,
    ) {
        let Some(egui_tiles::Tile::Pane(pane)) = tabs.active.and_then(|tile| tiles.get(tile))
        else {
            return;
        };
        // on the light bar egui's own ground of a button can hardly be seen
        let panel = ui.visuals().panel_fill;
        if !ui.visuals().dark_mode {
            ui.visuals_mut().widgets.inactive.weak_bg_fill = panel;
        }
        let button = ui.small_button("?").on_hover_text("What this view shows");
        let name = format!("Help for {}", pane.title());
        button.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
        if button.clicked() {
            self.commands.send(ProgramCommand::ToggleHelp(Some(*pane)));
        }
        let menu = ui.menu_button("☰", |ui| self.menu_ui(ui, *pane));
        let name = format!("Take away {}", pane.title());
        let menu = menu
            .response
            .on_hover_text("Copy, save or export this view");
        menu.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
    }

    fn is_tab_closable(&self, tiles: &Tiles<Pane>, tile: TileId) -> bool {
        matches!(tiles.get(tile), Some(egui_tiles::Tile::Pane(_)))
    }

    fn simplification_options(&self) -> SimplificationOptions {
        SimplificationOptions {
            all_panes_must_have_tabs: true,
            ..SimplificationOptions::default()
        }
    }
}
