//! An HTTP/2 exchange with a deadline.
//!
//! Pingora's HTTP/2 session has no timer on reading at all, and nothing of ours stands between it and the client's
//! frames, as the guard does on HTTP/1. So it is wrapped: everything is passed on as it is, but reading from the client,
//! which every exchange does to its end, fails at the deadline, or when a body comes more slowly than the listener bears;
//! then the answer can still be written.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream as Messages;
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session;
use pingora::protocols::http::v2::server::HttpSession;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::{BError, Error, ErrorType, Result};
use tokio::time::{Instant, timeout_at};

use super::patience::Patience;

/// One exchange. [`Session::set_read_timeout`] sets the deadline: how long, from now, the client's side is read.
pub(super) struct Stream {
    inner: HttpSession,
    deadline: Option<Instant>,
    /// `None` for gRPC, whose streams may rest.
    patience: Option<Patience>,
}

/// How long the rest of a body is read and thrown away after its answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// The type of the error that ends a body which came too slowly.
pub const SLOW_BODY: ErrorType = ErrorType::Custom("slow body");

impl Stream {
    /// `body_rate`: bytes per second of the slowest body, 0 for any.
    pub fn new(inner: HttpSession, body_rate: u64) -> Self {
        let content_type = inner.req_header().headers.get(http::header::CONTENT_TYPE);
        let grpc = content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        Self { inner, deadline: None, patience: (!grpc).then(|| Patience::new(body_rate)) }
    }

    /// The body's next bytes, at the latest when deadline or patience end.
    async fn read(&mut self) -> Result<Option<Bytes>> {
        let patience = self.patience.as_mut().and_then(Patience::ends);
        let Some(end) = [self.deadline, patience].into_iter().flatten().min() else {
            return self.inner.read_body_bytes().await;
        };
        match timeout_at(end, self.inner.read_body_bytes()).await {
            Ok(read) => {
                if let (Some(patience), Ok(Some(bytes))) = (&mut self.patience, &read) {
                    patience.fed(bytes.len());
                }
                read
            }
            Err(_) if self.deadline.is_some_and(|deadline| deadline <= end) => Err(too_late()),
            Err(_) => Err(Error::explain(SLOW_BODY, "below the listener's rate").into_down()),
        }
    }
}

fn too_late() -> BError {
    Error::explain(ErrorType::ReadTimedout, "the deadline of the exchange has passed").into_down()
}

type Reader = Box<dyn Messages<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>;

#[async_trait]
impl Session for Stream {
    fn req_header(&self) -> &RequestHeader {
        self.inner.req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.inner.req_header_mut()
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        self.read().await
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if !no_body_expected && !self.inner.is_body_done() {
            return self.read().await;
        }
        let Some(deadline) = self.deadline else { return self.inner.read_body_or_idle(true).await };
        timeout_at(deadline, self.inner.read_body_or_idle(true)).await.unwrap_or_else(|_| Err(too_late()))
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        self.inner.drain_request_body().await
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.inner.write_response_header(head, end)
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.inner.write_response_header_ref(head, end)
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.inner.write_body(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.inner.write_trailers(trailers)
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        self.inner.response_duplex_vec(tasks).await
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.deadline = timeout.and_then(|after| Instant::now().checked_add(after));
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.deadline.map(|at| at.saturating_duration_since(Instant::now()))
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.inner.set_write_timeout(timeout);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.inner.get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.inner.set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.inner.get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        self.inner.request_summary()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.inner.response_written()
    }

    async fn shutdown(&mut self, _code: u32, _context: &str) {
        self.inner.shutdown();
    }

    fn is_body_done(&mut self) -> bool {
        self.inner.is_body_done()
    }

    async fn finish(&mut self) -> Result<()> {
        self.inner.finish()?;
        // An answer that precedes the end of its request: the client gets the time to end it. Dropped earlier, the stream
        // would be reset, and some clients throw a whole answer away for that.
        if !self.inner.is_body_done() {
            let _ = timeout_at(Instant::now() + FAREWELL, self.inner.drain_request_body()).await;
        }
        Ok(())
    }

    fn is_body_empty(&mut self) -> bool {
        self.inner.is_body_empty()
    }

    fn body_bytes_sent(&self) -> usize {
        self.inner.body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.inner.body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.inner.digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.inner.digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.inner.client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.inner.server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.inner.pseudo_raw_h1_request_header()
    }

    fn enable_retry_buffering(&mut self) {
        self.inner.enable_retry_buffering();
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.inner.retry_buffer_truncated()
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        self.inner.get_retry_buffer()
    }

    // HTTP/2 has no messages beside its bodies.

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(&mut self) -> Option<Reader> {
        None
    }

    fn restore_custom_message_reader(&mut self, _reader: Reader) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _writer: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}
