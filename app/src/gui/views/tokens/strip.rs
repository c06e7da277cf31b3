//! The whole prompt as one strip of pixels: heat above, what oracle and window keep below.

use egui::{Color32, Id, Rect, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};

use super::heat_color;
use crate::gui::command::{Commands, LookCommand};
use crate::gui::derived::{KeptTokens, TokenShade};
use crate::gui::theme::Theme;
use crate::gui::views::View;
use crate::gui::widgets::texture::{TextureKey, cached_texture, paint_texture};

const HEAT_HEIGHT: f32 = 14.0;
const KEPT_HEIGHT: f32 = 5.0;
const EVIDENCE_HEIGHT: f32 = 5.0;

/// Where the text view says which tokens are in sight.
pub(super) fn sight_id() -> Id {
    Id::unique("tokens in sight")
}

/// Draws the strip; a click or drag brings that place of the text into view.
pub(super) fn strip_ui(ui: &mut Ui, view: &View<'_>, commands: &mut Commands) {
    let derived = view.derived;
    let (Some(tokens), Some(shade), Some(kept_tokens)) =
        (derived.tokens(), derived.shade(), derived.kept())
    else {
        return;
    };
    let height = HEAT_HEIGHT + 2.0 * KEPT_HEIGHT + EVIDENCE_HEIGHT;
    let size = vec2(ui.available_width(), height);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, "Strip of the whole prompt"));
    let columns = (rect.width().floor() as usize).clamp(1, shade.values.len().max(1));
    let heat = Rect::from_min_size(rect.min, vec2(rect.width(), HEAT_HEIGHT));
    paint_heat(ui, heat, columns, shade, view.theme);
    let kept = Rect::from_min_size(heat.left_bottom(), vec2(rect.width(), 2.0 * KEPT_HEIGHT));
    paint_kept(ui, kept, columns, kept_tokens, view);
    paint_evidence(ui, rect, view, tokens.len());
    paint_sight(ui, heat.union(kept), tokens.len(), view.theme);
    let token_at = |x: f32| {
        let share = ((x - rect.left()) / rect.width()).clamp(0.0, 1.0);
        let last = tokens.len().saturating_sub(1);
        ((share * tokens.len() as f32) as usize).min(last)
    };
    if let Some(pointer) = response.hover_pos() {
        commands.hover.token = Some(token_at(pointer.x));
    }
    if let Some(token) = view.hover.token {
        let share = (token as f32 + 0.5) / tokens.len().max(1) as f32;
        let x = rect.left() + rect.width() * share;
        let stroke = Stroke::new(1.0, view.theme.selection);
        ui.painter().vline(x, rect.y_range(), stroke);
    }
    if let Some(pointer) = response.interact_pointer_pos()
        && (response.clicked() || response.dragged())
    {
        commands.send(LookCommand::ScrollToToken(token_at(pointer.x)));
    }
    response.on_hover_text(
        "The whole prompt. Above: heat. Middle: what oracle (grey) and window keep. Below: what the answer needs",
    );
}

fn paint_heat(ui: &Ui, rect: Rect, columns: usize, shade: &TokenShade, theme: &Theme) {
    let key = TextureKey {
        version: shade.version,
        size: [columns, 1],
        dark: theme.is_dark(),
        part: 0,
    };
    let texture = cached_texture(ui.ctx(), Id::unique("heat strip"), key, || {
        shade
            .strip(columns)
            .into_iter()
            .map(|value| heat_color(theme, value, shade.difference))
            .collect()
    });
    if let Some(texture) = texture {
        paint_texture(ui.painter(), &texture, rect);
    }
}

/// Two rows: where the oracle keeps a token, and where the window does.
fn paint_kept(ui: &Ui, rect: Rect, columns: usize, kept: &KeptTokens, view: &View<'_>) {
    let theme = view.theme;
    let key = TextureKey {
        version: view.derived.kept_version(),
        size: [columns, 2],
        dark: theme.is_dark(),
        part: 0,
    };
    let texture = cached_texture(ui.ctx(), Id::unique("kept strip"), key, || {
        let (oracle, window) = kept.strips(columns);
        let row = |kept: Vec<f32>, color: Color32| {
            kept.into_iter()
                .map(move |share| theme.paper.lerp_to_gamma(color, share.sqrt()))
        };
        row(oracle, theme.oracle)
            .chain(row(window, theme.kept))
            .collect()
    });
    if let Some(texture) = texture {
        paint_texture(ui.painter(), &texture, rect);
    }
}

/// A bar under every span of the prompt that the answer needs, wide enough to be seen.
fn paint_evidence(ui: &Ui, rect: Rect, view: &View<'_>, tokens: usize) {
    let Some((_, shown)) = view.shown() else {
        return;
    };
    let place = |token: usize| rect.left() + rect.width() * token as f32 / tokens.max(1) as f32;
    for span in &shown.sample.record.evidence_tokens {
        let bar = Rect::from_min_max(
            pos2(place(span.start), rect.bottom() - EVIDENCE_HEIGHT + 1.0),
            pos2(place(span.end).max(place(span.start) + 3.0), rect.bottom()),
        );
        ui.painter().rect_filled(bar, 1.0, view.theme.evidence);
    }
}

/// A frame around the part that the text shows.
fn paint_sight(ui: &Ui, rect: Rect, tokens: usize, theme: &Theme) {
    let Some((first, last)) = ui.data(|data| data.get_temp::<(usize, usize)>(sight_id())) else {
        return;
    };
    let place = |token: usize| rect.left() + rect.width() * token as f32 / tokens.max(1) as f32;
    let frame = Rect::from_min_max(
        pos2(place(first), rect.top()),
        pos2(place((last + 1).min(tokens)), rect.bottom()),
    );
    let stroke = Stroke::new(1.0, theme.selection);
    ui.painter()
        .rect_stroke(frame, 0.0, stroke, StrokeKind::Inside);
}
