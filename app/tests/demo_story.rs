//! What README tells of the demo: the queries of the last prompt window foresee decoding less well when the question
//! stands at the start of the prompt, in every one of the built-in documents.

use kvlens::measurement::{MeasureOptions, measure_sample};
use kvlens_analysis::Metric;
use kvlens_datasets::{DataSpec, LoadOptions, QuestionPlace, load_with};
use kvlens_sessions::model::{DeviceChoice, DtypeChoice, Model, ModelSource};
use kvlens_sessions::{CancelFlag, CapturePlan, DecodePlan, Session, StartMode, capture};

/// About the size of one fact.
const BUDGET_TOKENS: usize = 16;

#[test]
fn the_last_window_foresees_less_when_the_question_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo.kvlens");
    let demo: DataSpec = "demo".parse().unwrap();
    let samples = load_with(&[demo], &LoadOptions::default()).unwrap().samples;
    let plan = CapturePlan {
        windows: vec!["last:8".to_owned()],
        decode: DecodePlan::default(),
        device: DeviceChoice::Cpu,
        dtype: DtypeChoice::F32,
        ..CapturePlan::plain(ModelSource::Demo, vec!["demo".to_owned()])
    };
    let model = Model::load(&plan.model, plan.device, plan.dtype).unwrap();
    let cancel = CancelFlag::default();
    capture(
        &plan,
        &model,
        &samples,
        &out,
        StartMode::New,
        &mut |_| {},
        &cancel,
    )
    .unwrap();

    let session = Session::open(&out).unwrap();
    let recalls: Vec<(Option<String>, QuestionPlace, f64)> = (0..session.sample_count())
        .map(|index| {
            let captured = session.load_sample(index).unwrap();
            let measured = measure_sample(&captured, &MeasureOptions::default(), |_| {
                vec![BUDGET_TOKENS]
            })
            .unwrap();
            let recall = measured.windows[0].comparison.mean(Metric::Recall, 0);
            let place = measured.record.question_place.unwrap();
            (measured.record.document.clone(), place, recall)
        })
        .collect();
    let mut pairs = 0;
    for (document, _, at_end) in recalls
        .iter()
        .filter(|(_, place, _)| *place == QuestionPlace::End)
    {
        let twin = recalls
            .iter()
            .find(|(other, place, _)| *place == QuestionPlace::Start && other == document);
        let (document, _, at_start) = twin.unwrap();
        assert!(document.is_some());
        assert!(
            at_end > at_start,
            "recall {at_end} with the question at the end, {at_start} at the start"
        );
        pairs += 1;
    }
    assert_eq!(pairs, 4);
}
