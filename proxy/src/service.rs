//! Driver 1: pingora-proxy. A table of contents: each hook looks at what Pingora has, calls a station of
//! [`crate::request`], and does what it says. No policy of its own.
//!
//! # Decisions
//! * One async hook before the first attempt (`request_filter`) instead of three: each is a boxed future.
//! * Deadlines of the whole exchange are not Pingora's (it has none): the guard around the connection ends the reading
//!   of the client's side at the deadline, which every request polls to its end, so the answer can still be written.
//! * Where the upstream takes no more of a request, Pingora still waits for an answer (it may have been given early), so
//!   what ends the exchange is not `write_timeout` but the rule's `idle_timeout` after it.
//! * A response head is seen in `response_filter` only: without a cache it is the same as `upstream_response_filter`.

mod failure;
mod mirror;
mod peer;
mod view;
mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use pingora::connectors::http::Connector;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{BError, Error, ErrorType};
use weir_policy::Reason;

use crate::listen::Connection;
use crate::node::Node;
use crate::request::{self, Downstream, Exchange, Plan, Version, attempt, finish, reply, verdict};
use crate::telemetry::chance;
use crate::telemetry::labels::Driver;
use mirror::Mirror;
use verdict::{Failure, Next};

/// How long an unread request body is read and thrown away before its connection is closed instead of reused.
const DRAIN_BODY: Duration = Duration::from_secs(5);

/// Pingora's attempts, which is all of them: the stations decide earlier.
pub const MAX_ATTEMPTS: usize = attempt::MAX_ATTEMPTS as usize;

/// The pingora driver of a node.
pub struct Service {
    node: Arc<Node>,
    /// For copies of requests, whose answers nobody waits for.
    mirrors: Arc<Connector>,
}

/// What Pingora carries along for a request. Empty until the head is read.
#[derive(Default)]
pub struct Context {
    connection: Option<Arc<Connection>>,
    exchange: Option<Exchange>,
    mirror: Option<Mirror>,
    /// The body went over a limit, whose reason this is.
    body_over: Option<Reason>,
}

impl Service {
    pub fn new(node: Arc<Node>) -> Self {
        Self { node, mirrors: Arc::new(Connector::new(None)) }
    }

    /// The stations up to the first attempt; and whether the client waits to be told that it may send its body.
    fn plan(&self, session: &Session, downstream: Downstream, has_body: bool, now: Instant) -> (Exchange, Plan, bool) {
        let head = session.req_header();
        let lines = view::Lines(&head.headers);
        let inbound = view::inbound(head, &lines, has_body, session.is_upgrade_req());
        let (exchange, plan) = request::plan(&self.node, &inbound, downstream, now, chance());
        (exchange, plan, inbound.noted.expects && has_body && inbound.version != Version::Http10)
    }

    /// Tells whoever reads the client's side until when the exchange may go on: the bounds as they stand now.
    fn arm(session: &mut Session, ctx: &Context) {
        if let (Some(connection), Some(exchange)) = (&ctx.connection, &ctx.exchange) {
            set_deadline(session, connection, attempt::deadline(exchange));
        }
    }
}

/// HTTP/1: the guard around the connection keeps the deadline; HTTP/2: the stream does.
fn set_deadline(session: &mut Session, connection: &Connection, deadline: Option<Instant>) {
    if connection.h2 {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        session.as_downstream_mut().set_read_timeout(left);
    } else {
        connection.set_deadline(deadline);
    }
}

#[async_trait]
impl ProxyHttp for Service {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::default()
    }

    /// Pingora's own module, compression, is not wanted.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    /// Intake, route, admit. `true`: it is answered.
    async fn request_filter(&self, session: &mut Session, ctx: &mut Context) -> pingora::Result<bool> {
        let now = Instant::now();
        let Some(connection) = Connection::of(session.as_downstream()).cloned() else {
            return Error::e_explain(ErrorType::InternalError, "a request that no listener brought");
        };
        let listener = self.node.listener(connection.listener);
        session.set_write_timeout(Some(listener.write_timeout));
        session.set_total_drain_timeout(Some(DRAIN_BODY));
        if connection.should_close() {
            session.set_keepalive(None);
        }
        if session.req_header().version == http::Version::HTTP_10 {
            // It knows no interim answers (RFC 9110 §15.2).
            session.as_downstream_mut().set_ignore_info_resp(true);
        }
        let downstream = Downstream {
            listener: connection.listener,
            peer: connection.peer,
            local: connection.local,
            tls: connection.tls.as_ref().map(finish::tls_version),
            driver: Driver::Pingora,
        };
        let has_body = !session.as_downstream_mut().is_body_empty();
        let (mut exchange, plan, expects) = self.plan(session, downstream, has_body, now);
        ctx.connection = Some(connection);
        if let Plan::Reply(answer) = plan {
            let sent = write::reply(session, &mut exchange, answer).await;
            let end = Instant::now();
            match sent {
                Ok(()) => finish::delivered(&mut exchange, end),
                Err(_) => {
                    verdict::failed(&mut exchange, Failure::ClientGone, true, false, end);
                    finish::broken_off(&mut exchange, end);
                }
            }
            return Ok(true);
        }
        ctx.exchange = Some(exchange);
        if expects {
            // Pingora takes it for an answer that precedes the end of its request, after which it would close.
            session.as_downstream_mut().set_close_on_response_before_downstream_finish(false);
            session.downstream_session.write_continue_response().await?;
            session.as_downstream_mut().set_close_on_response_before_downstream_finish(true);
        }
        Ok(false)
    }

    /// Attempt.
    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Context) -> pingora::Result<Box<HttpPeer>> {
        let Some(exchange) = &mut ctx.exchange else {
            return Error::e_explain(ErrorType::InternalError, "an attempt without an exchange");
        };
        match attempt::attempt(exchange, Instant::now(), chance()) {
            Ok(dial) => {
                if exchange.attempts() > 1 {
                    // The body begins anew; what of it went to the mirror can't be taken back.
                    exchange.received = 0;
                    ctx.mirror = None;
                }
                let peer = peer::of(&dial);
                Self::arm(session, ctx);
                Ok(Box::new(peer))
            }
            Err(reason) => {
                exchange.give_up(reason);
                Error::e_explain(ErrorType::Custom("no attempt"), reason.as_str())
            }
        }
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        head: &mut RequestHeader,
        ctx: &mut Context,
    ) -> pingora::Result<()> {
        let Some(exchange) = &ctx.exchange else { return Ok(()) };
        view::write_request(&self.node, exchange, session.req_header(), head)?;
        // What goes to the mirror is what goes upstream. A second attempt is no second request.
        if exchange.attempts() == 1 {
            ctx.mirror = Mirror::start(&self.mirrors, exchange, head);
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Context,
    ) -> pingora::Result<()> {
        let Some(exchange) = &mut ctx.exchange else { return Ok(()) };
        if let Some(chunk) = body {
            exchange.received += chunk.len() as u64;
            if let Some((_, reason)) = exchange.body_limit.filter(|(most, _)| exchange.received > *most) {
                ctx.body_over = Some(reason);
                return Err(Error::explain(ErrorType::Custom("body over its limit"), reason.as_str()).into_down());
            }
            if let Some(mirror) = &mut ctx.mirror {
                mirror.body(chunk);
            }
        }
        if end && !exchange.is_request_complete() {
            exchange.request_complete(Instant::now());
            if let Some(mirror) = &mut ctx.mirror {
                mirror.end();
            }
            Self::arm(session, ctx);
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> pingora::Result<()> {
        let (Some(exchange), Some(connection)) = (&mut ctx.exchange, &ctx.connection) else { return Ok(()) };
        let status = head.status.as_u16();
        if head.status.is_informational() && status != 101 {
            return Ok(());
        }
        if status == 101 && !exchange.is_upgrade() {
            // Nobody asked for it, so nobody would know what the bytes after it are.
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, "101 without a request for it").into_up());
        }
        verdict::answered(exchange, status, Instant::now());
        view::write_response(exchange, session.req_header(), head);
        if status == 101 {
            connection.tunnel();
            return Ok(());
        }
        if connection.should_close() || session.req_header().version == http::Version::HTTP_10 {
            session.set_keepalive(None);
        }
        Self::arm(session, ctx);
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Context,
    ) -> pingora::Result<Option<Duration>> {
        if let Some(exchange) = &mut ctx.exchange {
            exchange.sent += body.as_ref().map_or(0, Bytes::len) as u64;
            if end {
                exchange.answer_complete(Instant::now());
            }
        }
        Ok(None)
    }

    /// Verdict on a connection that was not made.
    fn fail_to_connect(&self, session: &mut Session, _peer: &HttpPeer, ctx: &mut Context, mut error: BError) -> BError {
        tracing::debug!(%error, "connection failed");
        error.retry.decide_reuse(false);
        let Some(exchange) = &mut ctx.exchange else { return error };
        let replayable = !session.as_downstream().retry_buffer_truncated();
        let next = verdict::failed(exchange, failure::connecting(&error), false, replayable, Instant::now());
        error.set_retry(next == Next::Again);
        error
    }

    /// Verdict on an exchange that failed after the connection was made.
    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: BError,
        ctx: &mut Context,
        reused: bool,
    ) -> BError {
        tracing::debug!(%error, reused, "exchange failed");
        // Left undecided, asking the error whether to retry would panic.
        error.retry.decide_reuse(reused);
        // A byte of an answer has gone out: another attempt would append a second one.
        let answered = session.response_written().is_some();
        let replayable = !session.as_downstream().retry_buffer_truncated();
        let failure = failure::of(&error, ctx.connection.as_deref(), ctx.body_over, reused);
        let next = match &mut ctx.exchange {
            Some(exchange) => verdict::failed(exchange, failure, answered, replayable, Instant::now()),
            None => Next::Reply,
        };
        error.set_retry(next == Next::Again);
        error
    }

    /// Reply, where one can still be given.
    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Context) -> FailToProxy {
        let nothing = FailToProxy { error_code: 0, can_reuse_downstream: false };
        let Some(exchange) = &mut ctx.exchange else { return nothing };
        if let Some(connection) = &ctx.connection {
            set_deadline(session, connection, None);
        }
        if exchange.attempts() == 0 && exchange.reason() == Reason::ClientGone {
            // Nothing was tried, so nobody judged it yet: the client's own doing, or ours.
            let failure = failure::of(error, ctx.connection.as_deref(), ctx.body_over, false);
            verdict::failed(exchange, failure, false, false, Instant::now());
        }
        // The head is out already, and cutting the connection is the right sign; or nobody is left to read an answer.
        if session.response_written().is_some_and(|head| !head.status.is_informational())
            || exchange.reason() == Reason::ClientGone
        {
            return nothing;
        }
        session.set_keepalive(None);
        let refusal = exchange.reason().into();
        let answer = reply::refuse(exchange, &refusal);
        let _ = write::reply(session, exchange, answer).await;
        FailToProxy { error_code: exchange.status(), can_reuse_downstream: false }
    }

    /// Finish.
    async fn logging(&self, _session: &mut Session, error: Option<&Error>, ctx: &mut Context) {
        let Some(exchange) = &mut ctx.exchange else { return };
        let now = Instant::now();
        match error {
            None => finish::delivered(exchange, now),
            Some(_) => finish::broken_off(exchange, now),
        }
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &Context, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(&self, _: &Session, _: &Context, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }
}
