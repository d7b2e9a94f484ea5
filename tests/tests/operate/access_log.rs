//! The access log: its fields, its secrets, and the reason that every other place gives too.

use anyhow::Context;
use futures::FutureExt;
use weir_tests::upstream::{Refusing, Silent};
use weir_tests::{Claim, Request, Setup, Upstream, World, until};

use crate::{BOTH, SECRET};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test]
async fn a_line_has_the_fields_of_the_contract() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let mesh = format!("[[routes.papers.rules]]\nname = 'search'\nmatch = ['/v1/*']\nto = 'a'\n{}", upstream.table());
    let proxy = Setup::new(mesh)?.listener("edge", BOTH)?.start().await?;
    let request = Request::post("/v1/%7Eone?q=two&token=x", "a body")
        .host("api.test:8080")
        .header("x-request-id", "mine-17")
        .header("traceparent", &format!("00-{TRACE}-b7ad6b7169203331-01"));
    let (one, two) = (proxy.h1().await?.send(&request).await?, proxy.h2().await?.send(&request).await?);
    let version = proxy.version().await?.to_string();
    let lines = proxy.access_log().wait(2).await?;
    for (response, http) in [(one, "1.1"), (two, "2")] {
        // Workers write in their own time, so the order of lines is not that of requests.
        let line = lines.iter().find(|line| line.text("http.version") == http).context(http)?;
        let body = response.body.len().to_string();
        let (endpoint, edge) = (upstream.address().to_string(), proxy.edge().port().to_string());
        for (field, expected) in [
            ("ecs.version", "8.17.0"),
            ("http.request.method", "POST"),
            ("url.domain", "api.test"),
            ("url.path", "/v1/%7Eone"),
            ("url.query", "q=two&token=REDACTED"),
            ("http.version", http),
            ("http.response.status_code", "200"),
            ("http.request.body.bytes", "6"),
            ("http.response.body.bytes", &body),
            ("http.request.id", "mine-17"),
            ("client.ip", "127.0.0.1"),
            ("source.ip", "127.0.0.1"),
            ("destination.ip", "127.0.0.1"),
            ("destination.port", &edge),
            ("trace.id", TRACE),
            ("labels.listener", "edge"),
            ("labels.route", "papers"),
            ("labels.rule", "search"),
            ("labels.upstream", "a"),
            ("labels.endpoint", &endpoint),
            ("labels.reason", "ok"),
            ("labels.attempts", "1"),
            ("labels.version", &version),
            ("labels.driver", "pingora"),
        ] {
            assert_eq!(line.text(field), expected, "{field} over HTTP/{http}: {line:?}");
        }
        assert!(line.get("event.duration").and_then(|value| value.as_u64()).is_some_and(|nanos| nanos > 0), "{line:?}");
        assert!(line.get("source.port").and_then(|port| port.as_u64()).is_some_and(|port| port > 0), "{line:?}");
        // 2026-11-23T20:51:00.123Z, so that lines sort.
        let at = line.text("@timestamp");
        assert!(at.len() >= 20 && at.as_bytes()[10] == b'T' && at.ends_with('Z'), "{at}");
    }
    Ok(())
}

#[tokio::test]
async fn the_client_is_who_trusted_hops_name_and_the_source_who_connected() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let keys = format!("{BOTH}\ntrusted_hops = ['127.0.0.0/8']");
    let proxy = Setup::new(upstream.mesh())?.listener("edge", &keys)?.start().await?;
    proxy.send(&Request::get("/x").header("x-forwarded-for", "203.0.113.7")).await?;
    let line = proxy.access_log().of_path("/x").await?;
    assert_eq!((line.text("client.ip").as_str(), line.text("source.ip").as_str()), ("203.0.113.7", "127.0.0.1"));
    Ok(())
}

#[tokio::test]
async fn secrets_are_in_no_log() -> Claim {
    let upstream = Upstream::scripted("a", |x| {
        async move { x.answer(200, &[("set-cookie", "session=S3CR3T"), ("x-answer", "yes")], b"S3CR3T").await }.boxed()
    })
    .await?;
    let other = Upstream::h1("b").await?;
    let mesh = format!(
        r#"
        [[routes.all.rules]]
        to = {{ a = 1, b = 1 }}
        sticky = {{ cookie = "split" }}
        filters = [
            {{ kind = "log_fields", fields = {{ "user_agent.original" = "header:user-agent", "labels.lang" = "query:lang" }} }},
            {{ kind = "rate_limit", key = "header:x-api-key", rate = "1000/s" }},
            {{ kind = "panic" }},
        ]
        [[routes.own.rules]]
        match = ["/moved/*"]
        redirect = {{ status = 302, path = "/elsewhere" }}
        [[routes.own.rules]]
        match = ["/denied/*"]
        to = "a"
        filters = [{{ kind = "deny", methods = ["GET"] }}]
        {}{}"#,
        upstream.table(),
        other.table()
    );
    let setup = Setup::new(mesh)?.listener("edge", &format!("{BOTH}\nlimits.uri_bytes = '2KiB'"))?;
    let proxy = setup.bootstrap("telemetry.secret_query = ['pin', 'X-Mine']")?.start().await?;
    let log_level = Request::new("PUT", "/log").host("localhost").header("content-type", "application/json");
    let mut admin = weir_tests::H1::connect(proxy.address("admin")).await?;
    let changed = admin.send(&Request { body: br#"{"level":"trace"}"#.to_vec(), ..log_level }).await?;
    assert_eq!(changed.status, 200, "{}", changed.text());

    let (two, mut sent) = (proxy.h2().await?, 0);
    let queries = [
        "token=S3CR3T",
        "a=1&API_KEY=S3CR3T&lang=en",
        "access-token=S3CR3T;sig=S3CR3T",
        "user[password]=S3CR3T",
        "%74oken=S3CR3T",
        "pin=S3CR3T&x_mine=S3CR3T",
        "code=S3CR3T&code=S3CR3T",
    ];
    for path in ["/one", "/moved/one", "/denied/one", "/..;/%00", "/panics"] {
        for query in queries {
            let mut request = Request::get(&format!("{path}?{query}"))
                .header("authorization", "Bearer S3CR3T")
                .header("proxy-authorization", "Basic S3CR3T")
                .header("cookie", "session=S3CR3T; split=S3CR3T")
                .header("x-api-key", SECRET)
                .header("user-agent", "curl/8");
            if path == "/panics" {
                request = request.header("x-panic", "1");
            }
            // Whatever is answered.
            proxy.send(&request).await?;
            two.send(&request).await?;
            sent += 2;
        }
    }
    let long = format!("GET /long?token=S3CR3T{} HTTP/1.1\r\nhost: a\r\n\r\n", SECRET.repeat(1000));
    for head in [
        "GET /refused?token=S3CR3T HTTP/1.1\r\n\r\n",
        "GET /refused?a=b&token=S3CR3T#x HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /refused?token=S3CR3T S3CR3T HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /refused?token=S3CR3T HTTP/1.1\r\nhost: me:S3CR3T@a\r\n\r\n",
        "GET http://me:S3CR3T@a/refused?token=S3CR3T HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /refused HTTP/1.1\r\nhost: a\r\nauthorization: Bearer S3CR3T\r\ncookie : S3CR3T\r\n\r\n",
        "GET /refused#access_token=S3CR3T HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http://me:S3CR3T@a HTTP/1.1\r\n\r\n",
        "CONNECT me:S3CR3T@a:443 HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /refused?token=S3CR3T HTTP/3.0\r\nhost: a\r\n\r\n",
        &long,
    ] {
        let mut client = proxy.h1().await?;
        client.write(head).await?;
        let answer = client.response("GET").await?;
        assert!((400..600).contains(&answer.status), "{head}: {}", answer.status);
        sent += 1;
    }
    let lines = proxy.access_log().wait(sent).await?;
    assert_eq!(lines.len(), sent);
    let log = proxy.access_log().text();
    for line in log.lines().chain(proxy.process.output().lines()) {
        assert!(!line.contains(SECRET), "{line}");
    }
    assert!(log.contains("REDACTED") && log.contains("curl/8") && log.contains("\"en\""), "the rest is there");
    Ok(())
}

#[tokio::test]
async fn the_reason_is_one_word_in_log_metric_and_problem() -> Claim {
    let a = Upstream::scripted("a", |x| {
        async move {
            match x.path() {
                "/upstream_reset" => x.hang_up(),
                "/upstream_timeout" | "/request_timeout" => x.given_up().await,
                _ => x.echo().await,
            }
        }
        .boxed()
    })
    .await?;
    let (refusing, silent) = (Refusing::new()?, Silent::new().await?);
    let mesh = format!(
        r#"
        [routes.all]
        hosts = ["known.test"]
        [[routes.all.rules]]
        match = ["/connect_fail"]
        to = "dead"
        [[routes.all.rules]]
        match = ["/connect_timeout"]
        to = "silent"
        [[routes.all.rules]]
        match = ["/no_healthy"]
        to = "nowhere"
        [[routes.all.rules]]
        match = ["/upstream_timeout"]
        to = "a"
        attempt_timeout = "100ms"
        [[routes.all.rules]]
        match = ["/request_timeout"]
        to = "a"
        timeout = "100ms"
        [[routes.all.rules]]
        match = ["/virtual_patch"]
        to = "a"
        filters = [{{ kind = "deny", methods = ["POST"] }}]
        [[routes.all.rules]]
        match = ["/rate_limited"]
        to = "a"
        filters = [{{ kind = "rate_limit", rate = "1/h", burst = 1 }}]
        [[routes.all.rules]]
        match = ["/internal"]
        to = "a"
        filters = [{{ kind = "panic" }}]
        [[routes.all.rules]]
        match = ["/*"]
        to = "a"
        [upstreams.dead]
        endpoints = ["{}"]
        [upstreams.silent]
        endpoints = ["{}"]
        connect_timeout = "100ms"
        [upstreams.nowhere]
        dns = "nothing.invalid:80"
        {}"#,
        refusing.address(),
        silent.address(),
        a.table()
    );
    let limits = "limits = { uri_bytes = '1KiB', header_bytes = '8KiB', headers = 20, body_bytes = '1KiB' }";
    let proxy = Setup::new(mesh)?.listener("edge", &format!("{BOTH}\n{limits}"))?.start().await?;
    let refused = |path: &str| Request::post(path, "x").host("known.test");
    let (long, hops) = ("y".repeat(2000), ["1.1 weir"; 16].join(", "));
    let many = (0..30).fold(refused("/header_too_large"), |request, n| request.header(&format!("x-{n}"), "y"));
    // A probe first, so that what a rule gives away is gone.
    while proxy.send(&refused("/rate_limited")).await?.status == 200 {}
    for (status, reason, request) in [
        (404, "no_route", refused("/no_route").host("other.test")),
        (503, "no_healthy", refused("/no_healthy")),
        (502, "connect_fail", refused("/connect_fail")),
        (504, "connect_timeout", refused("/connect_timeout")),
        (502, "upstream_reset", refused("/upstream_reset")),
        (504, "upstream_timeout", refused("/upstream_timeout")),
        (504, "request_timeout", refused("/request_timeout")),
        (403, "virtual_patch", refused("/virtual_patch")),
        (400, "bad_request", refused("/bad_request%00")),
        (431, "header_too_large", many),
        (414, "uri_too_long", refused(&format!("/uri_too_long?{long}"))),
        (413, "body_too_large", Request { body: long.clone().into_bytes(), ..refused("/body_too_large") }),
        (508, "loop_detected", refused("/loop_detected").header("via", &hops)),
        (500, "internal", refused("/internal").header("x-panic", "1")),
        (429, "rate_limited", refused("/rate_limited")),
    ] {
        for http in [1, 2] {
            let labels = [("reason", reason)];
            let before = proxy.metrics().await?.sum("weir_requests_total", &labels);
            let id = format!("{reason}-{http}");
            let request = request.clone().header("x-request-id", &id);
            let response = match http {
                1 => proxy.h1().await?.send(&request).await?,
                _ => proxy.h2().await?.send(&request).await?,
            };
            assert_eq!(response.refusal(), (status, reason.to_owned()), "over HTTP/{http}");
            let id = response.header("x-request-id").unwrap_or(&id).to_owned();
            let lines = || proxy.access_log().lines().into_iter();
            let line = until("its line", || lines().find(|line| line.text("http.request.id") == id)).await?;
            assert_eq!((line.reason().as_str(), line.status()), (reason, status.to_string()), "over HTTP/{http}");
            proxy.metric_becomes("weir_requests_total", &labels, |now| now == before + 1.0).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_log_and_the_problem_name_the_same_request() -> Claim {
    let world = World::start(&[], "[[routes.r.rules]]\nmatch = ['/only']\nreply = { status = 204 }").await?;
    let mut client = world.proxy.h1().await?;
    client.write("GET /refused HTTP/1.1\r\n\r\n").await?;
    for response in [client.response("GET").await?, world.proxy.get("/nowhere").await?] {
        let body: serde_json::Value = response.json()?;
        let id = body["request_id"].as_str().unwrap_or_default().to_owned();
        assert!(!id.is_empty() && response.header("x-request-id") == Some(&id), "{body}");
        until("its line", || {
            world.proxy.access_log().lines().into_iter().find(|line| line.text("http.request.id") == id)
        })
        .await?;
    }
    Ok(())
}
