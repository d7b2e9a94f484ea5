//! How a process leaves: what it says meanwhile, what it waits for, and what it cuts.
//!
//! Where a drain must not end by itself its times are set to ten minutes, which no test waits for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures::FutureExt;
use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use weir_tests::upstream::sha256;
use weir_tests::wait::until_async;
use weir_tests::{Claim, Exchange, H1, H2, Proxy, Request, Setup, Upstream, until};

use crate::BOTH;

const NEVER: &str = "drain = { wait = '10m', deadline = '10m' }";

/// A proxy whose upstream does what the path says, some of it only once the test lets it.
struct Leaving {
    proxy: Proxy,
    upstream: Upstream,
    go: Arc<Semaphore>,
}

async fn script(go: Arc<Semaphore>, x: &mut Exchange) -> io::Result<()> {
    let let_go = async || -> io::Result<()> {
        go.acquire().await.map_err(io::Error::other)?.forget();
        Ok(())
    };
    match x.path() {
        "/late" => {
            let_go().await?;
            x.answer(200, &[], b"late").await
        }
        "/long" => {
            x.head(200, &[]).await?;
            x.send("one half").await?;
            let_go().await?;
            x.send(" and the other").await
        }
        path if path.starts_with("/socket/") => {
            let switch = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", ACCEPT)];
            x.head(101, &switch).await?;
            let raw = x.raw()?;
            loop {
                if raw.buffer.is_empty() && raw.more().await? == 0 {
                    return x.hang_up();
                }
                let bytes = raw.buffer.split();
                raw.io.write_all(&bytes).await?;
            }
        }
        "/hangs" => {
            x.head(200, &[]).await?;
            x.send("some").await?;
            x.given_up().await
        }
        _ => x.echo().await,
    }
}

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// A text frame of a WebSocket, masked with zeros.
const FRAME: &[u8] = b"\x81\x85\0\0\0\0hello";

impl Leaving {
    async fn start(drain: &str) -> anyhow::Result<Self> {
        let go = Arc::new(Semaphore::new(0));
        let held = go.clone();
        let upstream = Upstream::scripted("a", move |x| script(held.clone(), x).boxed()).await?;
        let proxy = Setup::new(upstream.mesh())?.listener("edge", BOTH)?.bootstrap(drain)?.start().await?;
        Ok(Self { proxy, upstream, go })
    }

    async fn readyz(&self) -> anyhow::Result<u16> {
        Ok(self.proxy.ask("health", "/readyz").await?.status)
    }

    /// Waits until the process says that it leaves.
    async fn unready(&self) -> Claim {
        until_async("/readyz to be 503", async || (self.readyz().await.ok()? == 503).then_some(())).await
    }

    /// Waits until nobody listens any more.
    async fn deaf(&self) -> Claim {
        until_async("connections to be refused", async || self.proxy.h1().await.is_err().then_some(())).await
    }

    /// An HTTP/1.1 exchange whose head was sent and which is at the upstream.
    async fn at_upstream(&self, path: &str) -> anyhow::Result<H1> {
        let before = self.upstream.ledger().count();
        let mut client = self.proxy.h1().await?;
        client.write(Request::get(path).bytes()).await?;
        self.upstream.received(before + 1).await?;
        Ok(client)
    }

    /// An established WebSocket, and its path.
    async fn web_socket(&self) -> anyhow::Result<(H1, String)> {
        let path = "/socket/1".to_owned();
        let mut client = self.proxy.h1().await?;
        let upgrade = Request::get(&path)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", KEY);
        client.write(upgrade.bytes()).await?;
        let head = client.head("GET").await?;
        assert_eq!((head.status, head.header("sec-websocket-accept")), (101, Some(ACCEPT)));
        says_hello(&mut client).await?;
        Ok((client, path))
    }
}

async fn says_hello(socket: &mut H1) -> Claim {
    socket.write(FRAME).await?;
    assert_eq!(socket.exactly(FRAME.len()).await?, FRAME);
    Ok(())
}

/// Waits until an HTTP/2 connection takes no more streams.
async fn told_to_go_away(client: &H2) -> Claim {
    until_async("GOAWAY", async || client.send(&Request::get("/")).await.is_err().then_some(())).await
}

#[tokio::test]
async fn trap_6_sigterm_with_nothing_in_flight_ends_the_process_in_under_six_seconds() -> Claim {
    // The times of a process that nobody set them for.
    let mut leaving = Leaving::start("").await?;
    let (mut one, two) = (leaving.proxy.h1().await?, leaving.proxy.h2().await?);
    let mut silent = leaving.proxy.h1().await?;
    assert_eq!(one.send(&Request::get("/")).await?.status, 200);
    assert_eq!(two.send(&Request::get("/")).await?.status, 200);
    leaving.proxy.terminate()?;
    let end = timeout(Duration::from_secs(6), leaving.proxy.process.exit_code()).await;
    assert_eq!(end.context("6 s were over")??, 0);
    for client in [&mut one, &mut silent] {
        assert_eq!(client.closed().await?, Bytes::new(), "an idle connection is closed without a word");
    }
    two.closed().await.context("an idle HTTP/2 connection is closed in order")?;
    Ok(())
}

#[tokio::test]
async fn sigterm_gives_what_is_in_flight_its_time_and_the_process_leaves_with_the_last_of_it() -> Claim {
    let mut leaving = Leaving::start("drain = { wait = '300ms', deadline = '10m' }").await?;
    let (mut long, mut late) = (leaving.at_upstream("/long").await?, leaving.at_upstream("/late").await?);
    let mut long_answer = long.head("GET").await?;
    assert_eq!(long.chunk(&mut long_answer).await?, Some(Bytes::from("one half")));
    let body: Vec<u8> = (0..500_000).map(|n| (n % 251) as u8).collect();
    let mut upload = leaving.proxy.h1().await?;
    upload.write(Request::new("POST", "/upload").head(&format!("content-length: {}\r\n", body.len()))).await?;
    upload.write(&body[..100_000]).await?;
    let two = leaving.proxy.h2().await?;
    let mut stream = two.open(&Request::get("/long"), true).await?;
    let mut stream_answer = stream.head().await?;
    assert_eq!(stream.chunk(&mut stream_answer).await?, Some(Bytes::from("one half")));
    let mut late_stream = two.open(&Request::get("/late"), true).await?;
    let (mut socket, socket_path) = leaving.web_socket().await?;
    // Five and the socket.
    until("all of it to be at the upstream", || (leaving.upstream.ledger().in_flight() == 6).then_some(())).await?;

    leaving.proxy.terminate()?;
    leaving.unready().await?;
    leaving.deaf().await?;
    assert_eq!(leaving.readyz().await?, 503);
    assert_eq!(leaving.proxy.ask("health", "/livez").await?.status, 200, "it leaves, it is not dead");
    told_to_go_away(&two).await?;
    leaving.proxy.process.must_live()?;

    // What is in flight goes on as if nothing were.
    says_hello(&mut socket).await?;
    upload.write(&body[100_000..]).await?;
    let uploaded = upload.response("POST").await?;
    assert_eq!(uploaded.echo()?.body_sha256, sha256(&body));
    assert_eq!(uploaded.header("connection"), Some("close"));
    leaving.go.add_permits(4);
    let answer = late.response("GET").await?;
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("late", Some("close")));
    assert_eq!(long.chunk(&mut long_answer).await?, Some(Bytes::from(" and the other")));
    assert_eq!(long.chunk(&mut long_answer).await?, None);
    assert_eq!(stream.chunk(&mut stream_answer).await?, Some(Bytes::from(" and the other")));
    assert_eq!(stream.chunk(&mut stream_answer).await?, None);
    assert_eq!(late_stream.response().await?.text(), "late");
    for client in [&mut upload, &mut late, &mut long] {
        assert_eq!(client.closed().await?, Bytes::new());
    }
    two.closed().await.context("the HTTP/2 connection is closed in order")?;

    // The socket is the last of it.
    says_hello(&mut socket).await?;
    leaving.proxy.process.must_live()?;
    socket.half_close().await?;
    assert_eq!(socket.closed().await?, Bytes::new());
    assert_eq!(leaving.proxy.process.exit_code().await?, 0, "long before the deadline");
    assert!(!leaving.proxy.setup().ready_file().exists());
    let lines = leaving.proxy.access_log().lines();
    for path in ["/long", "/late", "/upload", &socket_path] {
        let reasons: Vec<_> =
            lines.iter().filter(|line| line.text("url.path") == path).map(|line| line.reason()).collect();
        assert!(!reasons.is_empty() && reasons.iter().all(|reason| reason == "ok"), "{path}: {reasons:?}");
    }
    Ok(())
}

#[tokio::test]
async fn answers_during_the_wait_say_close_and_new_connections_are_still_served() -> Claim {
    let mut leaving = Leaving::start(NEVER).await?;
    let (mut kept, two) = (leaving.proxy.h1().await?, leaving.proxy.h2().await?);
    assert_ne!(kept.send(&Request::get("/")).await?.header("connection"), Some("close"));
    two.send(&Request::get("/")).await?;
    leaving.proxy.terminate()?;
    leaving.unready().await?;
    until_async("answers to say close", async || {
        let response = leaving.proxy.get("/fresh").await.ok()?;
        (response.status == 200 && response.header("connection") == Some("close")).then_some(())
    })
    .await?;
    let last = kept.send(&Request::get("/kept")).await?;
    assert_eq!((last.status, last.header("connection")), (200, Some("close")), "a kept connection is still served");
    assert_eq!(kept.closed().await?, Bytes::new());
    told_to_go_away(&two).await?;
    two.closed().await?;
    // A new HTTP/2 connection, too, is served once.
    let fresh = leaving.proxy.h2().await?;
    assert_eq!(fresh.send(&Request::get("/")).await?.status, 200);
    leaving.proxy.process.must_live()?;
    leaving.proxy.process.signal(Signal::SIGINT)?;
    assert_eq!(leaving.proxy.process.exit_code().await?, 0, "a SIGINT ends the wait");
    Ok(())
}

#[tokio::test]
async fn the_drain_deadline_cuts_what_stays() -> Claim {
    let mut leaving = Leaving::start("drain = { wait = '50ms', deadline = '200ms' }").await?;
    let mut hangs = leaving.at_upstream("/hangs").await?;
    let mut answer = hangs.head("GET").await?;
    assert_eq!(hangs.chunk(&mut answer).await?, Some(Bytes::from("some")));
    let two = leaving.proxy.h2().await?;
    let mut stream = two.open(&Request::get("/hangs"), true).await?;
    let mut stream_answer = stream.head().await?;
    assert_eq!(stream.chunk(&mut stream_answer).await?, Some(Bytes::from("some")));
    let (mut socket, socket_path) = leaving.web_socket().await?;
    leaving.proxy.terminate()?;
    assert_eq!(leaving.proxy.process.exit_code().await?, 0);
    assert!(hangs.chunk(&mut answer).await.is_err(), "the answer is cut, not ended as if it were whole");
    assert!(stream.chunk(&mut stream_answer).await.is_err());
    socket.closed().await?;
    until("the upstream to be let go", || (leaving.upstream.ledger().in_flight() == 0).then_some(())).await?;
    let lines = leaving.proxy.access_log().lines();
    for (path, count) in [("/hangs", 2), (socket_path.as_str(), 1)] {
        let cut: Vec<_> = lines.iter().filter(|line| line.text("url.path") == path).collect();
        assert_eq!(cut.len(), count, "what was cut is in the log: {path}");
        assert!(cut.iter().all(|line| line.reason() != "ok"), "{cut:?}");
    }
    Ok(())
}

#[tokio::test]
async fn sigint_leaves_at_once() -> Claim {
    let mut idle = Leaving::start(NEVER).await?;
    let mut kept = idle.proxy.h1().await?;
    kept.send(&Request::get("/")).await?;
    idle.proxy.process.signal(Signal::SIGINT)?;
    assert_eq!(idle.proxy.process.exit_code().await?, 0);
    assert_eq!(kept.closed().await?, Bytes::new());

    let mut busy = Leaving::start(NEVER).await?;
    let mut late = busy.at_upstream("/late").await?;
    let mut hangs = busy.at_upstream("/hangs").await?;
    busy.proxy.process.signal(Signal::SIGINT)?;
    busy.deaf().await?;
    busy.go.add_permits(1);
    assert_eq!(late.response("GET").await?.text(), "late", "what ends in its 2 s is whole");
    assert_eq!(busy.proxy.process.exit_code().await?, 0);
    assert!(hangs.response("GET").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_drain_asked_of_the_admin_port_is_one_by_sigterm() -> Claim {
    let mut leaving = Leaving::start("drain = { wait = '100ms', deadline = '10m' }").await?;
    let mut late = leaving.at_upstream("/late").await?;
    let drain = Request::post("/drain", "{}").host("localhost").header("content-type", "application/json");
    for _ in 0..2 {
        let asked = H1::connect(leaving.proxy.address("admin")).await?.send(&drain).await?;
        assert_eq!(asked.status, 202, "the second time, too");
    }
    leaving.unready().await?;
    leaving.deaf().await?;
    leaving.go.add_permits(1);
    assert_eq!(late.response("GET").await?.text(), "late");
    assert_eq!(leaving.proxy.process.exit_code().await?, 0);
    Ok(())
}

#[tokio::test]
async fn trap_6_sigquit_without_a_successor_stops_nothing() -> Claim {
    let mut leaving = Leaving::start(NEVER).await?;
    let mut late = leaving.at_upstream("/late").await?;
    for _ in 0..2 {
        leaving.proxy.process.signal(Signal::SIGQUIT)?;
    }
    until("the process log to say so", || leaving.proxy.process.output().contains("SIGQUIT").then_some(())).await?;
    leaving.proxy.process.must_live()?;
    assert_eq!(leaving.readyz().await?, 200);
    let fresh = leaving.proxy.get("/").await?;
    assert!(fresh.status == 200 && fresh.header("connection") != Some("close"), "{:?}", fresh.headers);
    leaving.go.add_permits(1);
    assert_eq!(late.response("GET").await?.text(), "late");

    // Nor does it hurry a process that leaves.
    let mut late = leaving.at_upstream("/late").await?;
    leaving.proxy.terminate()?;
    leaving.unready().await?;
    leaving.proxy.process.signal(Signal::SIGQUIT)?;
    assert_eq!(leaving.proxy.get("/").await?.status, 200);
    leaving.go.add_permits(1);
    assert_eq!(late.response("GET").await?.text(), "late");
    leaving.proxy.process.must_live()
}
