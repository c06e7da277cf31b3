//! Sessions that keep scores, made where the keys are, against those that the processor makes of kept keys.

use kvlens_analysis::{ForcedKeep, Scoring, SideScoring};
use kvlens_sessions::{CapturePlan, CapturedSample, Keep, Observation, Session, StartMode};

use crate::common::{demo_model, demo_samples, plan, run_capture};

const WINDOWS: [&str; 6] = ["last:8", "laq", "tova", "knorm", "expected", "draft"];

fn captured(folder: &std::path::Path, keep: Keep) -> CapturedSample {
    let plan = CapturePlan {
        keep: Some(keep),
        ..plan(&WINDOWS, 8)
    };
    let samples = demo_samples("demo:length=512,samples=1");
    let out = folder.join(format!("{keep}.kvlens"));
    run_capture(&plan, &demo_model(), &samples, &out, StartMode::New, None).unwrap();
    Session::open(&out).unwrap().load_sample(0).unwrap()
}

fn both(sample: &CapturedSample) -> impl Iterator<Item = &Observation> {
    std::iter::once(sample.oracle()).chain(sample.windows())
}

#[test]
fn scores_that_were_made_where_the_keys_are_are_those_of_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, small] = [Keep::Keys, Keep::Scores].map(|keep| captured(folder.path(), keep));
    assert!(whole.keys().are_kept() && !small.keys().are_kept());
    let alike = SideScoring::of(Scoring::default(), ForcedKeep::default());
    for (made, kept) in both(&whole).zip(both(&small)) {
        assert_eq!((made.label(), made.rows()), (kept.label(), kept.rows()));
        for side in [alike, made.published_side()] {
            let [made, kept] = [(&whole, made), (&small, kept)]
                .map(|(sample, observed)| sample.importance(observed, side).unwrap());
            for layer in 0..made.layers() {
                for head in 0..made.heads() {
                    let scores = made.head(layer, head).iter().zip(kept.head(layer, head));
                    for (made, kept) in scores {
                        let difference = (made - kept).abs();
                        assert!(difference <= 1e-5 * made.abs().max(1.0), "{made}, {kept}");
                    }
                }
            }
        }
    }
}
