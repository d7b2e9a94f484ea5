//! Requests that the proxy itself refuses: malformed, too large, too slow, limited, denied, in a circle.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use tokio::time::interval;
use weir_tests::{Claim, H1, Proxy, Request, Setup, Upstream, World};

async fn limited(limits: &str) -> anyhow::Result<(Proxy, Upstream)> {
    let upstream = Upstream::h1("a").await?;
    let keys = format!("default = true\nh2c = true\n{limits}");
    Ok((Setup::new(upstream.mesh())?.listener("edge", &keys)?.start().await?, upstream))
}

/// Sends bytes and gives back the answer; the server must then end the connection.
async fn answer_and_end(proxy: &Proxy, bytes: impl AsRef<[u8]>) -> anyhow::Result<(u16, String)> {
    let mut client = proxy.h1().await?;
    let _ = client.write(bytes).await; // It may be cut before all of it was taken.
    let refusal = client.response("GET").await?.refusal();
    client.closed().await?;
    Ok(refusal)
}

#[tokio::test]
async fn malformed_heads_are_refused_and_never_repaired() -> Claim {
    let (proxy, upstream) = limited("").await?;
    for head in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost:\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: user@a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n folded: y\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nno-colon\r\n\r\n",
        "GET / HTTP/1.1\nhost: a\n\n",
        "GET /a b HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET a HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nhost: a\r\n\r\n",
        "G{T / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nhost: b\r\n\r\n",
        "GET /#fragment HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 1\r\n\r\nx",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\nx",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\nx",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0x1\r\n\r\nx",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\nx",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\n\r\n",
        "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        assert_eq!(answer_and_end(&proxy, head).await?, (400, "bad_request".into()), "{head:?}");
    }
    assert_eq!(upstream.ledger().count(), 0, "{:?}", upstream.requests());
    proxy.metric_becomes("weir_requests_total", &[("reason", "bad_request")], |count| count == 28.0).await?;
    assert_eq!(proxy.get("/").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_malformed_chunked_body_never_becomes_a_whole_one() -> Claim {
    let (proxy, upstream) = limited("").await?;
    for body in
        ["5\r\nhelloX", "g\r\n", "5;\x01\r\nhello\r\n0\r\n\r\n", "-1\r\n", "5\nhello\n0\n\n", "fffffffffffffffff\r\n"]
    {
        let mut client = proxy.h1().await?;
        client.write(format!("POST /bad HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}")).await?;
        if let Ok(response) = client.response("POST").await {
            assert_eq!(response.refusal(), (400, "bad_request".into()), "{body:?}");
        }
        client.closed().await?;
    }
    assert!(upstream.requests().iter().all(|seen| seen.body_sha256.is_empty()), "an upstream read one to its end");
    Ok(())
}

#[tokio::test]
async fn connect_and_other_versions_of_http_are_not_served() -> Claim {
    let (proxy, upstream) = limited("").await?;
    assert_eq!(answer_and_end(&proxy, "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n").await?.0, 405);
    let version = answer_and_end(&proxy, "GET / HTTP/3.0\r\nhost: a\r\n\r\n").await?.0;
    assert!([400, 505].contains(&version), "{version}");
    assert_eq!(upstream.ledger().count(), 0);
    Ok(())
}

#[tokio::test]
async fn trap_7_a_head_that_comes_byte_by_byte_is_cut_at_its_deadline() -> Claim {
    let (proxy, upstream) = limited("limits.header_timeout = '400ms'").await?;
    let mut client = proxy.h1().await?;
    let started = tokio::time::Instant::now();
    let mut pace = interval(Duration::from_millis(25));
    // A slow client is the claim's subject: it sends a byte now and then, until it is answered.
    let mut drip = async |client: &mut H1| -> Claim {
        for byte in Request::get("/").header("x-long", &"y".repeat(100_000)).bytes() {
            tokio::select! {
                more = client.reader.more() => { more?; return Ok(()); }
                _ = pace.tick() => {}
            }
            client.write([byte]).await?;
        }
        Ok(())
    };
    drip(&mut client).await?;
    assert_eq!(client.response("GET").await?.refusal(), (408, "slow_client".into()));
    assert!(started.elapsed() >= Duration::from_millis(390), "not before its time: {:?}", started.elapsed());
    client.closed().await?;

    let mut client = proxy.h1().await?;
    client.send(&Request::get("/first")).await?;
    client.write("GET /second HTTP/1.1\r\n").await?;
    assert_eq!(
        client.response("GET").await?.refusal(),
        (408, "slow_client".into()),
        "a later head on a kept connection"
    );
    assert_eq!(upstream.ledger().count(), 1);
    Ok(())
}

#[tokio::test]
async fn trap_7_a_head_of_900_kib_gets_431() -> Claim {
    let (proxy, upstream) = limited("").await?;
    let request = Request::get("/").header("x-large", &"y".repeat(900 * 1024));
    assert_eq!(answer_and_end(&proxy, request.bytes()).await?, (431, "header_too_large".into()));
    assert_eq!(upstream.ledger().count(), 0);
    Ok(())
}

#[tokio::test]
async fn header_lines_and_bytes_have_limits() -> Claim {
    let (proxy, _upstream) = limited("limits = { headers = 20, header_bytes = '4KiB', uri_bytes = '1KiB' }").await?;
    let with = |count: usize| (0..count).fold(Request::get("/"), |request, n| request.header(&format!("x-{n}"), "y"));
    assert_eq!(proxy.send(&with(19)).await?.status, 200, "19 and the host");
    assert_eq!(proxy.send(&with(20)).await?.refusal(), (431, "header_too_large".into()));
    let large = |bytes: usize| Request::get("/").header("x-large", &"y".repeat(bytes));
    assert_eq!(proxy.send(&large(3_900)).await?.status, 200);
    assert_eq!(proxy.send(&large(4_096)).await?.refusal(), (431, "header_too_large".into()));

    let two = proxy.h2().await?;
    assert_eq!(two.send(&with(10)).await?.status, 200);
    // An HTTP/2 client is answered, or its stream ended; never forwarded.
    if let Ok(response) = two.send(&with(40)).await {
        assert_eq!(response.status, 431, "{}", response.text());
    }
    Ok(())
}

#[tokio::test]
async fn a_target_that_is_too_long_gets_414() -> Claim {
    let (proxy, upstream) = limited("limits.uri_bytes = '1KiB'").await?;
    let long = |bytes: usize| Request::get(&format!("/{}", "a".repeat(bytes)));
    assert_eq!(proxy.send(&long(1_000)).await?.status, 200);
    assert_eq!(proxy.send(&long(1_100)).await?.refusal(), (414, "uri_too_long".into()));
    let two = proxy.h2().await?.send(&long(1_100)).await?;
    assert_eq!(two.refusal(), (414, "uri_too_long".into()));
    assert_eq!(upstream.ledger().count(), 1);
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_listeners_limit_gets_413() -> Claim {
    let (proxy, upstream) = limited("limits.body_bytes = '1KiB'").await?;
    assert_eq!(proxy.send(&Request::post("/fits", vec![0; 1024])).await?.status, 200);
    let over = proxy.send(&Request::post("/over", vec![0; 1025])).await?;
    assert_eq!(over.refusal(), (413, "body_too_large".into()));
    let announced = Request::post("/over", vec![0; 1025]).header("content-length", "1025");
    let over = proxy.h2().await?.send(&announced).await?;
    assert_eq!(over.refusal(), (413, "body_too_large".into()));
    assert_eq!(upstream.ledger().count(), 1, "a length is refused before the upstream is asked");

    let mut client = proxy.h1().await?;
    client.write("POST /chunked HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    for _ in 0..3 {
        client.write(format!("200\r\n{}\r\n", "x".repeat(0x200))).await?;
    }
    assert_eq!(client.response("POST").await?.refusal(), (413, "body_too_large".into()));
    assert!(upstream.requests().iter().skip(1).all(|seen| seen.body_length <= 1024));
    assert!(upstream.requests().iter().skip(1).all(|seen| seen.body_sha256.is_empty()), "never a whole request");
    Ok(())
}

#[tokio::test]
async fn trap_16_a_body_that_comes_too_slowly_gets_408_and_is_not_charged_to_the_upstream() -> Claim {
    // After the grace of 5 s; the clients drip meanwhile.
    let (proxy, upstream) = limited("limits.body_rate = '1000B'").await?;
    let one = async {
        let mut client = proxy.h1().await?;
        client.write(Request::new("POST", "/slow-one").head("content-length: 100000\r\n")).await?;
        let mut pace = interval(Duration::from_millis(200));
        loop {
            tokio::select! {
                more = client.reader.more() => { more?; break; }
                _ = pace.tick() => {}
            }
            if client.write(b"0123456789").await.is_err() {
                break;
            }
        }
        anyhow::Ok(client.response("POST").await?.refusal())
    };
    let two = async {
        let client = proxy.h2().await?;
        let mut open = client.open(&Request::new("POST", "/slow-two"), false).await?;
        open.write(Bytes::from_static(b"0123456789"), false).await?;
        anyhow::Ok(open.response().await?.refusal())
    };
    let (one, two) = tokio::try_join!(one, two)?;
    assert_eq!((one, two), ((408, "slow_client".into()), (408, "slow_client".into())));
    assert!(upstream.requests().iter().all(|seen| seen.body_sha256.is_empty()));
    let metrics = proxy.metrics().await?;
    assert_eq!(metrics.sum("weir_attempts_total", &[("outcome", "client_gone")]), 2.0, "the client's doing");
    assert_eq!(
        metrics.sum("weir_upstream_duration_seconds_count", &[]),
        0.0,
        "no sample of a request that was not whole"
    );
    assert_eq!(metrics.sum("weir_requests_total", &[("reason", "slow_client"), ("code_class", "4xx")]), 2.0);
    Ok(())
}

#[tokio::test]
async fn a_rate_limit_lets_a_burst_through_and_then_says_when() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let filter = "filters = [{ kind = 'rate_limit', key = 'header:x-api-key', rate = '3/h', burst = 3 }]";
    let proxy = Proxy::start(upstream.mesh_with(filter)).await?;
    let mut client = proxy.h1().await?;
    let keyed = |key: &str| Request::get("/").header("x-api-key", key);
    for _ in 0..3 {
        assert_eq!(client.send(&keyed("one")).await?.status, 200);
    }
    let over = client.send(&keyed("one")).await?;
    assert_eq!(over.refusal(), (429, "rate_limited".into()));
    let wait: u64 = over.header("retry-after").unwrap_or_default().parse()?;
    assert!((1190..=1200).contains(&wait), "a third of an hour, less what has passed: {wait}");
    assert!(over.header("ratelimit-policy").is_some_and(|policy| policy.contains("q=3")), "{over:?}");
    assert!(over.header("ratelimit").is_some_and(|state| state.contains("r=0")), "{over:?}");
    assert_eq!(client.send(&keyed("two")).await?.status, 200, "another key has its own");

    for expected in [200, 200, 200, 429, 429] {
        assert_eq!(client.send(&Request::get("/")).await?.status, expected, "no key: one bucket, never unlimited");
    }
    assert_eq!(client.send(&keyed("")).await?.status, 429, "an empty key is no key");
    assert_eq!(upstream.ledger().count(), 7);
    proxy.metric_becomes("weir_requests_total", &[("reason", "rate_limited")], |count| count == 4.0).await?;
    Ok(())
}

#[tokio::test]
async fn rate_limits_by_address_and_by_rule() -> Claim {
    let world = World::start(
        &["a"],
        r#"
        [[routes.r.rules]]
        match = ["/address"]
        to = "a"
        filters = [{ kind = "rate_limit", key = "address", rate = "2/h" }]
        [[routes.r.rules]]
        match = ["/rule"]
        to = "a"
        filters = [{ kind = "rate_limit", rate = "2/h" }]
        "#,
    )
    .await?;
    for path in ["/address", "/rule"] {
        for expected in [200, 200, 429] {
            assert_eq!(world.proxy.get(path).await?.status, expected, "{path}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_push_keeps_the_buckets_of_a_rate_limit() -> Claim {
    let rule = |extra: &str| {
        format!("[[routes.r.rules]]\nto = 'a'\nfilters = [{{ kind = 'rate_limit', rate = '2/h' }}]\n{extra}")
    };
    let world = World::start(&["a"], &rule("")).await?;
    assert_eq!(world.proxy.get("/").await?.status, 200);
    assert_eq!(world.proxy.get("/").await?.status, 200);
    world.apply(&rule("response_headers = { set = { x-new = '1' } }")).await?;
    let over = world.proxy.get("/").await?;
    assert_eq!(over.status, 429, "a push is no way around a limit");
    Ok(())
}

#[tokio::test]
async fn deny_is_a_patch_by_address_header_path_method_and_size() -> Claim {
    let world = World::start(
        &["a"],
        r#"
        [[routes.r.rules]]
        to = "a"
        filters = [
            { kind = "deny", headers = { user-agent = { regex = "(?i)evil" } } },
            { kind = "deny", paths = ["/admin/*"], methods = ["POST"] },
            { kind = "deny", body_over = "1KiB" },
        ]
        [routes.far]
        hosts = ["far.test"]
        [[routes.far.rules]]
        to = "a"
        filters = [{ kind = "deny", addresses = ["10.0.0.0/8"] }]
        [routes.near]
        hosts = ["near.test"]
        [[routes.near.rules]]
        to = "a"
        filters = [{ kind = "deny", addresses = ["127.0.0.0/8"] }]
        "#,
    )
    .await?;
    for (request, passes) in [
        (Request::get("/").header("user-agent", "Mozilla"), true),
        (Request::get("/").header("user-agent", "an EVIL bot"), false),
        (Request::post("/admin/x", "y"), false),
        (Request::post("/%61dmin/x", "y"), false),
        (Request::get("/admin/x"), true),
        (Request::post("/else", "y"), true),
        (Request::post("/else", vec![0; 1024]), true),
        (Request::post("/else", vec![0; 1025]), false),
        (Request::get("/").host("far.test"), true),
        (Request::get("/").host("near.test"), false),
    ] {
        let response = world.send(&request).await?;
        match passes {
            true => assert_eq!(response.status, 200, "{request:?}"),
            false => assert_eq!(response.refusal(), (403, "virtual_patch".into()), "{request:?}"),
        }
    }
    let before = world.upstream("a").ledger().count();
    let mut client = world.proxy.h1().await?;
    client.write("POST /chunked HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    for _ in 0..3 {
        client.write(format!("200\r\n{}\r\n", "x".repeat(0x200))).await?;
    }
    let response = client.response("POST").await?;
    assert_eq!(response.refusal(), (403, "virtual_patch".into()), "a length that is not announced");
    assert!(world.upstream("a").requests().iter().skip(before).all(|seen| seen.body_sha256.is_empty()));
    Ok(())
}

#[tokio::test]
async fn grpc_requests_get_grpc_answers() -> Claim {
    let upstream = Upstream::scripted_h2("a", |x| async move { x.given_up().await }.boxed()).await?;
    let mesh = format!(
        r#"
        [[routes.r.rules]]
        match = ["/slow/*"]
        to = "a"
        timeout = "150ms"
        [[routes.r.rules]]
        match = ["/limited/*"]
        to = "a"
        filters = [{{ kind = "deny", methods = ["POST"] }}]
        {}protocol = "h2"
        "#,
        upstream.table()
    );
    let proxy = Setup::new(mesh)?.listener("edge", "default = true\nh2c = true")?.start().await?;
    let client = proxy.h2().await?;
    // gRPC's mapping of HTTP statuses, but for the deadline, which is told as one.
    for (target, code, reason) in [
        ("/no/Such", "12", "no_route"),
        ("/slow/Call", "4", "request_timeout"),
        ("/limited/Call", "7", "virtual_patch"),
    ] {
        let request = Request::post(target, vec![0, 0, 0, 0, 0]).header("content-type", "application/grpc+proto");
        let response = client.send(&request.header("te", "trailers")).await?;
        let line = |name: &str| response.header(name).or(weir_tests::message::first(&response.trailers, name));
        assert_eq!((response.status, line("grpc-status")), (200, Some(code)), "{target}: {response:?}");
        assert!(line("grpc-message").is_some_and(|message| message.contains(reason)), "{response:?}");
        assert_eq!(response.header("content-type"), Some("application/grpc"));
        assert!(response.body.is_empty());
        assert_eq!(proxy.access_log().of_path(target).await?.reason(), reason);
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_with_an_unread_body_keeps_a_connection_usable_or_ends_it_in_order() -> Claim {
    let world = World::start(&["a"], "[[routes.r.rules]]\nmatch = ['/yes']\nto = 'a'").await?;
    let mut client = world.proxy.h1().await?;
    let refused = client.send(&Request::post("/no", vec![b'x'; 10_000])).await?;
    assert_eq!(refused.refusal(), (404, "no_route".into()));
    match refused.header("connection") {
        Some("close") => drop(client.closed().await?),
        _ => assert_eq!(client.send(&Request::get("/yes")).await?.status, 200, "the body was not taken for a head"),
    }
    Ok(())
}

#[tokio::test]
async fn a_route_to_itself_ends_with_508() -> Claim {
    // The proxy's own port is known only once it serves; so the loop is closed by a second document.
    let world = World::start(&["a"], "[[routes.r.rules]]\nto = 'a'").await?;
    let itself = format!("[[routes.r.rules]]\nto = 'me'\n[upstreams.me]\nendpoints = ['{}']", world.proxy.edge());
    world.apply(&itself).await?;
    let response = world.proxy.get("/round").await?;
    assert_eq!(response.refusal(), (508, "loop_detected".into()));
    let lines = world.proxy.access_log().wait(17).await?;
    assert!(lines.len() <= 18, "16 hops and the refused one: {}", lines.len());
    Ok(())
}
