//! Layer by layer is as the whole: the same numbers to the last bit, whatever is asked.

use kvlens_analysis::Compare;
use kvlens_datasets::{LoadOptions, load_with};
use kvlens_sessions::model::{DeviceChoice, Model, ModelSource};
use kvlens_sessions::{
    CancelFlag, CapturePlan, DecodePlan, Keep, LayerRange, Session, StartMode, capture,
};

use super::*;
use crate::measurement::{measure_sample, rank_side};

/// One prompt of some hundred tokens with windows of every kind, values and evidence.
fn session(folder: &std::path::Path) -> Session {
    let windows = [
        "last:48",
        "last:8",
        "knorm",
        "h2o",
        "laq:n=4,budget=final@32+64",
    ];
    let plan = CapturePlan {
        windows: windows.map(str::to_owned).to_vec(),
        decode: DecodePlan {
            max_tokens: 6,
            ignore_eos: true,
            ..DecodePlan::default()
        },
        device: DeviceChoice::Cpu,
        keep: Some(Keep::KeysAndValues),
        ..CapturePlan::plain(
            ModelSource::Demo,
            vec!["facts:length=128,samples=1,seed=4".to_owned()],
        )
    };
    let samples = load_with(&[plan.data[0].parse().unwrap()], &LoadOptions::default());
    let samples = samples.unwrap().samples;
    let model = Model::load(&plan.model, plan.device, plan.dtype).unwrap();
    let out = folder.join("s.kvlens");
    let (start, cancel) = (StartMode::New, CancelFlag::default());
    capture(&plan, &model, &samples, &out, start, &mut |_| {}, &cancel).unwrap();
    Session::open(&out).unwrap()
}

#[test]
fn a_sample_measured_layer_by_layer_has_the_numbers_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let session = session(folder.path());
    let questions = Questions {
        asked: Question::ALL.to_vec(),
        ..Questions::none()
    };
    let budgets = [Budget::Tokens(32), Budget::Tokens(64)];
    for compare in [Compare::Queries, Compare::Methods] {
        let options = MeasureOptions {
            compare,
            ..MeasureOptions::default()
        };
        let asking = Asking {
            options: &options,
            budgets: &budgets,
            pairs: &Pairs::All,
            questions: &questions,
            rope: session.manifest().shape.rope.as_ref(),
        };
        let of = |captured: &CapturedSample| {
            let measured = measure_sample(captured, &options, |_| vec![32, 64]).unwrap();
            SampleNumbers::of(captured, &measured.joined(), asking).unwrap()
        };
        let whole = session.load_sample(0).unwrap();
        let expected = of(&whole);
        assert!(expected.decode.layers >= 4, "too few layers to tell");
        let mut sample = session.open_sample(0).unwrap();
        for at_once in [1, 3] {
            let mut found: Option<SampleNumbers> = None;
            for first in (0..expected.decode.layers).step_by(at_once) {
                let captured = sample.layers(first, at_once).unwrap();
                let part = of(&captured);
                match &mut found {
                    Some(found) => found.append(part).unwrap(),
                    None => found = Some(part),
                }
            }
            // NaN is NaN here
            let (found, expected) = (format!("{found:?}"), format!("{:?}", Some(&expected)));
            assert!(found == expected, "{compare}, {at_once} layers at once");
        }
        let captured = sample.layers(2, 2).unwrap();
        let layers = LayerRange {
            first: 2,
            count: 2,
            of: expected.decode.layers,
        };
        assert_eq!(captured.layers(), layers);
        for label in [None, Some("last:8"), Some("h2o")] {
            let [part, whole] =
                [&captured, &whole].map(|sample| rank_side(sample, &options, label).unwrap());
            let heads = whole.importance.heads();
            for (layer, head) in (0..2).flat_map(|layer| (0..heads).map(move |head| (layer, head)))
            {
                let [found, expected] =
                    [(&part, layer), (&whole, layer + 2)].map(|(side, layer)| {
                        let scores = side.importance.head(layer, head);
                        (scores.to_vec(), side.rankings.rank(layer, head).to_vec())
                    });
                assert_eq!(found, expected, "{label:?}");
            }
        }
    }
}

#[test]
fn layers_that_are_not_there_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let session = session(folder.path());
    let layers = session.manifest().shape.layers;
    let mut sample = session.open_sample(0).unwrap();
    assert!(sample.layers(layers, 1).is_err());
    assert!(sample.layers(0, 0).is_err());
    let rest = sample.layers(layers - 1, 5).unwrap();
    assert_eq!(rest.layers().count, 1);
}
