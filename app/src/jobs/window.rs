//! What the window is opened with. Who opens it is told by the program's entry, so that the command line builds
//! without a window.

use std::path::PathBuf;

/// How a link to what a window shows begins.
pub const LINK_START: &str = "kvlens:";

/// Opens the window, or takes a picture of it.
pub type OpenWindow = fn(&WindowRequest) -> anyhow::Result<()>;

/// What the window shall show.
#[derive(Clone, Debug, Default)]
pub struct WindowRequest {
    /// Sessions to open; the last one stays on show.
    pub sessions: Vec<PathBuf>,
    /// A lesson to begin then: a folder with a `lesson.md`, or such a file.
    pub lesson: Option<PathBuf>,
    /// A file with a list of commands (JSON), which are played then.
    pub script: Option<PathBuf>,
    /// Links to what other windows showed, which are followed then.
    pub links: Vec<String>,
    /// A picture to take instead of opening a window.
    pub picture: Option<PictureRequest>,
}

/// A picture of the window.
#[derive(Clone, Debug)]
pub struct PictureRequest {
    /// The PNG file to write.
    pub out: PathBuf,
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// Its theme.
    pub theme: PictureTheme,
}

/// Theme of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureTheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl PictureTheme {
    /// Both themes.
    pub const ALL: [Self; 2] = [Self::Light, Self::Dark];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}
