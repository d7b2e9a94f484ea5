//! The guard around a connection's bytes.
//!
//! Pingora reads and writes a downstream connection through this type, and by it the listener keeps what Pingora does
//! not: deadlines, the slowest body, one write for head and body, requests that do not run into each other.
//!
//! * **Reading** stops at the end of the request body ([`Framing`]). What the client sends ahead stays aside for the next
//!   request, and a reader that looks for the end of the connection meanwhile sees none. Pingora watches the client in
//!   this way until its answer is written, so every deadline is enforced here: a read fails with `TimedOut`, Pingora
//!   ends the exchange, and the write side is still good for the answer.
//! * **Half-closing**: a client that closes its sending side after a whole request may still wait for the answer, or
//!   may have gone; TCP does not tell. It gets [`HALF_CLOSED`], and as long again after each write that the connection
//!   bore, then it counts as gone. So an abandoned request costs its upstream no more than that.
//! * **Writing** collects what is small and flushes it when a read finds nothing to do: an ordinary response is one
//!   write, and a streamed one is not held back, though Pingora does not flush a body of known length before its end.

mod goodbye;
#[cfg(test)]
pub(super) mod tests;

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use pingora::http::ResponseHeader;
use pingora::protocols::SocketDigest;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::alarm::Alarm;
use super::connection::{Connection, Ending};
use super::framing::Framing;
use super::patience::Patience;

/// What is collected before it is written: a head with a small body in one piece, and one full TLS record.
const WRITE_BUFFER: usize = 16 * 1024;
/// Most that is read at once while a request's first bytes are awaited.
const FIRST_READ: usize = 8 * 1024;
/// Most that is read ahead while a request is being answered.
const AHEAD: usize = 2 * 1024;
/// How long a client that closed its sending side is still answered.
const HALF_CLOSED: Duration = Duration::from_secs(5);

/// What carries a connection's bytes: TCP, or TLS over it.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static> Transport for T {}

pub(super) struct Guard<T> {
    io: T,
    fd: RawFd,
    facts: Arc<Connection>,
    digests: Digests,
    framing: Framing,
    patience: Patience,
    /// Read from the client but not yet asked for: bytes of the next request, mostly.
    aside: BytesMut,
    /// When the client closed its sending side, or when it last took bytes after that.
    half_closed: Option<Instant>,
    /// Collected bytes, of which the first `written` have gone out. Holds no memory while the connection is idle.
    out: Vec<u8>,
    written: usize,
    /// HTTP/2 collects by itself.
    collects: bool,
    /// Something was written since the last flush.
    dirty: bool,
    /// The sending side was closed.
    closed: bool,
    alarm: Alarm,
}

/// What Pingora asks of a connection, made at most once.
struct Digests {
    proxy: OnceLock<Arc<ProxyDigest>>,
    socket: Arc<SocketDigest>,
    tls: Option<Arc<SslDigest>>,
}

impl<T: Transport> Guard<T> {
    /// `body_rate` is in bytes per second, 0 for none.
    pub fn new(io: T, fd: RawFd, facts: Connection, tls: Option<Arc<SslDigest>>, body_rate: u64) -> Box<Self> {
        let socket = SocketDigest::from_raw_fd(fd);
        // Both cells are new, so neither can be taken.
        let _ = socket.peer_addr.set(Some(facts.peer.into()));
        let _ = socket.local_addr.set(Some(facts.local.into()));
        Box::new(Self {
            io,
            fd,
            facts: Arc::new(facts),
            digests: Digests { proxy: OnceLock::new(), socket: Arc::new(socket), tls },
            framing: Framing::Open,
            patience: Patience::new(body_rate),
            aside: BytesMut::new(),
            half_closed: None,
            out: Vec::new(),
            written: 0,
            collects: true,
            dirty: false,
            closed: false,
            alarm: Alarm::default(),
        })
    }

    pub fn facts(&self) -> &Arc<Connection> {
        &self.facts
    }

    pub fn fd(&self) -> RawFd {
        self.fd
    }

    pub fn socket_digest(&self) -> Arc<SocketDigest> {
        self.digests.socket.clone()
    }

    /// `None` without TLS.
    pub fn tls_digest(&self) -> Option<Arc<SslDigest>> {
        self.digests.tls.clone()
    }

    /// The way by which [`Connection::of`] finds the facts: the one place of a session's digest that takes a value of
    /// our own.
    pub fn proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        if let Some(made) = self.digests.proxy.get() {
            return Some(made.clone());
        }
        let empty = ResponseHeader::build_no_case(200, Some(0)).ok()?;
        let made = Arc::new(ProxyDigest::new(Box::new(empty), Some(Box::new(self.facts.clone()))));
        Some(self.digests.proxy.get_or_init(|| made).clone())
    }

    /// From here on HTTP/2 is spoken, beginning with `read`: bytes pass as they are.
    pub fn speak_h2(&mut self, read: BytesMut) {
        // Nobody but the guard has seen the facts before the first request.
        if let Some(facts) = Arc::get_mut(&mut self.facts) {
            facts.h2 = true;
        }
        self.aside = read;
        self.framing = Framing::Open;
        self.collects = false;
    }

    /// A request begins whose body is framed by `framing` as far as it was not read yet. `ahead` was read behind it.
    pub fn begin(&mut self, framing: Framing, ahead: BytesMut) {
        self.framing = framing;
        self.aside = ahead;
        self.patience.renew();
    }

    /// The request was read to its end, so that the next one can begin.
    pub fn is_at_end_of_request(&self) -> bool {
        self.framing == Framing::Whole && !self.facts.is_tunnel()
    }

    /// Appends what the client sends to `head`, between two requests or inside a head. 0 means the end; the error at
    /// `until` is `TimedOut`.
    pub async fn fill(&mut self, head: &mut BytesMut, until: Instant) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(head, until, cx)).await
    }

    fn poll_fill(&mut self, head: &mut BytesMut, until: Instant, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !self.aside.is_empty() {
            let aside = std::mem::take(&mut self.aside);
            let bytes = aside.len();
            if head.is_empty() {
                *head = aside;
            } else {
                head.extend_from_slice(&aside);
            }
            return Poll::Ready(Ok(bytes));
        }
        if self.half_closed.is_some() {
            return Poll::Ready(Ok(0));
        }
        // Read to the stack first: a connection that waits has no buffer.
        let mut space = [MaybeUninit::uninit(); FIRST_READ];
        let mut got = ReadBuf::uninit(&mut space);
        match self.poll_io(cx, &mut got) {
            Poll::Ready(Ok(())) => {
                head.extend_from_slice(got.filled());
                Poll::Ready(Ok(got.filled().len()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                if self.poll_flush_dirty(cx)?.is_ready() {
                    self.out = Vec::new();
                }
                ready!(self.alarm.poll(until, cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    /// A read from below, counted.
    fn poll_io(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        let done = ready!(Pin::new(&mut self.io).poll_read(cx, out));
        let got = out.filled().len() - before;
        self.facts.count_in(got);
        match &done {
            Ok(()) if got == 0 => self.half_closed = Some(Instant::now()),
            Ok(()) => {}
            Err(_) => self.facts.end(Ending::ClientLeft),
        }
        Poll::Ready(done)
    }

    /// What was put aside first, then what comes.
    fn poll_next(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.aside.is_empty() {
            return self.poll_io(cx, out);
        }
        let bytes = self.aside.len().min(out.remaining());
        out.put_slice(&self.aside[..bytes]);
        self.aside.advance(bytes);
        if self.aside.is_empty() {
            self.aside = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Bytes of the request body, and none behind it.
    fn poll_body(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        ready!(self.poll_next(cx, out))?;
        let got = &out.filled()[before..];
        if got.is_empty() {
            self.facts.end(Ending::ClientLeft);
            return Poll::Ready(Ok(()));
        }
        self.patience.fed(got.len());
        let Ok(own) = self.framing.pass(got) else {
            self.facts.end(Ending::MalformedBody);
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        };
        if own < got.len() {
            // What was put aside before comes after what was just read of it.
            let mut ahead = BytesMut::from(&got[own..]);
            ahead.extend_from_slice(&self.aside);
            self.aside = ahead;
            out.set_filled(before + own);
        }
        Poll::Ready(Ok(()))
    }

    /// The request is whole: look for the end of the connection only, and keep a little of what comes instead.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.aside.is_empty() && self.half_closed.is_none() {
            let mut space = [MaybeUninit::uninit(); AHEAD];
            let mut got = ReadBuf::uninit(&mut space);
            ready!(self.poll_io(cx, &mut got))?;
            self.aside.extend_from_slice(got.filled());
        }
        Poll::Pending
    }

    /// Nothing to read: send what was collected, and look at the clock.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = self.poll_flush_dirty(cx) {
            self.facts.end(Ending::ClientLeft);
            return Poll::Ready(Err(error));
        }
        let deadline = self.facts.deadline().map(Instant::from_std);
        let patience = if self.framing.is_body() { self.patience.ends() } else { None };
        let gone = self.half_closed.map(|since| since + HALF_CLOSED);
        let Some(first) = [deadline, patience, gone].into_iter().flatten().min() else { return Poll::Pending };
        ready!(self.alarm.poll(first, cx));
        if deadline == Some(first) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if patience == Some(first) {
            self.facts.end(Ending::SlowBody);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.facts.end(Ending::ClientLeft);
        Poll::Ready(Ok(()))
    }

    fn poll_flush_dirty(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.dirty { Pin::new(self).poll_flush(cx) } else { Poll::Ready(Ok(())) }
    }

    /// The client took bytes, so a half-closed one is still there, as far as anybody can tell.
    fn wrote(&mut self, bytes: usize) {
        self.facts.count_out(bytes);
        self.dirty = true;
        if self.half_closed.is_some() {
            self.half_closed = Some(Instant::now());
        }
    }
}

impl<T: Transport> AsyncRead for Guard<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if out.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.facts.is_tunnel() {
            this.framing = Framing::Open;
        }
        let read = match this.framing {
            Framing::Open => this.poll_next(cx, out),
            Framing::Length(_) | Framing::Chunked(_) => this.poll_body(cx, out),
            Framing::Whole => this.poll_ahead(cx),
        };
        match read {
            Poll::Pending if this.collects => this.poll_idle(cx),
            read => read,
        }
    }
}

impl<T: Transport> AsyncWrite for Guard<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.collects && this.out.len() + bytes.len() <= WRITE_BUFFER {
            if this.out.capacity() == 0 {
                this.out.reserve_exact(WRITE_BUFFER);
            }
            this.out.extend_from_slice(bytes);
            this.wrote(bytes.len());
            return Poll::Ready(Ok(bytes.len()));
        }
        // What was collected goes out together with what does not fit behind it.
        while this.written < this.out.len() {
            let collected = &this.out[this.written..];
            let both = [IoSlice::new(collected), IoSlice::new(bytes)];
            let sent = ready!(Pin::new(&mut this.io).poll_write_vectored(cx, &both))?;
            let collected = collected.len();
            this.dirty = true;
            match sent.checked_sub(collected) {
                _ if sent == 0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                None => this.written += sent,
                Some(of_bytes) => {
                    this.out.clear();
                    this.written = 0;
                    if of_bytes > 0 {
                        this.wrote(of_bytes);
                        return Poll::Ready(Ok(of_bytes));
                    }
                }
            }
        }
        let sent = ready!(Pin::new(&mut this.io).poll_write(cx, bytes))?;
        this.wrote(sent);
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.written < this.out.len() {
            let sent = ready!(Pin::new(&mut this.io).poll_write(cx, &this.out[this.written..]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            this.written += sent;
        }
        this.out.clear();
        this.written = 0;
        ready!(Pin::new(&mut this.io).poll_flush(cx))?;
        this.dirty = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.collects {
            let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| &**slice);
            return self.poll_write(cx, first);
        }
        let sent = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices))?;
        self.wrote(sent);
        Poll::Ready(Ok(sent))
    }

    fn is_write_vectored(&self) -> bool {
        !self.collects && self.io.is_write_vectored()
    }
}

impl<T> fmt::Debug for Guard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("fd", &self.fd).field("facts", &self.facts).finish_non_exhaustive()
    }
}
