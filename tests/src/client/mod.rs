//! Clients that hide nothing: one connection each, heads and chunks as they came.

mod h1;
mod h2;

pub use h1::H1;
pub use h2::{H2, Open};
