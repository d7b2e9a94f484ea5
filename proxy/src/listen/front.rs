//! What the rest of the proxy hears from the listeners, and what it says in their place.

use bytes::Bytes;
use weir_config::bootstrap::TlsVersion;

use super::connection::Connection;
use super::head::Refusal;

/// The rest of the proxy, as the listeners see it. Every call must return quickly: it runs on the connection's task.
pub trait Front: Send + Sync + 'static {
    /// The complete HTTP/1.1 response to a request whose head was refused. It must say `connection: close`, which is
    /// what happens after it. Whoever implements this counts and logs the refusal too.
    fn refused(&self, connection: &Connection, refusal: &Refusal) -> Bytes;

    /// A connection was taken, its TLS handshake still to come.
    fn opened(&self, listener: ListenerIndex);

    /// A connection that was [opened](Self::opened) is gone, and the last exchange over it ended.
    fn closed(&self, listener: ListenerIndex);

    /// Something was turned away below any request.
    fn rejected(&self, listener: ListenerIndex, why: Rejected);

    /// A TLS handshake succeeded.
    fn handshake(&self, listener: ListenerIndex, version: TlsVersion);

    /// A panic ended an HTTP/1 connection or an HTTP/2 stream.
    fn panicked(&self);
}

/// A listener's position among the names of the bootstrap document, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerIndex(pub u16);

/// Why something was turned away below any request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejected {
    /// The kernel could not hand over a connection: out of file descriptors or of memory, mostly.
    AcceptFailed,
    /// The listener has as many connections as it takes.
    TotalLimit,
    /// The client's address has as many connections as the listener takes from one.
    ClientLimit,
    /// The TLS handshake was not done in time.
    HandshakeTimeout,
    /// The TLS handshake failed: not TLS, an older version, a name that no certificate has.
    HandshakeFailed,
    /// An HTTP/2 connection that did not begin as one, or not in time.
    H2Handshake,
    /// An HTTP/2 request that Pingora's HTTP/2 layer answered or reset before anybody saw it.
    H2Request,
}
