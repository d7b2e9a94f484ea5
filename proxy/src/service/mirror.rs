//! A copy of a request, sent to a second upstream whose answer is thrown away. It never holds the original up: what does
//! not fit into its queue ends the copy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::upstreams::peer::HttpPeer;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{peer, view};
use crate::request::Exchange;
use crate::request::attempt::Dial;
use crate::telemetry::chance;

/// Chunks of a body that wait for a slower mirror.
const QUEUE: usize = 16;
/// Copies under way in a process; requests beyond it are not copied.
const COPIES: usize = 1024;
/// What a copy may take in all.
const PATIENCE: Duration = Duration::from_secs(15);

static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// A copy under way.
pub struct Mirror {
    /// `None` once the copy is given up.
    body: Option<mpsc::Sender<Piece>>,
}

/// A part of the body. A queue that closes without an end means that the copy is broken off.
enum Piece {
    Chunk(Bytes),
    End,
}

impl Mirror {
    /// Starts a copy where the decision asks for one. `head` is what the first upstream gets. What asks for another
    /// protocol is not copied: it is the beginning of a conversation.
    pub fn start(connector: &Arc<Connector>, exchange: &Exchange, head: &RequestHeader) -> Option<Self> {
        let upstream = exchange.mirror().filter(|_| !exchange.is_upgrade())?;
        let lease = upstream.lease(chance(), &[])?;
        let slot = Slot::take()?;
        let timeouts = upstream.timeouts;
        let peer = peer::of(&Dial {
            address: lease.address(),
            connect: timeouts.connect,
            handshake: timeouts.handshake,
            idle: PATIENCE,
            upstream: upstream.clone(),
        });
        let head = head.clone();
        let has_body = !exchange.is_request_complete();
        let (body, chunks) = mpsc::channel(QUEUE);
        let connector = connector.clone();
        tokio::spawn(async move {
            let _held = (lease, slot);
            let started = Instant::now();
            if timeout(PATIENCE, send(&connector, &peer, head, has_body, chunks)).await.is_err() {
                tracing::debug!(peer = %peer, after = ?started.elapsed(), "a mirrored request took too long");
            }
        });
        let mut mirror = Self { body: Some(body) };
        if !has_body {
            mirror.end();
        }
        Some(mirror)
    }

    /// One more chunk. Where the mirror can't follow, its copy is broken off rather than the original held up.
    pub fn body(&mut self, chunk: &Bytes) {
        self.send(Piece::Chunk(chunk.clone()));
    }

    /// The body is whole.
    pub fn end(&mut self) {
        self.send(Piece::End);
        self.body = None;
    }

    fn send(&mut self, piece: Piece) {
        if self.body.as_ref().is_some_and(|body| body.try_send(piece).is_err()) {
            self.body = None;
        }
    }
}

/// Sends the copy and reads its answer away. A copy that was broken off closes its connection,
/// so that its upstream does not take a part for the whole.
async fn send(
    connector: &Connector,
    peer: &HttpPeer,
    mut head: RequestHeader,
    has_body: bool,
    mut body: mpsc::Receiver<Piece>,
) -> pingora::Result<()> {
    let (mut session, _) = connector.get_http_session(peer).await?;
    if session.as_http2().is_some() {
        view::into_h2(&mut head, peer.is_tls())?;
    } else {
        view::into_h1(&mut head, has_body)?;
    }
    session.write_request_header(Box::new(head)).await?;
    loop {
        match body.recv().await {
            Some(Piece::Chunk(chunk)) => session.write_request_body(chunk, false).await?,
            Some(Piece::End) => break,
            None => {
                session.shutdown().await;
                return Ok(());
            }
        }
    }
    session.finish_request_body().await?;
    session.read_response_header().await?;
    while session.read_response_body().await?.is_some() {}
    connector.release_http_session(session, peer, peer.options.idle_timeout).await;
    Ok(())
}

/// One of the copies that may be under way.
struct Slot;

impl Slot {
    fn take() -> Option<Self> {
        let taken = UNDER_WAY.fetch_update(Relaxed, Relaxed, |copies| (copies < COPIES).then_some(copies + 1));
        taken.ok().map(|_| Self)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Relaxed);
    }
}
