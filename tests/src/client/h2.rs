//! An HTTP/2 connection, over TLS or by prior knowledge.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Uri};
use rustls::ClientConfig;
use tokio::task::JoinHandle;

use crate::io::Io;
use crate::message::{Lines, Request, Response};
use crate::wait::patiently;

/// A client's connection. Clones share it.
pub struct H2 {
    send: SendRequest<Bytes>,
    scheme: &'static str,
    driver: JoinHandle<Result<(), h2::Error>>,
}

/// A stream whose request may still be going on.
pub struct Open {
    pub send: SendStream<Bytes>,
    response: Option<ResponseFuture>,
    recv: Option<RecvStream>,
}

impl H2 {
    /// By prior knowledge, without TLS.
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        Self::over(Io::connect(address).await?, "http").await
    }

    pub async fn connect_tls(address: SocketAddr, config: Arc<ClientConfig>, name: &str) -> anyhow::Result<Self> {
        let io = Io::connect_tls(address, config, name).await?;
        if io.alpn() != Some(b"h2") {
            bail!("ALPN chose {:?}", io.alpn().map(String::from_utf8_lossy));
        }
        Self::over(io, "https").await
    }

    async fn over(io: Io, scheme: &'static str) -> anyhow::Result<Self> {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 22);
        let (send, connection) = patiently("an HTTP/2 handshake", builder.handshake(io)).await??;
        Ok(Self { send, scheme, driver: tokio::spawn(connection) })
    }

    /// One whole exchange.
    pub async fn send(&self, request: &Request) -> anyhow::Result<Response> {
        let mut open = self.open(request, request.body.is_empty()).await?;
        if !request.body.is_empty() {
            // An answer may come before all of the request was taken.
            let _ = open.write(Bytes::from(request.body.clone()), true).await;
        }
        open.response().await
    }

    /// Sends a request's head; its body follows by [`Open::write`] unless `end`.
    pub async fn open(&self, request: &Request, end: bool) -> anyhow::Result<Open> {
        let uri = format!("{}://{}{}", self.scheme, request.host, request.target).parse::<Uri>()?;
        let mut head = http::Request::builder().method(request.method.as_str()).uri(uri);
        for (name, value) in &request.headers {
            head = head.header(name, value);
        }
        let mut ready = patiently("room for a stream", self.send.clone().ready()).await??;
        let (response, send) = ready.send_request(head.body(())?, end)?;
        Ok(Open { send, response: Some(response), recv: None })
    }

    /// How many streams the server lets this client open at a time, as far as it has said.
    pub fn streams_at_a_time(&self) -> usize {
        self.send.current_max_send_streams()
    }

    /// Waits for the end of the connection: `Ok` where the server ended it in order.
    pub async fn closed(self) -> anyhow::Result<()> {
        drop(self.send);
        Ok(patiently("the end of the connection", self.driver).await???)
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.driver.is_finished()
    }
}

impl Open {
    /// Sends a piece of the body as the server has room for it.
    pub async fn write(&mut self, mut bytes: Bytes, end: bool) -> anyhow::Result<()> {
        while !bytes.is_empty() {
            self.send.reserve_capacity(bytes.len());
            let room = patiently("room to send", poll_fn(|cx| self.send.poll_capacity(cx))).await?;
            let room = room.context("the stream is closed")??;
            let piece = bytes.split_to(room.min(bytes.len()));
            self.send.send_data(piece, end && bytes.is_empty())?;
            if bytes.is_empty() {
                return Ok(());
            }
        }
        Ok(self.send.send_data(Bytes::new(), end)?)
    }

    /// Ends the request with trailers.
    pub fn trailers(&mut self, lines: &[(&'static str, &'static str)]) -> anyhow::Result<()> {
        let map = lines.iter().map(|(name, value)| Ok((name.parse()?, value.parse()?)));
        Ok(self.send.send_trailers(map.collect::<anyhow::Result<HeaderMap>>()?)?)
    }

    /// The response's head.
    pub async fn head(&mut self) -> anyhow::Result<Response> {
        let response = self.response.take().context("the head was read")?;
        let response = patiently("a response head", response).await??;
        let (parts, recv) = response.into_parts();
        self.recv = Some(recv);
        let (status, headers) = (parts.status.as_u16(), lines(&parts.headers));
        Ok(Response { status, headers, version: 2, ..Response::default() })
    }

    /// The next piece of the body, or `None` at its end; then the trailers are in `response`.
    pub async fn chunk(&mut self, response: &mut Response) -> anyhow::Result<Option<Bytes>> {
        let recv = self.recv.as_mut().context("no head yet")?;
        while let Some(data) = patiently("a piece of a body", recv.data()).await? {
            let data = data?;
            recv.flow_control().release_capacity(data.len())?;
            if !data.is_empty() {
                return Ok(Some(data)); // An empty frame is no piece, only a way to say that the body is over.
            }
        }
        if let Some(trailers) = patiently("trailers", recv.trailers()).await?? {
            response.trailers = lines(&trailers);
        }
        Ok(None)
    }

    /// The rest of the exchange.
    pub async fn response(&mut self) -> anyhow::Result<Response> {
        let mut response = self.head().await?;
        while let Some(chunk) = self.chunk(&mut response).await? {
            response.body.extend_from_slice(&chunk);
        }
        Ok(response)
    }

    /// Gives the stream up.
    pub fn cancel(mut self) {
        self.send.send_reset(h2::Reason::CANCEL);
    }
}

fn lines(map: &HeaderMap) -> Lines {
    map.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}
