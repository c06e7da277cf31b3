//! One head's attention on the prompt, or the mean of all: the decode steps, and under them the window's rows.

mod blocks;
mod range;

use egui::{Slider, Ui};

use super::head_map::window_ui;
use super::question_state::job_error_ui;
use super::{NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint};
use crate::gui::attention_picture::{AttentionKey, AttentionPicture};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::export::ShownFigure;
use crate::gui::lanes::JobKey;
use crate::gui::layout::Pane;
use crate::gui::numbers::Table;
use crate::gui::state::Choices;
use crate::jobs::figure::KindChoice;
use range::Span;

/// Columns of the copied table: those of a long prompt would fill a clipboard.
const COPIED_COLUMNS: usize = 2048;

impl Pane {
    /// Decode steps and window rows by prompt tokens.
    pub const ATTENTION: Self = Self::of(&AttentionView);
}

struct AttentionView;

impl PaneView for AttentionView {
    fn name(&self) -> &'static str {
        "Attention"
    }

    fn title(&self) -> &'static str {
        "Attention"
    }

    fn help(&self) -> &'static str {
        include_str!("../../../help/views/attention.md")
    }

    fn needs(&self, _choices: &Choices) -> &'static [Need] {
        &[Need::Attention]
    }

    fn ui(&self, ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
        attention_ui(ui, view, commands);
    }

    fn numbers(&self) -> Option<ReadNumbers> {
        Some(numbers)
    }

    fn figure(&self) -> Option<NearestFigure> {
        Some(|_| ShownFigure::of_sample(KindChoice::Attention))
    }
}

fn attention_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let Some((_, shown)) = view.shown() else {
        empty_hint(ui, "Run a capture or open a session to see its attention");
        return;
    };
    let windows = shown.sample.windows.iter();
    let labels: Vec<&str> = windows.map(|window| window.label.as_str()).collect();
    ui.horizontal_wrapped(|ui| {
        window_ui(ui, "Window of the attention", view, &labels, commands);
        ui.weak(head_text(view)).on_hover_text(
            "Attention of each row on each prompt token; the colour is its square root, so that small weights show. Of \
             several selected heads, the one that was clicked last; without a selection, the mean of all",
        );
        scale_ui(ui, view, commands);
        if let Some(picture) = picture_of(view)
            && !Span::shown(ui, view, picture.columns).is_whole()
            && ui
                .button("Whole prompt")
                .on_hover_text("The wheel zooms, a drag moves, a double click shows all again")
                .clicked()
        {
            Span::home(ui);
        }
    });
    match picture_of(view) {
        Some(picture) if !picture.has_rows() => empty_hint(
            ui,
            "The session keeps scores in place of keys, so there are no rows to draw; capture with --keep keys to see them",
        ),
        Some(picture) => blocks::blocks_ui(ui, view, picture, commands),
        None => waiting_ui(ui, view),
    }
}

/// What stands where the attention is not there yet.
pub fn waiting_ui(ui: &mut Ui, view: &View<'_>) {
    match view.data.answers.failure(&JobKey::Attention) {
        Some(_) => job_error_ui(ui, view, &JobKey::Attention),
        None => empty_hint(ui, "Reading the attention"),
    }
}

/// The attention of what is chosen, once it was read.
#[must_use]
pub fn picture_of<'a>(view: &View<'a>) -> Option<&'a AttentionPicture> {
    let session = view.data.session.as_ref()?;
    let window = view.derived.observation.as_deref();
    let wanted = AttentionKey::wanted(session, &view.settings.choices, window)?;
    let (key, picture) = view.data.answers.attention.held()?;
    (*key == wanted).then_some(picture)
}

/// Whose attention it is.
#[must_use]
pub fn head_text(view: &View<'_>) -> String {
    match view.settings.choices.primary_head() {
        Some(head) => format!("Layer {}, head {}", head.layer, head.head),
        None => "Mean of all heads".to_owned(),
    }
}

/// What the strongest colour stands for, as a share of the 99th percentile.
fn scale_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let mut scale = view.settings.choices.attention_scale;
    ui.spacing_mut().slider_width = 70.0;
    let slider = Slider::new(&mut scale, 0.1..=10.0)
        .logarithmic(true)
        .show_value(false);
    let response = ui.add(slider).on_hover_text(format!(
        "The strongest colour stands for {scale:.2} times the 99th percentile of the weights; a double click sets it back"
    ));
    response.widget_info(|| egui::WidgetInfo::slider(true, scale, "Scale of the attention"));
    if response.double_clicked() {
        scale = 1.0;
    }
    if scale != view.settings.choices.attention_scale {
        commands.send(LookCommand::SetAttentionScale(scale));
    }
}

/// One line for each row and column of the picture; of a long prompt a column is several tokens.
fn numbers(view: &View<'_>) -> Option<Table> {
    let picture = view.data.answers.attention.value()?;
    let header = [
        "rows_of",
        "position",
        "token",
        "first_token",
        "last_token",
        "attention",
    ];
    let mut table = Table::new(&header);
    let columns = picture.columns.min(COPIED_COLUMNS);
    for block in [Some(&picture.decode), picture.window.as_ref()]
        .into_iter()
        .flatten()
    {
        let weights = picture.squeezed(block, 0..picture.columns, columns);
        let rows = block.positions.iter().zip(&block.texts);
        for ((position, text), row) in rows.zip(weights.chunks_exact(columns)) {
            for (column, weight) in row.iter().enumerate() {
                let first = column * picture.tokens / columns;
                let end = (column + 1) * picture.tokens / columns;
                table.line(&[
                    block.label.clone(),
                    position.to_string(),
                    text.clone(),
                    first.to_string(),
                    end.saturating_sub(1).to_string(),
                    weight.to_string(),
                ]);
            }
        }
    }
    Some(table)
}
