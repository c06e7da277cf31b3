//! Cells and groups of cells: how a field of a row becomes columns.
//!
//! A number that may be undefined is `Option<f64>`; NaN is undefined and becomes a missing cell.

use polars::prelude::{
    BooleanChunked, Column, Float32Chunked, Float64Chunked, IntoColumn, NewChunkedArray,
    StringChunked, UInt32Chunked, UInt64Chunked,
};

use super::declare::ColumnDeclaration;
use crate::budget::Budget;
use crate::collection::Contrast;
use crate::comparison::Metric;
use crate::importance::HeadKind;
use crate::statistics::Interval;

/// What a field of a row is in a table: one column of its name, or the columns of a group.
pub trait Cells {
    /// Adds the columns in words.
    fn declare(name: &'static str, meaning: &'static str, into: &mut Vec<ColumnDeclaration>);

    /// Adds the columns.
    fn columns<'r>(
        name: &str,
        cells: impl Iterator<Item = &'r Self> + Clone,
        into: &mut Vec<Column>,
    ) where
        Self: 'r;
}

macro_rules! cell {
    ([$($life:lifetime)?] $cell:ty, $kind:literal, $nullable:literal, $array:ty, $build:ident, $value:expr) => {
        impl $(<$life>)? Cells for $cell {
            fn declare(
                name: &'static str,
                meaning: &'static str,
                into: &mut Vec<ColumnDeclaration>,
            ) {
                into.push(ColumnDeclaration {
                    name,
                    kind: $kind,
                    nullable: $nullable,
                    meaning,
                    group: None,
                });
            }

            fn columns<'r>(
                name: &str,
                cells: impl Iterator<Item = &'r Self> + Clone,
                into: &mut Vec<Column>,
            ) where
                Self: 'r,
            {
                into.push(<$array>::$build(name.into(), cells.map($value)).into_column());
            }
        }
    };
}

cell!(['a] &'a str, "text", false, StringChunked, from_iter_values, |cell| *cell);
cell!([] String, "text", false, StringChunked, from_iter_values, String::as_str);
cell!(['a] Option<&'a str>, "text", true, StringChunked, from_iter_options, |cell| *cell);
cell!([] Option<String>, "text", true, StringChunked, from_iter_options, Option::as_deref);
cell!([] u32, "u32", false, UInt32Chunked, from_iter_values, |cell| *cell);
cell!([] Option<u32>, "u32", true, UInt32Chunked, from_iter_options, |cell| *cell);
cell!([] u64, "u64", false, UInt64Chunked, from_iter_values, |cell| *cell);
cell!([] f32, "f32", false, Float32Chunked, from_iter_values, |cell| *cell);
cell!([] f64, "f64", false, Float64Chunked, from_iter_options, |cell| {
    Some(*cell).filter(|number| !number.is_nan())
});
cell!([] Option<f64>, "f64", true, Float64Chunked, from_iter_options, |cell| {
    cell.filter(|number| !number.is_nan())
});
cell!([] bool, "bool", false, BooleanChunked, from_iter_values, |cell| *cell);
cell!([] Option<bool>, "bool", true, BooleanChunked, from_iter_options, |cell| *cell);
cell!([] HeadKind, "text", false, StringChunked, from_iter_values, |cell| cell.name());
cell!([] Metric, "text", false, StringChunked, from_iter_values, |cell| cell.column());
cell!([] Contrast, "text", false, StringChunked, from_iter_values, |cell| cell.name());
cell!([] Budget, "text", false, StringChunked, from_iter_values, |cell| cell.to_string());
cell!([] Option<Budget>, "text", true, StringChunked, from_iter_options, |cell| {
    cell.map(|budget| budget.to_string())
});

/// Both ends of an interval.
impl Cells for Option<Interval> {
    fn declare(_name: &'static str, _meaning: &'static str, into: &mut Vec<ColumnDeclaration>) {
        <Option<f64>>::declare("low", "Lower end of the 95 % interval over samples.", into);
        <Option<f64>>::declare("high", "Its upper end.", into);
    }

    fn columns<'r>(
        _name: &str,
        cells: impl Iterator<Item = &'r Self> + Clone,
        into: &mut Vec<Column>,
    ) where
        Self: 'r,
    {
        let mut end = |name: &str, of: fn(&Interval) -> f64| {
            let ends = cells.clone().map(|cell| cell.as_ref().map(of));
            into.push(Float64Chunked::from_iter_options(name.into(), ends).into_column());
        };
        end("low", |interval| interval.low);
        end("high", |interval| interval.high);
    }
}

/// Columns that several tables have, held by their rows by reference.
pub trait Group: Cells {
    /// What the columns are about.
    const NAME: &'static str;
}

impl<C: Group> Cells for &C {
    fn declare(name: &'static str, meaning: &'static str, into: &mut Vec<ColumnDeclaration>) {
        let own = into.len();
        C::declare(name, meaning, into);
        for column in into.iter_mut().skip(own) {
            column.group = Some(C::NAME);
        }
    }

    fn columns<'r>(
        name: &str,
        cells: impl Iterator<Item = &'r Self> + Clone,
        into: &mut Vec<Column>,
    ) where
        Self: 'r,
    {
        C::columns(name, cells.map(|cell| &**cell), into);
    }
}
