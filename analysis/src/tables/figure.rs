//! The data beside a figure: everything that it shows, and nothing else.

use super::declare::table;

table! {
    FigureTable in "figure.parquet", one row per "point, bar or cell (the file has the figure's own name)";
    /// One point, bar or cell of a figure.
    FigureRow {
        /// The panel that it stands in; empty for the only one.
        panel: String,
        /// The series that it belongs to: a window, or what else the figure compares.
        series: String,
        /// Where it stands: a budget, a step, a place, a head, the index of a name.
        x: f64,
        /// The layer of a cell.
        y: Option<f64>,
        /// What is shown; NaN where there is no number, which is a missing cell of the table.
        value: f64,
        /// Lower end of its 95 % interval over samples.
        low: Option<f64>,
        /// Upper end.
        high: Option<f64>,
        /// What the decode stage's own queries reach there under the window's scoring, where methods are compared.
        ceiling: Option<f64>,
        /// Samples that the value is the mean of.
        samples: u32,
        /// Whether a difference or a win is resolved, where the figure is about one.
        resolved: Option<bool>,
        /// Whether its whole interval lies within a margin that was set, where the figure is about one.
        equivalent: Option<bool>,
        /// What `x` is the index of, where its places have names.
        x_name: Option<String>,
    }
}

impl FigureRow {
    /// A value of so many samples, and nothing said besides.
    pub fn at(
        (panel, series): (impl Into<String>, impl Into<String>),
        (x, y): (f64, Option<f64>),
        value: f64,
        samples: usize,
    ) -> Self {
        Self {
            panel: panel.into(),
            series: series.into(),
            x,
            y,
            value,
            low: None,
            high: None,
            ceiling: None,
            samples: u32::try_from(samples).unwrap_or(u32::MAX),
            resolved: None,
            equivalent: None,
            x_name: None,
        }
    }
}
