//! One exchange from the upstream's side, as a script sees it: the same words for HTTP/1.1 and HTTP/2.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::ledger::{Ledger, Received};
use super::{h1, h2};
use crate::body::Reader;

/// A request, and the means to answer it. What a script leaves unfinished is finished for it.
pub struct Exchange {
    pub request: Received,
    pub(super) entry: usize,
    pub(super) ledger: Arc<Ledger>,
    pub(super) digest: Sha256,
    pub(super) wire: Wire,
    _in_flight: InFlight,
}

/// Counts an exchange as in flight until it is dropped.
struct InFlight(Arc<Ledger>);

pub(super) enum Wire {
    H1(h1::Half),
    H2(h2::Half),
}

impl Exchange {
    pub(super) fn new(request: Received, ledger: Arc<Ledger>, wire: Wire) -> Self {
        let entry = ledger.open(request.clone());
        let _in_flight = InFlight(ledger.clone());
        Self { request, entry, ledger, digest: Sha256::new(), wire, _in_flight }
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.request.target.split('?').next().unwrap_or_default()
    }

    /// The next piece of the request's body as it came; `None` at its end.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let chunk = match &mut self.wire {
            Wire::H1(half) => half.chunk(&mut self.request.trailers).await?,
            Wire::H2(half) => half.chunk(&mut self.request.trailers).await?,
        };
        match &chunk {
            Some(bytes) => {
                self.request.body_length += bytes.len() as u64;
                self.digest.update(bytes);
            }
            None => {
                self.request.body_sha256 = hex(&self.digest.clone().finalize());
                self.ledger.complete(self.entry, &self.request);
            }
        }
        Ok(chunk)
    }

    /// The whole body of the request.
    pub async fn body(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Reads the body to its end and forgets it; its length and digest are in the ledger.
    pub async fn drain(&mut self) -> io::Result<()> {
        while self.chunk().await?.is_some() {}
        Ok(())
    }

    /// Sends an interim head: 100, 103.
    pub async fn interim(&mut self, status: u16, lines: &[(&str, &str)]) -> io::Result<()> {
        match &mut self.wire {
            Wire::H1(half) => half.interim(status, lines).await,
            Wire::H2(half) => half.interim(status, lines),
        }
    }

    /// Sends the head. Over HTTP/1.1, a body without `content-length` goes in chunks.
    pub async fn head(&mut self, status: u16, lines: &[(&str, &str)]) -> io::Result<()> {
        match &mut self.wire {
            Wire::H1(half) => half.head(status, lines, &self.request).await,
            Wire::H2(half) => half.head(status, lines),
        }
    }

    /// Sends a piece of the body at once.
    pub async fn send(&mut self, bytes: impl Into<Bytes>) -> io::Result<()> {
        match &mut self.wire {
            Wire::H1(half) => half.send(&bytes.into()).await,
            Wire::H2(half) => half.send(bytes.into()).await,
        }
    }

    /// Ends the answer.
    pub async fn end(&mut self) -> io::Result<()> {
        self.end_with(&[]).await
    }

    /// Ends the answer with trailers.
    pub async fn end_with(&mut self, trailers: &[(&str, &str)]) -> io::Result<()> {
        match &mut self.wire {
            Wire::H1(half) => half.end(trailers).await,
            Wire::H2(half) => half.end(trailers),
        }
    }

    /// A whole answer with a length, after the whole request.
    pub async fn answer(&mut self, status: u16, lines: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
        self.drain().await?;
        let length = body.len().to_string();
        let mut lines = lines.to_vec();
        lines.push(("content-length", &length));
        self.head(status, &lines).await?;
        if !body.is_empty() && self.request.method != "HEAD" {
            self.send(body.to_vec()).await?;
        }
        self.end().await
    }

    /// Answers with what was received.
    pub async fn echo(&mut self) -> io::Result<()> {
        self.drain().await?;
        let body = serde_json::to_vec(&self.request)?;
        self.answer(200, &[("content-type", "application/json")], &body).await
    }

    /// Waits until the proxy gives this exchange up.
    pub async fn given_up(&mut self) -> io::Result<()> {
        match &mut self.wire {
            Wire::H1(half) => half.gone().await,
            Wire::H2(half) => half.gone().await,
        }
        self.ledger.note_given_up();
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// Ends the connection with a reset (HTTP/2: the stream).
    pub fn reset(&mut self) -> io::Result<()> {
        match &mut self.wire {
            Wire::H1(half) => half.reader.io.reset_on_close(),
            Wire::H2(half) => half.reset(),
        }
        Err(io::ErrorKind::ConnectionReset.into())
    }

    /// Ends the connection as it stands, in order where the bytes so far are.
    pub fn hang_up(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// The raw HTTP/1.1 connection, for what has no word here.
    pub fn raw(&mut self) -> io::Result<&mut Reader> {
        match &mut self.wire {
            Wire::H1(half) => Ok(&mut half.reader),
            Wire::H2(_) => Err(io::Error::other("an HTTP/2 stream has no raw bytes")),
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.closed();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 in hex, as ledgers write it.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
