//! The headers that the proxy writes, keeps and takes away.

use futures::FutureExt;
use weir_tests::upstream::Received;
use weir_tests::{Authority, Claim, H2, Proxy, Request, Setup, Upstream, authority};

async fn edge(keys: &str) -> anyhow::Result<(Proxy, Upstream)> {
    let upstream = Upstream::h1("a").await?;
    let keys = format!("default = true\nh2c = true\n{keys}");
    Ok((Setup::new(upstream.mesh())?.listener("edge", &keys)?.start().await?, upstream))
}

/// What the upstream received of a request, over HTTP/1.1 and over HTTP/2.
async fn both(proxy: &Proxy, request: &Request) -> anyhow::Result<[Received; 2]> {
    let one = proxy.send(request).await?.echo()?;
    Ok([one, proxy.h2().await?.send(request).await?.echo()?])
}

#[tokio::test]
async fn the_upstream_learns_who_the_client_is() -> Claim {
    let (proxy, _upstream) = edge("").await?;
    for echo in both(&proxy, &Request::get("/").host("shop.test:8080")).await? {
        assert_eq!(echo.all("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(echo.all("x-forwarded-proto"), ["http"]);
        assert_eq!(echo.all("x-forwarded-host"), ["shop.test:8080"]);
        let forwarded = echo.header("forwarded").unwrap_or_default().to_lowercase();
        for part in ["for=127.0.0.1", "proto=http", "host=\"shop.test:8080\""] {
            assert!(forwarded.contains(part), "{part}: {forwarded}");
        }
        assert_eq!((echo.authority.as_str(), echo.all("host").len()), ("shop.test:8080", 1));
    }
    Ok(())
}

#[tokio::test]
async fn over_tls_the_proto_is_https() -> Claim {
    let (ca, upstream) = (Authority::new("headers")?, Upstream::h1("a").await?);
    let setup = Setup::new(upstream.mesh())?;
    let files = ca.issue(&["edge.test"])?.write(setup.folder(), "edge")?;
    let keys = format!("default = true\ntls.certificates = [{files}]");
    let proxy = setup.listener("edge", &keys)?.start().await?;
    let client = H2::connect_tls(proxy.edge(), ca.client(authority::H2)?, "edge.test").await?;
    let echo = client.send(&Request::get("/").host("edge.test")).await?.echo()?;
    assert_eq!(echo.all("x-forwarded-proto"), ["https"]);
    assert!(echo.header("forwarded").is_some_and(|line| line.contains("proto=https")), "{echo:?}");
    Ok(())
}

fn claims() -> Request {
    Request::get("/")
        .header("x-forwarded-for", "203.0.113.9")
        .header("x-forwarded-for", "198.51.100.7")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "claimed.test")
        .header("forwarded", "for=203.0.113.9;proto=https")
}

#[tokio::test]
async fn what_a_stranger_claims_about_itself_is_replaced() -> Claim {
    let (proxy, _upstream) = edge("trusted_hops = ['10.0.0.0/8']").await?;
    for echo in both(&proxy, &claims()).await? {
        assert_eq!(echo.all("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(echo.all("x-forwarded-proto"), ["http"]);
        assert_eq!(echo.all("x-forwarded-host"), ["test.example"]);
        let everything = format!("{:?}", echo.headers);
        assert!(!everything.contains("203.0.113.9") && !everything.contains("claimed.test"), "{everything}");
    }
    assert_eq!(proxy.access_log().wait(2).await?[0].text("client.ip"), "127.0.0.1");
    Ok(())
}

#[tokio::test]
async fn what_a_trusted_hop_says_is_kept_and_continued() -> Claim {
    let (proxy, _upstream) = edge("trusted_hops = ['127.0.0.0/8', '::1', '198.51.100.0/24']").await?;
    for echo in both(&proxy, &claims()).await? {
        let hops = echo.all("x-forwarded-for").join(", ");
        assert_eq!(hops, "203.0.113.9, 198.51.100.7, 127.0.0.1");
        assert_eq!(echo.all("x-forwarded-proto"), ["https"]);
        assert_eq!(echo.all("x-forwarded-host"), ["claimed.test"]);
        let forwarded = echo.all("forwarded").join(", ");
        assert!(
            forwarded.starts_with("for=203.0.113.9;proto=https,") && forwarded.contains("for=127.0.0.1"),
            "{forwarded}"
        );
    }
    let line = &proxy.access_log().wait(2).await?[0];
    assert_eq!(line.text("client.ip"), "203.0.113.9", "the last hop that is not trusted");
    assert_eq!(line.text("source.ip"), "127.0.0.1", "who connected");
    Ok(())
}

#[tokio::test]
async fn hop_by_hop_headers_end_here() -> Claim {
    let (proxy, _upstream) = edge("").await?;
    let request = Request::get("/")
        .header("connection", "keep-alive, X-Nominated, x-other")
        .header("x-nominated", "1")
        .header("X-Other", "2")
        .header("keep-alive", "timeout=5")
        .header("proxy-connection", "keep-alive")
        .header("te", "gzip")
        .header("x-kept", "3");
    let echo = proxy.send(&request).await?.echo()?;
    for gone in ["x-nominated", "x-other", "keep-alive", "proxy-connection", "te", "upgrade"] {
        assert!(!echo.has(gone), "{gone}: {:?}", echo.headers);
    }
    let connection = echo.header("connection").unwrap_or_default().to_lowercase();
    assert!(!connection.contains("nominated"), "{connection}");
    assert_eq!(echo.header("x-kept"), Some("3"));
    Ok(())
}

#[tokio::test]
async fn a_client_cannot_nominate_away_what_the_upstream_must_hear() -> Claim {
    let (proxy, _upstream) = edge("").await?;
    let heard = ["x-forwarded-for", "x-forwarded-proto", "forwarded", "via", "x-request-id", "traceparent", "host"];
    for name in [&heard[..], &["content-length", "authorization"]].concat() {
        let request = Request::post("/", "body").header("authorization", "Bearer x").header("connection", name);
        let response = proxy.send(&request).await?;
        if response.status == 400 {
            continue; // Refusing such a request is as good.
        }
        let echo = response.echo()?;
        for heard in heard {
            assert!(echo.has(heard), "{heard} by {name}: {:?}", echo.headers);
        }
        assert_eq!(echo.body_length, 4, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn hop_by_hop_headers_of_an_answer_end_here() -> Claim {
    let upstream = Upstream::scripted("a", |x| {
        let lines = [
            ("connection", "x-private"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("server", "theirs"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
        ];
        async move { x.answer(200, &lines, b"body").await }.boxed()
    })
    .await?;
    let setup = Setup::new(upstream.mesh())?.listener("edge", "default = true\nh2c = true")?;
    let proxy = setup.start().await?;
    for response in [proxy.get("/").await?, proxy.h2().await?.send(&Request::get("/")).await?] {
        for gone in ["x-private", "keep-alive", "proxy-connection"] {
            assert_eq!(response.header(gone), None, "{response:?}");
        }
        assert_eq!(response.all("set-cookie"), ["a=1", "b=2"]);
        assert_eq!(response.all("server"), ["theirs"]);
    }
    Ok(())
}

#[tokio::test]
async fn identities_that_a_client_could_spoof_are_stripped() -> Claim {
    let (proxy, _upstream) = edge("").await?;
    let names =
        ["x-tenant", "X-Tenant-Id", "x-tenant-plan", "x-forwarded-client-cert", "x-spiffe-id", "X-SPIFFE-anything"];
    let request = names.iter().fold(Request::get("/"), |request, name| request.header(&name.to_lowercase(), "spoofed"));
    for echo in both(&proxy, &request.header("x-tenants", "no prefix of a word")).await? {
        for name in names {
            assert!(!echo.has(name), "{name}: {:?}", echo.headers);
        }
    }
    let mixed = names.iter().fold(Request::get("/"), |request, name| request.header(name, "spoofed"));
    let echo = proxy.send(&mixed).await?.echo()?;
    assert!(!format!("{:?}", echo.headers).contains("spoofed"), "{:?}", echo.headers);
    Ok(())
}

#[tokio::test]
async fn a_request_id_is_kept_or_made() -> Claim {
    let (proxy, _upstream) = edge("").await?;
    let mut made = std::collections::HashSet::new();
    for _ in 0..5 {
        for echo in both(&proxy, &Request::get("/")).await? {
            let id = echo.header("x-request-id").unwrap_or_default().to_owned();
            assert!(id.len() >= 16 && id.is_ascii(), "{id:?}");
            assert!(made.insert(id), "twice the same");
        }
    }
    for echo in both(&proxy, &Request::get("/").header("x-request-id", "client-id-1")).await? {
        assert_eq!(echo.all("x-request-id"), ["client-id-1"]);
    }
    let huge = Request::get("/").header("x-request-id", &"a".repeat(5_000));
    let echo = proxy.send(&huge).await?.echo()?;
    assert!(echo.header("x-request-id").is_some_and(|id| id.len() < 200), "an id is no place for 5 KB");
    let odd = Request::get("/").header("x-request-id", "a\"}\u{e4}<b>");
    let echo = proxy.send(&odd).await?.echo()?;
    assert!(echo.header("x-request-id").is_some_and(|id| id.is_ascii() && !id.contains('"')), "{echo:?}");
    Ok(())
}

#[tokio::test]
async fn a_trace_is_continued_or_begun() -> Claim {
    let (proxy, _upstream) = edge("").await?;
    let is_traceparent = |text: &str| {
        let parts: Vec<_> = text.split('-').collect();
        let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
        lengths == [2, 32, 16, 2] && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    for echo in both(&proxy, &Request::get("/")).await? {
        assert!(echo.header("traceparent").is_some_and(is_traceparent), "{echo:?}");
    }
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let request = Request::get("/traced")
        .header("traceparent", &format!("00-{trace}-b7ad6b7169203331-01"))
        .header("tracestate", "v=1");
    for echo in both(&proxy, &request).await? {
        let sent = echo.header("traceparent").unwrap_or_default();
        assert!(is_traceparent(sent) && sent.contains(trace) && sent.ends_with("-01"), "{sent}");
        assert_eq!(echo.header("tracestate"), Some("v=1"));
    }
    assert_eq!(proxy.access_log().of_path("/traced").await?.text("trace.id"), trace);
    for bad in ["00-00000000000000000000000000000000-b7ad6b7169203331-01", "nonsense", "00-0AF7-x-01"] {
        let echo = proxy.send(&Request::get("/").header("traceparent", bad)).await?.echo()?;
        let sent = echo.header("traceparent").unwrap_or_default();
        assert!(is_traceparent(sent) && sent != bad, "{bad}: {sent}");
        assert!(!sent.contains(&"0".repeat(32)), "{sent}");
    }
    Ok(())
}

#[tokio::test]
async fn each_hop_is_named_in_via() -> Claim {
    let (proxy, _upstream) = edge("").await?;
    let [one, two] = both(&proxy, &Request::get("/").header("via", "1.0 fred")).await?;
    assert_eq!(one.all("via").join(", "), "1.0 fred, 1.1 weir");
    assert_eq!(two.all("via").join(", "), "1.0 fred, 2 weir");
    Ok(())
}

#[tokio::test]
async fn cookies_of_http2_are_one_line_for_http1() -> Claim {
    let (proxy, _upstream) = edge("").await?;
    let request = Request::get("/").header("cookie", "a=1").header("cookie", "b=2").header("cookie", "c=3");
    let echo = proxy.h2().await?.send(&request).await?.echo()?;
    assert_eq!(echo.all("cookie"), ["a=1; b=2; c=3"], "RFC 9113 §8.2.3");
    Ok(())
}

#[tokio::test]
async fn te_trailers_reaches_an_http2_upstream() -> Claim {
    // gRPC servers refuse a call without it.
    let upstream = Upstream::h2("a").await?;
    let mesh = format!("{}protocol = 'h2'\n", upstream.mesh());
    let proxy = Setup::new(mesh)?.listener("edge", "default = true\nh2c = true")?.start().await?;
    let request = Request::get("/").header("te", "trailers");
    assert_eq!(proxy.h2().await?.send(&request).await?.echo()?.all("te"), ["trailers"]);
    Ok(())
}

#[tokio::test]
async fn everything_else_passes_as_it_came() -> Claim {
    let (proxy, _upstream) = edge("").await?;
    let request = Request::get("/")
        .header("accept", "*/*;q=0.1, text/html")
        .header("authorization", "Bearer a.b.c")
        .header("x-twice", "one")
        .header("x-twice", "two")
        .header("x-empty", "")
        .header("x-utf8", "gr\u{fc}n")
        .header("if-none-match", "\"e\"")
        .header("range", "bytes=0-1");
    for echo in both(&proxy, &request).await? {
        for (name, _) in &request.headers {
            let sent: Vec<_> = request.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
            assert_eq!(echo.all(name), sent, "{name}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn rules_have_the_last_word_on_headers() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let edits =
        "request_headers = { set = { x-tenant = 'acme', x-forwarded-for = '192.0.2.1' }, remove = ['x-request-id'] }";
    let proxy = Proxy::start(upstream.mesh_with(edits)).await?;
    let echo = proxy.send(&Request::get("/").header("x-tenant", "spoofed")).await?.echo()?;
    assert_eq!((echo.all("x-tenant"), echo.has("x-request-id")), (vec!["acme"], false));
    assert_eq!(echo.all("x-forwarded-for"), ["192.0.2.1"]);
    Ok(())
}
