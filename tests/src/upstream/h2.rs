//! The HTTP/2 side of an upstream.

use std::future::poll_fn;
use std::io;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tokio::task::JoinSet;

use super::Serving;
use super::exchange::{Exchange, Wire};
use super::ledger::Received;
use crate::io::Io;
use crate::message::Lines;

/// A stream during its exchange.
pub(super) struct Half {
    recv: RecvStream,
    respond: SendResponse<Bytes>,
    send: Option<SendStream<Bytes>>,
    ended: bool,
}

pub(super) async fn serve(io: Io, serving: &Serving, connection: u64) -> io::Result<()> {
    let sni = io.sni().map(str::to_owned);
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(1000).initial_window_size(1 << 20).initial_connection_window_size(1 << 22);
    let mut streams = builder.handshake(io).await.map_err(io::Error::other)?;
    let mut scripts = JoinSet::new();
    while let Some(stream) = streams.accept().await {
        let (request, respond) = stream.map_err(io::Error::other)?;
        while scripts.try_join_next().is_some() {}
        let (parts, recv) = request.into_parts();
        let received = Received {
            upstream: serving.name.clone(),
            connection,
            sni: sni.clone(),
            method: parts.method.to_string(),
            target: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            authority: parts.uri.authority().map(ToString::to_string).unwrap_or_default(),
            version: "HTTP/2".into(),
            headers: lines(&parts.headers),
            ..Received::default()
        };
        let half = Half { recv, respond, send: None, ended: false };
        let mut exchange = Exchange::new(received, serving.ledger.clone(), Wire::H2(half));
        let script = serving.script.clone();
        scripts.spawn(async move {
            let done = script(&mut exchange).await;
            if let Wire::H2(half) = &mut exchange.wire {
                half.finish(done.is_ok());
            }
        });
    }
    // The scripts notice the end of the connection by themselves; what they then write down counts.
    while scripts.join_next().await.is_some() {}
    Ok(())
}

impl Half {
    pub(super) async fn chunk(&mut self, trailers: &mut Lines) -> io::Result<Option<Bytes>> {
        match self.recv.data().await {
            Some(data) => {
                let data = data.map_err(io::Error::other)?;
                self.recv.flow_control().release_capacity(data.len()).map_err(io::Error::other)?;
                Ok(Some(data))
            }
            None => {
                if let Some(map) = self.recv.trailers().await.map_err(io::Error::other)? {
                    *trailers = lines(&map);
                }
                Ok(None)
            }
        }
    }

    pub(super) fn interim(&mut self, status: u16, lines: &[(&str, &str)]) -> io::Result<()> {
        self.respond.send_informational(head(status, lines)?).map_err(io::Error::other)
    }

    pub(super) fn head(&mut self, status: u16, lines: &[(&str, &str)]) -> io::Result<()> {
        self.send = Some(self.respond.send_response(head(status, lines)?, false).map_err(io::Error::other)?);
        Ok(())
    }

    pub(super) async fn send(&mut self, mut bytes: Bytes) -> io::Result<()> {
        let send = self.stream()?;
        while !bytes.is_empty() {
            send.reserve_capacity(bytes.len());
            let room = poll_fn(|cx| send.poll_capacity(cx)).await;
            let room = room.ok_or(io::ErrorKind::ConnectionAborted)?.map_err(io::Error::other)?;
            let piece = bytes.split_to(room.min(bytes.len()));
            send.send_data(piece, false).map_err(io::Error::other)?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self, trailers: &[(&str, &str)]) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        let send = self.stream()?;
        if trailers.is_empty() {
            return send.send_data(Bytes::new(), true).map_err(io::Error::other);
        }
        send.send_trailers(map(trailers)?).map_err(io::Error::other)
    }

    /// Waits until the peer resets the stream or loses the connection.
    pub(super) async fn gone(&mut self) {
        match &mut self.send {
            Some(send) => drop(poll_fn(|cx| send.poll_reset(cx)).await),
            None => drop(poll_fn(|cx| self.respond.poll_reset(cx)).await),
        }
    }

    pub(super) fn reset(&mut self) {
        match &mut self.send {
            Some(send) => send.send_reset(Reason::INTERNAL_ERROR),
            None => self.respond.send_reset(Reason::INTERNAL_ERROR),
        }
    }

    fn finish(&mut self, in_order: bool) {
        let whole = in_order && self.send.is_some() && self.end(&[]).is_ok();
        if !whole {
            self.reset();
        }
    }

    fn stream(&mut self) -> io::Result<&mut SendStream<Bytes>> {
        self.send.as_mut().ok_or_else(|| io::Error::other("a body before the head"))
    }
}

fn head(status: u16, lines: &[(&str, &str)]) -> io::Result<Response<()>> {
    let mut response = Response::builder().status(status).body(()).map_err(io::Error::other)?;
    *response.headers_mut() = map(lines)?;
    Ok(response)
}

fn map(lines: &[(&str, &str)]) -> io::Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(io::Error::other)?;
        map.append(name, HeaderValue::from_str(value).map_err(io::Error::other)?);
    }
    Ok(map)
}

fn lines(map: &HeaderMap) -> Lines {
    map.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}
