//! The data plane. The rooms, in the order in which bytes meet them: [`listen`], [`request`] (the stations of a
//! request, in our own types), [`service`] (the driver on pingora-proxy), [`generation`] (the one place that swaps),
//! [`source`] (where documents come from), [`telemetry`], [`admin`], [`drain`].

pub mod admin;
pub mod listen;
pub mod telemetry;
