//! Micro benches, load against peers, dated results.
//!
//! `bench/load` puts Weir beside its peers; this crate holds the programs that it starts: a bare Pingora proxy
//! (`bare`), a byte forwarder as the floor (`floor`), the origin (`backend`) and the load generator (`load`).
//!
//! # Decisions
//!
//! The floor, the origin and the generator stand on epoll itself, one thread each, and not on tokio. The floor must
//! cost what its system calls cost. The origin and the generator share one core, and the less they take of it, the
//! nearer the proxy on the other core comes to its limit.

pub mod answer;
pub mod poll;
