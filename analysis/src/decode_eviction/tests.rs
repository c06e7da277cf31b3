use super::*;

const STEPS: usize = 7;
const PROMPT: usize = 5;
/// A question of two tokens, and the generated ones.
const BEHIND: usize = 2 + STEPS;

/// Attention `[S, T + R]` of a made head: anything above zero for what a step sees.
fn attention(seed: usize, window: Option<usize>) -> Vec<Vec<f32>> {
    let row = |step: usize| {
        let own = PROMPT + 2 + step;
        let first = window.map_or(0, |window| (own + 1).saturating_sub(window));
        let weight = |token: usize| match (first..=own).contains(&token) {
            true => ((token * 7 + step * 13 + seed) % 11 + 1) as f32 / 64.0,
            false => 0.0,
        };
        (0..PROMPT + BEHIND).map(weight).collect()
    };
    (0..STEPS).map(row).collect()
}

/// The same as a head takes it.
fn parts(rows: &[Vec<f32>]) -> [Vec<f32>; 2] {
    let part = |range: Range<usize>| {
        let rows = rows.iter();
        rows.flat_map(|row| row[range.clone()].to_vec()).collect()
    };
    [part(0..PROMPT), part(PROMPT..PROMPT + BEHIND)]
}

fn head<'a>(parts: &'a [Vec<f32>; 2], norms: &'a [f32], sums: Option<&'a [f32]>) -> DecodeHead<'a> {
    DecodeHead {
        steps: STEPS,
        on_prompt: &parts[0],
        behind: &parts[1],
        sliding_window: None,
        key_norms: norms,
        prompt_sums: sums,
        seed: 3,
    }
}

fn plan(every: usize, rankings: &[DecodeRanking], budgets: &[usize]) -> DecodeEvictionPlan {
    DecodeEvictionPlan {
        every,
        rankings: rankings.to_vec(),
        horizons: vec![Horizon::Next(1), Horizon::Next(every), Horizon::Rest],
        budgets: budgets
            .iter()
            .map(|&tokens| Budget::Tokens(tokens))
            .collect(),
    }
}

/// The best `budget` tokens of some, by a plain sort.
fn best(scores: &[f64], tokens: Range<usize>, budget: usize) -> Vec<usize> {
    let mut tokens: Vec<usize> = tokens.collect();
    tokens.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    tokens.truncate(budget);
    tokens
}

/// Sum of some rows, token by token.
fn summed(rows: &[Vec<f32>], steps: Range<usize>) -> Vec<f64> {
    let sum = |token: usize| {
        rows[steps.clone()]
            .iter()
            .map(|row| f64::from(row[token]))
            .sum()
    };
    (0..PROMPT + BEHIND).map(sum).collect()
}

/// Every number by its definition, of attention that is written out row by row.
#[test]
fn every_number_is_that_of_its_definition() {
    let norms: Vec<f32> = (0..PROMPT + BEHIND)
        .map(|token| ((token * 5) % 7) as f32 + 1.0)
        .collect();
    let of_prompt = [3.0, 0.5, 2.0, 1.0, 0.25];
    for window in [None, Some(6)] {
        let rows = attention(4, window);
        let parts = parts(&rows);
        let head = DecodeHead {
            sliding_window: window,
            ..head(&parts, &norms, Some(&of_prompt))
        };
        let rankings = [
            DecodeRanking::LastRows(1),
            DecodeRanking::LastRows(3),
            DecodeRanking::Accumulated,
            DecodeRanking::AccumulatedWithPrompt,
            DecodeRanking::KeyNorm,
            DecodeRanking::Streaming,
        ];
        let plan = plan(2, &rankings, &[1, 3, 5, 40]);
        let found = decode_eviction(&head, &plan).unwrap();
        let steps: Vec<usize> = found.iter().map(|step| step.step).collect();
        assert_eq!(steps, [2, 4, 6]);
        for at in &found {
            let cached = PROMPT + 2 + at.step;
            let visible = window.map_or(0, |window| cached + 1 - window)..cached;
            assert_eq!(
                (at.cached_tokens, at.visible_tokens),
                (cached, visible.len())
            );
            assert_eq!(at.budgets, [1, 3, 5, cached]);
            // a stage of 7 steps has one behind the sixth, so no next two
            assert_eq!(at.horizons.len(), if at.step == 6 { 2 } else { 3 });
            for held in &at.horizons {
                let end = match held.horizon {
                    Horizon::Next(next) => at.step + next,
                    Horizon::Rest => STEPS,
                };
                let later = summed(&rows, at.step..end);
                assert_eq!(held.steps, end - at.step);
                let all: f64 = visible.clone().map(|token| later[token]).sum();
                assert!((held.cached_share - all / held.steps as f64).abs() < 1e-12);
                for (ranking, kept) in rankings.iter().zip(&held.kept) {
                    let scores: Vec<f64> = match ranking {
                        DecodeRanking::LastRows(rows_taken) => {
                            summed(&rows, at.step.saturating_sub(*rows_taken)..at.step)
                        }
                        DecodeRanking::Accumulated => summed(&rows, 0..at.step),
                        DecodeRanking::AccumulatedWithPrompt => {
                            let mut scores = summed(&rows, 0..at.step);
                            scores
                                .iter_mut()
                                .zip(of_prompt)
                                .for_each(|(score, sum)| *score += f64::from(sum));
                            scores
                        }
                        DecodeRanking::KeyNorm => {
                            norms.iter().map(|&norm| -f64::from(norm)).collect()
                        }
                        _ => {
                            // the first four before all others, then backwards
                            let place = |token: usize| {
                                if token < 4 {
                                    1e6 - token as f64
                                } else {
                                    token as f64
                                }
                            };
                            (0..PROMPT + BEHIND).map(place).collect()
                        }
                    };
                    for (&budget, kept) in at.budgets.iter().zip(kept) {
                        if budget >= visible.len() {
                            assert!(kept.recall.is_nan() && kept.mass.is_nan());
                            continue;
                        }
                        let own = best(&later, visible.clone(), budget);
                        let of_ranking = best(&scores, visible.clone(), budget);
                        let shared = own
                            .iter()
                            .filter(|token| of_ranking.contains(token))
                            .count();
                        let mass: f64 = of_ranking.iter().map(|&token| later[token]).sum();
                        assert!(
                            (kept.recall - shared as f64 / budget as f64).abs() < 1e-12,
                            "{ranking}"
                        );
                        assert!((kept.mass - mass / all).abs() < 1e-12, "{ranking}");
                    }
                }
                for (&budget, &most) in at.budgets.iter().zip(&held.most) {
                    let mass: f64 = best(&later, visible.clone(), budget)
                        .iter()
                        .map(|&token| later[token])
                        .sum();
                    assert!(most.is_nan() == (budget >= visible.len()));
                    assert!(most.is_nan() || (most - mass / all).abs() < 1e-12);
                }
            }
        }
    }
}

/// By hand: three prompt tokens and three steps, ranked after the first.
#[test]
fn a_case_by_hand() {
    // step 0 sees tokens 0 to 3, step 1 those to 4, step 2 those to 5
    let on_prompt = [0.5, 0.1, 0.2, 0.1, 0.6, 0.1, 0.2, 0.5, 0.0];
    let behind = [0.2, 0.0, 0.0, 0.1, 0.1, 0.0, 0.1, 0.1, 0.1];
    let head = DecodeHead {
        steps: 3,
        on_prompt: &on_prompt,
        behind: &behind,
        sliding_window: None,
        key_norms: &[1.0; 6],
        prompt_sums: None,
        seed: 0,
    };
    let plan = plan(1, &[DecodeRanking::LastRows(8)], &[1, 2]);
    let found = decode_eviction(&head, &plan).unwrap();
    assert_eq!(found.len(), 2);
    // after step 0 tokens 0 and 2 stand first (3 ties with 2 and comes later); the two later steps pay
    // 0.3, 1.1, 0.1 and 0.2 to the four: tokens 1 and 0
    let rest = &found[0].horizons[2];
    assert_eq!((rest.horizon, rest.steps), (Horizon::Rest, 2));
    let [one, two] = [rest.kept[0][0], rest.kept[0][1]];
    assert_eq!((one.recall, two.recall), (0.0, 0.5));
    assert!((one.mass - 0.3 / 1.7).abs() < 1e-6 && (two.mass - 0.4 / 1.7).abs() < 1e-6);
    assert!((rest.most[0] - 1.1 / 1.7).abs() < 1e-6 && (rest.most[1] - 1.4 / 1.7).abs() < 1e-6);
    assert!((rest.cached_share - 0.85).abs() < 1e-6);
}

#[test]
fn chance_is_drawn_once_and_by_the_seed() {
    let rows = attention(1, None);
    let (parts, norms) = (parts(&rows), [1.0; PROMPT + BEHIND]);
    let plan = plan(1, &[DecodeRanking::Random], &[4]);
    let with = |seed| {
        let head = DecodeHead {
            seed,
            ..head(&parts, &norms, None)
        };
        let found = decode_eviction(&head, &plan).unwrap();
        found
            .iter()
            .map(|at| at.horizons[0].kept[0][0].mass)
            .collect::<Vec<f64>>()
    };
    assert_eq!(with(5), with(5));
    assert_ne!(with(5), with(6));
}

#[test]
fn what_does_not_fit_is_refused_and_a_short_stage_says_nothing() {
    let rows = attention(2, None);
    let (parts, norms) = (parts(&rows), [1.0; PROMPT + BEHIND]);
    let head = head(&parts, &norms, None);
    let plan = plan(STEPS, &DecodeRanking::USUAL, &[2]);
    assert_eq!(decode_eviction(&head, &plan).unwrap(), []);
    let never = DecodeEvictionPlan {
        every: 0,
        ..plan.clone()
    };
    assert!(decode_eviction(&head, &never).is_err());
    let wrong = [
        DecodeHead {
            key_norms: &norms[1..],
            ..head
        },
        DecodeHead {
            behind: &parts[1][..STEPS * (STEPS - 1)],
            ..head
        },
        DecodeHead {
            on_prompt: &parts[0][1..],
            ..head
        },
        DecodeHead {
            prompt_sums: Some(&norms),
            ..head
        },
        DecodeHead { steps: 0, ..head },
    ];
    for head in wrong {
        assert!(decode_eviction(&head, &plan).is_err());
    }
    let mut holed = parts.clone();
    holed[1][3] = f32::NAN;
    let head = DecodeHead {
        behind: &holed[1],
        ..head
    };
    assert!(
        decode_eviction(&head, &plan)
            .unwrap_err()
            .to_string()
            .contains("number 3")
    );
}

#[test]
fn rankings_are_read_as_they_are_written() {
    for ranking in DecodeRanking::USUAL {
        assert_eq!(
            ranking.to_string().parse::<DecodeRanking>().unwrap(),
            ranking
        );
    }
    for (text, horizon) in [("16", Horizon::Next(16)), ("rest", Horizon::Rest)] {
        assert_eq!(text.parse::<Horizon>().unwrap(), horizon);
        assert_eq!(horizon.to_string(), text);
    }
    for text in ["0", "all", "-1"] {
        assert!(text.parse::<Horizon>().is_err(), "{text}");
    }
    for text in ["last", "last:0", "snapkv", ""] {
        let refused = text.parse::<DecodeRanking>().unwrap_err().to_string();
        assert!(refused.contains("last:ROWS"), "{refused}");
    }
}

/// Means over heads and steps first, then over samples; what is undefined is in none of them.
#[test]
fn samples_count_alike_in_means_whatever_their_steps() {
    let step = |recalls: &[f64]| RankedStep {
        step: 1,
        cached_tokens: 9,
        visible_tokens: 9,
        budgets: vec![2],
        horizons: vec![HeldAgainst {
            horizon: Horizon::Rest,
            steps: 1,
            cached_share: 1.0,
            most: vec![1.0],
            kept: recalls
                .iter()
                .map(|&recall| {
                    vec![KeptOfLater {
                        recall,
                        mass: recall / 2.0,
                    }]
                })
                .collect(),
        }],
    };
    let names = ["last:1".to_owned(), "knorm".to_owned()];
    let budget = [Budget::Tokens(2)];
    let mut means = DecodeEvictionMeans::default();
    means.add_head(
        &names,
        &budget,
        &[step(&[0.2, 1.0]), step(&[0.4, f64::NAN])],
    );
    means.add_head(&names, &budget, &[step(&[0.6, 0.5])]);
    means.end_sample();
    means.add_head(&names, &budget, &[step(&[1.0, f64::NAN])]);
    means.end_sample();
    let found = means.means();
    // (0.4 + 1.0) / 2, and 0.75 of the first sample alone
    assert_eq!(found.len(), 2);
    let first = &found[0];
    assert_eq!((first.point.ranking.as_str(), first.samples), ("last:1", 2));
    assert!((first.recall - 0.7).abs() < 1e-12 && (first.mass - 0.35).abs() < 1e-12);
    assert_eq!((found[1].recall, found[1].samples), (0.75, 1));
}
