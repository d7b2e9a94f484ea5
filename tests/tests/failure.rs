//! What happens when an upstream, a client or a filter fails: the status, the reason, what is tried again and what
//! never is.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::FutureExt;
use serde_json::Value;
use tokio::sync::Semaphore;
use weir_tests::message::Response;
use weir_tests::upstream::{Refusing, Silent, sha256};
use weir_tests::{Claim, Exchange, Proxy, Request, Setup, Upstream, World, patiently, until};

/// A route of everything to `name`, with more keys in its rule, and that upstream's endpoints.
fn mesh_to(endpoints: &[std::net::SocketAddr], rule: &str, upstream: &str) -> String {
    let endpoints: Vec<_> = endpoints.iter().map(|address| format!("\"{address}\"")).collect();
    format!(
        "[[routes.all.rules]]\nto = \"a\"\n{rule}\n[upstreams.a]\nendpoints = [{}]\n{upstream}\n",
        endpoints.join(", ")
    )
}

fn refusal(response: &Response) -> (u16, &'static str) {
    let known = [
        "no_route",
        "no_healthy",
        "connect_fail",
        "connect_timeout",
        "upstream_reset",
        "upstream_timeout",
        "request_timeout",
        "retry_exhausted",
        "budget_exhausted",
        "internal",
    ];
    let reason = response.reason().unwrap_or_default();
    (response.status, known.into_iter().find(|word| *word == reason).unwrap_or("another reason"))
}

/// The access log's reason for a path.
async fn logged(proxy: &Proxy, path: &str) -> anyhow::Result<String> {
    Ok(proxy.access_log().of_path(path).await?.reason())
}

#[tokio::test]
async fn a_local_reply_is_a_problem_document() -> Claim {
    let world = World::start(&[], "[[routes.r.rules]]\nmatch = ['/only']\nreply = { status = 204 }").await?;
    let response = world.send(&Request::get("/nowhere").header("x-request-id", "mine-17")).await?;
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    assert_eq!(response.header("x-request-id"), Some("mine-17"));
    let body: Value = response.json()?;
    assert_eq!((&body["status"], &body["reason"]), (&404.into(), &"no_route".into()));
    assert_eq!(body["request_id"], "mine-17");
    for key in ["type", "title"] {
        assert!(body[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {body}");
    }
    let everything = format!("{:?}{}", response.headers, response.text()).to_lowercase();
    assert!(!everything.contains("pingora") && !everything.contains(".rs"), "no internals: {everything}");
    let head = world.send(&Request::new("HEAD", "/nowhere")).await?;
    assert_eq!((head.status, head.body.len()), (404, 0));
    Ok(())
}

#[tokio::test]
async fn an_upstream_without_an_endpoint_is_503_no_healthy() -> Claim {
    let proxy = Proxy::start("[[routes.all.rules]]\nto = 'a'\n[upstreams.a]\ndns = 'nothing.invalid:80'").await?;
    assert_eq!(refusal(&proxy.get("/x").await?), (503, "no_healthy"));
    assert_eq!(logged(&proxy, "/x").await?, "no_healthy");
    Ok(())
}

#[tokio::test]
async fn trap_9_a_refused_connect_is_tried_once_more_on_another_endpoint() -> Claim {
    let (good, dead) = (Upstream::h1("a").await?, Refusing::new()?);
    let proxy = Proxy::start(mesh_to(&[dead.address(), good.address()], "", "")).await?;
    let mut sent = 0;
    let line = loop {
        let body = format!("body {sent}");
        let response = proxy.send(&Request::post("/x", body.as_str())).await?;
        assert_eq!(response.echo()?.body_sha256, sha256(body.as_bytes()), "a body that nobody read yet goes along");
        sent += 1;
        let lines = proxy.access_log().wait(sent).await?;
        if let Some(line) = lines.into_iter().find(|line| line.text("labels.attempts") == "2") {
            break line;
        }
        assert!(sent < 25, "the dead endpoint was never chosen");
    };
    assert_eq!(line.reason(), "ok");
    assert_eq!(line.text("labels.endpoint"), good.address().to_string());
    proxy.metric_becomes("weir_retries_total", &[("upstream", "a")], |count| count >= 1.0).await?;
    Ok(())
}

#[tokio::test]
async fn where_every_endpoint_refuses_it_is_502_connect_fail() -> Claim {
    let (one, two) = (Refusing::new()?, Refusing::new()?);
    let proxy = Proxy::start(mesh_to(&[one.address(), two.address()], "", "")).await?;
    assert_eq!(refusal(&proxy.get("/x").await?), (502, "connect_fail"));
    let line = proxy.access_log().of_path("/x").await?;
    assert_eq!((line.reason().as_str(), line.text("labels.attempts").as_str()), ("connect_fail", "2"));
    proxy.metric_becomes("weir_attempts_total", &[("upstream", "a")], |count| count == 2.0).await?;
    Ok(())
}

#[tokio::test]
async fn retries_stay_within_their_budget() -> Claim {
    let (one, two) = (Refusing::new()?, Refusing::new()?);
    let proxy = Proxy::start(mesh_to(&[one.address(), two.address()], "", "")).await?;
    for _ in 0..400 {
        assert_eq!(proxy.get("/").await?.status, 502);
    }
    let metrics = proxy.metrics().await?;
    let attempts = metrics.sum("weir_attempts_total", &[("upstream", "a")]);
    // 20 % of the requests, or 3 a second over 10 s; never one retry for each request.
    assert!((401.0..=400.0 + 80.0 + 31.0).contains(&attempts), "{attempts}");
    Ok(())
}

#[tokio::test]
async fn a_connect_without_an_answer_ends_at_the_connect_timeout() -> Claim {
    let silent = Silent::new().await?;
    let proxy = Proxy::start(mesh_to(&[silent.address()], "", "connect_timeout = '150ms'")).await?;
    assert_eq!(refusal(&proxy.get("/x").await?), (504, "connect_timeout"));
    assert_eq!(logged(&proxy, "/x").await?, "connect_timeout");
    Ok(())
}

/// Answers the first request of each connection and hangs up on the second: a kept connection that proves dead.
async fn dies_when_reused(seen: Arc<Mutex<HashSet<u64>>>, x: &mut Exchange) -> io::Result<()> {
    let fresh = seen.lock().is_ok_and(|mut seen| seen.insert(x.request.connection));
    match fresh {
        true => x.echo().await,
        false => x.hang_up(),
    }
}

async fn dying() -> anyhow::Result<Upstream> {
    let seen = Arc::new(Mutex::new(HashSet::new()));
    Upstream::scripted("a", move |x| dies_when_reused(seen.clone(), x).boxed()).await
}

#[tokio::test]
async fn trap_8_a_kept_connection_that_proves_dead_is_tried_again_for_idempotent_methods() -> Claim {
    for request in
        [Request::get("/again"), Request::new("DELETE", "/again"), Request { method: "PUT".into(), ..put(60_000) }]
    {
        let upstream = dying().await?;
        let proxy = Proxy::start(mesh_to(&[upstream.address()], "", "")).await?;
        let mut client = proxy.h1().await?;
        assert_eq!(client.send(&Request::get("/warm")).await?.status, 200);
        let response = client.send(&request).await?;
        assert_eq!(response.status, 200, "{}: {}", request.method, response.text());
        assert_eq!(response.echo()?.body_sha256, sha256(&request.body));
        let tries = upstream.requests().iter().filter(|seen| seen.target == "/again").count();
        assert_eq!(tries, 2, "{}", request.method);
    }
    Ok(())
}

fn put(length: usize) -> Request {
    Request::post("/again", (0..length).map(|n| (n % 251) as u8).collect::<Vec<_>>())
}

#[tokio::test]
async fn trap_8_a_post_is_never_replayed() -> Claim {
    for method in ["POST", "PATCH"] {
        for length in [0, 20, 200_000] {
            let upstream = dying().await?;
            let proxy = Proxy::start(mesh_to(&[upstream.address()], "", "")).await?;
            let mut client = proxy.h1().await?;
            assert_eq!(client.send(&Request::get("/warm")).await?.status, 200);
            let response = client.send(&Request { method: method.into(), ..put(length) }).await?;
            assert_eq!(refusal(&response), (502, "upstream_reset"), "{method} {length}");
            let tries = upstream.requests().iter().filter(|seen| seen.target == "/again").count();
            assert_eq!(tries, 1, "{method} {length}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn trap_8_a_body_too_long_to_keep_is_never_replayed_in_part() -> Claim {
    let upstream = dying().await?;
    let proxy = Proxy::start(mesh_to(&[upstream.address()], "", "")).await?;
    let mut client = proxy.h1().await?;
    assert_eq!(client.send(&Request::get("/warm")).await?.status, 200);
    let request = Request { method: "PUT".into(), ..put(1_000_000) };
    // Whether it could be tried again depends on how much went out; what arrives whole must be right.
    let response = client.send(&request).await?;
    assert!(response.status == 502 || response.echo()?.body_sha256 == sha256(&request.body), "{}", response.status);
    for seen in upstream.requests().iter().filter(|seen| !seen.body_sha256.is_empty() && seen.target == "/again") {
        assert_eq!(seen.body_sha256, sha256(&request.body), "an upstream took a part for the whole");
    }
    Ok(())
}

/// Sends the head and ten bytes, and breaks off once the test says so.
async fn breaks_off(broken: Arc<Semaphore>, x: &mut Exchange) -> io::Result<()> {
    x.drain().await?;
    match x.path() {
        "/length" => x.head(200, &[("content-length", "100")]).await?,
        _ => x.head(200, &[]).await?,
    }
    x.send("ten bytes.").await?;
    broken.acquire().await.map_err(io::Error::other)?.forget();
    x.reset()
}

#[tokio::test]
async fn trap_17_an_answer_cut_after_its_head_is_cut_for_the_client_and_not_tried_again() -> Claim {
    let broken = Arc::new(Semaphore::new(0));
    let (first, second) = (broken.clone(), broken.clone());
    let one = Upstream::scripted("a", move |x| breaks_off(first.clone(), x).boxed()).await?;
    let two = Upstream::scripted_h2("b", move |x| breaks_off(second.clone(), x).boxed()).await?;
    let mesh = format!(
        "[routes.one]\nhosts = ['one.test']\n[[routes.one.rules]]\nto = 'a'\n\
         [routes.two]\nhosts = ['two.test']\n[[routes.two.rules]]\nto = 'b'\n{}{}protocol = 'h2'\n",
        one.table(),
        two.table()
    );
    let proxy = Setup::new(mesh)?.listener("edge", "default = true\nh2c = true")?.start().await?;
    for host in ["one.test", "two.test"] {
        for target in ["/length", "/chunked"] {
            let request = Request::get(target).host(host);
            let mut client = proxy.h1().await?;
            client.write(request.bytes()).await?;
            let mut response = client.head("GET").await?;
            assert_eq!(client.chunk(&mut response).await?, Some(Bytes::from("ten bytes.")));
            broken.add_permits(1);
            let end = client.chunk(&mut response).await;
            assert!(end.is_err(), "{host}{target}: the client got {end:?} and took that for a whole answer");

            let client = proxy.h2().await?;
            let mut open = client.open(&request, true).await?;
            let mut response = open.head().await?;
            assert_eq!(open.chunk(&mut response).await?, Some(Bytes::from("ten bytes.")));
            broken.add_permits(1);
            let end = open.chunk(&mut response).await;
            assert!(end.is_err(), "{host}{target} over HTTP/2: {end:?}");
        }
    }
    assert_eq!((one.ledger().count(), two.ledger().count()), (4, 4), "each request once");
    for line in proxy.access_log().wait(8).await? {
        assert_eq!((line.reason().as_str(), line.status().as_str()), ("upstream_reset", "200"));
    }
    Ok(())
}

#[tokio::test]
async fn an_upstream_that_hangs_up_or_talks_nonsense_is_502_upstream_reset() -> Claim {
    let upstream = Upstream::scripted("a", |x| {
        async move {
            x.drain().await?;
            let nonsense: &[u8] = match x.path() {
                "/nothing" => return x.hang_up(),
                "/reset" => return x.reset(),
                "/half" => b"HTTP/1.1 200 OK\r\ncontent-le",
                "/garbage" => b"\x16\x03\x01\x02\x00 nonsense\r\n\r\n",
                _ => b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
            };
            tokio::io::AsyncWriteExt::write_all(&mut x.raw()?.io, nonsense).await?;
            x.hang_up()
        }
        .boxed()
    })
    .await?;
    let proxy = Proxy::start(mesh_to(&[upstream.address()], "", "")).await?;
    for target in ["/nothing", "/reset", "/half", "/garbage", "/two-lengths"] {
        let response = proxy.send(&Request::post(target, "x")).await?;
        assert_eq!(refusal(&response), (502, "upstream_reset"), "{target}");
    }
    Ok(())
}

async fn hangs(x: &mut Exchange) -> io::Result<()> {
    match x.path() {
        "/after-head" => {
            x.head(200, &[]).await?;
            x.send("some").await?;
        }
        "/fast" => return x.answer(200, &[], b"fast").await,
        _ => {}
    }
    x.given_up().await
}

#[tokio::test]
async fn the_time_of_a_request_ends_it_with_504_and_lets_the_upstream_go() -> Claim {
    let upstream = Upstream::scripted("a", |x| hangs(x).boxed()).await?;
    let proxy = Proxy::start(mesh_to(&[upstream.address()], "timeout = '250ms'", "")).await?;
    assert_eq!(refusal(&proxy.get("/hang").await?), (504, "request_timeout"));
    assert_eq!(logged(&proxy, "/hang").await?, "request_timeout");
    until("the upstream to be let go", || (upstream.ledger().given_up() == 1).then_some(())).await?;

    let cut = proxy.get("/after-head").await;
    assert!(cut.is_err(), "the time holds for the body, too: {cut:?}");
    let reason = logged(&proxy, "/after-head").await?;
    assert!(["request_timeout", "upstream_reset"].contains(&reason.as_str()), "{reason}");
    until("the upstream to be let go", || (upstream.ledger().given_up() == 2).then_some(())).await?;
    assert_eq!(proxy.get("/fast").await?.status, 200);
    proxy.metric_becomes("weir_inflight", &[("upstream", "a")], |now| now == 0.0).await?;
    Ok(())
}

#[tokio::test]
async fn the_time_of_an_attempt_ends_it_with_504() -> Claim {
    let upstream = Upstream::scripted("a", |x| hangs(x).boxed()).await?;
    let proxy = Proxy::start(mesh_to(&[upstream.address()], "attempt_timeout = '200ms'", "")).await?;
    assert_eq!(refusal(&proxy.get("/hang").await?), (504, "upstream_timeout"));
    assert_eq!(logged(&proxy, "/hang").await?, "upstream_timeout");
    until("the upstream to be let go", || (upstream.ledger().given_up() >= 1).then_some(())).await?;
    Ok(())
}

#[tokio::test]
async fn an_answer_that_pauses_longer_than_the_idle_time_is_cut() -> Claim {
    pauses(Upstream::scripted("a", |x| hangs(x).boxed()).await?, "").await
}

#[tokio::test]
async fn an_answer_of_an_http2_upstream_that_pauses_longer_than_the_idle_time_is_cut() -> Claim {
    pauses(Upstream::scripted_h2("a", |x| hangs(x).boxed()).await?, "protocol = 'h2'").await
}

async fn pauses(upstream: Upstream, protocol: &str) -> Claim {
    let rule = "timeout = '0s'\nidle_timeout = '250ms'";
    let proxy = Proxy::start(mesh_to(&[upstream.address()], rule, protocol)).await?;
    let cut = proxy.get("/after-head").await;
    assert!(cut.is_err(), "{cut:?}");
    let reason = logged(&proxy, "/after-head").await?;
    assert!(["upstream_timeout", "upstream_reset"].contains(&reason.as_str()), "{reason}");
    until("the upstream to be let go", || (upstream.ledger().given_up() == 1).then_some(())).await?;
    Ok(())
}

#[tokio::test]
async fn an_upstream_that_takes_nothing_ends_the_request_at_the_idle_timeout() -> Claim {
    let upstream = Upstream::scripted("a", |x| {
        async move {
            futures::future::pending::<()>().await; // Reads no byte of the body.
            x.hang_up()
        }
        .boxed()
    })
    .await?;
    let proxy =
        Proxy::start(mesh_to(&[upstream.address()], "idle_timeout = '250ms'", "write_timeout = '250ms'")).await?;
    let request = Request::post("/x", vec![0; 30_000_000]);
    let response = patiently("the write timeout", proxy.send(&request)).await??;
    assert_eq!(refusal(&response), (504, "upstream_timeout"));
    Ok(())
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_at_the_write_timeout() -> Claim {
    let upstream = Upstream::scripted("a", |x| {
        async move {
            x.head(200, &[]).await?;
            loop {
                x.send(vec![0; 65_536]).await?; // Until the proxy gives up.
            }
        }
        .boxed()
    })
    .await?;
    let keys = "default = true\nh2c = true\nlimits.write_timeout = '250ms'";
    let proxy = Setup::new(upstream.mesh())?.listener("edge", keys)?.start().await?;
    let mut one = proxy.h1().await?;
    one.write(Request::get("/one").bytes()).await?;
    let two = proxy.h2().await?;
    let mut stalled = two.open(&Request::get("/two"), true).await?;
    let _head = stalled.head().await?;
    for path in ["/one", "/two"] {
        let reason = logged(&proxy, path).await?;
        assert!(["slow_client", "client_gone"].contains(&reason.as_str()), "{path}: {reason}");
    }
    until("the upstream to be let go", || (upstream.ledger().in_flight() == 0).then_some(())).await?;
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_with_it() -> Claim {
    leaves(Upstream::scripted("a", |x| hangs(x).boxed()).await?, "").await
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_stream_to_an_http2_upstream_with_it() -> Claim {
    leaves(Upstream::scripted_h2("a", |x| hangs(x).boxed()).await?, "protocol = 'h2'").await
}

async fn leaves(upstream: Upstream, protocol: &str) -> Claim {
    let setup = Setup::new(mesh_to(&[upstream.address()], "", protocol))?;
    let setup = setup.listener("edge", "default = true\nh2c = true")?;
    let proxy = setup.start().await?;
    let two = proxy.h2().await?;
    for (count, path) in [(1, "/h1-before-head"), (2, "/after-head"), (3, "/h2-before-head")] {
        let request = Request::get(path);
        match path {
            "/h2-before-head" => {
                let open = two.open(&request, true).await?;
                upstream.received(count).await?;
                open.cancel();
            }
            _ => {
                let mut client = proxy.h1().await?;
                client.write(request.bytes()).await?;
                upstream.received(count).await?;
                if path == "/after-head" {
                    // Goes with a FIN, which may also mean that it still listens: that takes the proxy a while.
                    client.head("GET").await?;
                } else {
                    client.reader.io.reset_on_close();
                }
            }
        }
        until("the upstream to be let go", || (upstream.ledger().given_up() == count).then_some(())).await?;
        assert_eq!(logged(&proxy, path).await?, "client_gone", "{path}");
    }
    assert_eq!(two.send(&Request::get("/fast")).await?.status, 200, "other streams are not touched");
    proxy.metric_becomes("weir_inflight", &[("upstream", "a")], |now| now == 0.0).await?;
    Ok(())
}

#[tokio::test]
async fn a_client_that_ends_only_its_sending_side_gets_its_answer() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let proxy = Proxy::start(upstream.mesh()).await?;
    let mut client = proxy.h1().await?;
    client.write(Request::post("/x", "all of it").bytes()).await?;
    client.half_close().await?;
    assert_eq!(client.response("POST").await?.echo()?.body_length, 9);
    Ok(())
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_upload_reaches_the_client() -> Claim {
    let upstream = Upstream::scripted("a", |x| {
        async move {
            x.head(403, &[("content-length", "2"), ("connection", "close")]).await?;
            x.send("no").await?;
            x.hang_up()
        }
        .boxed()
    })
    .await?;
    let setup = Setup::new(upstream.mesh())?.listener("edge", "default = true\nh2c = true")?;
    let proxy = setup.start().await?;
    let request = Request::new("POST", "/early");
    let mut client = proxy.h1().await?;
    client.write(request.head("content-length: 1000000\r\n")).await?;
    client.write(vec![0; 1000]).await?;
    let response = client.response("POST").await?;
    assert_eq!((response.status, response.text().as_str()), (403, "no"));

    let two = proxy.h2().await?;
    let mut open = two.open(&request, false).await?;
    open.write(Bytes::from(vec![0; 1000]), false).await?;
    let response = open.response().await?;
    assert_eq!((response.status, response.text().as_str()), (403, "no"));
    Ok(())
}

#[tokio::test]
async fn a_panic_in_a_filter_ends_only_its_request() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let mesh = upstream.mesh_with("filters = [{ kind = 'panic' }]");
    let mut proxy = Setup::new(mesh)?.listener("edge", "default = true\nh2c = true")?.start().await?;
    let (mut one, two) = (proxy.h1().await?, proxy.h2().await?);
    assert_eq!(one.send(&Request::get("/before")).await?.status, 200);
    assert_eq!(two.send(&Request::get("/before")).await?.status, 200);

    let panicked = proxy.send(&Request::get("/panic-one").header("x-panic", "1")).await?;
    assert_eq!(refusal(&panicked), (500, "internal"));
    let panicked = two.send(&Request::get("/panic-two").header("x-panic", "1")).await?;
    assert_eq!(refusal(&panicked), (500, "internal"));
    for path in ["/panic-one", "/panic-two"] {
        assert_eq!(logged(&proxy, path).await?, "internal");
    }
    assert_eq!(one.send(&Request::get("/after")).await?.status, 200, "another connection");
    assert_eq!(two.send(&Request::get("/after")).await?.status, 200, "another stream of the same connection");
    proxy.metric_becomes("weir_panics_total", &[], |count| count == 2.0).await?;
    let requests = proxy.metrics().await?;
    assert_eq!(requests.sum("weir_requests_total", &[("reason", "internal"), ("code_class", "5xx")]), 2.0);
    proxy.process.must_live()
}

#[tokio::test]
async fn a_reset_stream_of_an_http2_upstream_leaves_the_others_alone() -> Claim {
    let upstream = Upstream::scripted_h2("a", |x| {
        async move {
            match x.path() {
                "/bad" => x.reset(),
                _ => x.echo().await,
            }
        }
        .boxed()
    })
    .await?;
    let proxy = Proxy::start(mesh_to(&[upstream.address()], "", "protocol = 'h2'")).await?;
    for _ in 0..5 {
        assert_eq!(proxy.get("/good").await?.status, 200);
        assert_eq!(refusal(&proxy.send(&Request::post("/bad", "x")).await?), (502, "upstream_reset"));
    }
    Ok(())
}
