//! Writes our own answers.

use http::{Method, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use crate::request::{Exchange, LocalReply, verdict};

/// The largest request body that is read to its end so that the connection can be used again after our answer.
const WORTH_READING: u64 = 64 << 10;

/// Writes a whole answer. A connection whose request body is not worth reading to its end is closed after it.
pub async fn reply(session: &mut Session, exchange: &mut Exchange, answer: LocalReply) -> pingora::Result<()> {
    let LocalReply { status, headers, body } = answer;
    let bodiless = matches!(status, 100..200 | 204 | 304);
    let mut head = ResponseHeader::build(status, Some(headers.len() + 3))?;
    for (name, value) in headers {
        head.append_header(name, value)?;
    }
    if !bodiless && !exchange.is_grpc() {
        head.insert_header(header::CONTENT_LENGTH, body.len())?;
    }
    // A rule's edits hold for our answers as for the upstream's: a script must be able to read why it was refused. A
    // preflight's answer says all of it itself.
    if !head.headers.contains_key(header::ACCESS_CONTROL_ALLOW_METHODS) {
        let origin = session.req_header().headers.get(header::ORIGIN).map(http::HeaderValue::as_bytes);
        verdict::edit_response(exchange, origin, &mut head);
    }
    let length = session.req_header().headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let unread = !session.as_downstream_mut().is_body_done();
    let expects = session.req_header().headers.contains_key(header::EXPECT);
    let worth_reading = length.is_some_and(|length| length <= WORTH_READING) && !expects;
    // Pingora would close after any answer that precedes the end of its request; what is short is read away instead.
    session.as_downstream_mut().set_close_on_response_before_downstream_finish(!worth_reading);
    if unread && !worth_reading {
        session.set_keepalive(None);
    }
    let no_body = bodiless || body.is_empty() || session.req_header().method == Method::HEAD;
    match session.as_downstream_mut().as_custom_mut() {
        // HTTP/2: the head ends the stream by itself, as gRPC's clients ask of an answer that is trailers only.
        Some(stream) if no_body => {
            stream.write_response_header(Box::new(head), true).await?;
            return stream.finish().await;
        }
        _ => session.write_response_header(Box::new(head), no_body).await?,
    }
    if no_body {
        session.as_downstream_mut().finish_body().await?;
    } else {
        exchange.sent += body.len() as u64;
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}
