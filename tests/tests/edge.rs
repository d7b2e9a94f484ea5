//! Where clients connect: TLS, ALPN, SNI, listeners, their limits on connections, and starts that must fail.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::Context;
use rustls::{NamedGroup, ProtocolVersion};
use weir_tests::io::Io;
use weir_tests::tools::{curl, run_tool, tool};
use weir_tests::wait::until_async;
use weir_tests::{Authority, Claim, H1, H2, Proxy, Request, Setup, Upstream, authority};

/// An edge with TLS for `edge.test` in front of one echoing upstream.
struct Edge {
    ca: Authority,
    proxy: Proxy,
    upstream: Upstream,
}

impl Edge {
    /// `tls` are more keys of the listener's `tls` table.
    async fn start(tls: &str) -> anyhow::Result<Self> {
        let (ca, upstream) = (Authority::new("edge")?, Upstream::h1("a").await?);
        let setup = Setup::new(upstream.mesh())?;
        let files = ca.issue(&["edge.test"])?.write(setup.folder(), "edge")?;
        ca.write(setup.folder())?;
        let setup = setup.listener("edge", &format!("default = true\n[tls]\ncertificates = [{files}]\n{tls}"))?;
        Ok(Self { ca, proxy: setup.start().await?, upstream })
    }

    /// Runs curl against `https://edge.test` at the edge.
    async fn curl(&self, arguments: &[&str]) -> anyhow::Result<weir_tests::process::Output> {
        let resolve = format!("edge.test:{}:127.0.0.1", self.proxy.edge().port());
        let ca = self.proxy.setup().folder().join("ca.pem").display().to_string();
        let url = format!("https://edge.test:{}/hello?x=1", self.proxy.edge().port());
        curl(&[&["--resolve", &resolve, "--cacert", &ca], arguments, &[&url]].concat()).await
    }
}

#[tokio::test]
async fn curl_gets_http1_and_http2_over_tls13() -> Claim {
    let edge = Edge::start("").await?;
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let got = edge.curl(&[flag, "--tlsv1.3", "-w", "\n%{http_version} %{http_code}"]).await?;
        assert_eq!((got.code, got.out.lines().last()), (0, Some(format!("{version} 200").as_str())), "{}", got.err);
    }
    let targets: Vec<_> = edge.upstream.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/hello?x=1", "/hello?x=1"]);
    Ok(())
}

#[tokio::test]
async fn nghttp_gets_http2_over_tls13() -> Claim {
    let edge = Edge::start("").await?;
    let Some(nghttp) = tool("nghttp")? else { return Ok(()) };
    let url = format!("https://127.0.0.1:{}/from-nghttp", edge.proxy.edge().port());
    let got = run_tool(nghttp, &["-v", "--no-verify-peer", "-H", ":authority: edge.test", &url]).await?;
    assert!(got.out.contains(":status: 200"), "{}{}", got.out, got.err);
    assert_eq!(edge.upstream.received(1).await?[0].target, "/from-nghttp");
    Ok(())
}

#[tokio::test]
async fn tls_12_is_refused_by_default() -> Claim {
    let edge = Edge::start("").await?;
    assert!(Io::connect_tls(edge.proxy.edge(), edge.ca.client_tls12(authority::BOTH)?, "edge.test").await.is_err());
    assert_ne!(edge.curl(&["--tls-max", "1.2"]).await?.code, 0);
    assert_eq!(edge.curl(&[]).await?.code, 0, "1.3 still works");
    assert_eq!(edge.upstream.ledger().count(), 1);
    Ok(())
}

#[tokio::test]
async fn tls_12_is_taken_where_the_listener_says_so() -> Claim {
    let edge = Edge::start("min_version = '1.2'").await?;
    let io = Io::connect_tls(edge.proxy.edge(), edge.ca.client_tls12(authority::H1)?, "edge.test").await?;
    assert_eq!(io.tls_version(), Some(ProtocolVersion::TLSv1_2));
    assert_eq!(H1::over(io).send(&Request::get("/")).await?.status, 200);
    assert_eq!(edge.curl(&["--tls-max", "1.2"]).await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn the_post_quantum_hybrid_is_negotiated() -> Claim {
    let edge = Edge::start("").await?;
    let io = Io::connect_tls(edge.proxy.edge(), edge.ca.client(authority::BOTH)?, "edge.test").await?;
    assert_eq!(io.key_exchange(), Some(NamedGroup::X25519MLKEM768));
    assert_eq!(io.tls_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(io.alpn(), Some(&b"h2"[..]));
    Ok(())
}

#[tokio::test]
async fn without_alpn_http1_is_spoken() -> Claim {
    let edge = Edge::start("").await?;
    let mut client = H1::connect_tls(edge.proxy.edge(), edge.ca.client(&[])?, "edge.test").await?;
    assert_eq!(client.reader.io.alpn(), None);
    assert_eq!(client.send(&Request::get("/")).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn the_certificate_is_chosen_by_sni_and_the_first_serves_without_one() -> Claim {
    let (ca, upstream) = (Authority::new("sni")?, Upstream::h1("a").await?);
    let setup = Setup::new(upstream.mesh())?;
    // The first bears an address too, so that a client without SNI can verify it.
    let first = ca.issue(&["first.test", "127.0.0.1"])?;
    let second = ca.issue(&["second.test"])?;
    let wild = ca.issue(&["*.wild.test"])?;
    let files: Vec<_> = [(&first, "first"), (&second, "second"), (&wild, "wild")]
        .into_iter()
        .map(|(identity, name)| identity.write(setup.folder(), name))
        .collect::<Result<_, _>>()?;
    let setup = setup.listener("edge", &format!("default = true\n[tls]\ncertificates = [{}]", files.join(", ")))?;
    let proxy = setup.start().await?;
    for (name, expected) in
        [("second.test", &second), ("first.test", &first), ("a.wild.test", &wild), ("127.0.0.1", &first)]
    {
        let io = Io::connect_tls(proxy.edge(), ca.client(authority::H1)?, name).await.context(name)?;
        assert_eq!(io.peer_certificate().as_deref(), Some(expected.cert_der.as_ref()), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_route_is_served_by_the_listeners_it_names_and_no_other() -> Claim {
    let (inside, outside) = (Upstream::h1("inside").await?, Upstream::h1("outside").await?);
    let mesh = format!(
        r#"
        [[routes.unnamed.rules]]
        to = "inside"
        [routes.egress]
        listeners = ["egress"]
        hosts = ["api.outside.test"]
        [[routes.egress.rules]]
        to = "outside"
        [routes.both]
        listeners = ["edge", "egress"]
        hosts = ["both.test"]
        [[routes.both.rules]]
        reply = {{ status = 204 }}
        {}{}"#,
        inside.table(),
        outside.table()
    );
    let proxy = Setup::new(mesh)?.listener("egress", "")?.listener("spare", "")?.start().await?;
    let ask = async |listener: &str, host: &str| -> anyhow::Result<(u16, Option<String>)> {
        let request = Request::get("/").host(host);
        let response = H1::connect(proxy.address(listener)).await?.send(&request).await?;
        Ok((response.status, response.echo().ok().map(|echo| echo.upstream)))
    };
    assert_eq!(ask("edge", "any.test").await?, (200, Some("inside".into())));
    assert_eq!(ask("edge", "api.outside.test").await?, (200, Some("inside".into())));
    assert_eq!(ask("egress", "api.outside.test").await?, (200, Some("outside".into())));
    assert_eq!(ask("egress", "any.test").await?, (404, None));
    assert_eq!(ask("edge", "both.test").await?, (204, None));
    assert_eq!(ask("egress", "both.test").await?, (204, None));
    assert_eq!(ask("spare", "both.test").await?, (404, None), "neither default nor named: serves nothing");
    Ok(())
}

#[tokio::test]
async fn what_a_plain_listener_does_not_serve_is_redirected_to_https() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let mesh = format!(
        r#"
        [routes.named]
        listeners = ["plain", "other"]
        [[routes.named.rules]]
        match = ["/.well-known/*"]
        to = "a"
        {}"#,
        upstream.table()
    );
    let setup = Setup::new(mesh)?.listener("plain", "redirect_to_https = 8443")?;
    let proxy = setup.listener("other", "redirect_to_https = 443")?.start().await?;
    let ask = async |listener: &str, request: Request| H1::connect(proxy.address(listener)).await?.send(&request).await;

    let moved = ask("plain", Request::get("/a/b?c=d").host("shop.test:8080")).await?;
    assert_eq!((moved.status, moved.header("location")), (308, Some("https://shop.test:8443/a/b?c=d")));
    let moved = ask("other", Request::post("/a", "body").host("shop.test")).await?;
    assert_eq!((moved.status, moved.header("location")), (308, Some("https://shop.test/a")));
    assert_eq!(ask("plain", Request::get("/.well-known/acme")).await?.status, 200);
    assert_eq!(proxy.get("/elsewhere").await?.refusal(), (404, "no_route".into()), "a listener without the setting");
    Ok(())
}

#[tokio::test]
async fn http2_by_prior_knowledge_where_the_listener_says_so() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let proxy = Setup::new(upstream.mesh())?
        .listener("edge", "default = true\nh2c = true")?
        .listener("strict", "default = true")?
        .start()
        .await?;
    let response = H2::connect(proxy.edge()).await?.send(&Request::get("/two")).await?;
    assert_eq!((response.status, response.echo()?.target.as_str()), (200, "/two"));
    assert_eq!(proxy.get("/one").await?.status, 200, "HTTP/1.1 on the same listener");
    let url = format!("http://{}/curl", proxy.edge());
    let got = curl(&["--http2-prior-knowledge", "-w", "\n%{http_version}", &url]).await?;
    assert_eq!(got.out.lines().last(), Some("2"), "{}", got.err);

    let refused = async { H2::connect(proxy.address("strict")).await?.send(&Request::get("/")).await };
    assert!(refused.await.is_err());
    assert_eq!(upstream.ledger().count(), 3);
    Ok(())
}

#[tokio::test]
async fn connections_over_the_limit_of_a_client_are_turned_away_and_counted() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let limits = "default = true\nlimits.connections_per_client = 3";
    let proxy = Setup::new(upstream.mesh())?.listener("edge", limits)?.start().await?;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut client = proxy.h1().await?;
        assert_eq!(client.send(&Request::get("/")).await?.status, 200);
        held.push(client);
    }
    assert!(proxy.get("/").await.is_err(), "a fourth");
    let labels = [("listener", "edge")];
    proxy.metric_becomes("weir_connections_rejected_total", &labels, |count| count == 1.0).await?;
    proxy.metric_becomes("weir_connections", &labels, |count| count == 3.0).await?;
    held.pop();
    until_async("room for another", async || proxy.get("/").await.ok().filter(|answer| answer.status == 200)).await?;
    Ok(())
}

#[tokio::test]
async fn connections_over_the_limit_of_a_listener_are_turned_away() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let limits = "default = true\nlimits.connections = 2";
    let proxy = Setup::new(upstream.mesh())?.listener("edge", limits)?.start().await?;
    let (mut one, mut two) = (proxy.h1().await?, proxy.h1().await?);
    assert_eq!(one.send(&Request::get("/")).await?.status, 200);
    assert_eq!(two.send(&Request::get("/")).await?.status, 200);
    assert!(proxy.get("/").await.is_err());
    assert_eq!(one.send(&Request::get("/")).await?.status, 200, "those inside are not touched");
    Ok(())
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_ended() -> Claim {
    let (ca, upstream) = (Authority::new("slow")?, Upstream::h1("a").await?);
    let setup = Setup::new(upstream.mesh())?;
    let files = ca.issue(&["edge.test"])?.write(setup.folder(), "edge")?;
    let keys = format!("default = true\nlimits.handshake_timeout = '200ms'\ntls.certificates = [{files}]");
    let proxy = setup.listener("edge", &keys)?.start().await?;
    H1::connect(proxy.edge()).await?.closed().await?;
    Ok(())
}

#[tokio::test]
async fn idle_connections_are_closed_for_http1_and_http2() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let keys = "default = true\nh2c = true\nlimits.idle_timeout = '300ms'";
    let proxy = Setup::new(upstream.mesh())?.listener("edge", keys)?.start().await?;
    let mut fresh = proxy.h1().await?;
    let mut used = proxy.h1().await?;
    used.send(&Request::get("/")).await?;
    let two = proxy.h2().await?;
    two.send(&Request::get("/")).await?;
    assert!(fresh.closed().await?.is_empty(), "closed without a word");
    assert!(used.closed().await?.is_empty());
    two.closed().await
}

#[tokio::test]
async fn a_connection_is_ended_in_order_after_its_last_request() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let keys = "default = true\nh2c = true\nlimits.max_requests = 3";
    let proxy = Setup::new(upstream.mesh())?.listener("edge", keys)?.start().await?;
    let mut client = proxy.h1().await?;
    for last in [false, false, true] {
        let response = client.send(&Request::get("/")).await?;
        assert_eq!((response.status, response.header("connection") == Some("close")), (200, last));
    }
    client.closed().await?;
    let two = proxy.h2().await?;
    for _ in 0..3 {
        assert_eq!(two.send(&Request::get("/")).await?.status, 200);
    }
    two.closed().await
}

#[tokio::test]
async fn an_old_connection_is_ended_after_its_current_request() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let keys = "default = true\nlimits.max_age = '1s'";
    let proxy = Setup::new(upstream.mesh())?.listener("edge", keys)?.start().await?;
    let mut client = proxy.h1().await?;
    let start = tokio::time::Instant::now();
    loop {
        let response = client.send(&Request::get("/")).await?;
        assert_eq!(response.status, 200);
        if response.header("connection") == Some("close") {
            break;
        }
        assert!(start.elapsed() < weir_tests::wait::PATIENCE, "it is never ended");
    }
    assert!(start.elapsed() > Duration::from_millis(890), "10 % early at most");
    client.closed().await?;
    Ok(())
}

#[tokio::test]
async fn a_bad_certificate_or_key_ends_the_start_with_its_file_named() -> Claim {
    let ca = Authority::new("bad")?;
    let start = async |cert: &str, key: &str, spoil: &dyn Fn(&std::path::Path) -> Claim| {
        let setup = Setup::new("")?;
        ca.issue(&["one.test"])?.write(setup.folder(), "one")?;
        ca.issue(&["two.test"])?.write(setup.folder(), "two")?;
        spoil(setup.folder())?;
        let keys = format!("default = true\ntls.certificates = [{{ cert = '{cert}', key = '{key}' }}]");
        setup.listener("edge", &keys)?.start_in_vain().await
    };
    let untouched = |_: &std::path::Path| Ok(());

    let ended = start("missing.pem", "one.key", &untouched).await?;
    assert!(ended.code == 1 && ended.output.contains("missing.pem"), "{ended:?}");
    let ended = start("one.pem", "missing.key", &untouched).await?;
    assert!(ended.code == 1 && ended.output.contains("missing.key"), "{ended:?}");
    let ended = start("one.pem", "two.key", &untouched).await?;
    assert!(ended.code == 1 && ended.output.contains("two.key"), "a key of another certificate: {ended:?}");
    let garbage = |folder: &std::path::Path| Ok(fs::write(folder.join("one.pem"), "not a certificate")?);
    let ended = start("one.pem", "one.key", &garbage).await?;
    assert!(ended.code == 1 && ended.output.contains("one.pem"), "{ended:?}");
    if !nix::unistd::geteuid().is_root() {
        let unreadable = |folder: &std::path::Path| {
            Ok(fs::set_permissions(folder.join("one.key"), fs::Permissions::from_mode(0o000))?)
        };
        let ended = start("one.pem", "one.key", &unreadable).await?;
        assert!(ended.code == 1 && ended.output.contains("one.key"), "{ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn trap_19_a_port_in_use_ends_the_process_with_its_name() -> Claim {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    let upstream = Upstream::h1("a").await?;
    for (setup, setting) in [
        (Setup::new(upstream.mesh())?.listener("second", &format!("address = '{address}'"))?, "listeners.second"),
        (Setup::new(upstream.mesh())?.bootstrap(&format!("admin.address = '{address}'"))?, "admin"),
        (Setup::new(upstream.mesh())?.bootstrap(&format!("telemetry.metrics = '{address}'"))?, "metrics"),
        (Setup::new(upstream.mesh())?.bootstrap(&format!("telemetry.health = '{address}'"))?, "health"),
    ] {
        let ended = setup.start_in_vain().await?;
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.output.contains(&address.port().to_string()), "the port: {ended:?}");
        assert!(ended.output.contains(setting), "the setting to change: {ended:?}");
        assert!(!setup.ready_file().exists(), "it never said that it serves");
    }
    Ok(())
}

#[tokio::test]
async fn a_bootstrap_document_with_errors_shows_them_all() -> Claim {
    let setup = Setup::new("")?
        .bootstrap("workerz = 3\ntelemetry.access_logg = 'stdout'")?
        .listener("edge", "default = true\nlimits.header_timeout = 10")?;
    let ended = setup.start_in_vain().await?;
    assert_eq!(ended.code, 1, "{ended:?}");
    for word in ["workerz", "workers", "access_logg", "listeners.edge.limits.header_timeout"] {
        assert!(ended.output.contains(word), "{word}: {ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_vanishes_in_its_handshake_harms_nobody() -> Claim {
    let edge = Edge::start("").await?;
    for _ in 0..20 {
        let io = Io::connect(edge.proxy.edge()).await?;
        io.reset_on_close();
        let mut client = H1::over(io);
        client.write([0x16, 0x03, 0x01, 0x02]).await?;
    }
    assert_eq!(edge.curl(&[]).await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn a_client_is_told_how_many_streams_it_may_open_and_the_rest_wait_for_their_turn() -> Claim {
    let upstream = Upstream::h1("a").await?;
    let keys = "default = true\nh2c = true\nlimits.h2_streams = 4";
    let proxy = Setup::new(upstream.mesh())?.listener("edge", keys)?.start().await?;
    let client = proxy.h2().await?;
    client.send(&Request::get("/first")).await?; // The settings have come with it.
    assert_eq!(client.streams_at_a_time(), 4);
    let requests: Vec<_> = (0..40).map(|n| Request::get(&format!("/{n}"))).collect();
    let answers = futures::future::try_join_all(requests.iter().map(|request| client.send(request))).await?;
    assert!(answers.iter().all(|answer| answer.status == 200));
    Ok(())
}
