//! From nodes to types, going on after each error.
//!
//! A struct is read by [`read_table!`](crate::read_table), which takes its fields' names for the keys:
//!
//! ```
//! use weir_config::{names::Name, read_table, units::{Duration, Rate}};
//!
//! struct RateLimit {
//!     key: Option<String>,     // absent: None
//!     rate: Rate,              // absent: a problem
//!     burst: Option<u32>,
//! }
//! // `kind` is read by somebody else.
//! read_table!(RateLimit { key, rate, burst } besides kind);
//! ```

mod basic;
mod table;

pub use basic::{Word, list, text, word};
#[doc(hidden)]
pub use table::key_of;
pub use table::{Keys, Partly, TableReader};

use crate::node::Node;
use crate::problem::{Path, Problem};

/// A type that stands in a document.
pub trait Read: Sized {
    /// The value of `node`, which stands at `at`. None when it is wrong; then at least one error was added.
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self>;

    /// The value of a key that is not there. None: the key is required.
    fn absent() -> Option<Self> {
        None
    }
}
