//! The accept loop of one listener.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use pingora::apps::HttpServerApp;
use pingora::protocols::tls::SslDigest;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use weir_config::bootstrap::TlsVersion;

use super::connection::{Connection, Life, TlsFacts};
use super::front::Rejected;
use super::guard::Guard;
use super::hall::Hall;
use super::phase::{Phase, reached};
use super::seat::Seat;
use super::{h1, h2, tls};

/// Takes connections until the process stops, then waits for those it has.
///
/// They are its children: when this future is dropped, they end.
pub(super) async fn run<A>(hall: Arc<Hall<A>>, socket: std::net::TcpListener)
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let listener = register(&hall, socket).await;
    let mut children = JoinSet::new();
    let mut phase = hall.phase.clone();
    let mut pause = Pause::default();
    loop {
        tokio::select! {
            () = reached(&mut phase, Phase::Stopped) => break,
            Some(ended) = children.join_next() => report(&hall, ended),
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => {
                    pause = Pause::default();
                    admit(&hall, &mut children, tcp, peer);
                }
                Err(error) => pause.after(&hall, error).await,
            },
        }
    }
    // The kernel has already answered for these; closing the listener would reset them.
    while let Some(Ok((tcp, peer))) = listener.accept().now_or_never() {
        admit(&hall, &mut children, tcp, peer);
    }
    drop(listener);
    while let Some(ended) = children.join_next().await {
        report(&hall, ended);
    }
}

/// Hands the socket to the runtime. Where there is no room for it, as long as that takes: a process with a bound socket
/// that nobody accepts from looks alive and is not.
async fn register<A>(hall: &Hall<A>, socket: std::net::TcpListener) -> TcpListener {
    let mut pause = Pause::default();
    loop {
        match socket.try_clone().and_then(TcpListener::from_std) {
            Ok(listener) => return listener,
            Err(error) => pause.after(hall, error).await,
        }
    }
}

/// A pause after an error of `accept`, twice as long after each one that follows at once. Its cause (no file descriptor
/// left, no memory) mostly lasts, and a loop that asks again at once takes a whole core.
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Duration::from_millis(5))
    }
}

impl Pause {
    const AT_MOST: Duration = Duration::from_secs(1);

    async fn after<A>(&mut self, hall: &Hall<A>, error: io::Error) {
        hall.front.rejected(hall.listener, Rejected::AcceptFailed);
        tracing::warn!(listener = %hall.name, %error, pause = ?self.0, "cannot accept");
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(Self::AT_MOST);
    }
}

fn report<A>(hall: &Hall<A>, ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        hall.front.panicked();
    }
}

/// Gives a connection its seat and its task, or closes it.
fn admit<A>(hall: &Arc<Hall<A>>, children: &mut JoinSet<()>, tcp: TcpStream, peer: SocketAddr)
where
    A: HttpServerApp + Send + Sync + 'static,
{
    match hall.seats.take(peer.ip()) {
        Ok(seat) => {
            children.spawn(welcome(hall.clone(), tcp, peer, seat));
        }
        Err(why) => hall.front.rejected(hall.listener, why),
    }
}

async fn welcome<A>(hall: Arc<Hall<A>>, tcp: TcpStream, peer: SocketAddr, seat: Seat)
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let opened = Instant::now();
    // Both fail only if the connection is gone already.
    let (Ok(()), Ok(local)) = (tcp.set_nodelay(true), tcp.local_addr()) else { return };
    let fd = tcp.as_raw_fd();
    let connection = |tls| {
        let ends = opened + jittered(hall.terms.max_age);
        let life = Life { ends: ends.into_std(), requests: hall.terms.max_requests };
        Connection::new(hall.listener, (canonical(peer), local), tls, opened.into_std(), life, hall.stage.clone())
    };
    let Some(acceptor) = &hall.tls else {
        let guard = Guard::new(tcp, fd, connection(None), None, hall.terms.body_rate);
        return h1::serve(&hall, guard, seat).await;
    };
    // Boxed: the state of a handshake is large and gone when it is done, the task stays.
    let (tls, facts) = match Box::pin(shake_hands(acceptor, tcp, hall.terms.handshake_timeout)).await {
        Ok(done) => done,
        Err(why) => return hall.front.rejected(hall.listener, why),
    };
    hall.front.handshake(hall.listener, facts.version);
    let (_, session) = tls.get_ref();
    let is_h2 = session.alpn_protocol() == Some(tls::H2);
    let cipher = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
    let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or_default();
    let digest = Arc::new(SslDigest::new(cipher, version, None, None, Vec::new()));
    let mut guard = Guard::new(tls, fd, connection(Some(facts)), Some(digest), hall.terms.body_rate);
    if is_h2 {
        guard.speak_h2(Default::default());
        h2::serve(&hall, guard, seat).await;
    } else {
        h1::serve(&hall, guard, seat).await;
    }
}

async fn shake_hands(
    acceptor: &TlsAcceptor,
    tcp: TcpStream,
    within: Duration,
) -> Result<(TlsStream<TcpStream>, TlsFacts), Rejected> {
    let shaken: io::Result<_> = timeout(within, acceptor.accept(tcp)).await.map_err(|_| Rejected::HandshakeTimeout)?;
    let tls = shaken.map_err(|error| {
        tracing::debug!(%error, "TLS handshake failed");
        Rejected::HandshakeFailed
    })?;
    let (_, session) = tls.get_ref();
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
        _ => TlsVersion::Tls13,
    };
    let server_name = session.server_name().map(Into::into);
    Ok((tls, TlsFacts { version, server_name }))
}

/// IPv4 clients of a listener on an IPv6 address keep their IPv4 address.
fn canonical(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        address @ IpAddr::V4(_) => SocketAddr::new(address, peer.port()),
        IpAddr::V6(_) => peer,
    }
}

/// `age` give or take a tenth, so that connections that came together do not go together.
fn jittered(age: Duration) -> Duration {
    // What the standard library's hasher makes of nothing, under a key of its own each time, is as good as dice.
    let dice = RandomState::new().hash_one(());
    age.mul_f64(0.9 + 0.2 * (dice as f64 / u64::MAX as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_differ_by_a_tenth_at_most() {
        let ages: Vec<_> = (0..1000).map(|_| jittered(Duration::from_secs(3600)).as_secs()).collect();
        assert!(ages.iter().all(|age| (3240..=3960).contains(age)));
        assert!(ages.iter().any(|age| *age < 3300) && ages.iter().any(|age| *age > 3900));
    }
}
