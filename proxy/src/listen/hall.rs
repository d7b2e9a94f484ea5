//! What all connections of one listener share.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use weir_config::names::Name;

use super::front::{Front, ListenerIndex};
use super::phase::{Phase, Stage};
use super::seat::Seats;
use super::terms::Terms;

pub(super) struct Hall<A> {
    pub name: Name,
    pub listener: ListenerIndex,
    pub app: Arc<A>,
    pub front: Arc<dyn Front>,
    /// Absent on a plain listener.
    pub tls: Option<TlsAcceptor>,
    pub terms: Terms,
    pub seats: Arc<Seats>,
    pub phase: watch::Receiver<Phase>,
    pub stage: Stage,
}
