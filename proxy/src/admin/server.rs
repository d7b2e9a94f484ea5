//! An accept loop for a small HTTP/1.1 server that nobody can exhaust: bounded connections, a bounded time for each head,
//! a bounded age.

use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Connections at a time; others wait in the kernel's queue. A scraper or a probe has one.
const CONNECTIONS: usize = 64;

/// For a request's head, and so for a connection between requests: who says nothing has a place no longer. A scraper
/// that kept its connection opens another one.
const HEAD: Duration = Duration::from_secs(5);

/// Age at which a connection ends after its current answer, so that clients that never end don't fill the places.
const AGE: Duration = Duration::from_secs(15 * 60);

/// For a last answer.
const LAST: Duration = Duration::from_secs(1);

/// Pause after an accept that failed, as it does while the process has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// A bound socket as this runtime's.
pub(super) fn listener(socket: TcpListener) -> io::Result<tokio::net::TcpListener> {
    socket.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(socket)
}

/// Serves until the sender of `stopped` is gone.
pub(super) async fn run(listener: tokio::net::TcpListener, router: Router, mut stopped: watch::Receiver<()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accept => accepted,
            _ = stopped.changed() => break,
            // Takes what ended out of the set.
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                let serving = serve(stream, router.clone(), stopped.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the process' own servers was not accepted");
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection.
async fn serve(stream: TcpStream, router: Router, mut stopped: watch::Receiver<()>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    tokio::select! {
        // How it ends, with or without an error of the client, is nobody's concern.
        _ = connection.as_mut() => return,
        _ = stopped.changed() => {}
        () = sleep(AGE) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LAST, connection).await;
}
