//! How a connection ends from our side: what was answered arrives, and the client is given a moment to see it.

use super::*;

/// How long, and how much, is read and dropped after the last answer, so that its bytes are not lost: a close with
/// unread bytes resets the connection, and a reset discards what the client has not read yet (RFC 9112 section 9.6).
pub(super) const LINGER: Duration = Duration::from_secs(1);
pub(super) const LINGER_BYTES: usize = 32 * 1024 * 1024;

impl<T: Transport> Guard<T> {
    /// Writes `bytes` as the last ones, closes the sending side, and reads on for a while whatever was read before.
    pub async fn finish(&mut self, bytes: &[u8]) {
        let until = Instant::now() + LINGER;
        let mut left = bytes;
        let sent = self.by(until, |mut this, cx| {
            while !left.is_empty() {
                match ready!(this.as_mut().poll_write(cx, left))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    some => left = &left[some..],
                }
            }
            Poll::Ready(Ok(()))
        });
        if sent.await.is_ok() && self.close(until).await.is_ok() {
            self.linger(until).await;
        }
    }

    /// Closes a connection that nobody needs any more, in peace.
    pub async fn hang_up(&mut self) {
        let until = Instant::now() + LINGER;
        if self.close(until).await.is_ok() && self.has_unread().await {
            self.linger(until).await;
        }
    }

    /// After an exchange that ended without a close: nobody said that its answer is whole, so no end is written, but what
    /// was answered shall arrive.
    pub async fn abandon(&mut self) {
        if self.closed {
            return;
        }
        let until = Instant::now() + LINGER;
        let flushed = self.by(until, |this, cx| this.poll_flush(cx)).await;
        if flushed.is_ok() && self.has_unread().await {
            self.linger(until).await;
        }
    }

    /// Sends what was collected and closes the sending side, until `until` at the latest.
    async fn close(&mut self, until: Instant) -> io::Result<()> {
        self.closed = true;
        self.by(until, |this, cx| this.poll_shutdown(cx)).await
    }

    /// What `poll` comes to, or `TimedOut` at `until`.
    async fn by<F>(&mut self, until: Instant, mut poll: F) -> io::Result<()>
    where
        F: FnMut(Pin<&mut Self>, &mut Context<'_>) -> Poll<io::Result<()>>,
    {
        poll_fn(|cx| {
            if let Poll::Ready(done) = poll(Pin::new(&mut *self), cx) {
                return Poll::Ready(done);
            }
            ready!(self.alarm.poll(until, cx));
            Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
        })
        .await
    }

    /// Reads and drops what the client still sends, within bounds.
    async fn linger(&mut self, until: Instant) {
        let mut dropped = 0;
        poll_fn(|cx| {
            let mut space = [MaybeUninit::uninit(); FIRST_READ];
            while dropped < LINGER_BYTES {
                let mut got = ReadBuf::uninit(&mut space);
                match self.poll_io(cx, &mut got) {
                    Poll::Ready(Ok(())) if !got.filled().is_empty() => dropped += got.filled().len(),
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return self.alarm.poll(until, cx),
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Whether a close now would throw away bytes that the client sent.
    async fn has_unread(&mut self) -> bool {
        if self.framing.is_body() || !self.aside.is_empty() {
            return true;
        }
        if self.half_closed.is_some() {
            return false;
        }
        poll_fn(|cx| {
            let mut space = [MaybeUninit::uninit(); AHEAD];
            let mut got = ReadBuf::uninit(&mut space);
            let read = self.poll_io(cx, &mut got);
            Poll::Ready(matches!(read, Poll::Ready(Ok(()))) && !got.filled().is_empty())
        })
        .await
    }
}
