//! The guard around one end of a pipe, with the clock in our hands.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;

use super::goodbye::{LINGER, LINGER_BYTES};
use super::*;
use crate::listen::connection::Life;
use crate::listen::front::ListenerIndex;
use crate::listen::head::Body;
use crate::listen::phase::{Phase, Stage};

/// One end of a pipe that counts what is written at a time.
pub(in crate::listen) struct Wire {
    pipe: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(cx, out)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.pipe).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        let whole: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        Pin::new(&mut self.pipe).poll_write(cx, &whole)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

pub(in crate::listen) struct Scene {
    pub(in crate::listen) guard: Box<Guard<Wire>>,
    client: DuplexStream,
    writes: Arc<AtomicUsize>,
}

fn facts() -> Connection {
    let (_, phase) = watch::channel(Phase::Serving);
    let (stage, _) = Stage::follow(phase);
    let now = Instant::now();
    let life = Life { ends: (now + Duration::from_secs(3600)).into_std(), requests: 10 };
    let nowhere = "127.0.0.1:1".parse().expect("an address");
    Connection::new(ListenerIndex(0), (nowhere, nowhere), None, now.into_std(), life, stage)
}

/// A request whose body is framed by `body` has begun.
pub(in crate::listen) fn scene(body: Body) -> Scene {
    let (client, pipe) = duplex(1 << 20);
    let writes = Arc::new(AtomicUsize::new(0));
    let mut guard = Guard::new(Wire { pipe, writes: writes.clone() }, 7, facts(), None, 500);
    guard.begin(body.into(), BytesMut::new());
    Scene { guard, client, writes }
}

impl Scene {
    async fn send(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.expect("room in the pipe");
    }

    /// The client closes its sending side.
    async fn hang_up(&mut self) {
        AsyncWriteExt::shutdown(&mut self.client).await.expect("an open pipe");
    }

    async fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 4096];
        let got = self.guard.read(&mut bytes).await?;
        bytes.truncate(got);
        Ok(bytes)
    }

    /// Reads once; true if there was nothing to read.
    fn read_waits(&mut self) -> bool {
        futures::FutureExt::now_or_never(self.read()).is_none()
    }

    async fn received(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        let got = self.client.read(&mut bytes).await.expect("an open pipe");
        bytes.truncate(got);
        bytes
    }

    fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_never_passes_the_end_of_the_body() {
    let mut scene = scene(Body::Length(5));
    scene.send(b"helloGET /next").await;
    assert_eq!(scene.read().await.expect("a body"), b"hello");
    assert!(scene.guard.is_at_end_of_request());
    assert!(scene.read_waits(), "the next request is not this one's business");

    let mut head = BytesMut::new();
    let until = Instant::now() + Duration::from_secs(1);
    assert_eq!(scene.guard.fill(&mut head, until).await.expect("the next request"), 9);
    assert_eq!(head, "GET /next");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_early_waits_for_its_turn() {
    let mut scene = scene(Body::None);
    scene.send(b"GET /2").await;
    assert!(scene.read_waits());
    scene.send(b" HTTP/1.1").await;
    assert!(scene.read_waits());

    let mut head = BytesMut::new();
    let until = Instant::now() + Duration::from_secs(1);
    while head.len() < 15 {
        scene.guard.fill(&mut head, until).await.expect("the next request");
    }
    assert_eq!(head, "GET /2 HTTP/1.1");
}

#[tokio::test(start_paused = true)]
async fn bytes_that_were_put_aside_come_in_their_order() {
    let mut scene = scene(Body::Length(6));
    scene.guard.begin(Body::Length(6).into(), BytesMut::from(&b"aside!next"[..]));
    scene.send(b" and more").await;
    let mut got = Vec::new();
    let mut small = [0; 4];
    while got.len() < 6 {
        let some = scene.guard.read(&mut small).await.expect("the body");
        got.extend_from_slice(&small[..some]);
    }
    assert_eq!(got, b"aside!");
    assert!(scene.read_waits());

    let mut head = BytesMut::new();
    let until = Instant::now() + Duration::from_secs(1);
    while head.len() < 13 {
        scene.guard.fill(&mut head, until).await.expect("what was sent");
    }
    assert_eq!(head, "next and more");
}

#[tokio::test(start_paused = true)]
async fn chunks_with_two_readings_end_the_reading() {
    let mut scene = scene(Body::Chunked);
    scene.send(b"5\r\nhello\r\n").await;
    assert_eq!(scene.read().await.expect("a chunk"), b"5\r\nhello\r\n");
    scene.send(b"5\nhello").await;
    assert_eq!(scene.read().await.expect_err("malformed").kind(), io::ErrorKind::InvalidData);
    assert!(scene.guard.facts.malformed_body());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_reading_and_leaves_the_writing() {
    let mut scene = scene(Body::None);
    let start = Instant::now();
    let deadline = start + Duration::from_millis(1200);
    scene.guard.facts.set_deadline(Some(deadline.into_std()));
    assert_eq!(scene.read().await.expect_err("too late").kind(), io::ErrorKind::TimedOut);
    assert_eq!(start.elapsed(), Duration::from_millis(1200));
    assert!(!scene.guard.facts.slow_body());

    scene.guard.facts.set_deadline(None);
    scene.guard.write_all(b"504").await.expect("the write side is open");
    scene.guard.flush().await.expect("the write side is open");
    assert_eq!(scene.received().await, b"504");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_cut_and_one_that_streams_is_not() {
    let mut scene = scene(Body::Length(1_000_000));
    for _ in 0..100 {
        scene.send(&[b'x'; 500]).await;
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(scene.read().await.expect("in time").len(), 500);
        assert!(scene.read_waits());
    }
    let start = Instant::now();
    let Scene { mut guard, mut client, .. } = scene;
    tokio::spawn(async move {
        while client.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    });
    let error = loop {
        if let Err(error) = guard.read(&mut [0; 16]).await {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(guard.facts.slow_body());
    // What it has left of its grace, and nothing for the bytes that came at the slowest rate.
    assert!(start.elapsed() < Duration::from_secs(7), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_half_closes_is_answered_for_a_while() {
    let mut scene = scene(Body::None);
    scene.hang_up().await;
    assert!(scene.read_waits());
    tokio::time::advance(Duration::from_secs(4)).await;
    assert!(scene.read_waits());

    let start = Instant::now();
    scene.guard.write_all(b"some").await.expect("the write side is open");
    assert_eq!(scene.read().await.expect("the end"), b"");
    assert_eq!(start.elapsed(), HALF_CLOSED, "the write began the wait anew");
    assert!(scene.guard.facts.client_left());
    assert_eq!(scene.received().await, b"some");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_inside_its_body_has_left() {
    let mut scene = scene(Body::Length(10));
    scene.send(b"half").await;
    scene.hang_up().await;
    assert_eq!(scene.read().await.expect("a part"), b"half");
    assert!(!scene.guard.facts.client_left());
    assert_eq!(scene.read().await.expect("the end"), b"");
    assert!(scene.guard.facts.client_left());
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_passes_everything_and_knows_no_deadline() {
    let mut scene = scene(Body::None);
    scene.send(b"early").await;
    assert!(scene.read_waits());
    scene.guard.facts.set_deadline(Some((Instant::now() + Duration::from_secs(1)).into_std()));
    scene.guard.facts.tunnel();
    assert_eq!(scene.read().await.expect("bytes"), b"early");
    tokio::time::advance(Duration::from_secs(600)).await;
    assert!(scene.read_waits());
    scene.send(b"frame").await;
    assert_eq!(scene.read().await.expect("bytes"), b"frame");
    assert!(!scene.guard.is_at_end_of_request(), "no request follows a tunnel");
}

#[tokio::test(start_paused = true)]
async fn head_and_body_go_out_in_one_write() {
    let mut scene = scene(Body::None);
    scene.guard.write_all(b"head ").await.expect("room");
    scene.guard.write_all(b"body").await.expect("room");
    assert_eq!(scene.writes(), 0);
    scene.guard.flush().await.expect("room");
    assert_eq!(scene.received().await, b"head body");
    assert_eq!(scene.writes(), 1);

    scene.guard.write_all(b"head ").await.expect("room");
    scene.guard.write_all(&[b'x'; 100_000]).await.expect("room");
    assert_eq!(scene.writes(), 2, "what does not fit goes out with what was collected");
    assert_eq!(scene.guard.facts.bytes_out(), 9 + 5 + 100_000);
}

#[tokio::test(start_paused = true)]
async fn what_was_written_goes_out_when_a_read_finds_nothing() {
    let mut scene = scene(Body::None);
    scene.guard.write_all(b"event").await.expect("room");
    assert!(scene.read_waits());
    assert_eq!(scene.received().await, b"event");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_waits_holds_no_buffer() {
    let mut scene = scene(Body::None);
    scene.guard.write_all(b"answer").await.expect("room");
    scene.guard.flush().await.expect("room");
    assert!(scene.guard.out.capacity() > 0);
    let mut head = BytesMut::new();
    let until = Instant::now() + Duration::from_secs(60);
    assert_eq!(scene.guard.fill(&mut head, until).await.expect_err("idle").kind(), io::ErrorKind::TimedOut);
    assert_eq!((scene.guard.out.capacity(), scene.guard.aside.capacity(), head.capacity()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_is_followed_by_a_short_linger() {
    let mut scene = scene(Body::Length(1_000_000));
    scene.send(&[b'x'; 10_000]).await;
    let start = Instant::now();
    scene.guard.finish(b"413").await;
    assert_eq!(start.elapsed(), LINGER, "the client may still be sending");
    assert_eq!(scene.received().await, b"413");
    assert_eq!(scene.received().await, b"", "the sending side is closed");

    let mut scene = self::scene(Body::None);
    scene.guard.hang_up().await;
    assert_eq!(start.elapsed(), LINGER, "nothing is unread, nothing to linger for");
}

#[tokio::test(start_paused = true)]
async fn a_linger_ends_when_the_client_does_or_sends_too_much() {
    let mut scene = scene(Body::Length(1_000_000));
    scene.send(b"more").await;
    scene.hang_up().await;
    let start = Instant::now();
    scene.guard.finish(b"408").await;
    assert_eq!(start.elapsed(), Duration::ZERO);

    let Scene { mut guard, mut client, .. } = self::scene(Body::Length(1_000_000_000));
    let endless = tokio::spawn(async move { while client.write_all(&[b'x'; 1 << 20]).await.is_ok() {} });
    guard.finish(b"413").await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    let read = guard.facts.bytes_in();
    assert!((LINGER_BYTES..LINGER_BYTES + FIRST_READ).contains(&(read as usize)), "{read}");
    endless.abort();
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_arrives_though_nobody_closed() {
    let mut scene = scene(Body::Length(1_000_000));
    scene.guard.write_all(b"413").await.expect("room");
    let start = Instant::now();
    scene.guard.abandon().await;
    assert_eq!(start.elapsed(), LINGER, "the client may still be sending");
    assert_eq!(scene.received().await, b"413");
    let more = futures::FutureExt::now_or_never(scene.received());
    assert_eq!(more, None, "no end is written, for nobody knows whether it is the end");

    let mut scene = self::scene(Body::None);
    scene.guard.hang_up().await;
    scene.guard.abandon().await;
    assert_eq!(start.elapsed(), LINGER, "it was closed in peace already");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever the sizes of writes, flushes between them and room in the pipe: every byte arrives once, in order.
    #[test]
    fn every_byte_written_arrives_once_and_in_order(
        pieces in prop::collection::vec((0_usize..40_000, any::<bool>()), 1..12),
        room in 1_usize..30_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let (mut client, pipe) = duplex(room);
            let mut guard = Guard::new(Wire { pipe, writes: Arc::default() }, 7, facts(), None, 0);
            let sum: usize = pieces.iter().map(|(length, _)| length).sum();
            let sent: Vec<u8> = (0..sum).map(|at| (at % 251) as u8).collect();
            let write = async {
                let mut rest = &sent[..];
                for (length, flush) in pieces {
                    guard.write_all(&rest[..length]).await.expect("an open pipe");
                    rest = &rest[length..];
                    if flush {
                        guard.flush().await.expect("an open pipe");
                    }
                }
                guard.hang_up().await;
            };
            let mut received = Vec::new();
            let (_, read) = tokio::join!(write, client.read_to_end(&mut received));
            read.expect("an open pipe");
            assert!(received == sent);
        });
    }
}
