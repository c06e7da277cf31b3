//! The prompts of a training, which lie on disk once they are many.

use std::path::PathBuf;

use anyhow::Result;
use kvlens_datasets::{DatasetError, Sample, Samples, Spool};
use kvlens_sessions::CapturePlan;
use kvlens_sessions::estimate::CaptureEstimator;
use kvlens_sessions::training::{HeldOutGroup, WindowTrainingData};

use super::TrainWindowRequest;
use crate::jobs::folders::folder_above;
use crate::jobs::prompts;

/// One prompt in so many is held out where no held-out data are named.
const HELD_OUT_SHARE: usize = 10;

/// What is trained on and what is held out.
pub struct Prompts {
    training: Spool,
    held_out: Vec<(String, Spool)>,
}

impl Prompts {
    /// Reads them by the tokenizer of the model, which is here; many of them go where the trained window does.
    ///
    /// # Errors
    /// What the data set refuses; a checkpoint that cannot be used; a file that cannot be written.
    pub fn read(request: &TrainWindowRequest, tell: impl Fn(&str)) -> Result<Self> {
        let plan = &request.plan;
        let reader = Reader {
            counter: CaptureEstimator::open(&capture_plan(request, &plan.data))?,
            folder: folder_above(&request.out),
            request,
            tell: &tell,
        };
        if plan.held_out.is_empty() {
            let (training, held_out) = reader.divided(&plan.data)?;
            return Ok(Self {
                training,
                held_out: vec![("every tenth prompt".to_owned(), held_out)],
            });
        }
        let training = reader.spool(&plan.data)?;
        let groups = plan.held_out.iter();
        let held_out = groups
            .map(|spec| Ok((spec.clone(), reader.spool(std::slice::from_ref(spec))?)))
            .collect::<Result<_>>()?;
        Ok(Self { training, held_out })
    }

    /// For the training.
    pub fn data(&self) -> WindowTrainingData<'_> {
        let groups = self.held_out.iter();
        WindowTrainingData {
            training: Samples::from(&self.training),
            held_out: groups
                .map(|(name, samples)| (name.clone(), Samples::from(samples)))
                .collect(),
        }
    }

    /// The held-out prompts, counted.
    pub fn groups(&self) -> Vec<HeldOutGroup> {
        let groups = self.held_out.iter();
        groups
            .map(|(name, samples)| HeldOutGroup {
                name: name.clone(),
                prompts: samples.len(),
            })
            .collect()
    }
}

struct Reader<'a> {
    counter: CaptureEstimator,
    folder: PathBuf,
    request: &'a TrainWindowRequest,
    tell: &'a dyn Fn(&str),
}

impl Reader<'_> {
    fn each(
        &self,
        data: &[String],
        on_sample: &mut dyn FnMut(&Sample) -> Result<(), DatasetError>,
    ) -> Result<()> {
        let plan = capture_plan(self.request, data);
        let report = prompts::each(&plan, &self.counter, &mut |sample| Ok(on_sample(sample)?))?;
        report.to_string().lines().for_each(self.tell);
        Ok(())
    }

    fn spool(&self, data: &[String]) -> Result<Spool> {
        let mut samples = Spool::in_folder(&self.folder);
        self.each(data, &mut |sample| samples.push(sample))?;
        Ok(samples)
    }

    /// Those to train on, and every tenth, which is held out.
    fn divided(&self, data: &[String]) -> Result<(Spool, Spool)> {
        let mut training = Spool::in_folder(&self.folder);
        let mut held_out = Spool::in_folder(&self.folder);
        self.each(data, &mut |sample| {
            let place = training.len() + held_out.len();
            match place % HELD_OUT_SHARE == HELD_OUT_SHARE - 1 {
                true => held_out.push(sample),
                false => training.push(sample),
            }
        })?;
        Ok((training, held_out))
    }
}

/// A capture of these prompts, as they will be encoded in the training.
fn capture_plan(request: &TrainWindowRequest, data: &[String]) -> CapturePlan {
    CapturePlan {
        chat: request.plan.chat,
        device: request.device,
        dtype: request.dtype,
        ..CapturePlan::plain(request.model.clone(), data.to_vec())
    }
}
