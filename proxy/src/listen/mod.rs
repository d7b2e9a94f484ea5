//! Where clients come in: listeners, TLS, the head reader, and the guard around each connection.
//!
//! The way of a connection: [`accept`] gives it a [`seat`] or turns it away, shakes hands ([`tls`], [`resolver`]), and puts
//! the [`guard`] around it. [`h1`] and [`h2`] then live through it: they wait, read heads ([`head`]), hand requests to a
//! Pingora application (with the guard on [`loan`]), and end it by the rules of [`phase`] and [`terms`]. The facts of a
//! connection ([`Connection`]) reach every request on it. The rest of the proxy is heard and told through [`Front`].
//!
//! # Decisions
//! * The accept loop is ours: Pingora's listeners are fixed at start, take connections without a bound, wait 60 s for a
//!   handshake and, between requests, for ever.
//! * The streams are tokio's and tokio-rustls's, not Pingora's wrappers of them. Pingora takes any stream that can say a
//!   few things about itself; its own keep clocks for each read and write that nobody here looks at, cannot have their
//!   buffers set from outside, and hide why a handshake failed.
//! * The guard follows the framing of request bodies itself. So nobody has to tell it when a request is whole, early
//!   bytes of the next request cannot disturb the current one, and chunks are checked before an upstream sees them.
//! * A connection is a child of its listener's accept loop, an HTTP/2 exchange is a task of its own that ends when its
//!   connection does.

mod accept;
mod alarm;
mod connection;
mod framing;
mod front;
mod guard;
mod h1;
mod h2;
mod hall;
pub mod head;
mod loan;
mod patience;
mod phase;
mod resolver;
mod seat;
mod stream;
mod terms;
mod tls;
mod upgrading;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use pingora::apps::HttpServerApp;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use weir_config::bootstrap::{Bootstrap, Listener};
use weir_config::names::Name;

pub use self::connection::{Connection, TlsFacts};
pub use self::front::{Front, ListenerIndex, Rejected};
pub use self::head::{Fault, Kind, Refusal};
pub use self::phase::Phase;
pub use self::stream::SLOW_BODY;
pub use self::tls::{CertificateError, CertificateFault, CertificateInfo};

use self::hall::Hall;
use self::phase::Stage;
use self::seat::{Seats, Tally};
use self::terms::Terms;

/// Connections that the kernel holds until they are accepted; it lowers this to its own bound.
const BACKLOG: i32 = 4096;

/// All listeners of a process, bound and with their certificates loaded, but not yet serving.
pub struct Listeners {
    bound: Vec<Bound>,
}

struct Bound {
    name: Name,
    index: ListenerIndex,
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    certificates: Vec<CertificateInfo>,
    terms: Terms,
}

/// Why a listener cannot start, and the setting to change.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "listener `{listener}`: port {} of {} is in use; stop what listens there, or change `listeners.{listener}.address`",
        .address.port(), .address.ip()
    )]
    InUse { listener: Name, address: SocketAddr },
    #[error("listener `{listener}`: cannot listen on {address}: {error}; it is set by `listeners.{listener}.address`")]
    Bind { listener: Name, address: SocketAddr, error: io::Error },
    #[error("listener `{listener}` on {address}: {fault}")]
    Certificate { listener: Name, address: SocketAddr, fault: Box<CertificateFault> },
    #[error("more than {} listeners", u16::MAX)]
    TooMany,
}

impl Listeners {
    /// Binds every listener and loads its certificates. `base` is the folder of the bootstrap document: relative
    /// certificate paths count from there.
    pub fn bind(bootstrap: &Bootstrap, base: &Path) -> Result<Self, ListenError> {
        let bind = |(index, (name, listener)): (usize, (&Name, &Listener))| {
            let index = u16::try_from(index).map_err(|_| ListenError::TooMany)?;
            Bound::new(ListenerIndex(index), name, listener, base)
        };
        let bound = bootstrap.listeners.iter().enumerate().map(bind).collect::<Result<_, _>>()?;
        Ok(Self { bound })
    }

    /// Each listener's name and the address it is bound to, with the port that the kernel chose where it was 0.
    pub fn addresses(&self) -> impl Iterator<Item = (&Name, SocketAddr)> {
        self.bound.iter().map(|bound| (&bound.name, bound.address))
    }

    /// The certificates of all listeners.
    pub fn certificates(&self) -> Vec<CertificateInfo> {
        self.bound.iter().flat_map(|bound| bound.certificates.iter().cloned()).collect()
    }

    /// Starts to accept, on the current runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn serve<A>(self, app: Arc<A>, front: Arc<dyn Front>, phase: watch::Receiver<Phase>) -> Serving
    where
        A: HttpServerApp + Send + Sync + 'static,
    {
        let tally = Arc::new(Tally::default());
        let mut tasks = JoinSet::new();
        let mut aborts = Vec::new();
        let (stage, follow) = Stage::follow(phase.clone());
        tasks.spawn(follow);
        for bound in self.bound {
            let Bound { index, socket, tls, terms, name, .. } = bound;
            let seats = Seats::new(index, &terms, tally.clone(), front.clone());
            let hall = Hall {
                name,
                listener: index,
                app: app.clone(),
                front: front.clone(),
                tls,
                terms,
                seats,
                phase: phase.clone(),
                stage: stage.clone(),
            };
            aborts.push(tasks.spawn(accept::run(Arc::new(hall), socket)));
        }
        Serving { tally, aborts, _tasks: tasks }
    }
}

impl Bound {
    fn new(index: ListenerIndex, name: &Name, listener: &Listener, base: &Path) -> Result<Self, ListenError> {
        let address = listener.address;
        let (tls, certificates) = match &listener.tls {
            None => (None, Vec::new()),
            Some(tls) => {
                let (acceptor, certificates) = tls::acceptor(name, tls, base).map_err(|fault| {
                    ListenError::Certificate { listener: name.clone(), address, fault: Box::new(fault) }
                })?;
                (Some(acceptor), certificates)
            }
        };
        let socket = listen(address).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse { listener: name.clone(), address },
            _ => ListenError::Bind { listener: name.clone(), address, error },
        })?;
        let address = socket.local_addr().unwrap_or(address);
        let terms = Terms::of(listener);
        Ok(Self { name: name.clone(), index, socket, address, tls, certificates, terms })
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A process that starts again right away finds connections of the last one still winding down.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Listeners at work. Dropping it ends them and every connection.
pub struct Serving {
    tally: Arc<Tally>,
    aborts: Vec<AbortHandle>,
    _tasks: JoinSet<()>,
}

impl Serving {
    /// Connections now, those included whose last exchange still runs.
    pub fn connections(&self) -> usize {
        self.tally.count()
    }

    /// Resolves when no connection is left. Before [`Phase::Stopped`] another may come right after.
    pub async fn idle(&mut self) {
        self.tally.none().await;
    }

    /// Ends every connection at once, whatever is in flight. HTTP/2 exchanges end as if their client had left.
    pub fn cut(&self) {
        for accept_loop in &self.aborts {
            accept_loop.abort();
        }
    }
}
