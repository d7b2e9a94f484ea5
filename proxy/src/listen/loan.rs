//! A guard that is lent to Pingora, and comes back whatever becomes of the exchange.
//!
//! Pingora closes a connection that it does not keep, but after a failed exchange it just drops it. Bytes that the client
//! is still sending would then reset the connection, and a reset may take the answer with it (a 413, mostly). So the loop
//! of the connection keeps the say over its end.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::guard::{Guard, Transport};

/// Whom a lent guard comes back to. One serves a connection for all its exchanges.
pub(super) struct Lender<T> {
    returned: Arc<Mutex<Option<Box<Guard<T>>>>>,
}

/// A guard as Pingora has it.
pub(super) struct Loan<T: Transport> {
    /// There until the loan ends.
    guard: Option<Box<Guard<T>>>,
    returned: Arc<Mutex<Option<Box<Guard<T>>>>>,
}

impl<T: Transport> Lender<T> {
    pub fn new() -> Self {
        Self { returned: Arc::default() }
    }

    pub fn lend(&self, guard: Box<Guard<T>>) -> Box<Loan<T>> {
        Box::new(Loan { guard: Some(guard), returned: self.returned.clone() })
    }

    /// The guard, if its loan has ended.
    pub fn take(&self) -> Option<Box<Guard<T>>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T: Transport> Drop for Loan<T> {
    fn drop(&mut self) {
        *self.returned.lock().unwrap_or_else(PoisonError::into_inner) = self.guard.take();
    }
}

impl<T: Transport> Loan<T> {
    fn guard(&mut self) -> io::Result<Pin<&mut Guard<T>>> {
        self.guard.as_deref_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<T: Transport> AsyncRead for Loan<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.guard()?.poll_read(cx, out)
    }
}

impl<T: Transport> AsyncWrite for Loan<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.guard()?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.guard()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.guard()?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.guard()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.is_write_vectored())
    }
}

#[async_trait]
impl<T: Transport> Shutdown for Loan<T> {
    /// Pingora's last call on a connection that it does not keep.
    async fn shutdown(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.hang_up().await;
        }
    }
}

impl<T: Transport> UniqueID for Loan<T> {
    fn id(&self) -> UniqueIDType {
        self.guard.as_ref().map_or(-1, |guard| guard.fd())
    }
}

impl<T: Transport> Ssl for Loan<T> {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.guard.as_ref()?.tls_digest()
    }
}

impl<T: Transport> GetTimingDigest for Loan<T> {
    /// Nobody here asks: [`Connection::opened`](super::Connection::opened) says it.
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl<T: Transport> GetProxyDigest for Loan<T> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.guard.as_ref()?.proxy_digest()
    }
}

impl<T: Transport> GetSocketDigest for Loan<T> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.guard.as_ref()?.socket_digest())
    }
}

impl<T: Transport> Peek for Loan<T> {}

impl<T: Transport> fmt::Debug for Loan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loan").field(&self.guard).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::guard::tests::scene;
    use crate::listen::head::Body;

    #[tokio::test]
    async fn a_guard_comes_back_when_its_loan_is_dropped() {
        let lender = Lender::new();
        let guard = scene(Body::None).guard;
        let facts = guard.facts().clone();
        let loan = lender.lend(guard);
        assert!(lender.take().is_none());

        let digest = loan.get_proxy_digest().expect("a digest");
        let found = digest.user_data.as_ref().and_then(|data| data.downcast_ref());
        assert!(found.is_some_and(|found| Arc::ptr_eq(found, &facts)), "Pingora finds the facts");
        let peer = loan.get_socket_digest().and_then(|digest| digest.peer_addr().cloned());
        assert_eq!(peer.and_then(|peer| peer.as_inet().copied()), Some(facts.peer));
        assert_eq!(loan.id(), 7);

        drop(loan);
        assert!(lender.take().is_some());
        assert!(lender.take().is_none());
    }
}
