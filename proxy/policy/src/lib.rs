//! What a table decides: compile, match, filters, decide. Pure.

mod compile;
pub mod cors;
mod decide;
mod explain;
pub mod filters;
pub mod host;
mod index;
mod location;
mod method;
pub mod path;
mod pattern;
#[cfg(test)]
mod properties;
mod reason;
#[cfg(any(test, feature = "reference"))]
pub mod reference;
mod request;
mod rule;
mod split;
mod table;

pub use compile::{Compiled, compile};
pub use cors::Cors;
pub use decide::{Decision, Forward, cors_headers, decide};
pub use explain::{Chosen, Explanation, FilterVerdict, Loser, Lost, Outcome, Precedence, Share, explain};
pub use filters::{CATALOGUE, CompiledFilter, Filter, FilterContext, Kind, Next, Refusal};
pub use location::Redirect;
pub use reason::Reason;
pub use request::{Facts, Headers, RequestHead};
pub use rule::{Action, Edits, Reply, Rule, Timeout};
pub use split::{Backend, Split};
pub use table::{ListenerId, RuleId, Table, UpstreamId};
