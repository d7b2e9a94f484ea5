//! An HTTP/1.1 connection, from raw bytes up to whole exchanges.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use rustls::ClientConfig;
use tokio::io::AsyncWriteExt;

use crate::body::{Framing, Reader, parse_response, response_framing};
use crate::io::Io;
use crate::message::{Request, Response};
use crate::wait::patiently;

/// A client's connection. Keeps alive until told otherwise; the caller sees when the server closed.
pub struct H1 {
    pub reader: Reader,
    framing: Framing,
}

impl H1 {
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self::over(Io::connect(address).await.with_context(|| format!("connect to {address}"))?))
    }

    pub async fn connect_tls(address: SocketAddr, config: Arc<ClientConfig>, name: &str) -> anyhow::Result<Self> {
        Ok(Self::over(Io::connect_tls(address, config, name).await.context("TLS handshake")?))
    }

    pub fn over(io: Io) -> Self {
        Self { reader: Reader::new(io), framing: Framing::Done }
    }

    /// Sends bytes as they are.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.io.write_all(bytes.as_ref()).await?;
        self.reader.io.flush().await
    }

    /// Ends the sending direction; the other one stays open.
    pub async fn half_close(&mut self) -> io::Result<()> {
        self.reader.io.shutdown().await
    }

    /// One whole exchange.
    pub async fn send(&mut self, request: &Request) -> anyhow::Result<Response> {
        // An answer may come, and the connection end, before all of the request was taken: that is no error here.
        let written = self.write(request.bytes()).await;
        match self.response(&request.method).await {
            Ok(response) => Ok(response),
            Err(error) => Err(written.err().map_or(error, |written| anyhow::Error::from(written).context("write"))),
        }
    }

    /// The next response, whole. `method` is the request's: HEAD has no body.
    pub async fn response(&mut self, method: &str) -> anyhow::Result<Response> {
        let mut response = self.head(method).await?;
        while let Some(chunk) = self.chunk(&mut response).await? {
            response.body.extend_from_slice(&chunk);
        }
        Ok(response)
    }

    /// The next final response head, with the interim ones before it.
    pub async fn head(&mut self, method: &str) -> anyhow::Result<Response> {
        let mut interim = Vec::new();
        loop {
            let head = patiently("a response head", self.reader.head()).await??;
            let Some(head) = head else { bail!("closed before the response") };
            let (status, version, headers) = parse_response(&head)?;
            if (100..200).contains(&status) && status != 101 {
                interim.push((status, headers));
                continue;
            }
            self.framing = response_framing(method, status, &headers)?;
            return Ok(Response { status, version, headers, interim, ..Response::default() });
        }
    }

    /// The next interim head (100 Continue), which must come before any final one.
    pub async fn interim(&mut self) -> anyhow::Result<u16> {
        let head = patiently("an interim head", self.reader.head()).await??;
        let (status, _, _) = parse_response(&head.context("closed before an interim head")?)?;
        Ok(status)
    }

    /// The next piece of the body as it came; trailers go to `response`.
    pub async fn chunk(&mut self, response: &mut Response) -> anyhow::Result<Option<Bytes>> {
        let chunk = self.reader.chunk(&mut self.framing, &mut response.trailers);
        Ok(patiently("a piece of a body", chunk).await??)
    }

    /// Reads from the raw stream until `length` bytes are there (after an upgrade).
    pub async fn exactly(&mut self, length: usize) -> anyhow::Result<Bytes> {
        while self.reader.buffer.len() < length {
            if patiently("raw bytes", self.reader.more()).await?? == 0 {
                bail!("closed after {} of {length} bytes", self.reader.buffer.len());
            }
        }
        Ok(self.reader.buffer.split_to(length).freeze())
    }

    /// Waits for the server to end the connection, and gives what it still sent. A reset ends it too.
    pub async fn closed(&mut self) -> anyhow::Result<Bytes> {
        loop {
            match patiently("the end of the connection", self.reader.more()).await? {
                Ok(0) | Err(_) => return Ok(self.reader.buffer.split().freeze()),
                Ok(_) => {}
            }
        }
    }
}
