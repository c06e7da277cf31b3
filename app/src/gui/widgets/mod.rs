//! Widgets of our own: pictures made of numbers, with a hover that looks the number up.

pub mod color_bar;
pub mod matrix;
pub mod segmented;
pub mod texture;
