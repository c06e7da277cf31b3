//! The numbers that a view shows as a table of text, to paste into a spreadsheet: columns by tabs, a header line.

use kvlens_analysis::Metric;

use super::derived::HeadMap;
use super::layout::Pane;
use super::state::MapKind;
use super::views::View;

/// The views that have numbers to copy.
pub const HAVE_NUMBERS: [Pane; 8] = [
    Pane::Recall,
    Pane::HeadMap,
    Pane::Attention,
    Pane::RankAgreement,
    Pane::Cost,
    Pane::Tokens,
    Pane::Inspector,
    Pane::Samples,
];

/// A table that grows line by line.
struct Table(String);

impl Table {
    fn new<S: AsRef<str>>(header: &[S]) -> Self {
        let mut table = Self(String::new());
        table.line(header);
        table
    }

    /// Tabs and line breaks in a cell would shift the others.
    fn line<S: AsRef<str>>(&mut self, cells: &[S]) {
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| cell.as_ref().replace(['\t', '\n', '\r'], " "))
            .collect();
        self.0 += &cells.join("\t");
        self.0.push('\n');
    }
}

/// What a view shows; nothing where it shows no numbers.
#[must_use]
pub fn numbers(pane: Pane, view: &View<'_>) -> Option<String> {
    view.shown()?;
    match pane {
        Pane::Recall => Some(curves(view)),
        Pane::HeadMap => maps(view),
        Pane::Inspector | Pane::Cost => Some(windows(view)),
        Pane::RankAgreement => ranks(view),
        Pane::Tokens => tokens(view),
        Pane::Attention => attention(view),
        Pane::Samples => samples(view),
        _ => None,
    }
}

/// Means over the selected heads at every budget.
fn curves(view: &View<'_>) -> String {
    let metric = view.settings.choices.metric;
    let bands = view.derived.bands();
    let mut header = vec!["budget_tokens".to_owned()];
    for window in bands {
        let column = |what: &str| format!("{} {}{what}", window.label, metric.label());
        header.extend([column(""), column(" low"), column(" high")]);
    }
    let mut table = Table::new(&header);
    for (index, budget) in view.derived.budgets().iter().enumerate() {
        let mut line = vec![budget.to_string()];
        for window in bands {
            let band = window.band(metric);
            let parts = band.map(|band| [&band.mean, &band.low, &band.high]);
            let at = |part: &Vec<f32>| part.get(index).map_or(String::new(), f32::to_string);
            line.extend(parts.into_iter().flatten().map(at));
        }
        table.line(&line);
    }
    table.0
}

fn maps(view: &View<'_>) -> Option<String> {
    let derived = view.derived;
    match view.settings.choices.map_kind {
        MapKind::Window => Some(cells(&[derived.map()?])),
        MapKind::Beside => Some(cells(&[derived.map_between()?])),
        MapKind::SideBySide => Some(cells(&derived.side_by_side().iter().collect::<Vec<_>>())),
        MapKind::Winner => {
            let map = derived.winner_map()?;
            let header = ["layer", "head", "winner", "mean", "margin", "resolved"];
            let mut table = Table::new(&header);
            for (index, winner) in map.winners.iter().enumerate() {
                let label = map.windows.get(winner.winner).map_or("", String::as_str);
                table.line(&[
                    (index / map.heads).to_string(),
                    (index % map.heads).to_string(),
                    label.to_owned(),
                    winner.mean.to_string(),
                    winner.margin.to_string(),
                    match map.tested {
                        true => winner.resolved.to_string(),
                        false => String::new(),
                    },
                ]);
            }
            Some(table.0)
        }
    }
}

fn cells(maps: &[&HeadMap]) -> String {
    let mut table = Table::new(&["map", "layer", "head", "value", "resolved"]);
    for map in maps {
        for (index, value) in map.values.iter().enumerate() {
            let unresolved = map.unresolved.get(index);
            table.line(&[
                map.title.clone(),
                (index / map.heads.max(1)).to_string(),
                (index % map.heads.max(1)).to_string(),
                value.to_string(),
                unresolved.map_or(String::new(), |unresolved| (!unresolved).to_string()),
            ]);
        }
    }
    table.0
}

/// Every metric at the budget, and what each window costs.
fn windows(view: &View<'_>) -> String {
    let mut header = vec!["window", "budget_tokens"];
    header.extend(Metric::ALL.map(Metric::label));
    header.extend(["rows", "extra_tokens", "seconds", "flops", "peak_bytes"]);
    let mut table = Table::new(&header);
    let measured = view
        .shown()
        .map_or(&[][..], |(_, shown)| &shown.sample.windows);
    for (window, measured) in view.derived.bands().iter().zip(measured) {
        let mut line = vec![
            window.label.clone(),
            view.derived.budget_tokens().to_string(),
        ];
        line.extend(Metric::ALL.map(|metric| {
            let mean = window.band(metric).map(|band| &band.mean);
            let mean = mean.and_then(|mean| mean.get(view.derived.budget_index));
            mean.map_or(String::new(), f32::to_string)
        }));
        let cost = measured.cost;
        line.extend([
            cost.rows.to_string(),
            cost.extra_tokens.to_string(),
            cost.seconds.to_string(),
            cost.flops.to_string(),
            cost.peak_bytes.to_string(),
        ]);
        table.line(&line);
    }
    table.0
}

fn ranks(view: &View<'_>) -> Option<String> {
    let ranks = view.derived.rank_agreement()?;
    let bins = ranks.density.bins();
    let mut table = Table::new(&[
        "decode_first_rank",
        "decode_last_rank",
        "window_first_rank",
        "window_last_rank",
        "share",
    ]);
    for (index, share) in ranks.shares.iter().enumerate() {
        let (row, column) = (
            ranks.density.ranks(index / bins),
            ranks.density.ranks(index % bins),
        );
        table.line(&[
            (row.start + 1).to_string(),
            row.end.to_string(),
            (column.start + 1).to_string(),
            column.end.to_string(),
            share.to_string(),
        ]);
    }
    Some(table.0)
}

fn tokens(view: &View<'_>) -> Option<String> {
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
    Some(table.0)
}

/// One line for each row and column of the picture; of a long prompt a column is several tokens.
fn attention(view: &View<'_>) -> Option<String> {
    let picture = view.data.attention.as_ref()?;
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
    Some(table.0)
}

fn samples(view: &View<'_>) -> Option<String> {
    let session = view.data.session.as_ref()?;
    let mut table = Table::new(&[
        "sample",
        "task",
        "question_place",
        "prompt_tokens",
        "decode_tokens",
        "score",
    ]);
    for sample in &session.info.samples {
        let details = sample.details.as_ref();
        let score = details.and_then(|details| details.score);
        table.line(&[
            sample.id.clone(),
            details.map_or(String::new(), |details| details.task.clone()),
            details.map_or(String::new(), |details| details.question_place.clone()),
            sample.prompt_tokens.to_string(),
            sample.decode_tokens.to_string(),
            score.map_or(String::new(), |score| score.to_string()),
        ]);
    }
    Some(table.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_never_shifts_the_others() {
        let mut table = Table::new(&["a", "b"]);
        table.line(&["x\ty", "line\nbreak"]);
        assert_eq!(table.0, "a\tb\nx y\tline break\n");
    }
}
