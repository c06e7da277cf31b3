//! What the lessons say, held against the state that each of their steps shows.

use std::path::Path;

use crate::common::{
    Bench, bench, bench_of, captured, captured_of, inside, inside_mut, send, shows_a_sample,
    wait_for,
};
use egui_kittest::kittest::Queryable as _;
use kvlens::demo::DEMO_WINDOWS;
use kvlens::gui::command::{LayoutCommand, LessonCommand, LookCommand, SessionCommand};
use kvlens::gui::derived::EvidenceKept;
use kvlens::gui::layout::{Layout, Pane, Preset};
use kvlens::gui::lessons::{filled, lessons};
use kvlens::gui::questions::fidelity::FidelityPoint;
use kvlens::gui::state::Settings;
use kvlens::gui::workbench::Workbench;
use kvlens_analysis::Metric;

/// The built-in prompts in a workbench.
fn opened<'a>(session: &Path) -> Bench<'a> {
    let mut bench = bench(Path::new("nowhere"), Settings::default());
    inside_mut(&mut bench).send(SessionCommand::OpenSession(session.to_owned()));
    wait_for(&mut bench, "the session", shows_a_sample);
    bench
}

/// What a step shows.
struct Seen {
    lesson: String,
    step: String,
    text: String,
    evidence: EvidenceKept,
    choices_window: String,
    budget_tokens: usize,
    /// Recall, kept recall, hit rate, share of the largest mass and, where there is one, the ceiling of recall.
    numbers: Vec<(String, [f64; 5])>,
    /// Recall of each head of the map, or a difference, `[L, H]`.
    map: Vec<f64>,
    /// Heads of the map whose difference could be chance.
    unresolved: usize,
    /// What was measured of the sample's evictions.
    evicted: Vec<FidelityPoint>,
    /// Mean cosine of each window's queries with the decode stage's, before and after the rotation.
    cosines: Vec<(String, [f64; 2])>,
}

impl Seen {
    fn of(&self, window: &str) -> [f64; 5] {
        let mut numbers = self.numbers.iter();
        numbers.find(|(label, _)| label == window).unwrap().1
    }

    fn recall(&self, window: &str) -> f64 {
        self.of(window)[0]
    }

    /// At the smallest budget.
    fn evicted(&self, window: &str) -> &FidelityPoint {
        let points = self.evicted.iter().filter(|point| point.label == window);
        points.min_by_key(|point| point.budget_tokens).unwrap()
    }

    fn kl(&self, window: &str) -> f64 {
        self.evicted(window).figures.fidelity.kl
    }

    fn cosines(&self, window: &str) -> [f64; 2] {
        let mut cosines = self.cosines.iter();
        cosines.find(|(label, _)| label == window).unwrap().1
    }

    fn says(&self, text: &str) {
        assert!(
            self.text.contains(text),
            "{}: {} lacks '{text}'",
            self.step,
            self.text
        );
    }
}

fn seen(bench: &Bench<'_>, lesson: usize, step: usize) -> Seen {
    let workbench = inside(bench);
    let derived = workbench.derived();
    let known = &lessons()[lesson];
    let known_step = &known.steps[step];
    let at = derived.budget_index;
    let numbers = derived.bands().iter().map(|bands| {
        let of = |metric: Metric| bands.band(metric).unwrap().mean[at];
        let ceiling = bands
            .ceiling(Metric::Recall)
            .map_or(f64::NAN, |ceiling| ceiling[at]);
        let numbers = [
            of(Metric::Recall),
            of(Metric::KeptRecall),
            of(Metric::HitRate),
            of(Metric::MassOfOracle),
            ceiling,
        ];
        (bands.label.clone(), numbers)
    });
    Seen {
        lesson: known.title.clone(),
        step: known_step.title.clone(),
        text: filled(&known_step.text, derived, &workbench.settings().choices),
        evidence: derived.evidence(),
        choices_window: derived.window.clone().unwrap(),
        budget_tokens: derived.budget_tokens(),
        numbers: numbers.collect(),
        map: derived
            .map()
            .map_or_else(Vec::new, |map| map.values.clone()),
        unresolved: derived.map().map_or(0, |map| {
            map.unresolved.iter().filter(|struck| **struck).count()
        }),
        evicted: derived
            .fidelity()
            .map_or_else(Vec::new, |curves| curves.of_shown.clone()),
        cosines: derived
            .queries()
            .map_or(&[][..], |queries| &queries.lines)
            .iter()
            .filter_map(|line| {
                let before = line.before.as_ref()?.selected.mean;
                Some((line.label.clone(), [before, line.after.selected.mean]))
            })
            .collect(),
    }
}

/// Views in which one could read what a step asks.
fn giving_away(step: &str) -> &'static [Pane] {
    match step {
        "Most tokens hardly matter" => &[Pane::INSPECTOR],
        "LAQ: write a draft" => &[Pane::INSPECTOR, Pane::RECALL],
        "Before the rotation" => &[Pane::QUERIES],
        _ => &[],
    }
}

/// Every step of every lesson, played as with Next.
fn played() -> Vec<Seen> {
    let (_folder, session) = captured(&DEMO_WINDOWS);
    let mut bench = opened(&session);
    let mut all = Vec::new();
    for (number, lesson) in lessons().iter().enumerate() {
        inside_mut(&mut bench).send(LessonCommand::StartLesson(number));
        for step in 0..lesson.steps.len() {
            bench.run_steps(4);
            if let Some(prediction) = &lesson.steps[step].prediction {
                wait_for(&mut bench, &lesson.title, Workbench::is_idle);
                bench.run_steps(2);
                // what the step says would give the answer away
                assert!(bench.query_by_label("Try it").is_none(), "{}", lesson.title);
                let visible = inside(&bench).layout().visible();
                for pane in giving_away(&lesson.steps[step].title) {
                    assert!(!visible.contains(pane), "{}", lesson.steps[step].title);
                }
                let right = prediction.choices[prediction.right].as_str();
                bench.get_by_label(right).click();
                bench.run_steps(4);
            }
            wait_for(&mut bench, &lesson.title, Workbench::is_idle);
            bench.run_steps(2);
            all.push(seen(&bench, number, step));
            inside_mut(&mut bench).send(LessonCommand::StepLesson(1));
        }
        inside_mut(&mut bench).send(LessonCommand::CloseLesson);
        bench.run_steps(3);
    }
    all
}

#[test]
fn every_sentence_with_a_number_is_true_of_what_its_step_shows() {
    let all = played();
    let step = |title: &str| all.iter().find(|seen| seen.step == title).unwrap();
    for seen in &all {
        let text = &seen.text;
        assert!(
            !text.contains(['{', '}', '…']),
            "{}, {}: {text}",
            seen.lesson,
            seen.step
        );
    }

    // most tokens hardly matter: a cache that knows the future keeps nearly all that is needed
    let seen = step("Most tokens hardly matter");
    assert!(
        10 * seen.evidence.oracle >= 9 * seen.evidence.needed,
        "{:?}",
        seen.evidence
    );
    seen.says("layer 1, head 0");

    // the last window sees what is needed where it has read the question, and nothing where it has not
    let end = step("Guess from the end of the prompt");
    let start = step("Ask at the start instead");
    assert_eq!(
        (end.choices_window.as_str(), end.evidence.needed),
        ("last:8", 22)
    );
    assert!(end.evidence.window >= 18, "{:?}", end.evidence);
    assert_eq!(start.evidence.window, 0);
    assert!(end.recall("last:8") > start.recall("last:8") + 0.2);
    end.says(&format!("keeps {} of the 22 needed", end.evidence.window));
    start.says("keeps 0 of 22");
    let lost = step("What is lost");
    assert!(
        lost.evidence.oracle >= 18 && lost.evidence.window == 0,
        "{:?}",
        lost.evidence
    );

    // blind where facts are read off, well foreseen elsewhere
    let heads = step("Some heads, not all");
    let of_head = |layer: usize, head: usize| heads.map[layer * 4 + head];
    assert!(
        of_head(1, 0) < 0.25 && of_head(0, 2) > 0.75,
        "{:?}",
        heads.map
    );

    // who looks ahead foresees more than the last window, the adapters most
    for (title, window) in [
        ("LAQ: write a draft", "laq:n=8"),
        ("DapQ: the right position is half of it", "dapq:n=32"),
        ("Judge Q: learned soft tokens", "judge-q"),
        (
            "LookaheadKV: tokens with adapters of their own",
            "lookahead-kv",
        ),
    ] {
        let seen = step(title);
        let (own, last) = (seen.recall(window), seen.recall("last:8"));
        assert!(own > last + 0.1, "{title}: {own} against {last}");
        seen.says(&format!("Recall of {window}: {own:.2}"));
    }
    let adapters = step("LookaheadKV: tokens with adapters of their own");
    for window in DEMO_WINDOWS {
        assert!(
            adapters.recall(window) <= adapters.recall("lookahead-kv"),
            "{window}"
        );
    }

    // a budget too small for the facts, and mass that is high where recall is not
    let small = step("Small budgets");
    assert!(
        small.budget_tokens < small.evidence.needed,
        "whoever chooses"
    );
    for kept in [small.evidence.window, small.evidence.oracle] {
        assert!(kept <= small.budget_tokens);
    }
    small.says(&format!("{} of them", small.evidence.window));
    assert!(
        4 * small.evidence.oracle < small.evidence.needed,
        "{:?}",
        small.evidence
    );
    assert!(small.evidence.window <= small.evidence.oracle);
    let [recall, _, _, share, _] = step("Attention that survives").of("last:8");
    assert!(share > recall + 0.2, "{share} at {recall}");

    // the ceiling, and hits that are none
    let queries = step("Which queries foresee?");
    let methods = step("Which method keeps?");
    let [recall, .., ceiling] = methods.of("laq:n=8");
    assert!(recall < queries.recall("laq:n=8") - 0.1, "{recall}");
    assert!(recall < ceiling && ceiling < 0.75, "{recall} of {ceiling}");
    methods.says(&format!("reach only {ceiling:.2}"));
    let [_, kept, hits, ..] = step("Hits that are none").of("last:8");
    assert!(hits > kept + 0.3, "{hits} hits, {kept} kept");

    // the answer stays while the window has read the question, and does not where it has not
    let end = step("The answer of the full cache");
    assert!(end.kl("last:8") < 0.05, "{}", end.kl("last:8"));
    let full = end.evicted("full").generated.trim();
    assert_eq!(end.evicted("last:8").generated.trim(), full);
    end.says(&format!("it says: “{full}”"));
    let start = all
        .iter()
        .find(|seen| seen.step == "Ask at the start instead" && !seen.evicted.is_empty())
        .unwrap();
    let full = start.evicted("full").generated.trim();
    let wrong = start.evicted("last:8").generated.trim();
    assert!(!wrong.is_empty() && wrong != full, "{wrong}");
    start.says(&format!("keeps: “{wrong}”"));
    assert!(start.kl("last:8") > 1.0 && start.kl("laq:n=8") < start.kl("last:8") / 2.0);
    let costs = step("A budget costs output");
    assert!(costs.kl("decode") < costs.kl("last:8"));
    assert_eq!(costs.evicted("last:8").budget_tokens, 10, "2 % of 517");

    // the rotation leaves alone what stands at the same positions
    for title in ["Before the rotation", "After the rotation"] {
        let seen = step(title);
        let [before, after] = seen.cosines("dapq:n=32");
        assert!((before - after).abs() < 0.02, "{before} and {after}");
        let [before, after] = seen.cosines("last:32");
        assert!(after < before - 0.1, "{before} and {after}");
    }
}

/// Four prompts resolve nothing; the lesson is given on the eight of the demo.
#[test]
fn where_looking_ahead_pays_it_does_so_beyond_chance_in_most_heads() {
    let (_folder, session) = captured_of("demo", &["last:8", "lookahead-kv"]);
    let mut bench = opened(&session);
    let known = lessons();
    let number = known
        .iter()
        .position(|lesson| lesson.title == "How each proxy looks ahead")
        .unwrap();
    inside_mut(&mut bench).send(LessonCommand::StartLesson(number));
    bench.run_steps(4);
    let last = known[number].steps.len() - 1;
    for step in &known[number].steps[..last] {
        wait_for(&mut bench, &step.title, Workbench::is_idle);
        bench.run_steps(2);
        if let Some(prediction) = &step.prediction {
            let right = prediction.choices[prediction.right].as_str();
            bench.get_by_label(right).click();
            bench.run_steps(4);
        }
        inside_mut(&mut bench).send(LessonCommand::StepLesson(1));
        bench.run_steps(4);
    }
    wait_for(&mut bench, "all samples", |workbench| {
        let maps = workbench.data().answers.maps.value();
        workbench.is_idle() && maps.is_some_and(|maps| maps.is_complete())
    });
    let pays = seen(&bench, number, last);
    assert_eq!(pays.step, "Where looking ahead pays");
    assert_eq!(pays.map.len(), 16);
    // four documents, each asked in two places: no test can resolve anything
    assert_eq!(pays.unresolved, 16);
    let leads = pays.map.iter().filter(|lead| **lead > 0.0).count();
    assert!(leads > 8, "{:?}", pays.map);
    pays.says("with four documents no head can be resolved");
}

#[test]
fn a_lesson_asks_first_and_leads_to_the_next_one() {
    let (_folder, session) = captured(&DEMO_WINDOWS);
    let mut bench = opened(&session);
    inside_mut(&mut bench).send(LessonCommand::StartLesson(0));
    let press = |bench: &mut Bench<'_>| {
        bench.key_press(egui::Key::PageDown);
        bench.run_steps(4);
        wait_for(bench, "the step", Workbench::is_idle);
        bench.run_steps(2);
    };
    wait_for(&mut bench, "the step", Workbench::is_idle);
    press(&mut bench);
    press(&mut bench);
    // the third step asks; another press shows it without a guess
    assert!(bench.query_by_label("nearly all").is_some());
    press(&mut bench);
    assert!(bench.query_by_label("nearly all").is_none());
    assert!(bench.query_by_label("Try it").is_some());
    // it is about the framed tokens: the text comes to the first of them
    bench.run_steps(10);
    let sample = inside(&bench).data().shown().unwrap().sample.clone();
    let spans = sample.record.evidence_tokens.iter();
    let needed = spans.map(|span| span.start).min().unwrap();
    let id = egui::Id::unique("tokens in sight");
    let sight: Option<(usize, usize)> = bench.ctx.data(|data| data.get_temp(id));
    let (first, last) = sight.unwrap();
    assert!(first > 0, "the text was not scrolled");
    assert!((first..=last).contains(&needed), "{needed} in {sight:?}");
    // and larger, on a screen of its own, it is where it was
    bench.key_press(egui::Key::F5);
    bench.run_steps(10);
    let larger: Option<(usize, usize)> = bench.ctx.data(|data| data.get_temp(id));
    let (from, to) = larger.unwrap();
    assert!(
        from > 0 && (from..=to).contains(&needed),
        "{needed} in {larger:?}"
    );
    bench.key_press(egui::Key::F5);
    bench.run_steps(10);
    bench.key_press(egui::Key::PageUp);
    bench.run_steps(4);
    assert!(
        bench
            .query_by_label_contains("2. The answer looks back")
            .is_some()
    );
    press(&mut bench);
    // a step that was shown does not ask again
    assert!(bench.query_by_label("Next lesson").is_some());
    press(&mut bench);
    assert!(bench.query_by_label(&lessons()[1].title).is_some());

    // a wrong guess is told
    press(&mut bench);
    bench.get_by_label("as many as before").click();
    bench.run_steps(4);
    wait_for(&mut bench, "the step", Workbench::is_idle);
    bench.run_steps(2);
    assert!(
        bench
            .query_by_label("You said “as many as before”: not so.")
            .is_some()
    );
}

#[test]
fn a_lesson_stands_in_its_own_places_from_its_question_on_and_gives_back_the_former_ones() {
    let (_folder, session) = captured(&DEMO_WINDOWS);
    let mut bench = opened(&session);
    send(&mut bench, LayoutCommand::UsePreset(Preset::Compare));
    send(&mut bench, LayoutCommand::ShowPane(Pane::FIDELITY));
    send(&mut bench, LookCommand::SetWindow("last:8".to_owned()));
    let before = inside(&bench).layout().visible();
    let position = lessons()
        .iter()
        .position(|lesson| lesson.steps[0].prediction.is_some());
    inside_mut(&mut bench).send(LessonCommand::StartLesson(position.unwrap()));
    bench.run_steps(4);
    wait_for(&mut bench, "the question", Workbench::is_idle);
    let teaching = Layout::of(Preset::Teach).visible();
    assert_eq!(inside(&bench).layout().visible(), teaching);
    assert!(bench.query_by_label("Show it").is_some());
    // what the lesson is about is on the screen, and what is kept between two runs is not the lesson's
    assert_eq!(
        inside(&bench).settings().choices.window.as_deref(),
        Some("dapq:n=32")
    );
    assert_eq!(inside(&bench).layout_of_ones_own().visible(), before);
    // the next lesson keeps what was there before the first
    inside_mut(&mut bench).send(LessonCommand::StartLesson(2));
    bench.run_steps(4);
    wait_for(&mut bench, "another lesson", Workbench::is_idle);
    inside_mut(&mut bench).send(LessonCommand::CloseLesson);
    bench.run_steps(3);
    assert_eq!(inside(&bench).layout().visible(), before);
}

#[test]
fn a_presented_list_leaves_the_plot_below_it_on_the_screen() {
    let (_folder, session) = captured(&DEMO_WINDOWS);
    let mut bench = bench_of(
        Path::new("nowhere"),
        Settings::default(),
        Layout::default(),
        [1280.0, 720.0],
    );
    inside_mut(&mut bench).send(SessionCommand::OpenSession(session));
    wait_for(&mut bench, "the session", shows_a_sample);
    send(&mut bench, LayoutCommand::UsePreset(Preset::Compare));
    for pane in [Pane::SCORING, Pane::SAMPLES, Pane::COST, Pane::HEADS] {
        send(&mut bench, LayoutCommand::ShowPane(pane));
        bench.key_press(egui::Key::F5);
        bench.run_steps(6);
        let screen = bench.ctx.content_rect();
        let plot = match pane == Pane::COST {
            true => "What windows cost",
            false => "Curves over the budget",
        };
        let rect = bench.get_by_label(plot).rect();
        assert!(screen.contains_rect(rect), "{pane:?}: {rect:?}");
        assert!(rect.height() > 0.2 * screen.height(), "{pane:?}: {rect:?}");
        bench.key_press(egui::Key::F5);
        bench.run_steps(4);
    }
}

#[test]
fn a_presentation_shows_the_views_of_the_step_alone_and_larger() {
    let (_folder, session) = captured(&DEMO_WINDOWS);
    let mut bench = opened(&session);
    inside_mut(&mut bench).send(LessonCommand::StartLesson(1));
    wait_for(&mut bench, "the step", Workbench::is_idle);
    bench.run_steps(2);
    let zoom = bench.ctx.zoom_factor();
    assert!(bench.query_by_label("Budget").is_some());
    bench.key_press(egui::Key::F5);
    bench.run_steps(4);
    assert!(bench.ctx.zoom_factor() > 1.4 * zoom);
    assert!(bench.query_by_label("File").is_none() && bench.query_by_label("Samples").is_none());
    assert!(bench.query_by_label("Recall vs budget").is_some());
    bench.key_press(egui::Key::Escape);
    bench.run_steps(4);
    assert_eq!(bench.ctx.zoom_factor(), zoom);
    assert!(bench.query_by_label("File").is_some());
}

#[test]
fn prompts_that_are_opened_as_a_session_are_offered_to_a_capture_even_in_a_lesson() {
    let (folder, session) = captured(&DEMO_WINDOWS);
    let prompts = folder.path().join("prompts.txt");
    std::fs::write(&prompts, "A text.").unwrap();
    let mut bench = opened(&session);
    inside_mut(&mut bench).send(LessonCommand::StartLesson(0));
    bench.run_steps(4);
    assert!(bench.query_by_label("End the lesson").is_some());
    inside_mut(&mut bench).send(SessionCommand::OpenSession(prompts.clone()));
    bench.run_steps(4);
    assert!(bench.query_by_label("End the lesson").is_none());
    assert!(bench.query_by_label("Run").is_some());
    let capture = &inside(&bench).settings().capture;
    assert_eq!(capture.data, prompts.display().to_string());
}
