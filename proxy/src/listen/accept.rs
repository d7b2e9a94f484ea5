//! The accept loop of one listener.

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

/// After an error of `accept`: so long, doubled with each one that follows. An error repeats at once as long as its cause
/// lasts (no file descriptor left, no memory), and a loop that asks at once again takes a whole core.
const PAUSE: Duration = Duration::from_millis(5);
const PAUSE_AT_MOST: Duration = Duration::from_secs(1);

/// Takes connections until the process stops, then waits for those it has.
///
/// They are its children: when this future is dropped, they end.
pub(super) async fn run<A>(hall: Arc<Hall<A>>, listener: TcpListener)
where
    A: HttpServerApp + Send + Sync + 'static,
{
    let mut children = JoinSet::new();
    let mut phase = hall.phase.clone();
    let mut pause = PAUSE;
    loop {
        tokio::select! {
            () = reached(&mut phase, Phase::Stopped) => break,
            Some(ended) = children.join_next() => report(&hall, ended),
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => {
                    pause = PAUSE;
                    admit(&hall, &mut children, tcp, peer);
                }
                Err(error) => {
                    hall.front.rejected(hall.listener, Rejected::AcceptFailed);
                    tracing::warn!(listener = hall.listener.0, %error, pause = ?pause, "accept failed");
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_AT_MOST);
                }
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
    use std::hash::{BuildHasher, RandomState};
    /// What the standard library's hasher makes of nothing under a key of its own is as good as dice.
    fn dice() -> u64 {
        RandomState::new().hash_one(())
    }
    let share = dice() as f64 / u64::MAX as f64;
    age.mul_f64(0.9 + 0.2 * share)
}
