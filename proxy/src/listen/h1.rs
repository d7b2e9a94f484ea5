//! The life of an HTTP/1 connection: wait, read a head, hand the request on, again.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use tokio::time::Instant;

use super::framing::Framing;
use super::guard::{Guard, Transport};
use super::hall::Hall;
use super::head::{Body, Fault, HeadInfo, Reader, Refusal};
use super::loan::Lender;
use super::phase::{Phase, reached};
use super::upgrading::Upgrading;
use super::{h2, seat::Seat};

/// What the bytes after a wait turned out to be.
enum Arrived {
    Request(Request),
    H2,
    Refused(Refusal),
    /// The client left, or has nothing more to say.
    Nothing,
}

/// A whole head, and how many of the bytes behind it are the request's own.
struct Request {
    head: HeadInfo,
    own: usize,
    /// Of the rest of the body.
    framing: Framing,
}

/// Serves requests until either side ends the connection.
pub(super) async fn serve<A, T>(hall: &Arc<Hall<A>>, mut guard: Box<Guard<T>>, seat: Seat)
where
    A: HttpServerApp + Send + Sync + 'static,
    T: Transport,
{
    let lender = Lender::new();
    let mut phase = hall.phase.clone();
    let mut stopped = pin!(reached(&mut phase, Phase::Stopped));
    loop {
        let mut bytes = BytesMut::new();
        let idle = Instant::now() + hall.terms.idle_timeout;
        let first = tokio::select! {
            biased;
            first = guard.fill(&mut bytes, idle) => first,
            () = &mut stopped => Ok(0),
        };
        if !matches!(first, Ok(1..)) {
            return guard.hang_up().await;
        }
        match arrive(hall, &mut guard, &mut bytes).await {
            Arrived::Request(request) => match exchange(hall, &lender, guard, bytes, request).await {
                Some(kept) => guard = kept,
                None => return,
            },
            Arrived::H2 => {
                guard.speak_h2(bytes);
                return h2::serve(hall, guard, seat).await;
            }
            Arrived::Refused(refusal) => return refuse(hall, guard, &refusal).await,
            Arrived::Nothing => return guard.hang_up().await,
        }
    }
}

/// Reads on until the head that begins in `bytes` is whole.
async fn arrive<A, T: Transport>(hall: &Hall<A>, guard: &mut Guard<T>, bytes: &mut BytesMut) -> Arrived {
    let mut reader = Reader::default();
    let mut until = None;
    let may_be_h2 = hall.terms.h2c && guard.facts().requests() == 0;
    loop {
        match h2::preface(bytes) {
            h2::Preface::Whole if may_be_h2 => return Arrived::H2,
            h2::Preface::Begun if may_be_h2 => {}
            _ => match reader.read(bytes, &hall.terms.rules) {
                Ok(Some(head)) => {
                    let mut framing = Framing::from(head.body);
                    return match framing.pass(&bytes[head.end..]) {
                        Ok(own) => Arrived::Request(Request { head, own, framing }),
                        Err(_) => Arrived::Refused(reader.refusal(Fault::Chunk, bytes)),
                    };
                }
                Ok(None) => {}
                Err(refusal) => return Arrived::Refused(refusal),
            },
        }
        // Most heads come in one piece, so the clock is read only for the others.
        let until = *until.get_or_insert_with(|| Instant::now() + hall.terms.header_timeout);
        match guard.fill(bytes, until).await {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Arrived::Refused(reader.refusal(Fault::TooSlow, bytes));
            }
            Ok(0) | Err(_) => return Arrived::Nothing,
        }
    }
}

/// Hands one request to Pingora; gives the guard back if another may follow.
async fn exchange<A, T>(
    hall: &Hall<A>,
    lender: &Lender<T>,
    mut guard: Box<Guard<T>>,
    mut bytes: BytesMut,
    Request { head, own, framing }: Request,
) -> Option<Box<Guard<T>>>
where
    A: HttpServerApp + Send + Sync + 'static,
    T: Transport,
{
    let end = head.end + own;
    let ahead = if end < bytes.len() { bytes.split_off(end) } else { BytesMut::new() };
    bytes.advance(head.start);
    guard.begin(framing, ahead);
    let facts = guard.facts().clone();
    facts.begin_request();

    let mut session = ServerSession::new_http1(lender.lend(guard));
    session.set_pipelined_prefix(bytes);
    if head.websocket && head.body == Body::None {
        if !session.read_request().await.is_ok_and(|whole| whole) {
            return None;
        }
        session = ServerSession::new_custom(Box::new(Upgrading::new(session)));
    }
    let is_kept = hall.app.process_new_http(session, facts.stage().leaving()).await.is_some();
    facts.set_deadline(None);

    let mut guard = lender.take()?;
    match is_kept {
        true if guard.is_at_end_of_request() => return Some(guard),
        // A part of the body was left unread: what follows is no head.
        true => guard.hang_up().await,
        false => guard.abandon().await,
    }
    None
}

async fn refuse<A, T: Transport>(hall: &Hall<A>, mut guard: Box<Guard<T>>, refusal: &Refusal) {
    let answer = hall.front.refused(guard.facts(), refusal);
    guard.finish(&answer).await;
}
