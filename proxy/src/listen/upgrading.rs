//! An HTTP/1 exchange that asks for another protocol.
//!
//! Pingora 0.9.1 tells its upstream half that a request without a body has ended, and takes that, where it hears it after
//! a quick 101, for the end of the tunnel (cloudflare/pingora#946): a WebSocket to a near upstream would now and then end
//! as it begins. So such a request says that its body is still to come, which of a tunnel is true, and gives none before
//! the answer. In return its connection serves nothing after it, whatever the answer is.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream as Messages;
use http::HeaderMap;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session;
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora::protocols::l4::socket::SocketAddr;

/// One exchange; its head has been read.
pub(super) struct Upgrading {
    inner: ServerSession,
    /// The head went to an upstream: from here on the body is said to be still to come. Before, Pingora would make a
    /// chunked request of it.
    asked: bool,
}

impl Upgrading {
    pub fn new(mut inner: ServerSession) -> Self {
        inner.set_keepalive(None);
        Self { inner, asked: false }
    }

    /// Between the question and its answer.
    fn waits(&self) -> bool {
        self.asked && self.inner.is_upgrade_req() && !self.inner.was_upgraded()
    }

    /// A final answer that is no 101 went out: there will be no tunnel, and no body either.
    fn declined(&self) -> bool {
        let answer = self.inner.response_written();
        answer.is_some_and(|head| !head.status.is_informational()) && !self.inner.was_upgraded()
    }
}

type Reader = Box<dyn Messages<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>;

#[async_trait]
impl Session for Upgrading {
    fn is_upgrade_req(&self) -> bool {
        self.inner.is_upgrade_req()
    }

    fn was_upgraded(&self) -> bool {
        self.inner.was_upgraded()
    }

    fn is_body_empty(&mut self) -> bool {
        !self.waits() && self.inner.is_body_empty()
    }

    fn is_body_done(&mut self) -> bool {
        if self.waits() { self.declined() } else { self.inner.is_body_done() }
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        self.inner.read_request_body().await
    }

    /// Before the answer there is only the end of the connection to be seen.
    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        let idle = no_body_expected || self.waits();
        self.inner.read_body_or_idle(idle).await
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        if self.waits() { Ok(()) } else { self.inner.drain_request_body().await }
    }

    fn req_header(&self) -> &RequestHeader {
        self.inner.req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.inner.req_header_mut()
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.inner.write_response_header(head).await?;
        if end { self.inner.finish_body().await } else { Ok(()) }
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.write_response_header(Box::new(head.clone()), end).await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.inner.write_response_body(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.inner.write_response_trailers(trailers).await
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        self.inner.response_duplex_vec(tasks).await
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.inner.set_read_timeout(timeout);
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.inner.get_read_timeout()
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
        self.inner.shutdown().await;
    }

    async fn finish(&mut self) -> Result<()> {
        self.inner.finish_body().await
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
        self.inner.to_h1_raw()
    }

    // No body comes before the answer, so none is kept. Pingora asks for it to be kept when the head has gone out, which
    // nothing else tells; a question that was put is not put again.

    fn enable_retry_buffering(&mut self) {
        self.asked = true;
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.asked
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        None
    }

    // HTTP/1 has no messages beside its bodies.

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
