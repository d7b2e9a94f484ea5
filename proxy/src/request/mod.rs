//! The stations of a request, in order: [`intake`] [`route`] [`admit`] [`attempt`] [`verdict`] [`reply`] [`finish`].
//!
//! They decide; a driver moves the bytes. They take our own views and give back decisions and edits, so that every driver
//! carries the same policy: no type of a driver's library crosses into this room. What a request holds lives in its
//! [`Exchange`], which gives all of it back when it is dropped, whichever way the request ends.

pub mod admit;
pub mod attempt;
pub mod edits;
mod exchange;
pub mod finish;
pub mod forwarded;
pub mod intake;
pub mod reply;
pub mod route;
pub mod verdict;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use weir_policy::{Headers, Reason};

pub use exchange::{Exchange, Version};
pub use intake::Noted;
pub use reply::LocalReply;

use crate::listen::ListenerIndex;
use crate::node::Node;
use crate::telemetry::labels::{Driver, TlsVersion};

/// A request's head as a driver has it, before anything was made of it.
#[derive(Clone, Copy)]
pub struct Inbound<'a> {
    pub method: &'a http::Method,
    /// `:authority` or `Host`, as it came; empty where there is none (HTTP/1.0).
    pub authority: &'a str,
    /// Path and query, as they came.
    pub target: &'a str,
    pub version: Version,
    pub headers: &'a dyn Headers,
    pub noted: Noted<'a>,
    pub has_body: bool,
    /// The client asks for another protocol over this connection.
    pub upgrade: bool,
}

/// The connection that a request came over.
#[derive(Clone, Copy, Debug)]
pub struct Downstream {
    pub listener: ListenerIndex,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    /// Absent on a plain listener.
    pub tls: Option<TlsVersion>,
    /// Who moves its bytes.
    pub driver: Driver,
}

/// What becomes of a request before its first attempt.
pub enum Plan {
    /// Make attempts at the exchange's upstream.
    Forward,
    /// Answer it here.
    Reply(LocalReply),
}

/// The stations up to the first attempt. A panic in one of them, a filter's mostly, ends this request alone.
pub fn plan(
    node: &Arc<Node>,
    inbound: &Inbound<'_>,
    downstream: Downstream,
    now: Instant,
    chance: u64,
) -> (Exchange, Plan) {
    let mut exchange = intake::begin(node, inbound, downstream, now);
    let stations = AssertUnwindSafe(|| {
        let path = intake::check(node, &exchange, inbound)?;
        let head = path.head(inbound);
        match route::route(node, &mut exchange, &head, inbound, chance)? {
            Some(answer) => Ok(Plan::Reply(answer)),
            None => admit::admit(node, &mut exchange, &head).map(|()| Plan::Forward),
        }
    });
    let plan = match catch_unwind(stations) {
        Ok(Ok(plan)) => plan,
        Ok(Err(refusal)) => Plan::Reply(reply::refuse(&mut exchange, &refusal)),
        Err(_) => {
            node.metrics.panicked();
            Plan::Reply(reply::refuse(&mut exchange, &Reason::Internal.into()))
        }
    };
    (exchange, plan)
}
