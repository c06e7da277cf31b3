//! How well the cache is ranked while it decodes, for what later steps attend to, head by head.

use anyhow::Result;
use kvlens_analysis::Budget;
use kvlens_analysis::decode_eviction::{
    DecodeEvictionPlan, DecodeHead, DecodeRanking, Horizon, RankedStep, decode_evictions_of,
};
use kvlens_sessions::{CapturedSample, Evidence, ScoreKind, TokenScores};
use serde::{Deserialize, Serialize};

use super::head_rows::OnHead;

/// When and by what the cache is ranked while it decodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeRankings {
    /// Decode steps from one ranking to the next.
    pub every: usize,
    /// What ranks; those that a sample lacks what they need for are left out.
    pub rankings: Vec<DecodeRanking>,
    /// Later steps that each is held against.
    pub horizons: Vec<Horizon>,
}

/// Decode steps from one ranking to the next where nobody says.
pub const USUAL_EVERY: usize = 16;

impl DecodeRankings {
    /// Every ranking, held against the next step, those up to the next ranking, and all behind.
    #[must_use]
    pub fn usual(every: usize) -> Self {
        let mut horizons = vec![Horizon::Next(1), Horizon::Next(every), Horizon::Rest];
        horizons.dedup();
        Self {
            every,
            rankings: DecodeRanking::USUAL.to_vec(),
            horizons,
        }
    }
}

/// A later stretch of the decode stage that a ranking is held against, by its length where `every` is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HorizonChoice {
    /// The next step alone.
    NextStep,
    /// Those up to the next ranking.
    #[default]
    NextRanking,
    /// All behind.
    Rest,
}

impl HorizonChoice {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::NextStep, Self::NextRanking, Self::Rest];

    /// The steps that it names.
    #[must_use]
    pub fn horizon(self, every: usize) -> Horizon {
        match self {
            Self::NextStep => Horizon::Next(1),
            Self::NextRanking => Horizon::Next(every),
            Self::Rest => Horizon::Rest,
        }
    }
}

/// The rankings of a sample, or of some of its layers.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedSample {
    /// What ranked, by the names of windows.
    pub rankings: Vec<String>,
    /// L.
    pub layers: usize,
    /// H.
    pub heads: usize,
    /// `[L, H]`, and for each every step at which the cache was ranked.
    pub by_head: Vec<Vec<RankedStep>>,
}

/// What ranks the cache of a sample: all that is asked for, but H2O only where the session has a window that adds up the
/// attention of the prompt's rows.
fn rankings_of(captured: &CapturedSample, asked: &[DecodeRanking]) -> Vec<DecodeRanking> {
    let knows_prompt = prompt_sums(captured).is_some();
    let asked = asked.iter().copied();
    asked
        .filter(|ranking| knows_prompt || !ranking.needs_prompt_sums())
        .collect()
}

/// The attention of all rows of the prompt, if a window kept it.
fn prompt_sums(captured: &CapturedSample) -> Option<&TokenScores> {
    captured
        .windows()
        .iter()
        .find_map(|window| match window.evidence() {
            Evidence::Scores(scores) if scores.kind() == ScoreKind::AccumulatedAttention => {
                Some(scores)
            }
            _ => None,
        })
}

/// Attention weights that are held at once, of as many key/value heads of a layer as that leaves room for, but one at
/// least: 128 MiB.
const WEIGHTS_AT_ONCE: usize = 1 << 25;

/// Ranks the cache of every query head, some heads of a layer at a time.
///
/// # Errors
/// A session that keeps no keys of the generated tokens; what the numerics refuse, and what `on_head` does.
pub fn decode_evictions(
    captured: &CapturedSample,
    asked: &DecodeRankings,
    budgets: &[Budget],
    on_head: OnHead<'_>,
) -> Result<RankedSample> {
    let (layers, kv_heads, tokens, _) = captured.keys().shape();
    let group = captured.keys().group_size()?;
    let steps = captured.decode_rows()?.count();
    let rankings = rankings_of(captured, &asked.rankings);
    let plan = DecodeEvictionPlan {
        every: asked.every,
        rankings: rankings.clone(),
        horizons: asked.horizons.clone(),
        budgets: budgets.to_vec(),
    };
    let of_kv_head = group * steps * (tokens + steps);
    let at_once = (WEIGHTS_AT_ONCE / of_kv_head.max(1)).clamp(1, kv_heads.max(1));
    let mut by_head = Vec::with_capacity(layers * kv_heads * group);
    for layer in 0..layers {
        for first in (0..kv_heads).step_by(at_once) {
            on_head(layer * kv_heads + first, layers * kv_heads)?;
            let kv_heads = first..(first + at_once).min(kv_heads);
            let attention = kv_heads.map(|kv_head| GroupAttention::of(captured, layer, kv_head));
            let attention = attention.collect::<Result<Vec<_>>>()?;
            let heads = attention.iter().flat_map(GroupAttention::heads);
            by_head.extend(decode_evictions_of(&heads.collect::<Vec<_>>(), &plan)?);
        }
    }
    Ok(RankedSample {
        rankings: rankings.iter().map(ToString::to_string).collect(),
        layers,
        heads: kv_heads * group,
        by_head,
    })
}

/// What the query heads of one key/value head pay in the decode stage.
struct GroupAttention {
    steps: usize,
    sliding_window: Option<usize>,
    key_norms: Vec<f32>,
    by_head: Vec<HeadAttention>,
}

struct HeadAttention {
    on_prompt: Vec<f32>,
    behind: Vec<f32>,
    prompt_sums: Option<Vec<f32>>,
    seed: u64,
}

impl GroupAttention {
    fn of(captured: &CapturedSample, layer: usize, kv_head: usize) -> Result<Self> {
        let (keys, rows) = (captured.keys(), captured.decode_rows()?);
        let decode_keys = captured.decode_keys()?;
        let on_prompt = keys.attention_rows(rows, layer, kv_head)?;
        let behind = decode_keys.attention_rows(keys, rows, layer, kv_head)?;
        let group = keys.group_size()?;
        let query_heads = group * keys.shape().1;
        let sums = prompt_sums(captured);
        let heads = on_prompt.into_iter().zip(behind).zip(kv_head * group..);
        let heads = heads.map(|((on_prompt, behind), head)| {
            let sums = sums.map(|sums| sums.for_query_head(layer, head, query_heads));
            Ok(HeadAttention {
                on_prompt,
                behind,
                prompt_sums: sums.transpose()?,
                seed: seed(captured, layer, head),
            })
        });
        Ok(Self {
            steps: rows.count(),
            sliding_window: keys.sliding_window(layer),
            key_norms: decode_keys.all_norms(keys, layer, kv_head)?,
            by_head: heads.collect::<Result<_>>()?,
        })
    }

    fn heads(&self) -> impl Iterator<Item = DecodeHead<'_>> {
        self.by_head.iter().map(|head| DecodeHead {
            steps: self.steps,
            on_prompt: &head.on_prompt,
            behind: &head.behind,
            sliding_window: self.sliding_window,
            key_norms: &self.key_norms,
            prompt_sums: head.prompt_sums.as_deref(),
            seed: head.seed,
        })
    }
}

/// Another for every prompt, layer and head, the same whether layers are loaded together or one by one.
fn seed(captured: &CapturedSample, layer: usize, head: usize) -> u64 {
    let layer = captured.layers().first + layer;
    let of_head = [layer as u64, head as u64];
    let ids = captured.record.prompt_ids.iter().map(|&id| u64::from(id));
    // FNV-1a, number by number
    ids.chain(of_head)
        .fold(0xcbf2_9ce4_8422_2325, |hash, number| {
            (hash ^ number).wrapping_mul(0x0100_0000_01b3)
        })
}
