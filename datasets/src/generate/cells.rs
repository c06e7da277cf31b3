//! The samples of a generated task, cell after cell of its grid.

use std::collections::BTreeMap;

use super::grid;
use super::ruler::{RulerGenerator, RulerTask};
use super::size::LengthUnit;
use super::{Generator, ruler};
use crate::error::DatasetError;
use crate::fit::TokenCounter;
use crate::sample::Sample;

/// One generator for every length and depth that was asked for, lengths first.
#[derive(Debug)]
pub(crate) struct Cells {
    task: String,
    cells: Vec<Cell>,
    /// Whether there are several depths, which the ids then tell apart.
    has_depths: bool,
}

#[derive(Debug)]
enum Cell {
    People(Generator),
    Ruler(RulerGenerator),
}

impl Cells {
    /// # Errors
    /// When no generated task has this name, when the task does not have an option or takes another value, when what
    /// the question needs does not fit into a length; a haystack that cannot be read.
    pub(crate) fn read(
        task: &str,
        options: &BTreeMap<String, String>,
    ) -> Result<Self, DatasetError> {
        let cells = grid::cells(task, options)?;
        let first = cells.first().and_then(|cell| cell.get("depth"));
        let has_depths = cells.iter().any(|cell| cell.get("depth") != first);
        let cells = match RulerTask::named(task) {
            Some(task) => ruler::generators(task, &cells)?
                .into_iter()
                .map(Cell::Ruler)
                .collect(),
            None => cells
                .iter()
                .map(|cell| Generator::new(task, cell).map(Cell::People))
                .collect::<Result<_, _>>()?,
        };
        Ok(Self {
            task: task.to_owned(),
            cells,
            has_depths,
        })
    }

    /// Whether lengths are to be those of the model.
    pub(crate) fn counts_model_tokens(&self) -> bool {
        self.cells.iter().any(Cell::counts_model_tokens)
    }

    /// The words of a haystack that is shorter than the longest of the prompts.
    pub(crate) fn short_haystack_words(&self) -> Option<usize> {
        let longest = self.cells.iter().map(Cell::length).max()?;
        let words = self.cells.first()?.haystack_words()?;
        (words < longest).then_some(words)
    }

    /// Refuses a length in the model's tokens that is longer than the model can be.
    ///
    /// # Errors
    /// [`DatasetError::LengthBeyondModel`].
    pub(crate) fn check_positions(&self, positions: usize) -> Result<(), DatasetError> {
        let counted = self.cells.iter().filter(|cell| cell.counts_model_tokens());
        match counted.map(Cell::length).find(|length| *length > positions) {
            None => Ok(()),
            Some(length) => Err(DatasetError::LengthBeyondModel {
                task: self.task.clone(),
                length,
                positions,
            }),
        }
    }

    /// As many samples of each cell as its option `samples` says, made one at a time. `tokens` counts lengths in the
    /// model's tokens; without it they are estimated.
    pub(crate) fn samples(
        self,
        tokens: Option<&dyn TokenCounter>,
    ) -> impl Iterator<Item = Result<Sample, DatasetError>> {
        let has_depths = self.has_depths;
        self.cells.into_iter().flat_map(move |cell| {
            (0..cell.samples()).map(move |index| {
                let sample = cell.sample(index, tokens)?;
                Ok(match sample.depth {
                    Some(depth) if has_depths => Sample {
                        id: format!("{}-depth{depth}", sample.id),
                        ..sample
                    },
                    _ => sample,
                })
            })
        })
    }
}

impl Cell {
    fn samples(&self) -> u64 {
        match self {
            Self::People(generator) => generator.settings.samples,
            Self::Ruler(generator) => generator.settings.samples,
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::People(generator) => generator.settings.length,
            Self::Ruler(generator) => generator.settings.length,
        }
    }

    fn haystack_words(&self) -> Option<usize> {
        match self {
            Self::People(_) => None,
            Self::Ruler(generator) => generator.settings.haystack_words(),
        }
    }

    fn counts_model_tokens(&self) -> bool {
        let unit = match self {
            Self::People(generator) => generator.settings.unit,
            Self::Ruler(generator) => generator.settings.unit,
        };
        unit == LengthUnit::ModelTokens
    }

    fn sample(
        &self,
        index: u64,
        tokens: Option<&dyn TokenCounter>,
    ) -> Result<Sample, DatasetError> {
        match self {
            Self::People(generator) => generator.fitted(index, tokens),
            Self::Ruler(generator) => generator.sample(index, tokens),
        }
    }
}
