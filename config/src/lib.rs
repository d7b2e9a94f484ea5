//! What an operator writes: units, names, the mesh document and the bootstrap document, their checks, their
//! difference, their JSON Schema. Pure: text in, values out. It opens no file, reads no clock and rolls no dice; the
//! callers do.
//!
//! The way of a document: text → [`node`] (a tree in which every value knows where it stood) → [`mesh::Mesh`] or
//! [`bootstrap::Bootstrap`] (what was typed, in types) → [`check`] (what holds between the parts). Every step goes on
//! after an error, so that an operator sees all [`problem::Problem`]s of a document at once. [`Parsed`] is what comes of
//! it; [`diff`] tells two documents apart; what holds where nothing is written is said by methods that go by their
//! fields' names (`limits.header_timeout()`).
//!
//! # Decisions
//! * The types are read by our own small reader ([`read`]) rather than by serde's derive: serde stops at the first
//!   error and loses the path inside of an untagged enum, while a person with five typos wants five answers. TOML and
//!   JSON both become the same tree first, so there is one reader for both.
//! * An error makes no second one. A text with a broken syntax is not looked at any further; of a document with other
//!   errors the parts that could be read are checked, and what may only seem wrong because its neighbour could not be
//!   read is left unsaid.
//! * Nothing is taken and ignored: neither an unknown key, nor one without effect where it stands (`sticky` without a
//!   split), nor an empty list (`hosts = []` is not "no host").
//! * Whether a regex compiles and what a filter's settings mean is the policy crate's to say, which runs them. It gives
//!   its problems with paths; [`placed`] finds their places in the text.
//! * Texts become types once, here: hosts and header names in lower case, IPv6 hosts in brackets, paths in the only
//!   spelling that a normalised path can have. What can never match is refused with the spelling that can.

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
