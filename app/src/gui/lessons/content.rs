//! What the tours say and show.

use kvlens_analysis::{Budget, Metric};

use super::{Lesson, Step};
use crate::gui::command::Command;
use crate::gui::layout::{Pane, Preset};
use crate::gui::state::{HeadAddress, MapKind, MapScope, SelectionChange, TokenHeat};

/// The first prompt asks at its end, the second asks the same at its start.
const QUESTION_AT_END: usize = 0;
const QUESTION_AT_START: usize = 1;

/// Every tour in the order of the menu.
#[must_use]
pub fn lessons() -> Vec<Lesson> {
    vec![
        the_cache(),
        the_last_window(),
        looking_ahead(),
        the_budget(),
    ]
}

fn head(layer: usize, head: usize) -> Command {
    Command::SelectHeads {
        heads: vec![HeadAddress { layer, head }],
        change: SelectionChange::Replace,
    }
}

fn window(label: &str) -> Command {
    Command::SetWindow(label.to_owned())
}

fn percent(share: f64) -> Command {
    Command::SetBudget(Budget::Fraction(share))
}

/// A state that does not hang on what was clicked before.
fn afresh(sample: usize) -> Vec<Command> {
    vec![
        Command::UsePreset(Preset::Teach),
        Command::SelectSample(sample),
        Command::SelectAllHeads,
        Command::Pin(None),
        Command::SetMinus(None),
        Command::SetMapKind(MapKind::Window),
        Command::SetMapScope(MapScope::Sample),
        Command::SetMetric(Metric::Recall),
        Command::SetByLayer(false),
        Command::SetTokenHeat(TokenHeat::Oracle),
        window("last:8"),
        percent(0.1),
    ]
}

fn and(mut first: Vec<Command>, more: impl IntoIterator<Item = Command>) -> Vec<Command> {
    first.extend(more);
    first
}

fn the_cache() -> Lesson {
    Lesson {
        title: "What a KV cache is",
        aim: "What a model keeps of a prompt, and what it looks at when it answers.",
        steps: vec![
            Step {
                title: "A prompt is tokens",
                text: "The text at the left is a prompt of {tokens} tokens. For each of them, every layer and head keeps \
                       a key and a value: the KV cache. While the model writes its answer, every new token looks \
                       back into that cache.",
                try_it: "Hover a token to see its position.",
                commands: afresh(QUESTION_AT_END),
            },
            Step {
                title: "The answer looks back",
                text: "The attention of {layer_head}: each row is a token of the answer (the decode stage), each column \
                       a token of the prompt. Bright columns are tokens that the answer looks at.",
                try_it: "Hover a bright column: the same token glows in the text and in the strip above it.",
                commands: and(
                    afresh(QUESTION_AT_END),
                    [head(2, 2), Command::ShowPane(Pane::ATTENTION)],
                ),
            },
            Step {
                title: "Most tokens hardly matter",
                text: "Colour is importance: the mean attention of the decode stage, here ranked. The framed tokens hold \
                       what the answer needs. At {budget} tokens a cache that knew the future (the oracle) would keep \
                       {oracle_kept} of these {needed}.",
                try_it: "Drag the budget at the bottom and watch the underlines.",
                commands: and(
                    afresh(QUESTION_AT_END),
                    [Command::ShowPane(Pane::INSPECTOR)],
                ),
            },
        ],
    }
}

fn the_last_window() -> Lesson {
    Lesson {
        title: "Why the last window misses",
        aim: "What SnapKV's observation window sees, and when it is blind.",
        steps: vec![
            Step {
                title: "Guess from the end of the prompt",
                text: "A cache has to be cut before the answer is there. SnapKV guesses from the last rows of the prompt: \
                       what they attend to shall stay. Here the question stands at the end, so these rows have read \
                       it. Recall of {window} at {budget} tokens: {value}.",
                try_it: "Compare last:8 with last:32 in the curves.",
                commands: and(afresh(QUESTION_AT_END), [Command::ShowPane(Pane::RECALL)]),
            },
            Step {
                title: "Ask at the start instead",
                text: "The same facts, but the question stands at the start. The last rows are plain text that asks \
                       nothing. Recall of {window} is now {value}.",
                try_it: "Step between the two prompts with the arrow keys up and down.",
                commands: and(afresh(QUESTION_AT_START), [Command::ShowPane(Pane::RECALL)]),
            },
            Step {
                title: "What is lost",
                text: "Dotted tokens are those that the decode stage would keep and {window} throws away. Of {needed} \
                       needed tokens the oracle keeps {oracle_kept}, the window {window_kept}.",
                try_it: "Switch the colours from Oracle to Window above the text.",
                commands: and(
                    afresh(QUESTION_AT_START),
                    [
                        Command::SetTokenHeat(TokenHeat::Difference),
                        Command::ShowPane(Pane::INSPECTOR),
                    ],
                ),
            },
            Step {
                title: "Some heads, not all",
                text: "Each cell is one head's recall. Where the model looks for facts, the window is blind; heads that \
                       look at the same places whatever is asked are foreseen well.",
                try_it: "Click a dark cell, then a bright one: every view follows. A right-click pins a head.",
                commands: and(
                    afresh(QUESTION_AT_START),
                    [Command::ShowPane(Pane::HEAD_MAP)],
                ),
            },
        ],
    }
}

fn looking_ahead() -> Lesson {
    Lesson {
        title: "How each proxy looks ahead",
        aim: "Four ways to guess the queries of the answer before it is written.",
        steps: vec![
            Step {
                title: "LAQ: write a draft",
                text: "LAQ answers once on a small, evicted cache and observes with the queries of that draft. Recall of \
                       {window}: {value}.",
                try_it: "Look at its rows in the attention view.",
                commands: and(
                    afresh(QUESTION_AT_START),
                    [window("laq:n=8"), Command::ShowPane(Pane::RECALL)],
                ),
            },
            Step {
                title: "DapQ: the right position is half of it",
                text: "DapQ decodes nothing: it puts other tokens at the positions where the answer will stand. After the \
                       rotary embedding, position alone makes queries similar. Recall of {window}: {value}.",
                try_it: "Click names in the legend to hide curves.",
                commands: and(
                    afresh(QUESTION_AT_START),
                    [window("dapq:n=32"), Command::ShowPane(Pane::RECALL)],
                ),
            },
            Step {
                title: "Judge Q: learned soft tokens",
                text: "A few trained embeddings stand behind the prompt; their queries were taught to attend as the answer \
                       does. The model itself stays as it is. Recall of {window}: {value}.",
                try_it: "Compare with the last window in the map: set minus to last:8.",
                commands: and(
                    afresh(QUESTION_AT_START),
                    [window("judge-q"), Command::ShowPane(Pane::RECALL)],
                ),
            },
            Step {
                title: "LookaheadKV: tokens with adapters of their own",
                text: "The same with small adapters that act on those rows only. Recall of {window}: {value}.",
                try_it: "Find a budget where two windows change places.",
                commands: and(
                    afresh(QUESTION_AT_START),
                    [window("lookahead-kv"), Command::ShowPane(Pane::RECALL)],
                ),
            },
            Step {
                title: "Who wins where",
                text: "The best window of each head over all prompts. Struck through: the lead could be chance. Few prompts \
                       resolve little; say so in a paper.",
                try_it: "Choose Side by side to see all maps on one scale.",
                commands: and(
                    afresh(QUESTION_AT_START),
                    [
                        Command::SetMapScope(MapScope::Session),
                        Command::SetMapKind(MapKind::Winner),
                        Command::ShowPane(Pane::HEAD_MAP),
                    ],
                ),
            },
        ],
    }
}

fn the_budget() -> Lesson {
    Lesson {
        title: "What a budget costs",
        aim: "Recall is not the output: how much attention survives, and at what price.",
        steps: vec![
            Step {
                title: "Small budgets",
                text: "At {budget} tokens {window} keeps {window_kept} of {needed} needed tokens; recall is {value}.",
                try_it: "Step the budget with the arrow keys left and right.",
                commands: and(
                    afresh(QUESTION_AT_END),
                    [percent(0.02), Command::ShowPane(Pane::INSPECTOR)],
                ),
            },
            Step {
                title: "Attention that survives",
                text: "Retained mass: how much of the decode stage's attention on the prompt falls on the kept tokens. It \
                       can be high where recall is low, because few tokens carry most of it. Here: {value}.",
                try_it: "Take the share of the oracle's mass in the metric chooser.",
                commands: and(
                    afresh(QUESTION_AT_END),
                    [
                        Command::SetMetric(Metric::Mass),
                        Command::ShowPane(Pane::RECALL),
                    ],
                ),
            },
            Step {
                title: "What looking ahead costs",
                text: "Up and left is better: recall against the time that each window takes beyond the prefill. A draft \
                       costs decode steps, soft tokens one short pass, the last window nothing.",
                try_it: "Drag the budget: the points move up and down, never sideways.",
                commands: and(afresh(QUESTION_AT_END), [Command::ShowPane(Pane::COST)]),
            },
        ],
    }
}
