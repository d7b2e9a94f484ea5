//! The services behind the proxy: which endpoints an upstream has, which one takes the next attempt, and what is in
//! flight. A thin shell with the atomics and the tasks; what is decided is decided in `weir-resilience`.
//!
//! A [`Fleet`] is the set of upstreams of one generation. The next one is built beside the running one
//! ([`Shipyard::build`]): an upstream that stays as it was is the same object, one that changed keeps its endpoints' counts.
//!
//! # Decisions
//! * `pingora-load-balancing` is not used yet: its selectors know neither in-flight counts nor "another endpoint than
//!   the one that was tried", and its health checks start healthy.
//! * Addresses of names come from hickory-resolver rather than from `getaddrinfo`, which hides the TTL.

pub mod dns;
pub mod fleet;
pub mod trust;
pub mod upstream;
mod window;

pub use fleet::{Fleet, FleetError, Shipyard};
pub use trust::Trust;
pub use upstream::{Endpoint, Lease, Upstream};
