//! The tokens' scores and ranks as a table.

use crate::gui::numbers::Table;
use crate::gui::views::View;

/// A line for every prompt token.
pub(super) fn numbers(view: &View<'_>) -> Option<Table> {
    let (_, shown) = view.shown()?;
    let scores = view.derived.tokens()?;
    let kept = view.derived.kept()?;
    let record = &shown.sample.record;
    let window = view.derived.window.as_deref().unwrap_or_default();
    let of_window = |what: &str| format!("{window} {what}");
    let header = [
        "position".to_owned(),
        "token_id".to_owned(),
        "text".to_owned(),
        "decode importance".to_owned(),
        "decode rank".to_owned(),
        of_window("importance"),
        of_window("rank"),
        of_window("keeps"),
        "needed".to_owned(),
    ];
    let mut table = Table::new(&header);
    let rank = |rank: Option<usize>| rank.map_or(String::new(), |rank| (rank + 1).to_string());
    let score = |score: Option<f32>| score.map_or(String::new(), |score| score.to_string());
    for (token, text) in record.token_texts.iter().enumerate() {
        let spans = &record.evidence_tokens;
        let needed = spans.iter().any(|span| span.contains(&token));
        let id = record.prompt_ids.get(token).copied();
        table.line(&[
            token.to_string(),
            id.map_or(String::new(), |id| id.to_string()),
            text.escape_debug().to_string(),
            score(scores.oracle_score(token)),
            rank(scores.oracle_rank(token)),
            score(scores.window_score(token)),
            rank(scores.window_rank(token)),
            kept.by_window(token).to_string(),
            needed.to_string(),
        ]);
    }
    Some(table)
}
