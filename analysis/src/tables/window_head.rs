//! A head of a window, as most tables name it.

use super::declare::columns;
use super::sample::SampleContext;
use crate::importance::HeadKind;

columns! {
    /// One head of one window.
    #[derive(Debug, Clone, Copy, PartialEq)]
    WindowHead<'a> {
        /// Label of the window as it was typed; `decode` is the decode stage itself.
        window: &'a str,
        /// Layer, from 0.
        layer: u32,
        /// Head within the layer, from 0.
        head: u32,
        /// What a head stands for: `query`, `kv` or `layer`.
        head_kind: HeadKind,
    }
}

impl<'a> WindowHead<'a> {
    /// The head at an index of `[L, heads]`, with `heads` heads in a layer.
    pub fn at(window: &'a str, index: usize, heads: usize, head_kind: HeadKind) -> Self {
        let heads = heads.max(1);
        Self {
            window,
            layer: count(index / heads),
            head: count(index % heads),
            head_kind,
        }
    }
}

/// A window of a sample, and what it was held against: what its rows say beside its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowContext<'a> {
    /// The sample.
    pub sample: &'a SampleContext,
    /// Label of the window as it was typed.
    pub window: &'a str,
    /// What its scores are: `attention`, or what stands in its place.
    pub score_kind: &'a str,
    /// What was compared: `queries` or `methods`.
    pub compare: &'a str,
}

/// A number of things as a cell; larger ones than a cell holds stay at the largest.
pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
