//! What can go wrong between rows and a file.

use std::error::Error;
use std::path::PathBuf;

use thiserror::Error;

use crate::error::AnalysisError;

/// A table that could not be made, written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file system refused.
    #[error("could not {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: std::io::Error,
    },
    /// The Parquet engine refused.
    #[error("could not {action} the Parquet file {}", path.display())]
    Parquet {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the engine answered.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The CSV writer refused.
    #[error("could not write the CSV file {}", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// What the writer answered.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The numbers do not fit together.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
}
