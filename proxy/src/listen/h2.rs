//! The life of an HTTP/2 connection.
//!
//! Pingora's HTTP/2 sessions, in a loop of our own: Pingora's has no handshake deadline, no age and no bound on
//! requests, and it may wait for ever for a client that was told to go away.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use h2::Reason;
use h2::server::Connection as H2;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Accept, H2Options, HttpSession, default_h2_options, handshake};
use pingora::protocols::{Digest, GetProxyDigest, GetSocketDigest, GetTimingDigest, Ssl, Stream};
use tokio::time::{Instant, timeout};

use super::alarm::Alarm;
use super::connection::Connection;
use super::front::Rejected;
use super::guard::{Guard, Transport};
use super::hall::Hall;
use super::loan::Lender;
use super::phase::{Phase, reached};
use super::seat::Seat;
use super::stream::Stream as Exchange;
use super::terms::Terms;

/// What a client of HTTP/2 sends first (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Malformed requests after which a connection is ended: Pingora's own bound, which only its own loop keeps.
const REJECTED: u32 = 32;
/// How long a client without a request in flight has to answer that it was told to go away.
const FAREWELL: Duration = Duration::from_secs(1);
/// The same where bytes still move, to a slow reader of the last answers.
const FAREWELL_AT_MOST: Duration = Duration::from_secs(30);
/// What of an answer waits in a stream for its turn. Pingora sends as the stream has room, so a client that reads
/// nothing pins this much of each of its streams.
const SEND_BUFFER: usize = 64 * 1024;
/// What a client may send ahead of the upstream's reading: of one request, and of all of them together.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Whether bytes are the beginning of HTTP/2 by prior knowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preface {
    Whole,
    Begun,
    No,
}

pub(super) fn preface(bytes: &[u8]) -> Preface {
    if bytes.starts_with(PREFACE) {
        Preface::Whole
    } else if PREFACE.starts_with(bytes) {
        Preface::Begun
    } else {
        Preface::No
    }
}

/// The exchanges on a connection.
struct Streams {
    opened: Instant,
    running: AtomicUsize,
    /// When the last one ended, in nanoseconds after `opened`.
    rested: AtomicU64,
}

/// Counts as running until it is dropped. The seat goes with the last of them.
struct Running {
    streams: Arc<Streams>,
    _seat: Arc<Seat>,
}

impl Streams {
    fn new() -> Arc<Self> {
        Arc::new(Self { opened: Instant::now(), running: AtomicUsize::new(0), rested: AtomicU64::new(0) })
    }

    fn begin(self: &Arc<Self>, seat: &Arc<Seat>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running { streams: self.clone(), _seat: seat.clone() }
    }

    /// When the last exchange ended; `None` while one runs.
    fn idle_since(&self) -> Option<Instant> {
        let idle = self.running.load(Ordering::Acquire) == 0;
        idle.then(|| self.opened + Duration::from_nanos(self.rested.load(Ordering::Relaxed)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let nanos = self.streams.opened.elapsed().as_nanos();
        self.streams.rested.store(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.streams.running.fetch_sub(1, Ordering::Release);
    }
}

/// Serves requests until either side ends the connection and the last one is answered.
pub(super) async fn serve<A, T>(hall: &Arc<Hall<A>>, guard: Box<Guard<T>>, seat: Seat)
where
    A: HttpServerApp + Send + Sync + 'static,
    T: Transport,
{
    let facts = guard.facts().clone();
    let lender = Lender::new();
    let guard = lender.lend(guard);
    let digest = Arc::new(Digest {
        ssl_digest: guard.get_ssl_digest(),
        timing_digest: guard.get_timing_digest(),
        proxy_digest: guard.get_proxy_digest(),
        socket_digest: guard.get_socket_digest(),
    });
    let greeted = timeout(hall.terms.header_timeout, handshake(guard, Some(options(&hall.terms)))).await;
    let Ok(Ok(mut connection)) = greeted else {
        return hall.front.rejected(hall.listener, Rejected::H2Handshake);
    };

    let seat = Arc::new(seat);
    let streams = Streams::new();
    let mut leave = Leave::new(&hall.terms, facts.life().ends.into());
    let mut alarm = Alarm::default();
    let mut phase = hall.phase.clone();
    let mut leaving = pin!(reached(&mut phase, Phase::Leaving));
    let mut rejected = 0;
    loop {
        let look = leave.next_look(&streams);
        let event = tokio::select! {
            biased;
            () = &mut leaving, if leave.told.is_none() => {
                leave.tell(&mut connection);
                continue;
            }
            event = HttpSession::from_h2_conn(&mut connection, digest.clone()) => event,
            () = poll_fn(|cx| alarm.poll(look, cx)) => {
                match leave.look(&streams, &facts) {
                    Look::Stay => {}
                    Look::Tell => leave.tell(&mut connection),
                    Look::Go => return,
                }
                continue;
            }
        };
        match event {
            Ok(Some(H2Accept::Session(session))) => {
                if facts.begin_request() >= hall.terms.max_requests {
                    leave.tell(&mut connection);
                }
                spawn(hall.clone(), session, streams.begin(&seat), facts.clone());
            }
            Ok(Some(H2Accept::Rejected)) => {
                hall.front.rejected(hall.listener, Rejected::H2Request);
                rejected += 1;
                if rejected == REJECTED {
                    connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                }
            }
            Ok(None) | Err(_) => return,
        }
    }
}

fn options(terms: &Terms) -> H2Options {
    let mut options = default_h2_options();
    options
        .max_header_list_size(u32::try_from(terms.rules.bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(terms.h2_streams)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER);
    options
}

/// One exchange, in a task of its own: streams do not wait for each other, and a panic ends only its own.
fn spawn<A>(hall: Arc<Hall<A>>, session: HttpSession, running: Running, facts: Arc<Connection>)
where
    A: HttpServerApp + Send + Sync + 'static,
{
    tokio::spawn(async move {
        let _running = running;
        let session = ServerSession::new_custom(Box::new(Exchange::new(session, hall.terms.body_rate)));
        let exchange = hall.app.process_new_http(session, facts.stage().leaving());
        if AssertUnwindSafe(exchange).catch_unwind().await.is_err() {
            hall.front.panicked();
        }
    });
}

/// When a connection ends from our side: it is told to go away (RFC 9113 section 6.8), what runs is finished, and then it
/// closes. It is told when it is old, has been idle, has served its requests, or the process leaves.
struct Leave {
    idle_timeout: Duration,
    ends: Instant,
    told: Option<Told>,
}

struct Told {
    at: Instant,
    /// Bytes in both directions at the last look, and when they last grew.
    traffic: u64,
    quiet_since: Instant,
}

enum Look {
    Stay,
    Tell,
    Go,
}

impl Leave {
    fn new(terms: &Terms, ends: Instant) -> Self {
        Self { idle_timeout: terms.idle_timeout, ends, told: None }
    }

    fn tell(&mut self, connection: &mut H2<Stream, Bytes>) {
        if self.told.is_none() {
            connection.graceful_shutdown();
            let at = Instant::now();
            self.told = Some(Told { at, traffic: 0, quiet_since: at });
        }
    }

    /// When there may be something to do. Exchanges end without a word to the connection, so a busy one is looked at
    /// again when it might be due at the earliest.
    fn next_look(&self, streams: &Streams) -> Instant {
        match &self.told {
            None => self.ends.min(streams.idle_since().unwrap_or_else(Instant::now) + self.idle_timeout),
            Some(told) => told.quiet_since.max(streams.idle_since().unwrap_or_else(Instant::now)) + FAREWELL,
        }
    }

    fn look(&mut self, streams: &Streams, facts: &Connection) -> Look {
        let now = Instant::now();
        let idle = streams.idle_since();
        let Some(told) = &mut self.told else {
            let idle_for_long = idle.is_some_and(|since| since + self.idle_timeout <= now);
            return if idle_for_long || self.ends <= now { Look::Tell } else { Look::Stay };
        };
        // The last answers may still be on their way to a slow reader.
        let traffic = facts.bytes_in() + facts.bytes_out();
        if told.traffic != traffic {
            told.traffic = traffic;
            told.quiet_since = now;
        }
        match idle {
            Some(_) if told.quiet_since + FAREWELL <= now || told.at + FAREWELL_AT_MOST <= now => Look::Go,
            _ => Look::Stay,
        }
    }
}
