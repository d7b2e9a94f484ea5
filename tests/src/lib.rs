//! The harness: it starts the real binaries on ports that the kernel chooses, stands on both sides of them (clients
//! and upstreams that keep ledgers), and reads what they tell operators (log, metrics, `ready.json`).
//!
//! A test reads as a claim: build a world ([`Setup`], [`Upstream`]), send ([`Request`], [`client`]), compare what the
//! client got with what the upstream's ledger holds. Nothing here sleeps for a while and hopes: everything waits for an
//! event, or asks again every few milliseconds, and gives up after [`wait::PATIENCE`] with the name of what it waited for.

pub mod access_log;
pub mod authority;
pub mod binaries;
pub mod body;
pub mod chance;
pub mod client;
pub mod io;
pub mod message;
pub mod metrics;
pub mod process;
pub mod proxy;
pub mod python;
pub mod setup;
pub mod tools;
pub mod upstream;
pub mod wait;
pub mod world;

pub use authority::Authority;
pub use client::{H1, H2};
pub use message::{Request, Response};
pub use proxy::Proxy;
pub use setup::Setup;
pub use upstream::{Exchange, Upstream};
pub use wait::{patiently, until};
pub use world::World;

/// What a test returns: an error shows its chain and fails the test.
pub type Claim = anyhow::Result<()>;
