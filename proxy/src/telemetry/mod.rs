//! What operators see: metrics, the access log, the process log, and the identity of a request in all of them.
//!
//! Recording is on the path of every request, so it costs a few nanoseconds and shares nothing between cores: cells and
//! batches are per worker ([`worker`]). Whoever reads them, a scrape or the thread that writes the log, does the work.

pub mod access_log;
mod cells;
pub mod chance;
mod clock;
mod collector;
mod handover;
mod histogram;
pub mod json;
pub mod labels;
mod line;
mod log_writer;
pub mod logs;
pub mod metrics;
pub mod names;
mod query;
mod route_cells;
mod series;
mod slots;
mod sync;
pub mod trace;
mod upstream_cells;
pub mod worker;

pub use access_log::AccessLog;
pub use chance::chance;
pub use collector::{Gauges, UpstreamGauges};
pub use line::Line;
pub use metrics::{ListenerCells, Metrics};
pub use route_cells::RouteCells;
pub use trace::{RequestId, TraceContext};
pub use upstream_cells::UpstreamCells;
pub use worker::worker;
