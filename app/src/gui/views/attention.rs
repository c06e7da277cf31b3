//! One head's attention on the prompt: the decode steps, and under them the window's rows.

use egui::{Id, Rect, Response, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::head_map::window_ui;
use super::question_state::job_error_ui;
use super::{NearestFigure, Need, PaneView, ReadNumbers, View, empty_hint};
use crate::gui::attention_picture::{AttentionBlock, AttentionKey, AttentionPicture};
use crate::gui::command::{Commands, LookCommand};
use crate::gui::export::ShownFigure;
use crate::gui::lanes::JobKey;
use crate::gui::layout::Pane;
use crate::gui::numbers::Table;
use crate::gui::state::Choices;
use crate::gui::theme::ColorMap;
use crate::gui::widgets::texture::{TextureKey, cached_texture, paint_texture};
use crate::jobs::figure::KindChoice;

/// Height of a block's title, and of the marks of needed tokens.
const TITLE_HEIGHT: f32 = 16.0;
const EVIDENCE_HEIGHT: f32 = 5.0;

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
    let Some((session, shown)) = view.shown() else {
        empty_hint(ui, "Run a capture or open a session to see its attention");
        return;
    };
    let Some(head) = view.settings.choices.primary_head() else {
        empty_hint(ui, "Click a head in the map to see what it attends to");
        return;
    };
    let windows = shown.sample.windows.iter();
    let labels: Vec<&str> = windows.map(|window| window.label.as_str()).collect();
    ui.horizontal_wrapped(|ui| {
        window_ui(ui, "Window of the attention", view, &labels, commands);
        ui.weak(format!("Layer {}, head {}", head.layer, head.head))
            .on_hover_text(
                "Attention of each row on each prompt token; the colour is its square root, so that small \
                 weights show. Of several selected heads, the one that was clicked last",
            );
    });
    let window = view.derived.observation.as_deref();
    let wanted = AttentionKey::wanted(session, &view.settings.choices, window);
    let held = view.data.answers.attention.held();
    let Some((_, picture)) = held.filter(|(key, _)| Some(*key) == wanted.as_ref()) else {
        match view.data.answers.failure(&JobKey::Attention) {
            Some(_) => job_error_ui(ui, view, &JobKey::Attention),
            None => empty_hint(ui, "Reading the attention"),
        }
        return;
    };
    blocks_ui(ui, view, picture, commands);
}

fn blocks_ui(ui: &mut Ui, view: &View<'_>, picture: &AttentionPicture, commands: &mut Commands) {
    let blocks: Vec<&AttentionBlock> = [Some(&picture.decode), picture.window.as_ref()]
        .into_iter()
        .flatten()
        .filter(|block| !block.positions.is_empty())
        .collect();
    let rows: usize = blocks.iter().map(|block| block.positions.len()).sum();
    let titles = TITLE_HEIGHT * blocks.len() as f32;
    let missing = if picture.window.is_none() { 18.0 } else { 0.0 };
    let room = (ui.available_height() - titles - EVIDENCE_HEIGHT - missing - 20.0).max(40.0);
    for block in blocks {
        ui.add(egui::Label::new(title(block)).truncate());
        let height = room * block.positions.len() as f32 / rows.max(1) as f32;
        block_ui(ui, view, picture, block, height, commands);
    }
    if picture.window.is_none() {
        ui.weak(format!(
            "{} observes with ready-made scores and has no rows",
            picture.key.window
        ));
    }
    evidence_ui(ui, view, picture.tokens);
}

fn title(block: &AttentionBlock) -> String {
    match block.positions.len() {
        1 => format!("{}: 1 row", block.label),
        rows => format!("{}: {rows} rows", block.label),
    }
}

fn block_ui(
    ui: &mut Ui,
    view: &View<'_>,
    picture: &AttentionPicture,
    block: &AttentionBlock,
    height: f32,
    commands: &mut Commands,
) {
    let size = vec2(ui.available_width(), height);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let name = format!("Attention of {}", block.label);
    response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, &name));
    paint(ui, rect, view, picture, block);
    if let Some(token) = view.hover.token {
        let share = (token as f32 + 0.5) / picture.tokens.max(1) as f32;
        let stroke = egui::Stroke::new(1.0, view.theme.selection.gamma_multiply(0.6));
        let x = rect.left() + rect.width() * share;
        ui.painter().vline(x, rect.y_range(), stroke);
    }
    let Some((row, column)) = cell_at(&response, rect, block.positions.len(), picture.columns)
    else {
        return;
    };
    let tokens = picture.tokens_of(column);
    commands.hover.token = Some(tokens.start);
    if response.clicked() {
        commands.send(LookCommand::ScrollToToken(tokens.start));
    }
    let weight = block.weights.get(row * picture.columns + column).copied();
    let texts = view
        .shown()
        .map(|(_, shown)| &shown.sample.record.token_texts);
    response.on_hover_ui_at_pointer(|ui| {
        let position = block.positions.get(row).copied().unwrap_or(0);
        let own = block.texts.get(row).map_or("", String::as_str);
        ui.label(format!("Row at position {position} {own}"));
        let text: String = texts
            .and_then(|texts| texts.get(tokens.clone()))
            .map_or(String::new(), <[String]>::concat);
        ui.label(format!("Token {} {text:?}", tokens.start));
        ui.monospace(format!("{:.4}", weight.unwrap_or(f32::NAN)));
    });
}

fn paint(ui: &Ui, rect: Rect, view: &View<'_>, picture: &AttentionPicture, block: &AttentionBlock) {
    let theme = view.theme;
    let pixels = (rect.width() * ui.pixels_per_point()) as usize;
    let columns = pixels.clamp(1, picture.columns);
    let key = TextureKey {
        version: view.data.answers.attention.version(),
        size: [columns, block.positions.len()],
        dark: theme.is_dark(),
    };
    let id = Id::unique(("attention", &block.label));
    let texture = cached_texture(ui.ctx(), id, key, || {
        let weights = picture.squeezed(block, columns).into_iter();
        weights
            .map(|weight| theme.map(ColorMap::Heat, weight.sqrt()))
            .collect()
    });
    if let Some(texture) = texture {
        paint_texture(ui.painter(), &texture, rect);
    }
}

/// Row and column under the pointer.
fn cell_at(response: &Response, rect: Rect, rows: usize, columns: usize) -> Option<(usize, usize)> {
    let at = response.hover_pos().filter(|at| rect.contains(*at))?;
    let share = (at - rect.min) / rect.size();
    let place = |share: f32, count: usize| ((share * count as f32) as usize).min(count - 1);
    Some((place(share.y, rows), place(share.x, columns)))
}

/// A bar under every span of the prompt that the answer needs.
fn evidence_ui(ui: &mut Ui, view: &View<'_>, tokens: usize) {
    let size = vec2(ui.available_width(), EVIDENCE_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let Some((_, shown)) = view.shown() else {
        return;
    };
    let place = |token: usize| rect.left() + rect.width() * token as f32 / tokens.max(1) as f32;
    for span in &shown.sample.record.evidence_tokens {
        let right = place(span.end).max(place(span.start) + 3.0);
        let bar = Rect::from_min_max(
            pos2(place(span.start), rect.top()),
            pos2(right, rect.bottom()),
        );
        ui.painter().rect_filled(bar, 1.0, view.theme.evidence);
    }
    response.on_hover_text("Tokens that hold what the answer needs");
}

/// One line for each row and column of the picture; of a long prompt a column is several tokens.
fn numbers(view: &View<'_>) -> Option<Table> {
    let picture = view.data.answers.attention.value()?;
    let header = [
        "rows_of",
        "position",
        "first_token",
        "last_token",
        "attention",
    ];
    let mut table = Table::new(&header);
    for block in [Some(&picture.decode), picture.window.as_ref()]
        .into_iter()
        .flatten()
    {
        for (position, row) in block
            .positions
            .iter()
            .zip(block.weights.chunks_exact(picture.columns))
        {
            for (column, weight) in row.iter().enumerate() {
                let tokens = picture.tokens_of(column);
                table.line(&[
                    block.label.clone(),
                    position.to_string(),
                    tokens.start.to_string(),
                    tokens.end.saturating_sub(1).to_string(),
                    weight.to_string(),
                ]);
            }
        }
    }
    Some(table)
}
