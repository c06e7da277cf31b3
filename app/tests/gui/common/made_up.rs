//! Answers with made-up numbers, for pictures that must be the same on every machine.

use std::sync::Arc;

use kvlens::gui::data::SamplePlace;
use kvlens::gui::question_choices::DecodeCacheChoices;
use kvlens::gui::questions::decode_cache::DecodeCacheAnswer;
use kvlens::gui::questions::drift::{DriftAnswer, DriftOfWindow, HeadCurves};
use kvlens::gui::questions::fidelity::{
    EvictedSample, EvictedSession, FidelityPart, FidelityPoint,
};
use kvlens::gui::questions::profile::ProfileAnswer;
use kvlens::gui::questions::queries::QueriesAnswer;
use kvlens::gui::questions::{Answer, CurvesKey};
use kvlens::measurement::MeasuredSample;
use kvlens::measurement::decode_eviction::{DecodeRankings, RankedSample};
use kvlens::measurement::drift::Parts;
use kvlens::measurement::fidelity::Foreseen;
use kvlens::measurement::fidelity::figures::Figures;
use kvlens::measurement::profiles::SampleHeads;
use kvlens::measurement::queries::WindowQueries;
use kvlens_analysis::decode_eviction::{HeldAgainst, Horizon, KeptOfLater, RankedStep};
use kvlens_analysis::fidelity::MeanFidelity;
use kvlens_analysis::profile::{Neighbours, head_profiles};
use kvlens_analysis::queries::{QueryCosine, QueryVectors, query_cosine};
use kvlens_analysis::{Budget, ForcedKeep, SampleGroup};

const WINDOWS: [&str; 2] = ["last:32", "last:8"];
const LAYERS: usize = 4;
const HEADS: usize = 4;
const STEPS: usize = 20;

/// Recall that falls with the steps, at every budget.
pub fn drift(shown_version: u64, tokens: usize) -> Answer {
    let budgets: Vec<usize> = (1..=tokens).collect();
    let horizons = vec![1, 2, 4, 8, 16, 20];
    let window = |(place, label): (usize, &&str)| {
        let start = 0.7 - 0.2 * place as f64;
        let at = |step: usize| vec![start - 0.02 * step as f64; budgets.len()];
        let head = Parts {
            by_step: (0..STEPS).map(at).collect(),
            by_horizon: horizons.iter().map(|horizon| at(horizon / 2)).collect(),
        };
        Arc::new(DriftOfWindow {
            label: (*label).to_owned(),
            layers: LAYERS,
            heads: HEADS,
            horizons: horizons.clone(),
            recall: vec![HeadCurves::of(&head, budgets.len()); LAYERS * HEADS],
            output_error: Vec::new(),
        })
    };
    Answer::Drift(Arc::new(DriftAnswer {
        windows: WINDOWS.iter().enumerate().map(window).collect(),
        asked_windows: WINDOWS.len(),
        key: CurvesKey {
            shown_version,
            width: 0,
            budgets,
        },
    }))
}

/// What the heads of a sample are like, without single steps.
pub fn profile(shown_version: u64, sample: &MeasuredSample) -> Answer {
    let mass = &sample.decode_mass;
    let budgets: Vec<usize> = (1..=mass.prompt_tokens()).collect();
    let neighbours = Neighbours::of(mass, ForcedKeep::default(), 2, &budgets, &[]).unwrap();
    Answer::Profile(Arc::new(ProfileAnswer {
        key: CurvesKey {
            shown_version,
            width: 0,
            budgets,
        },
        heads_per_layer: mass.heads(),
        heads: SampleHeads {
            heads: head_profiles(mass, &sample.record.evidence_tokens),
            neighbours,
        },
    }))
}

/// Rankings that foresee less and less, at every budget.
pub fn decode_cache(shown_version: u64, tokens: usize) -> Answer {
    let budgets: Vec<usize> = (1..=tokens).collect();
    let every = DecodeCacheChoices::default().every;
    let rankings = ["last:1", "accumulated", "random"];
    let asked = DecodeRankings::usual(every);
    let held = |step: usize, horizon: Horizon| HeldAgainst {
        horizon,
        steps: every,
        cached_share: 0.9,
        most: vec![0.95; budgets.len()],
        kept: (0..rankings.len())
            .map(|place| {
                let recall = 0.8 - 0.2 * place as f64 - 0.01 * step as f64;
                let kept = KeptOfLater {
                    recall,
                    mass: recall,
                };
                vec![kept; budgets.len()]
            })
            .collect(),
    };
    let step = |step: usize| RankedStep {
        step,
        cached_tokens: tokens + step,
        visible_tokens: tokens + step,
        budgets: budgets.clone(),
        horizons: asked
            .horizons
            .iter()
            .map(|&horizon| held(step, horizon))
            .collect(),
    };
    let steps: Vec<RankedStep> = (every..STEPS).step_by(every).map(step).collect();
    Answer::DecodeCache(Arc::new(DecodeCacheAnswer {
        decode_steps: STEPS,
        ranked: Ok(RankedSample {
            rankings: rankings.map(str::to_owned).to_vec(),
            layers: LAYERS,
            heads: HEADS,
            by_head: vec![steps; LAYERS * HEADS],
        }),
        key: CurvesKey {
            shown_version,
            width: every,
            budgets,
        },
    }))
}

/// Cosines that fall from layer to layer.
pub fn queries(sample: SamplePlace) -> Answer {
    let windows = WINDOWS.iter().enumerate().map(|(place, label)| {
        let queries = WindowQueries {
            rows: 1,
            position_gap: -8.0 * (place as f64 + 1.0),
            before_rotation: Some(cosine(0.3 + 0.1 * place as f32)),
            after_rotation: cosine(0.5 + 0.1 * place as f32),
        };
        ((*label).to_owned(), queries)
    });
    Answer::Queries(Arc::new(QueriesAnswer {
        sample,
        layers: LAYERS,
        heads: HEADS,
        windows: windows.collect(),
        without_queries: vec!["h2o".to_owned()],
    }))
}

fn cosine(turn: f32) -> QueryCosine {
    let heads = LAYERS * HEADS;
    let straight: Vec<f32> = (0..heads).flat_map(|_| [1.0, 0.0]).collect();
    let turned: Vec<f32> = (0..heads)
        .flat_map(|head| [1.0, turn * (1 + head / HEADS) as f32])
        .collect();
    let side = |values| QueryVectors {
        layers: LAYERS,
        heads: HEADS,
        rows: 1,
        head_dim: 2,
        values,
    };
    query_cosine(side(&straight), side(&turned)).unwrap()
}

/// Divergence that falls with the budget.
pub fn fidelity(of: EvictedSession) -> Answer {
    let labels = ["decode", "last:32", "last:8"];
    let sample = Arc::new(EvictedSample {
        group: SampleGroup {
            model: "demo".to_owned(),
            task: "facts".to_owned(),
            question_place: Some("start".to_owned()),
        },
        content: "made up".to_owned(),
        prompt_tokens: 512,
    });
    let point = |(place, label): (usize, &&str), tokens: usize| {
        let kl = (place as f64 + 0.2) * 16.0 / tokens as f64;
        FidelityPoint {
            index: 1,
            sample: Arc::clone(&sample),
            label: (*label).to_owned(),
            budget: Budget::Tokens(tokens),
            budget_tokens: tokens,
            figures: Figures {
                foreseen: Foreseen {
                    recall: 1.0 - 0.25 * place as f64,
                    method_recall: 0.5,
                    kept_recall: 0.5,
                    hit_rate: 0.5,
                    kept_mass: 0.5,
                    output_error: f64::NAN,
                },
                fidelity: MeanFidelity {
                    kl,
                    agreement: 1.0 - kl / 40.0,
                },
                answer_nll: Some(kl / 2.0),
                score: Some(1.0),
            },
            generated: if place == 0 { "in Oslo" } else { "in Lima" }.into(),
        }
    };
    let budgets = [16, 32, 64, 128, 256];
    let points = labels
        .iter()
        .enumerate()
        .flat_map(|label| budgets.map(|tokens| point(label, tokens)));
    Answer::Fidelity(FidelityPart {
        of,
        points: points.collect(),
        is_last: true,
    })
}
