//! How a job tells what it does.

use kvlens_sessions::Stage;
use kvlens_sessions::hub::DownloadProgress;
use kvlens_sessions::model::ModelSource;

use super::estimate::Estimate;
use crate::measurement::StageProgress;

/// Who is told how far a job is. Stages of a sample and lines that stay come by [`StageProgress`].
pub trait Watch: StageProgress {
    /// Work on a sample begins; `index` counts from 0.
    fn sample(&mut self, index: usize, count: usize, id: &str);

    /// A sample of a capture is on disk.
    fn sample_finished(&mut self, _id: &str) {}

    /// A sample of a capture could not be made; the others go on.
    fn sample_failed(&mut self, id: &str, reason: &str) {
        self.note(&format!("sample '{id}' could not be captured: {reason}"));
    }

    /// A capture is at `done` of `total` tokens of a stage.
    fn capture_stage(&mut self, stage: &Stage, done: usize, total: usize) {
        self.stage(&stage.to_string(), done, total);
    }

    /// A file of a model is on its way.
    fn fetching(&mut self, _progress: DownloadProgress<'_>) {}

    /// A model is about to be loaded.
    fn loading(&mut self) {}

    /// It could be loaded.
    fn loaded(&mut self, _model: &ModelSource) {}

    /// What the capture takes was accepted.
    fn accepted(&mut self, _estimate: &Estimate) {}

    /// The capture begins to run the model.
    fn started(&mut self) {}
}
