//! The research services: one binary, a process for each service, plain HTTP.
//!
//! ```text
//!                     ┌─ arxiv ────── Atom API ──────────┐
//!  client ── search ──┼─ pubmed ───── E-utilities ───────┤   the outside, at a configurable base URL,
//!   (fans out, merges)├─ github ───── REST search ───────┤   or the embedded corpus (`--offline`)
//!                     └─ firecrawl ── v1 search, scrape ─┘
//! ```
//!
//! Every service answers `GET /v1/search?q=&limit=` in one common shape and `GET /v2/search` in a richer one, so each
//! can be asked alone. A request, top to bottom: [`api`] checks what was asked → [`service`] finds and ranks → a
//! [`sources`] adapter builds the external API's request and reads its answer → [`upstream`] sends it and names what
//! went wrong → [`transport`] moves the bytes, live or from the [`corpus`].
//!
//! # Decisions
//!
//! - **Offline is a transport, not a mode of the adapters.** The corpus answers the very HTTP requests that the
//!   adapters build, in the external API's own shape; so request building and parsing run offline as they do live.
//! - **`search` reads its sources' `/v2`.** It speaks to them as any client would, through whatever stands between.
//! - **The ranking sees only what came back** (`rank`): no index, no state, the same answer for the same pool.
//! - **Redirects are not followed.** Where a request may go is the base URL's decision: behind an egress listener a
//!   followed redirect would leave by another door.

pub mod api;
pub mod cli;
pub mod corpus;
pub mod facets;
pub mod federation;
pub mod health;
pub mod identifiers;
pub mod merge;
pub mod model;
pub mod problem;
pub mod rank;
pub mod serve;
pub mod service;
pub mod sources;
pub mod telemetry;
pub mod text;
pub mod trace;
pub mod transport;
pub mod upstream;
