//! What an upstream received.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use crate::message::{Lines, all, first};

/// One request as it reached an upstream; also the body of an echo.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Received {
    /// The name of the upstream.
    pub upstream: String,
    /// The number of its connection, from 1.
    pub connection: u64,
    /// The name that the proxy sent as SNI.
    pub sni: Option<String>,
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    /// The `Host` line, or `:authority`.
    pub authority: String,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.
    pub version: String,
    /// In their order, with their case. Pseudo headers of HTTP/2 are not among them.
    pub headers: Lines,
    /// Bytes of the body, once it was read.
    pub body_length: u64,
    /// SHA-256 of the body in hex, once it was read; empty before.
    pub body_sha256: String,
    pub trailers: Lines,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        all(&self.headers, name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.header(name).is_some()
    }
}

/// The requests and connections of one upstream.
#[derive(Default)]
pub struct Ledger {
    requests: Mutex<Vec<Received>>,
    connections: AtomicU64,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    given_up: AtomicUsize,
}

impl Ledger {
    pub fn requests(&self) -> Vec<Received> {
        self.lock().clone()
    }

    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Exchanges that the proxy gave up while the script waited for just that.
    pub fn given_up(&self) -> usize {
        self.given_up.load(Ordering::SeqCst)
    }

    /// The most exchanges at a time so far.
    pub fn most_in_flight(&self) -> usize {
        self.most_in_flight.load(Ordering::SeqCst)
    }

    /// Exchanges now.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    pub(super) fn connected(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) fn note_given_up(&self) {
        self.given_up.fetch_add(1, Ordering::SeqCst);
    }

    /// Writes a head down; its entry's index is for [`Ledger::complete`].
    pub(super) fn open(&self, received: Received) -> usize {
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(now, Ordering::SeqCst);
        let mut requests = self.lock();
        requests.push(received);
        requests.len() - 1
    }

    pub(super) fn closed(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn complete(&self, index: usize, received: &Received) {
        self.lock()[index] = received.clone();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Received>> {
        self.requests.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
