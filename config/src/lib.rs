//! What an operator writes: units, names, the mesh document and the bootstrap document, their checks, their
//! difference, their JSON Schema. Pure: text in, values out. It opens no file, reads no clock and rolls no dice; the
//! callers do.
//!
//! The way of a document: text → [`node`] (a tree in which every value knows where it stood) → [`mesh::Mesh`] or
//! [`bootstrap::Bootstrap`] (what was typed, in types) → [`check`] (what holds between the parts). Every step goes on
//! after an error, so that an operator sees all [`problem::Problem`]s of a document at once.
//!
//! # Decisions
//! * The types are read by our own small reader ([`read`]) rather than by serde's derive: serde stops at the first
//!   error and loses the path inside of an untagged enum, while a person with five typos wants five answers. TOML and
//!   JSON both become the same tree first, so there is one reader for both.

pub mod bootstrap;
pub mod check;
pub mod diff;
mod document;
pub mod mesh;
pub mod names;
pub mod node;
pub mod problem;
pub mod read;
pub mod schema;
pub mod text;
pub mod units;

pub use document::{Parsed, placed};
