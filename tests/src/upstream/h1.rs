//! The HTTP/1.1 side of an upstream.

use std::io;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::Serving;
use super::exchange::{Exchange, Wire};
use super::ledger::Received;
use crate::body::{Framing, Reader, parse_request, request_framing};
use crate::io::Io;
use crate::message::{Lines, first};

/// A connection during one exchange.
pub(super) struct Half {
    pub(super) reader: Reader,
    request: Framing,
    answer: Answer,
    keep: bool,
}

/// How far the answer is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    No,
    Chunked,
    /// Has a length, or no body at all, or ends with the connection.
    Plain,
    Ended,
}

pub(super) async fn serve(io: Io, serving: &Serving, connection: u64) -> io::Result<()> {
    let sni = io.sni().map(str::to_owned);
    let mut reader = Reader::new(io);
    while let Some(head) = reader.head().await? {
        let head = parse_request(&head)?;
        let request = request_framing(&head.headers)?;
        let keep = head.minor == 1;
        let received = Received {
            upstream: serving.name.clone(),
            connection,
            sni: sni.clone(),
            method: head.method,
            target: head.target,
            authority: first(&head.headers, "host").unwrap_or_default().to_owned(),
            version: format!("HTTP/1.{}", head.minor),
            headers: head.headers,
            ..Received::default()
        };
        let half = Half { reader, request, answer: Answer::No, keep };
        let mut exchange = Exchange::new(received, serving.ledger.clone(), Wire::H1(half));
        (serving.script)(&mut exchange).await?;
        match finish(exchange).await? {
            Some(again) => reader = again,
            None => return Ok(()),
        }
    }
    Ok(())
}

/// Finishes what the script left open; gives the connection back where it can be used again.
async fn finish(mut exchange: Exchange) -> io::Result<Option<Reader>> {
    exchange.drain().await?;
    let Exchange { wire: Wire::H1(mut half), request, .. } = exchange else { return Ok(None) };
    if half.answer == Answer::No {
        half.head(500, &[("content-length", "0")], &request).await?;
    }
    half.end(&[]).await?;
    if half.keep {
        return Ok(Some(half.reader));
    }
    half.reader.io.shutdown().await?;
    Ok(None)
}

impl Half {
    pub(super) async fn chunk(&mut self, trailers: &mut Lines) -> io::Result<Option<Bytes>> {
        self.reader.chunk(&mut self.request, trailers).await
    }

    pub(super) async fn interim(&mut self, status: u16, lines: &[(&str, &str)]) -> io::Result<()> {
        self.write(head_bytes(status, lines, "").as_bytes()).await
    }

    pub(super) async fn head(&mut self, status: u16, lines: &[(&str, &str)], request: &Received) -> io::Result<()> {
        let has = |name: &str| lines.iter().any(|(line, _)| line.eq_ignore_ascii_case(name));
        let closes = lines.iter().any(|(name, value)| name.eq_ignore_ascii_case("connection") && *value == "close");
        let bodyless = request.method == "HEAD" || status == 101 || status == 204 || status == 304;
        let chunked = !has("content-length") && !bodyless && !closes && request.version == "HTTP/1.1";
        self.answer = if chunked { Answer::Chunked } else { Answer::Plain };
        self.keep &= !closes && (chunked || bodyless || has("content-length"));
        self.write(head_bytes(status, lines, if chunked { "transfer-encoding: chunked\r\n" } else { "" }).as_bytes())
            .await
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.answer != Answer::Chunked {
            return self.write(bytes).await;
        }
        // Chunks go in one write each, so that one here is one on the wire.
        self.write(&[format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()).await
    }

    pub(super) async fn end(&mut self, trailers: &[(&str, &str)]) -> io::Result<()> {
        if self.answer == Answer::Chunked {
            let lines: String = trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            self.write(format!("0\r\n{lines}\r\n").as_bytes()).await?;
        }
        self.answer = Answer::Ended;
        Ok(())
    }

    /// Waits for the end of the connection; what comes before it is kept.
    pub(super) async fn gone(&mut self) {
        while let Ok(1..) = self.reader.more().await {}
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.io.write_all(bytes).await?;
        self.reader.io.flush().await
    }
}

fn head_bytes(status: u16, lines: &[(&str, &str)], framing: &str) -> String {
    let phrase = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason()).unwrap_or("-");
    let lines: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status} {phrase}\r\n{lines}{framing}\r\n")
}
