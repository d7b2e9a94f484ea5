//! Writes our own answers.

use http::{Method, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use crate::request::{Exchange, LocalReply, verdict};

/// The largest request body that is read to its end so that the connection can be used again after our answer.
const WORTH_READING: u64 = 64 << 10;

/// Writes a whole answer. A connection whose request body is not worth reading to its end is closed after it.
pub async fn reply(session: &mut Session, exchange: &mut Exchange, answer: LocalReply) -> pingora::Result<()> {
    let LocalReply { status, headers, body, by_rule } = answer;
    let bodiless = matches!(status, 100..200 | 204 | 304);
    let mut head = ResponseHeader::build(status, Some(headers.len() + 3))?;
    for (name, value) in headers {
        head.append_header(name, value)?;
    }
    if !bodiless {
        head.insert_header(header::CONTENT_LENGTH, body.len())?;
    }
    if by_rule {
        let origin = session.req_header().headers.get(header::ORIGIN).map(http::HeaderValue::as_bytes);
        verdict::edit_response(exchange, origin, &mut head);
    }
    let length = session.req_header().headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let unread = !session.as_downstream_mut().is_body_done();
    if unread && length.is_none_or(|length| length > WORTH_READING) {
        session.set_keepalive(None);
    }
    let no_body = bodiless || body.is_empty() || session.req_header().method == Method::HEAD;
    session.write_response_header(Box::new(head), no_body).await?;
    if !no_body {
        exchange.sent += body.len() as u64;
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}
