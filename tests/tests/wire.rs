//! Bytes: bodies and streams both ways, protocols of others, connections kept and shared.

use std::io;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::try_join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use weir_tests::python::Peer;
use weir_tests::upstream::sha256;
use weir_tests::{Authority, Claim, Exchange, H1, H2, Proxy, Request, Setup, Upstream, authority, patiently, until};

/// A proxy in front of one upstream of that protocol, whose edge also takes HTTP/2 by prior knowledge.
async fn front(upstream: &Upstream, protocol: &str) -> anyhow::Result<Proxy> {
    let mesh = format!("{}protocol = '{protocol}'\n", upstream.mesh());
    Setup::new(mesh)?.listener("edge", "default = true\nh2c = true")?.start().await
}

/// A piece of body at a time, as the test says.
#[derive(Clone)]
struct Tap {
    send: mpsc::UnboundedSender<Bytes>,
    receive: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Bytes>>>,
}

impl Tap {
    fn new() -> Self {
        let (send, receive) = mpsc::unbounded_channel();
        Self { send, receive: Arc::new(tokio::sync::Mutex::new(receive)) }
    }

    fn pour(&self, piece: &'static str) {
        let _ = self.send.send(Bytes::from(piece));
    }

    /// The next piece; an empty one stands for the end.
    async fn next(&self) -> Bytes {
        self.receive.lock().await.recv().await.unwrap_or_default()
    }
}

async fn poured(tap: Tap, x: &mut Exchange) -> io::Result<()> {
    x.drain().await?;
    match x.path() {
        "/length" => x.head(200, &[("content-length", "9")]).await?,
        "/until-close" => x.head(200, &[("connection", "close")]).await?,
        _ => x.head(200, &[("content-type", "text/event-stream")]).await?,
    }
    loop {
        let piece = tap.next().await;
        if piece.is_empty() {
            return x.end().await;
        }
        x.send(piece).await?;
    }
}

/// Each piece must be with the client before the next one leaves the upstream.
async fn streams(target: &str, protocol: &str) -> Claim {
    let tap = Tap::new();
    let theirs = tap.clone();
    let upstream = match protocol {
        "h2" => Upstream::scripted_h2("a", move |x| poured(theirs.clone(), x).boxed()).await?,
        _ => Upstream::scripted("a", move |x| poured(theirs.clone(), x).boxed()).await?,
    };
    let proxy = front(&upstream, protocol).await?;
    let request = Request::get(target);

    let mut client = proxy.h1().await?;
    client.write(request.bytes()).await?;
    let mut response = client.head("GET").await.context("the head before any body")?;
    for piece in ["one", "two", "six"] {
        tap.pour(piece);
        let got = client.chunk(&mut response).await.context(piece)?;
        assert_eq!(got, Some(Bytes::from(piece)));
    }
    tap.pour("");
    assert_eq!(client.chunk(&mut response).await?, None);

    let client = proxy.h2().await?;
    let mut open = client.open(&request, true).await?;
    let mut response = open.head().await.context("the head before any body")?;
    for piece in ["one", "two", "six"] {
        tap.pour(piece);
        assert_eq!(open.chunk(&mut response).await.context(piece)?, Some(Bytes::from(piece)));
    }
    tap.pour("");
    assert_eq!(open.chunk(&mut response).await?, None);
    Ok(())
}

#[tokio::test]
async fn server_sent_events_reach_the_client_one_by_one() -> Claim {
    streams("/events", "h1").await?;
    streams("/events", "h2").await
}

#[tokio::test]
async fn trap_20_an_answer_with_a_length_reaches_the_client_piece_by_piece() -> Claim {
    streams("/length", "h1").await?;
    streams("/length", "h2").await
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_passed_on_piece_by_piece() -> Claim {
    streams("/until-close", "h1").await
}

/// Sends back each piece as it comes.
async fn mirror(x: &mut Exchange) -> io::Result<()> {
    x.head(200, &[]).await?;
    while let Some(piece) = x.chunk().await? {
        x.send(piece).await?;
    }
    x.end().await
}

#[tokio::test]
async fn bodies_stream_both_ways_at_once() -> Claim {
    for protocol in ["h1", "h2"] {
        let upstream = match protocol {
            "h2" => Upstream::scripted_h2("a", |x| mirror(x).boxed()).await?,
            _ => Upstream::scripted("a", |x| mirror(x).boxed()).await?,
        };
        let proxy = front(&upstream, protocol).await?;
        let mut client = proxy.h1().await?;
        client.write(Request::new("POST", "/").head("transfer-encoding: chunked\r\n")).await?;
        let mut response = client.head("POST").await?;
        for piece in ["one", "two", "six"] {
            client.write(format!("3\r\n{piece}\r\n")).await?;
            assert_eq!(client.chunk(&mut response).await?, Some(Bytes::from(piece)), "{protocol}");
        }
        client.write("0\r\n\r\n").await?;
        assert_eq!(client.chunk(&mut response).await?, None);

        let client = proxy.h2().await?;
        let mut open = client.open(&Request::new("POST", "/"), false).await?;
        let mut response = open.head().await?;
        for piece in ["one", "two", "six"] {
            open.write(Bytes::from(piece), false).await?;
            assert_eq!(open.chunk(&mut response).await?, Some(Bytes::from(piece)), "{protocol}");
        }
        open.write(Bytes::new(), true).await?;
        assert_eq!(open.chunk(&mut response).await?, None);
    }
    Ok(())
}

const LARGE: usize = 100 << 20;
/// What the proxy may take while large bodies pass: the windows of HTTP/2, 8 MiB each, and a few buffers, whatever the
/// bodies' size.
const ROOM: u64 = 40 << 20;

async fn pours_out(x: &mut Exchange) -> io::Result<()> {
    x.drain().await?;
    if x.request.method == "POST" {
        return x.answer(200, &[], x.request.body_length.to_string().clone().as_bytes()).await;
    }
    x.head(200, &[("content-length", &LARGE.to_string())]).await?;
    let piece = Bytes::from(vec![b'x'; 1 << 16]);
    for _ in 0..LARGE / piece.len() {
        x.send(piece.clone()).await?;
    }
    x.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_both_ways_in_bounded_memory() -> Claim {
    for protocol in ["h1", "h2"] {
        let upstream = match protocol {
            "h2" => Upstream::scripted_h2("a", |x| pours_out(x).boxed()).await?,
            _ => Upstream::scripted("a", |x| pours_out(x).boxed()).await?,
        };
        let proxy = front(&upstream, protocol).await?;
        let mut one = proxy.h1().await?;
        let two = proxy.h2().await?;
        one.send(&Request::post("/warm", "x")).await?;
        two.send(&Request::post("/warm", "x")).await?;
        let before = proxy.process.resident_peak()?;

        one.write(Request::get("/down").bytes()).await?;
        let mut response = one.head("GET").await?;
        let mut got = 0;
        while let Some(chunk) = one.chunk(&mut response).await? {
            got += chunk.len();
        }
        assert_eq!(got, LARGE, "{protocol} down over HTTP/1.1");
        let mut open = two.open(&Request::get("/down"), true).await?;
        let mut response = open.head().await?;
        let mut got = 0;
        while let Some(chunk) = open.chunk(&mut response).await? {
            got += chunk.len();
        }
        assert_eq!(got, LARGE, "{protocol} down over HTTP/2");

        let piece = Bytes::from(vec![b'x'; 1 << 16]);
        one.write(Request::new("POST", "/up").head(&format!("content-length: {LARGE}\r\n"))).await?;
        for _ in 0..LARGE / piece.len() {
            one.write(&piece).await?;
        }
        assert_eq!(one.response("POST").await?.text(), LARGE.to_string(), "{protocol} up over HTTP/1.1");
        let mut open = two.open(&Request::new("POST", "/up"), false).await?;
        for _ in 0..LARGE / piece.len() {
            open.write(piece.clone(), false).await?;
        }
        open.write(Bytes::new(), true).await?;
        assert_eq!(open.response().await?.text(), LARGE.to_string(), "{protocol} up over HTTP/2");

        let grown = proxy.process.resident_peak()?.saturating_sub(before);
        assert!(grown < ROOM, "{protocol}: {} MiB more for {} MiB bodies", grown >> 20, LARGE >> 20);
    }
    Ok(())
}

#[tokio::test]
async fn a_slow_reader_holds_the_upstream_back() -> Claim {
    let upstream = Upstream::scripted("a", |x| pours_out(x).boxed()).await?;
    let proxy = front(&upstream, "h1").await?;
    proxy.send(&Request::post("/warm", "x")).await?;
    let before = proxy.process.resident_peak()?;
    let mut stalled = Vec::new();
    for _ in 0..20 {
        let mut client = proxy.h1().await?;
        client.write(Request::get("/down").bytes()).await?;
        client.head("GET").await?;
        stalled.push(client); // Reads no more.
    }
    upstream.received(21).await?;
    assert_eq!(proxy.send(&Request::post("/x", "y")).await?.text(), "1", "others are served meanwhile");
    let grown = proxy.process.resident_peak()?.saturating_sub(before);
    assert!(grown < ROOM, "{} MiB for 20 stalled readers", grown >> 20);
    Ok(())
}

#[tokio::test]
async fn a_client_that_expects_100_is_told_to_continue() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let proxy = front(&upstream, "h1").await?;
    for framing in ["content-length: 5\r\n", "content-length: 5\r\nconnection: close\r\n"] {
        let mut client = proxy.h1().await?;
        client.write(Request::new("POST", "/").header("expect", "100-continue").head(framing)).await?;
        assert_eq!(client.interim().await?, 100);
        client.write("hello").await?;
        let echo = client.response("POST").await?.echo()?;
        assert_eq!(echo.body_sha256, sha256(b"hello"));
    }
    Ok(())
}

#[tokio::test]
async fn a_refused_client_is_not_told_to_continue() -> Claim {
    let proxy = Proxy::start("[[routes.r.rules]]\nmatch = ['/only']\nreply = { status = 204 }").await?;
    let mut client = proxy.h1().await?;
    client.write(Request::new("POST", "/").header("expect", "100-continue").head("content-length: 5\r\n")).await?;
    let response = client.response("POST").await?;
    assert_eq!((response.status, response.interim.len()), (404, 0), "{response:?}");
    Ok(())
}

#[tokio::test]
async fn http_1_0_clients_get_no_chunks() -> Claim {
    let upstream = Upstream::scripted("a", |x| {
        async move {
            x.drain().await?;
            x.head(200, &[]).await?; // In chunks, since the proxy speaks HTTP/1.1.
            x.send("one").await?;
            x.send("two").await?;
            x.end().await
        }
        .boxed()
    })
    .await?;
    let proxy = front(&upstream, "h1").await?;
    for head in ["GET / HTTP/1.0\r\nhost: a\r\n\r\n", "GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n"] {
        let mut client = proxy.h1().await?;
        client.write(head).await?;
        let answer = String::from_utf8(client.closed().await?.to_vec())?;
        assert!(answer.starts_with("HTTP/1.") && answer.contains(" 200 "), "{answer}");
        assert!(!answer.to_lowercase().contains("transfer-encoding"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nonetwo"), "{answer}");
    }
    assert_eq!(upstream.requests()[0].version, "HTTP/1.1");
    Ok(())
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_in_step() -> Claim {
    let upstream = Upstream::scripted("a", |x| {
        async move {
            x.drain().await?;
            match x.path() {
                "/head" => x.head(200, &[("content-length", "1000")]).await?,
                "/204" => x.head(204, &[]).await?,
                "/304" => x.head(304, &[("etag", "\"e\""), ("content-length", "1000")]).await?,
                _ => return x.echo().await,
            }
            x.end().await
        }
        .boxed()
    })
    .await?;
    let proxy = front(&upstream, "h1").await?;
    let (mut one, two) = (proxy.h1().await?, proxy.h2().await?);
    for (method, target, status) in [("HEAD", "/head", 200), ("GET", "/204", 204), ("GET", "/304", 304)] {
        let request = Request::new(method, target);
        let (first, second) = (one.send(&request).await?, two.send(&request).await?);
        for response in [first, second] {
            assert_eq!((response.status, response.body.len()), (status, 0), "{target}");
            assert_eq!(response.header("transfer-encoding"), None, "{target}");
            if target == "/head" {
                assert_eq!(response.header("content-length"), Some("1000"));
            }
        }
        let next = one.send(&Request::get("/next")).await?;
        assert_eq!(next.echo()?.target, "/next");
    }
    Ok(())
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let proxy = front(&upstream, "h1").await?;
    let mut client = proxy.h1().await?;
    let mut all = Vec::new();
    for n in 0..10 {
        all.extend(Request::get(&format!("/{n}")).bytes());
        all.extend(Request::post(&format!("/post-{n}"), format!("body {n}")).bytes());
    }
    client.write(&all).await?;
    for n in 0..10 {
        assert_eq!(client.response("GET").await?.echo()?.target, format!("/{n}"));
        let post = client.response("POST").await?.echo()?;
        assert_eq!((post.target, post.body_sha256), (format!("/post-{n}"), sha256(format!("body {n}").as_bytes())));
    }
    Ok(())
}

#[tokio::test]
async fn a_request_sent_before_the_answer_to_the_one_before_it_waits() -> Claim {
    let gate = Arc::new(Semaphore::new(0));
    let theirs = gate.clone();
    let upstream = Upstream::scripted("a", move |x| {
        let gate = theirs.clone();
        async move {
            if x.path() == "/first" {
                gate.acquire().await.map_err(io::Error::other)?.forget();
            }
            x.echo().await
        }
        .boxed()
    })
    .await?;
    let proxy = front(&upstream, "h1").await?;
    let mut client = proxy.h1().await?;
    client.write(Request::get("/first").bytes()).await?;
    upstream.received(1).await?;
    client.write(Request::get("/second").bytes()).await?;
    gate.add_permits(1);
    assert_eq!(client.response("GET").await?.echo()?.target, "/first");
    assert_eq!(client.response("GET").await?.echo()?.target, "/second");
    Ok(())
}

#[tokio::test]
async fn trap_4_connections_to_an_upstream_are_reused() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let proxy = front(&upstream, "h1").await?;
    let many = async |count: usize| -> Claim {
        let mut client = proxy.h1().await?;
        for n in 0..count {
            let request = if n % 3 == 0 { Request::post("/", "body") } else { Request::get("/") };
            assert_eq!(client.send(&request).await?.status, 200);
        }
        Ok(())
    };
    try_join_all((0..4).map(|_| many(200))).await?;
    for _ in 0..100 {
        assert_eq!(proxy.get("/").await?.status, 200, "a fresh client connection each");
    }
    let two = proxy.h2().await?;
    for _ in 0..100 {
        assert_eq!(two.send(&Request::get("/")).await?.status, 200);
    }
    let (connections, requests) = (upstream.ledger().connections() as f64, upstream.ledger().count() as f64);
    assert_eq!(requests, 1000.0);
    assert!(1.0 - connections / requests > 0.95, "{connections} connections for {requests} requests");
    Ok(())
}

#[tokio::test]
async fn trap_5_an_http2_upstream_gets_many_streams_over_one_connection() -> Claim {
    let gate = Arc::new(Semaphore::new(0));
    let theirs = gate.clone();
    let upstream = Upstream::scripted_h2("a", move |x| {
        let gate = theirs.clone();
        async move {
            if x.path() == "/held" {
                gate.acquire().await.map_err(io::Error::other)?.forget();
            }
            x.echo().await
        }
        .boxed()
    })
    .await?;
    let proxy = front(&upstream, "h2").await?;
    let client = proxy.h2().await?;
    client.send(&Request::get("/warm")).await?;
    let request = Request::get("/held");
    let held = try_join_all((0..50).map(|_| client.send(&request)));
    let open = async {
        upstream.received(51).await?;
        assert_eq!(upstream.ledger().in_flight(), 50, "all at the same time");
        gate.add_permits(50);
        anyhow::Ok(())
    };
    let (answers, ()) = tokio::try_join!(held, open)?;
    assert!(answers.iter().all(|answer| answer.status == 200));
    // One connection for each worker at most; requests may reach a worker that has none yet.
    assert!(upstream.ledger().connections() <= 2, "{} connections", upstream.ledger().connections());
    Ok(())
}

#[tokio::test]
async fn a_hundred_streams_of_one_client_get_each_its_own_answer() -> Claim {
    for protocol in ["h1", "h2"] {
        let upstream = match protocol {
            "h2" => Upstream::h2("a").await?,
            _ => Upstream::h1("a").await?,
        };
        let proxy = front(&upstream, protocol).await?;
        let client = proxy.h2().await?;
        let requests: Vec<_> =
            (0..100).map(|n| Request::post(&format!("/{n}"), vec![n as u8; 10 * n as usize])).collect();
        let answers = try_join_all(requests.iter().map(|request| client.send(request))).await?;
        for (request, answer) in requests.iter().zip(answers) {
            let echo = answer.echo()?;
            assert_eq!((echo.target.as_str(), echo.body_sha256), (request.target.as_str(), sha256(&request.body)));
        }
    }
    Ok(())
}

/// A proxy in front of a TLS upstream, told to trust `ca` and to ask for `sni`.
async fn front_tls(upstream: &Upstream, ca: &Authority, sni: &str, protocol: &str) -> anyhow::Result<Proxy> {
    let setup = Setup::new("")?;
    ca.write(setup.folder())?;
    let keys = format!("protocol = '{protocol}'\ntls = {{ sni = '{sni}', ca = 'file:ca.pem' }}\n");
    setup.with_mesh(format!("{}{keys}", upstream.mesh())).start().await
}

#[tokio::test]
async fn tls_upstreams_are_verified_by_a_ca_file_and_asked_by_name() -> Claim {
    let ca = Authority::new("upstreams")?;
    for (alpn, protocol, version) in [
        (authority::H1, "h1", "HTTP/1.1"),
        (authority::H2, "h2", "HTTP/2"),
        (authority::BOTH, "auto", "HTTP/2"),
        (authority::H1, "auto", "HTTP/1.1"),
        (authority::BOTH, "h1", "HTTP/1.1"),
    ] {
        let upstream = Upstream::tls("a", &ca, &["search.internal"], alpn).await?;
        let proxy = front_tls(&upstream, &ca, "search.internal", protocol).await?;
        for _ in 0..10 {
            let echo = proxy.send(&Request::post("/x?y", "body")).await?.echo()?;
            assert_eq!((echo.version.as_str(), echo.sni.as_deref()), (version, Some("search.internal")), "{protocol}");
            assert_eq!((echo.authority.as_str(), echo.body_length), ("test.example", 4));
        }
        assert!(upstream.ledger().connections() <= 2, "{} connections", upstream.ledger().connections());
    }
    Ok(())
}

#[tokio::test]
async fn a_tls_upstream_that_cannot_be_verified_is_502_connect_fail() -> Claim {
    let (ca, other) = (Authority::new("upstreams")?, Authority::new("other")?);
    let upstream = Upstream::tls("a", &ca, &["search.internal"], authority::BOTH).await?;
    for (trusted, sni) in [(&other, "search.internal"), (&ca, "wrong.internal")] {
        for protocol in ["h1", "h2", "auto"] {
            let proxy = front_tls(&upstream, trusted, sni, protocol).await?;
            assert_eq!(proxy.get("/").await?.refusal(), (502, "connect_fail".into()), "{sni} {protocol}");
        }
    }
    assert_eq!(upstream.ledger().count(), 0);

    // An upstream without TLS takes the handshake for a bad request, as nginx does.
    let plain = TcpListener::bind("127.0.0.1:0").await?;
    let mesh = format!(
        "[[routes.r.rules]]\nto = 'a'\n[upstreams.a]\nendpoints = ['{}']\ntls = {{ sni = 'search.internal' }}\n",
        plain.local_addr()?
    );
    let proxy = Proxy::start(mesh).await?;
    let nonsense = async {
        loop {
            let (mut tcp, _) = plain.accept().await?;
            tcp.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
        }
    };
    let request = Request::get("/");
    let response = tokio::select! {
        response = proxy.send(&request) => response?,
        failed = nonsense => { let failed: io::Result<()> = failed; failed?; unreachable!() }
    };
    assert_eq!(response.refusal(), (502, "connect_fail".into()), "an upstream without TLS");
    Ok(())
}

#[tokio::test]
async fn trap_1_a_tls_upstream_without_a_name_is_refused() -> Claim {
    let upstream = Upstream::h1("a").await?;
    for tls in ["tls = {}", "tls = { ca = 'system' }", "tls = { sni = '' }"] {
        let ended = Setup::new(format!("{}{tls}", upstream.mesh()))?.start_in_vain().await?;
        assert!(ended.code == 1 && ended.output.contains("upstreams.a.tls"), "{tls}: {ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_upstream_may_be_given_by_its_dns_name() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let dns = format!("[[routes.r.rules]]\nto = 'a'\n[upstreams.a]\ndns = 'localhost:{}'\n", upstream.address().port());
    let proxy = Proxy::start(dns).await?;
    for _ in 0..10 {
        assert_eq!(proxy.get("/").await?.status, 200);
    }
    Ok(())
}

#[tokio::test]
async fn trailers_pass_between_http2_peers() -> Claim {
    let upstream = Upstream::scripted_h2("a", |x| {
        async move {
            x.drain().await?;
            x.head(200, &[]).await?;
            x.send("body").await?;
            x.end_with(&[("x-checksum", "abc"), ("grpc-status", "0")]).await
        }
        .boxed()
    })
    .await?;
    let proxy = front(&upstream, "h2").await?;
    let response = proxy.h2().await?.send(&Request::get("/")).await?;
    assert_eq!(response.text(), "body");
    assert_eq!(weir_tests::message::first(&response.trailers, "x-checksum"), Some("abc"));
    let one = proxy.get("/").await?;
    assert_eq!((one.status, one.text().as_str()), (200, "body"), "an HTTP/1.1 client loses the trailers at most");
    Ok(())
}

#[tokio::test]
async fn trailers_of_an_http1_body_do_not_spoil_it() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let proxy = front(&upstream, "h1").await?;
    let mut client = proxy.h1().await?;
    let body = "5\r\nhello\r\n0\r\nx-checksum: abc\r\n\r\n";
    client
        .write([Request::new("POST", "/").head("transfer-encoding: chunked\r\n").as_bytes(), body.as_bytes()].concat())
        .await?;
    assert_eq!(client.response("POST").await?.echo()?.body_sha256, sha256(b"hello"));
    assert_eq!(client.send(&Request::get("/next")).await?.echo()?.target, "/next");
    Ok(())
}

#[tokio::test]
async fn interim_answers_do_not_disturb_the_final_one() -> Claim {
    let upstream = Upstream::scripted("a", |x| {
        async move {
            x.interim(103, &[("link", "</style.css>; rel=preload")]).await?;
            x.interim(100, &[]).await?;
            x.echo().await
        }
        .boxed()
    })
    .await?;
    let proxy = front(&upstream, "h1").await?;
    let (mut one, two) = (proxy.h1().await?, proxy.h2().await?);
    for n in 0..3 {
        let target = format!("/{n}");
        assert_eq!(one.send(&Request::post(&target, "x")).await?.echo()?.target, target);
        assert_eq!(two.send(&Request::get(&target)).await?.echo()?.target, target);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_of_others_works_with_every_kind_of_call() -> Claim {
    let Some(peer) = Peer::of("grpc_peer.py")? else { return Ok(()) };
    let ca = Authority::new("grpc")?;
    let setup = Setup::new("")?;
    let server = peer.serve(setup.folder()).await?;
    let mesh = format!(
        "[[routes.r.rules]]\nmatch = ['/weir.test.Echo/*']\nto = 'grpc'\n\
         [upstreams.grpc]\nendpoints = ['{}']\nprotocol = 'h2'\n",
        server.address
    );
    let files = ca.issue(&["edge.test"])?.write(setup.folder(), "edge")?;
    let pem = ca.write(setup.folder())?.display().to_string();
    let setup = setup.listener("edge", "default = true\nh2c = true")?;
    let setup = setup.listener("tls", &format!("default = true\ntls.certificates = [{files}]"))?;
    let proxy = setup.with_mesh(mesh).start().await?;
    let (plain, tls) = (proxy.edge().to_string(), proxy.address("tls").to_string());
    for arguments in [vec![plain.as_str()], vec![tls.as_str(), &pem, "edge.test"]] {
        let seen = peer.call(&arguments).await?;
        assert_eq!(seen["unary"], "echo:hello");
        assert_eq!(seen["initial"]["x-initial"], "first");
        assert_eq!(
            (&seen["trailing"]["x-trailing"], &seen["trailing"]["x-bytes-bin"]),
            (&"'last'".into(), &r"b'\x00\xff'".into())
        );
        assert_eq!(seen["large"], 3_000_005);
        assert_eq!(seen["stream"].as_array().map(Vec::len), Some(500));
        assert_eq!(seen["gather"], "a,b,c");
        assert_eq!(seen["talk"][19], "re:19");
        assert_eq!(
            (&seen["fail"]["code"], &seen["fail"]["details"]),
            (&"FAILED_PRECONDITION".into(), &"not like this: \u{fc} 100%".into())
        );
        assert_eq!(seen["fail"]["trailing"]["x-why"], "on purpose");
        assert_eq!(
            (&seen["fail_late"]["code"], &seen["fail_late"]["got"]),
            (&"DATA_LOSS".into(), &serde_json::json!(["one", "two"]))
        );
        assert_eq!(seen["no_route"]["code"], "UNIMPLEMENTED");
        assert_eq!((&seen["open"], &seen["cancelled"]), (&"open".into(), &"CANCELLED".into()));
        assert_eq!(seen["metadata"]["x-mine"], "1");
    }
    proxy.metric_becomes("weir_inflight", &[("upstream", "grpc")], |now| now == 0.0).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_of_others_work_plain_and_over_tls() -> Claim {
    let Some(peer) = Peer::of("websocket_peer.py")? else { return Ok(()) };
    let ca = Authority::new("websocket")?;
    let setup = Setup::new("")?;
    let server = peer.serve(setup.folder()).await?;
    let mesh = format!("[[routes.r.rules]]\nto = 'chat'\n[upstreams.chat]\nendpoints = ['{}']\n", server.address);
    let files = ca.issue(&["localhost"])?.write(setup.folder(), "edge")?;
    let pem = ca.write(setup.folder())?.display().to_string();
    let setup = setup.listener("tls", &format!("default = true\ntls.certificates = [{files}]"))?;
    let proxy = setup.with_mesh(mesh).start().await?;
    let plain = format!("ws://{}/chat", proxy.edge());
    let tls = format!("wss://localhost:{}/chat", proxy.address("tls").port());
    for arguments in [vec![plain.as_str()], vec![tls.as_str(), &pem]] {
        let seen = peer.call(&arguments).await?;
        assert_eq!((&seen["subprotocol"], &seen["text"]), (&"weir.test".into(), &"hello".into()));
        for holds in ["large", "ping", "many"] {
            assert_eq!(seen[holds], true, "{holds}");
        }
        assert_eq!(seen["headers"]["x-forwarded-for"], "127.0.0.1");
        assert_eq!(seen["closed"], serde_json::json!([4001, "as asked"]));
    }
    let line = proxy.access_log().of_path("/chat").await?;
    assert_eq!((line.status().as_str(), line.reason().as_str()), ("101", "ok"));
    Ok(())
}

/// Agrees to an upgrade, then sends back what it gets.
async fn upgrades(x: &mut Exchange) -> io::Result<()> {
    if !x.request.has("upgrade") {
        return x.answer(426, &[], b"").await;
    }
    let raw = x.raw()?;
    let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    raw.io.write_all(head.as_bytes()).await?;
    loop {
        if raw.buffer.is_empty() && raw.more().await? == 0 {
            return x.hang_up();
        }
        let bytes = raw.buffer.split();
        raw.io.write_all(&bytes).await?;
    }
}

const UPGRADE: &str = "GET /up HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

#[tokio::test]
async fn an_upgraded_connection_is_a_tunnel_until_either_side_ends_it() -> Claim {
    let upstream = Upstream::scripted("a", |x| upgrades(x).boxed()).await?;
    let proxy = front(&upstream, "h1").await?;
    let mut client = proxy.h1().await?;
    client.write(UPGRADE).await?;
    assert_eq!(client.head("GET").await?.status, 101);
    for piece in ["ping", "pong", "GET / HTTP/1.1\r\n\r\n"] {
        client.write(piece).await?;
        assert_eq!(client.exactly(piece.len()).await?, piece);
    }
    drop(client);
    until("the upstream to be let go", || (upstream.ledger().in_flight() == 0).then_some(())).await?;

    let other = proxy.send(&Request::get("/").header("connection", "upgrade").header("upgrade", "h2c")).await?;
    assert_eq!(other.status, 426, "no other protocol is asked for");
    Ok(())
}

#[tokio::test]
async fn every_tunnel_of_two_hundred_holds_however_fast_its_upstream_answers() -> Claim {
    let upstream = Upstream::scripted("a", |x| upgrades(x).boxed()).await?;
    let proxy = front(&upstream, "h1").await?;
    for n in 0..200 {
        let mut client = proxy.h1().await?;
        client.write(UPGRADE).await?;
        assert_eq!(client.head("GET").await?.status, 101);
        client.write("ping").await?;
        assert_eq!(client.exactly(4).await?, "ping", "tunnel {n}");
    }
    let first = &upstream.requests()[0];
    assert!(!first.has("transfer-encoding") && !first.has("content-length"), "the question has no body: {first:?}");
    Ok(())
}

#[tokio::test]
async fn a_silent_tunnel_ends_at_the_idle_time_and_not_at_the_default_for_answers() -> Claim {
    let upstream = Upstream::scripted("a", |x| upgrades(x).boxed()).await?;
    let proxy = Proxy::start(upstream.mesh_with("idle_timeout = '400ms'")).await?;
    let mut client = proxy.h1().await?;
    client.write(UPGRADE).await?;
    client.head("GET").await?;
    client.write("once").await?;
    assert_eq!(client.exactly(4).await?, "once");
    client.closed().await?;
    until("the upstream to be let go", || (upstream.ledger().in_flight() == 0).then_some(())).await?;
    Ok(())
}

#[tokio::test]
async fn a_long_first_flight_of_http2_is_taken_whole() -> Claim {
    // Preface, settings and a request in one segment, split at every place near its start.
    let upstream = Upstream::h1("a").await?;
    let proxy = front(&upstream, "h1").await?;
    for split in [1, 10, 23, 24, 25, 30] {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
        let mut client = H1::connect(proxy.edge()).await?;
        client.write(&preface[..split]).await?;
        tokio::task::yield_now().await;
        client.write(&preface[split..]).await?;
        let frame = client.exactly(9).await?;
        assert_eq!(frame[3], 4, "settings answer settings, split at {split}");
    }
    assert_eq!(H2::connect(proxy.edge()).await?.send(&Request::get("/")).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_client_may_be_slow_to_take_a_small_answer() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let proxy = front(&upstream, "h1").await?;
    let mut client = proxy.h1().await?;
    for n in 0..50 {
        client.write(Request::get(&format!("/{n}")).bytes()).await?;
    }
    patiently("fifty answers", async {
        for n in 0..50 {
            assert_eq!(client.response("GET").await?.echo()?.target, format!("/{n}"));
        }
        anyhow::Ok(())
    })
    .await?
}
