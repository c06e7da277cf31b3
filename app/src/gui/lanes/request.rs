//! What the lanes can be asked for.

use std::path::PathBuf;
use std::sync::Arc;

use super::key::JobKey;
use crate::gui::attention_picture::AttentionKey;
use crate::gui::capture_settings::CaptureSettings;
use crate::gui::data::Slot;
use crate::gui::export::FidelityExport;
use crate::gui::questions::fidelity::FidelityQuestion;
use crate::gui::questions::queries::InterventionsQuestion;
use crate::gui::questions::{Question, QuestionKind};
use crate::gui::session_maps::SessionMapsKey;
use crate::jobs::figure::FigureRequest;
use crate::jobs::recipe::RecipeRequest;
use crate::measurement::MeasureOptions;
use kvlens_sessions::{CapturePlan, StartMode};

/// A request to either lane.
#[derive(Clone, Debug)]
pub enum Request {
    /// To the lane that reads and measures.
    Read(ReadRequest),
    /// To the lane that runs models.
    Model(ModelRequest),
}

/// What needs sessions only.
#[derive(Clone, Debug)]
pub enum ReadRequest {
    /// Open a session and measure its first finished sample.
    Open {
        /// Where it shall stand.
        slot: Slot,
        /// The folder, or a packed session.
        path: PathBuf,
        /// How to measure.
        options: MeasureOptions,
    },
    /// Measure one sample of a session.
    Measure {
        /// Where it shall stand.
        slot: Slot,
        /// The session's folder.
        path: PathBuf,
        /// Number among the finished samples.
        index: usize,
        /// How to measure.
        options: MeasureOptions,
    },
    /// Read the attention of one head.
    Attention(AttentionKey),
    /// Compare the windows in every head over all samples of a session.
    CompareSamples(Box<SessionMapsKey>),
    /// Answer a question beyond the measurement of a sample.
    Question(Box<Question>),
    /// Make a figure.
    Export(Box<FigureRequest>),
    /// Draw a figure for the screen; no file stays.
    Preview(Box<FigureRequest>),
    /// Make a figure of what was evicted in the window.
    ExportFidelity(Box<FidelityExport>),
    /// Estimate what a capture would take.
    Estimate(Box<CaptureSettings>),
    /// Copy a session.
    SaveAs {
        /// The session's folder.
        from: PathBuf,
        /// The folder to make.
        to: PathBuf,
    },
    /// Read the rest of the table of samples, when nothing else is to be done.
    Details {
        /// The session's folder.
        path: PathBuf,
    },
}

/// What needs a model.
#[derive(Clone, Debug)]
pub enum ModelRequest {
    /// Capture, or go on with a capture.
    Capture(Box<CaptureOrder>),
    /// Say what position and content do to the queries, each alone.
    Interventions(InterventionsQuestion),
    /// Say what eviction does to the output.
    Fidelity(Box<FidelityQuestion>),
    /// Measure what a paper measured.
    Recipe(Box<RecipeRequest>),
}

/// A capture as the panel asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureOrder {
    /// What to capture.
    pub settings: CaptureSettings,
    /// The plan of a session that was begun, in place of what the settings say.
    pub plan: Option<Arc<CapturePlan>>,
    /// The session's folder.
    pub out: PathBuf,
    /// Whether the folder is new, or a capture goes on in it.
    pub start: StartMode,
}

impl Request {
    /// What tells it from others.
    #[must_use]
    pub fn key(&self) -> JobKey {
        match self {
            Self::Read(request) => request.key(),
            Self::Model(request) => request.key(),
        }
    }
}

impl ReadRequest {
    fn key(&self) -> JobKey {
        match self {
            Self::Open { slot, .. } => JobKey::Open(*slot),
            Self::Measure { slot, .. } => JobKey::Measure(*slot),
            Self::Attention(_) => JobKey::Attention,
            Self::CompareSamples(_) => JobKey::CompareSamples,
            Self::Question(question) => JobKey::Question(question.kind()),
            Self::Export(figure) => JobKey::Export(figure.out.clone()),
            Self::Preview(_) => JobKey::Preview,
            Self::ExportFidelity(export) => JobKey::Export(export.figure.out.clone()),
            Self::Estimate(_) => JobKey::Estimate,
            Self::SaveAs { to, .. } => JobKey::SaveAs(to.clone()),
            Self::Details { .. } => JobKey::Details,
        }
    }
}

impl ModelRequest {
    fn key(&self) -> JobKey {
        match self {
            Self::Capture(_) => JobKey::Capture,
            Self::Interventions(_) => JobKey::Question(QuestionKind::Interventions),
            Self::Fidelity(_) => JobKey::Question(QuestionKind::Fidelity),
            Self::Recipe(_) => JobKey::Recipe,
        }
    }
}

impl From<ReadRequest> for Request {
    fn from(request: ReadRequest) -> Self {
        Self::Read(request)
    }
}

impl From<ModelRequest> for Request {
    fn from(request: ModelRequest) -> Self {
        Self::Model(request)
    }
}
