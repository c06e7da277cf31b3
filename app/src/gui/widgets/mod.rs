//! Widgets of our own: pictures made of numbers, with a hover that looks the number up.

pub mod color_bar;
pub mod command_line;
pub mod copy_button;
pub mod first_focus;
pub mod line_plot;
pub mod markdown;
pub mod matrix;
pub mod name_list;
pub mod number_table;
pub mod path_field;
pub mod segmented;
pub mod steady;
pub mod texture;
pub mod together;
pub mod toggle;
pub mod typed;
