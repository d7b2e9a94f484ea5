//! What a table decides: a mesh document is compiled once, and then asked by every request.
//!
//! [`compile`] makes a [`Table`] of a document. [`decide`] says what becomes of a request: a function of the table, the
//! request's head, the [`Facts`] about it and one random number. The proxy, `weir explain` and the control plane call
//! the same, so what is explained or refused is what would have run. [`explain`] says why. The filters of a rule
//! ([`filters`]) are asked by the proxy, in their order, once the rule is known.
//!
//! Pure: no clock, no dice, no file, no socket, no lock. Time and chance are given. The one thing that remembers is a
//! rate limit, in atomics of its own; [`Table::inherit`] hands them on to the next table.
//!
//! Before it decides, a driver brings host and path into their one spelling: [`host::canonical`], [`path::normalise`].
//!
//! # Who goes first
//!
//! Among all rules that match, and are served by the request's listener:
//!
//! 1. exact host, then the longest wildcard, then any host;
//! 2. exact path;
//! 3. the longer path: of a prefix its length (`/*` has 0), of a regex that of its literal head;
//! 4. of a prefix and a regex equally long, the prefix;
//! 5. a match that names methods;
//! 6. more headers; 7. more query parameters;
//! 8. the route whose name sorts first; 9. the rule, and then the alternative, that stands first.
//!
//! # Decisions
//!
//! * **Hosts rank, they do not capture** (Gateway API): a request whose exact host has no matching rule falls to the
//!   wildcard's.
//! * **A header condition** holds if any one line of that header matches; **a query condition** looks at the first
//!   parameter of that name, percent-decoded (`+` stays `+`). Regexes are searches, unanchored unless they are written
//!   so, on the normalised path; their size is bounded.
//! * **One index for all listeners.** A candidate carries the set of its listeners, so a listener more costs a bit and
//!   not a tree. Up to 64 can be named.
//! * **Versions.** A rule of version `v1` whose path begins with `/v1` matches as written, and also without that element
//!   where the request has `Accept-Version: v1`; this counts as one header more, and the upstream gets the whole path. A
//!   regex has no such second form. A rule whose path does not name its version asks for the header.
//! * **Preflights.** An OPTIONS with `Origin` and `Access-Control-Request-Method` meets a rule with `cors` as if its method
//!   were the one it asks for, and is answered here; to a rule without `cors` it is an OPTIONS like any other.
//! * **Sticky splits** are weighted rendezvous hashing with a hash that is fixed for ever, so that every process agrees
//!   and a growing weight only draws clients towards it. A missing cookie's id is made from `chance`.
//! * **Redirects** that name a scheme and no port lead to the scheme's own port (Gateway API), not to the client's.
//! * **Rules that can never be chosen** are warnings, not errors: an operator who moves routes step by step passes
//!   through such documents. The search is complete, regexes aside.
//! * **A rate limit by address** counts IPv6 by its first 64 bits, which is what one customer gets.
//! * **`deny` with `body_over`** bounds the body of those requests for which its other settings hold; so
//!   [`Rule::body_limit`] asks for the request.
//! * **The host map's hash is fixed, the rate limits' is not**: clients can only look up the former, but insert into the
//!   latter. See `index/hosts.rs` and `filters/buckets.rs`.

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
