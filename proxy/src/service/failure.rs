//! What Pingora's errors mean.

use std::io;

use pingora::{Error, ErrorSource, ErrorType};
use weir_policy::Reason;

use crate::listen::{Connection, SLOW_BODY};
use crate::request::verdict::Failure;

/// A connection to an endpoint was not made.
pub fn connecting(error: &Error) -> Failure {
    match error.etype() {
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => Failure::ConnectTimeout,
        ErrorType::InternalError => Failure::Internal,
        _ => Failure::Connect,
    }
}

/// An exchange failed after its connection was made. `reused`: the connection came from the pool.
pub fn of(error: &Error, connection: Option<&Connection>, body_over: Option<Reason>, reused: bool) -> Failure {
    if let Some(reason) = body_over {
        return Failure::BodyOver(reason);
    }
    match error.esource() {
        ErrorSource::Downstream => downstream(error, connection),
        ErrorSource::Upstream => upstream(error, reused),
        ErrorSource::Internal | ErrorSource::Unset => Failure::Internal,
    }
}

fn downstream(error: &Error, connection: Option<&Connection>) -> Failure {
    // The guard ends the reading at the deadline, and when a body comes too slowly or is malformed.
    if let Some(connection) = connection {
        if connection.slow_body() || *error.etype() == SLOW_BODY {
            return Failure::SlowClient;
        }
        if connection.malformed_body() {
            return Failure::BadBody;
        }
        if is_timeout(error) || (connection.h2 && *error.etype() == ErrorType::ReadTimedout) {
            return Failure::Deadline;
        }
    }
    match error.etype() {
        ErrorType::WriteTimedout | ErrorType::ReadTimedout => Failure::SlowClient,
        ErrorType::InvalidHTTPHeader => Failure::BadBody,
        _ => Failure::ClientGone,
    }
}

fn upstream(error: &Error, reused: bool) -> Failure {
    match error.etype() {
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => Failure::UpstreamIdle,
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError if reused => Failure::DeadConnection,
        // Pingora marks so what HTTP/2 lets be tried again: a refused stream, one beyond a GOAWAY.
        ErrorType::H2Error if error.retry() => Failure::Refused,
        _ if error.retry() => Failure::DeadConnection,
        _ => Failure::Upstream,
    }
}

fn is_timeout(error: &Error) -> bool {
    let mut cause = Some(error.root_cause() as &(dyn std::error::Error + 'static));
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}
