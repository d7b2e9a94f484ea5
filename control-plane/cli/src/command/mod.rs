//! The commands, one file each.

pub mod check;
pub mod completions;
pub mod diff;
pub mod explain;
pub mod filters;
pub mod schema;
