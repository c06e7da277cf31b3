//! Where the views stand, and in which colours.

use egui::{Key, Modifiers};
use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, EnumIter, IntoStaticStr};

use super::entry::{Entry, Mark, Menu, Offer};
use crate::gui::layout::{Pane, Preset};
use crate::gui::state::ThemeChoice;
use crate::gui::views::View;

/// A command about the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, EnumDiscriminants)]
#[strum_discriminants(name(LayoutKind), derive(EnumIter, IntoStaticStr))]
pub enum LayoutCommand {
    /// Show or fold away the capture panel.
    ToggleCapturePanel,
    /// Show or close a pane.
    TogglePane(Pane),
    /// Bring a pane to the front.
    ShowPane(Pane),
    /// Put the panes where a kind of work wants them.
    UsePreset(Preset),
    /// Put every pane back into its place.
    ResetLayout,
    /// Light or dark.
    SetTheme(ThemeChoice),
    /// Begin or end the presentation: one or two views, large, and nothing else.
    TogglePresentation,
    /// Draw everything so many steps larger; as it is drawn at first for none.
    Zoom(i32),
}

impl LayoutKind {
    /// What menus and palette offer of it.
    pub(super) fn offer(self, view: &View<'_>) -> Offer {
        match self {
            Self::ToggleCapturePanel => Offer::one(
                Entry::new("Capture panel", LayoutCommand::ToggleCapturePanel)
                    .key(Modifiers::COMMAND, Key::B)
                    .menu(Menu::View, 0)
                    .mark(Mark::Tick(!view.settings.hide_capture)),
            ),
            Self::TogglePane => Offer::each(Pane::all(), |pane| {
                Entry::new(pane.title(), LayoutCommand::TogglePane(pane))
                    .of("Hide")
                    .menu(Menu::View, 0)
                    .mark(Mark::Tick(view.panes.contains(&pane)))
                    .in_palette_if(view.panes.contains(&pane))
            }),
            Self::ShowPane => Offer::each(Pane::all(), |pane| {
                Entry::new(pane.title(), LayoutCommand::ShowPane(pane)).of("Show")
            }),
            Self::UsePreset => Offer::each(Preset::ALL, |preset| {
                Entry::new(preset.title(), LayoutCommand::UsePreset(preset))
                    .of("Layout")
                    .menu(Menu::View, 1)
                    .submenu("Layout")
            }),
            Self::ResetLayout => Offer::one(
                Entry::new("Reset layout", LayoutCommand::ResetLayout).menu(Menu::View, 1),
            ),
            Self::SetTheme => Offer::each(ThemeChoice::ALL, |theme| {
                Entry::new(theme.label(), LayoutCommand::SetTheme(theme))
                    .of("Theme")
                    .menu(Menu::View, 2)
                    .submenu("Theme")
                    .mark(Mark::Radio(view.settings.theme == theme))
            }),
            Self::TogglePresentation => Offer::one(
                Entry::new("Present", LayoutCommand::TogglePresentation)
                    .help("The views of the lesson's step, or the first ones in sight, large and alone")
                    .key(Modifiers::NONE, Key::F5)
                    .menu(Menu::View, 2),
            ),
            Self::Zoom => Offer::each(
                [
                    ("Zoom in", 1, Key::Plus),
                    ("Zoom out", -1, Key::Minus),
                    ("Actual size", 0, Key::Num0),
                ],
                |(text, steps, key)| {
                    Entry::new(text, LayoutCommand::Zoom(steps))
                        .key(Modifiers::COMMAND, key)
                        .menu(Menu::View, 2)
                        .submenu("Zoom")
                },
            ),
        }
    }
}
