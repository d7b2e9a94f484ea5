//! The data plane. The rooms, in the order in which bytes meet them: [`listen`], [`request`] (the stations of a
//! request, in our own types), [`service`] (the driver on pingora-proxy), [`generation`] (the one place that swaps),
//! [`source`] (where documents come from), [`telemetry`], [`admin`], [`drain`].
//!
//! # Decisions
//! * No `pingora::server::Server`: its signals, its 300 s of sleep and its listeners are not wanted, and what is left
//!   (a runtime) is tokio's. The proxy logic is driven through `HttpServerApp::process_new_http`.

pub mod admin;
pub mod drain;
pub mod front;
pub mod generation;
pub mod listen;
pub mod node;
pub mod process;
pub mod request;
pub mod service;
pub mod source;
pub mod telemetry;
pub mod view;
