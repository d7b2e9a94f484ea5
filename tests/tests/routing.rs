//! Every routing feature of the mesh document, from the socket to the upstream's ledger.

use std::collections::BTreeMap;

use weir_tests::upstream::Received;
use weir_tests::{Claim, H1, Request, Response, World};

/// Requests and who must answer them.
async fn expect(world: &World, table: &[(Request, &str)]) -> Claim {
    for (request, expected) in table {
        assert_eq!(world.who(request).await?, *expected, "{request:?}");
    }
    Ok(())
}

fn get(host: &str, target: &str) -> Request {
    Request::get(target).host(host)
}

#[tokio::test]
async fn hosts_rank_and_do_not_capture() -> Claim {
    let world = World::start(
        &["exact", "near", "far", "any"],
        r#"
        [routes.exact]
        hosts = ["api.a.test"]
        [[routes.exact.rules]]
        match = ["/only-exact"]
        to = "exact"
        [routes.near]
        hosts = ["*.a.test"]
        [[routes.near.rules]]
        match = ["/*"]
        to = "near"
        [routes.far]
        hosts = ["*.test"]
        [[routes.far.rules]]
        match = ["/*"]
        to = "far"
        [routes.any]
        [[routes.any.rules]]
        match = ["/*"]
        to = "any"
        "#,
    )
    .await?;
    expect(
        &world,
        &[
            (get("api.a.test", "/only-exact"), "exact"),
            (get("API.A.test:8080", "/only-exact"), "exact"),
            (get("api.a.test.", "/only-exact"), "exact"),
            (get("api.a.test", "/other"), "near"),
            (get("x.y.a.test", "/other"), "near"),
            (get("a.test", "/other"), "far"),
            (get("b.test", "/other"), "far"),
            (get("elsewhere.example", "/other"), "any"),
            (get("127.0.0.1", "/other"), "any"),
        ],
    )
    .await
}

#[tokio::test]
async fn paths_are_exact_or_prefixes_by_element_or_regexes() -> Claim {
    let world = World::start(
        &["exact", "prefix", "deep", "number", "head"],
        r#"
        [[routes.r.rules]]
        match = ["/a/b"]
        to = "exact"
        [[routes.r.rules]]
        match = ["/a/*"]
        to = "prefix"
        [[routes.r.rules]]
        match = ["/a/b/*"]
        to = "deep"
        [[routes.r.rules]]
        match = ["~^/p/[0-9]+$"]
        to = "number"
        [[routes.r.rules]]
        match = ["~^/a/longer-head[0-9]"]
        to = "head"
        "#,
    )
    .await?;
    expect(
        &world,
        &[
            (Request::get("/a/b"), "exact"),
            (Request::get("/a/b?q=1"), "exact"),
            (Request::get("/a"), "prefix"),
            (Request::get("/a/"), "prefix"),
            (Request::get("/a/x"), "prefix"),
            (Request::get("/ab"), "404 no_route"),
            (Request::get("/a/b/c"), "deep"),
            (Request::get("/a/bc"), "prefix"),
            (Request::get("/p/12"), "number"),
            (Request::get("/p/x"), "404 no_route"),
            (Request::get("/a/longer-head7"), "head"),
            (Request::get("/a/longer-headx"), "prefix"),
        ],
    )
    .await
}

#[tokio::test]
async fn methods_headers_and_queries_narrow_a_match() -> Claim {
    let world = World::start(
        &["post", "beta", "bot", "two", "english", "plain"],
        r#"
        [[routes.r.rules]]
        match = ["POST,PUT /*"]
        to = "post"
        [[routes.r.rules]]
        match = [{ path = "/*", headers = { x-beta = "1" } }]
        to = "beta"
        [[routes.r.rules]]
        match = [{ path = "/*", headers = { user-agent = { regex = "^Bot" } } }]
        to = "bot"
        [[routes.r.rules]]
        match = [{ path = "/*", headers = { x-beta = "1", x-more = "yes" } }]
        to = "two"
        [[routes.r.rules]]
        match = [{ path = "/*", query = { lang = "en us" } }]
        to = "english"
        [[routes.r.rules]]
        match = ["/*"]
        to = "plain"
        "#,
    )
    .await?;
    let root = || Request::get("/");
    expect(
        &world,
        &[
            (root(), "plain"),
            (Request::post("/", "x"), "post"),
            (Request::new("PUT", "/"), "post"),
            (Request::new("DELETE", "/"), "plain"),
            (root().header("X-Beta", "1"), "beta"),
            (root().header("x-beta", "2"), "plain"),
            (root().header("x-beta", "2").header("x-beta", "1"), "beta"),
            (root().header("x-beta", "1").header("x-more", "yes"), "two"),
            (root().header("user-agent", "Botanist/1"), "bot"),
            (root().header("user-agent", "NotABot"), "plain"),
            (Request::get("/?lang=en%20us"), "english"),
            (Request::get("/?lang=de&lang=en%20us"), "plain"),
            (Request::get("/?LANG=en%20us"), "plain"),
            (Request::post("/", "x").header("x-beta", "1").header("x-more", "yes"), "post"),
        ],
    )
    .await
}

#[tokio::test]
async fn equal_rules_are_ranked_by_route_name_then_by_place() -> Claim {
    let world = World::start(
        &["first", "second", "third"],
        r#"
        [[routes.b.rules]]
        match = ["/same"]
        to = "third"
        [[routes.a.rules]]
        match = ["/other", "/same"]
        to = "first"
        [[routes.a.rules]]
        match = ["/same"]
        to = "second"
        "#,
    )
    .await?;
    expect(&world, &[(Request::get("/same"), "first")]).await
}

#[tokio::test]
async fn paths_match_normalised_and_are_forwarded_as_they_came() -> Claim {
    let world = World::start(
        &["a"],
        r#"
        [[routes.r.rules]]
        match = ["/x/a"]
        to = "a"
        "#,
    )
    .await?;
    for target in ["/x/a", "/x/%61", "/x/./a", "/x/y/../a", "/x/y/%2e%2E/a", "/%78/a?b=%2f"] {
        let response = world.proxy.get(target).await?;
        assert_eq!((response.status, response.echo()?.target.as_str()), (200, target));
    }
    for target in ["/X/a", "/x//a", "/x/a/"] {
        assert_eq!(world.proxy.get(target).await?.refusal(), (404, "no_route".into()), "{target}");
    }
    for target in ["/x%2fa", "/x%5Ca", "/x/a%00", "/x/%zz", "/x/%6"] {
        assert_eq!(world.proxy.get(target).await?.refusal(), (400, "bad_request".into()), "{target}");
    }
    assert_eq!(world.upstream("a").ledger().count(), 6);
    Ok(())
}

#[tokio::test]
async fn encoded_slashes_pass_where_the_listener_lets_them() -> Claim {
    let routes = r#"
        [[routes.r.rules]]
        match = ["/files/*"]
        to = "a"
        "#;
    let keys = "default = true\nencoded_slashes = true";
    let world = World::start_with(&["a"], routes, |setup| setup.listener("edge", keys)).await?;
    let response = world.proxy.get("/files/a%2fb%5cc").await?;
    assert_eq!((response.status, response.echo()?.target.as_str()), (200, "/files/a%2fb%5cc"));
    assert_eq!(world.proxy.get("/files/a%00").await?.status, 400, "never");
    Ok(())
}

#[tokio::test]
async fn absolute_targets_are_routed_by_their_own_authority_and_forwarded_in_origin_form() -> Claim {
    let world = World::start(
        &["a"],
        r#"
        [routes.r]
        hosts = ["named.test"]
        [[routes.r.rules]]
        to = "a"
        "#,
    )
    .await?;
    let mut client = world.proxy.h1().await?;
    client.write("GET http://named.test/p?q=1 HTTP/1.1\r\nhost: named.test\r\n\r\n").await?;
    let echo = client.response("GET").await?.echo()?;
    assert_eq!((echo.target.as_str(), echo.authority.as_str()), ("/p?q=1", "named.test"));
    Ok(())
}

async fn shares(world: &World, requests: impl Iterator<Item = Request>) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut client = world.proxy.h1().await?;
    let mut shares = BTreeMap::new();
    for request in requests {
        *shares.entry(client.send(&request).await?.echo()?.upstream).or_insert(0) += 1;
    }
    Ok(shares)
}

#[tokio::test]
async fn a_split_shares_by_weight() -> Claim {
    let rule = r#"
        [[routes.r.rules]]
        to = { blue = 75, green = 25 }
        "#;
    let world = World::start(&["blue", "green"], rule).await?;
    let shares = shares(&world, (0..600).map(|_| Request::get("/"))).await?;
    // 150 are expected; six standard deviations are 64.
    assert!((86..=214).contains(&shares["green"]), "{shares:?}");
    Ok(())
}

#[tokio::test]
async fn trap_21_a_weight_of_zero_gets_no_traffic_at_all() -> Claim {
    for sticky in ["", "sticky = { header = 'x-user' }", "sticky = { cookie = 'side' }", "sticky = { address = true }"]
    {
        let rule = format!("[[routes.r.rules]]\nto = {{ blue = 1, green = 0 }}\n{sticky}");
        let world = World::start(&["blue", "green"], &rule).await?;
        let users = (0..300).map(|n| Request::get("/").header("x-user", &format!("user-{n}")));
        assert_eq!(shares(&world, users).await?.keys().collect::<Vec<_>>(), ["blue"], "{sticky}");
        assert_eq!(world.upstream("green").ledger().connections(), 0);
    }
    Ok(())
}

#[tokio::test]
async fn trap_21_a_sticky_split_is_monotone_for_each_client() -> Claim {
    let rule = |green: u32| {
        format!(
            "[[routes.r.rules]]\nto = {{ blue = {}, green = {green} }}\nsticky = {{ header = 'x-user' }}",
            100 - green
        )
    };
    let world = World::start(&["blue", "green"], &rule(0)).await?;
    let mut on_green = [false; 200];
    for green in [0, 5, 20, 50, 80, 100] {
        if green > 0 {
            world.apply(&rule(green)).await?;
        }
        let mut client = world.proxy.h1().await?;
        let mut count = 0;
        for (user, was_green) in on_green.iter_mut().enumerate() {
            let request = Request::get("/").header("x-user", &format!("user-{user}"));
            let now_green = client.send(&request).await?.echo()?.upstream == "green";
            assert!(now_green || !*was_green, "user-{user} went back to blue as green grew to {green} %");
            *was_green = now_green;
            count += u32::from(now_green);
        }
        // Six standard deviations of 200 clients are at most 43.
        assert!(count.abs_diff(2 * green) <= 43 && (green > 0 || count == 0), "{count} of 200 at {green} %");
    }
    Ok(())
}

#[tokio::test]
async fn a_cookie_keeps_a_client_on_its_side() -> Claim {
    let rule = r#"
        [[routes.r.rules]]
        to = { blue = 50, green = 50 }
        sticky = { cookie = "side" }
        "#;
    let world = World::start(&["blue", "green"], rule).await?;
    for _ in 0..20 {
        let first = world.proxy.get("/").await?;
        let cookie = first.header("set-cookie").unwrap_or_default().to_owned();
        assert!(cookie.starts_with("side=") && cookie.contains("HttpOnly") && cookie.contains("Path=/"), "{cookie}");
        assert!(!cookie.contains("Secure"), "this is plain HTTP: {cookie}");
        let pair = cookie.split(';').next().unwrap_or_default();
        let again = Request::get("/").header("cookie", &format!("other=1; {pair}"));
        for _ in 0..3 {
            let next = world.send(&again).await?;
            assert_eq!(next.echo()?.upstream, first.echo()?.upstream);
            assert_eq!(next.header("set-cookie"), None, "it has one");
        }
    }
    Ok(())
}

#[tokio::test]
async fn redirects_change_the_parts_they_name() -> Claim {
    let world = World::start(
        &[],
        r#"
        [[routes.r.rules]]
        match = ["/old"]
        redirect = { status = 301, scheme = "https", host = "api.example.com", port = 443, path = "/new" }
        [[routes.r.rules]]
        match = ["/plain"]
        redirect = { path = "/elsewhere" }
        [[routes.r.rules]]
        match = ["/docs/*"]
        redirect = { status = 308, prefix = "/manual" }
        [[routes.r.rules]]
        match = ["/port"]
        redirect = { status = 307, port = 8443, scheme = "https" }
        "#,
    )
    .await?;
    let port = world.proxy.edge().port();
    for (target, status, location) in [
        ("/old", 301, "https://api.example.com/new".to_owned()),
        ("/old?x=1", 301, "https://api.example.com/new?x=1".to_owned()),
        ("/plain", 302, format!("http://test.example:{port}/elsewhere")),
        ("/docs/a/b?c=d", 308, format!("http://test.example:{port}/manual/a/b?c=d")),
        ("/docs", 308, format!("http://test.example:{port}/manual")),
        ("/port", 307, "https://test.example:8443/port".to_owned()),
    ] {
        let response = world.send(&get(&format!("test.example:{port}"), target)).await?;
        assert_eq!((response.status, response.header("location")), (status, Some(location.as_str())), "{target}");
    }
    Ok(())
}

#[tokio::test]
async fn a_rule_answers_by_itself() -> Claim {
    let world = World::start(
        &[],
        r#"
        [[routes.r.rules]]
        match = ["/robots.txt"]
        reply = { status = 200, body = "User-agent: *\n" }
        [[routes.r.rules]]
        match = ["/empty"]
        reply = { status = 204 }
        [[routes.r.rules]]
        match = ["/json"]
        reply = { status = 418, body = "{}", content_type = "application/json" }
        response_headers = { set = { x-from = "weir" } }
        "#,
    )
    .await?;
    let mut client = world.proxy.h1().await?;
    let robots = client.send(&Request::get("/robots.txt")).await?;
    assert_eq!((robots.status, robots.text().as_str()), (200, "User-agent: *\n"));
    assert_eq!(robots.header("content-type"), Some("text/plain; charset=utf-8"));
    let head = client.send(&Request::new("HEAD", "/robots.txt")).await?;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("14"), 0));
    let empty = client.send(&Request::get("/empty")).await?;
    assert_eq!((empty.status, empty.header("content-length"), empty.header("content-type")), (204, None, None));
    let json = client.send(&Request::post("/json", "some body")).await?;
    assert_eq!((json.status, json.text().as_str()), (418, "{}"));
    assert_eq!((json.header("content-type"), json.header("x-from")), (Some("application/json"), Some("weir")));
    let again = client.send(&Request::get("/empty")).await?;
    assert_eq!(again.status, 204, "the connection outlives a body that nobody read");
    Ok(())
}

#[tokio::test]
async fn rewrites_change_what_the_upstream_is_asked() -> Claim {
    let world = World::start(
        &["a"],
        r#"
        [[routes.r.rules]]
        match = ["/shop/*"]
        to = "a"
        rewrite = { prefix = "/api", host = "rest.internal" }
        [[routes.r.rules]]
        match = ["/whole"]
        to = "a"
        rewrite = { path = "/entire" }
        [[routes.r.rules]]
        match = ["/bare/*"]
        to = "a"
        rewrite = { prefix = "/" }
        "#,
    )
    .await?;
    for (target, expected, host) in [
        ("/shop/a/b?c=d", "/api/a/b?c=d", "rest.internal"),
        ("/shop", "/api", "rest.internal"),
        ("/shop/%61%20b", "/api/a%20b", "rest.internal"),
        ("/whole?x=1", "/entire?x=1", "test.example"),
        ("/bare/x", "/x", "test.example"),
        ("/bare", "/", "test.example"),
    ] {
        let echo = world.proxy.get(target).await?.echo()?;
        assert_eq!((echo.target.as_str(), echo.authority.as_str()), (expected, host), "{target}");
        assert_eq!(echo.header("x-forwarded-host"), Some("test.example"), "what the client asked for");
    }
    Ok(())
}

#[tokio::test]
async fn header_edits_remove_then_set_then_add() -> Claim {
    let world = World::start(
        &["a"],
        r#"
        [[routes.r.rules]]
        to = "a"
        request_headers = { set = { x-env = "prod", x-new = "n" }, add = { x-list = "weir" }, remove = ["x-debug"] }
        response_headers = { set = { strict-transport-security = "max-age=1", content-type = "text/x" }, add = { x-more = "m" } }
        "#,
    )
    .await?;
    let request = Request::get("/")
        .header("x-env", "mine")
        .header("x-env", "twice")
        .header("X-Debug", "1")
        .header("x-list", "client");
    let response = world.send(&request).await?;
    let echo = response.echo()?;
    assert_eq!((echo.all("x-env"), echo.all("x-new")), (vec!["prod"], vec!["n"]));
    assert_eq!((echo.all("x-list"), echo.has("x-debug")), (vec!["client", "weir"], false));
    assert_eq!(response.all("content-type"), ["text/x"]);
    assert_eq!(
        (response.header("strict-transport-security"), response.header("x-more")),
        (Some("max-age=1"), Some("m"))
    );
    Ok(())
}

#[tokio::test]
async fn a_mirror_gets_copies_and_the_client_the_first_answer() -> Claim {
    let world = World::start(
        &["main", "shadow"],
        r#"
        [[routes.r.rules]]
        match = ["/all/*"]
        to = "main"
        mirror = { to = "shadow" }
        [[routes.r.rules]]
        match = ["/never/*"]
        to = "main"
        mirror = { to = "shadow", share = "0%" }
        "#,
    )
    .await?;
    assert_eq!(world.who(&Request::get("/all/1?x=1").header("x-kept", "yes")).await?, "main");
    assert_eq!(world.who(&Request::post("/all/2", "a small body")).await?, "main");
    let mut copies = world.upstream("shadow").received(2).await?;
    copies.sort_by_key(|copy| copy.target.clone());
    assert_eq!((copies[0].target.as_str(), copies[0].header("x-kept")), ("/all/1?x=1", Some("yes")));
    assert_eq!((copies[1].method.as_str(), copies[1].target.as_str()), ("POST", "/all/2"));
    for n in 0..20 {
        assert_eq!(world.who(&Request::get(&format!("/never/{n}"))).await?, "main");
    }
    assert_eq!(world.upstream("shadow").ledger().count(), 2);
    Ok(())
}

#[tokio::test]
async fn a_mirror_that_is_dead_or_hangs_is_not_noticed() -> Claim {
    use futures::FutureExt;
    let main = weir_tests::Upstream::h1("main").await?;
    let hangs = weir_tests::Upstream::scripted("hangs", |x| async move { x.given_up().await }.boxed()).await?;
    let refusing = weir_tests::upstream::Refusing::new()?;
    let mesh = format!(
        r#"
        [[routes.r.rules]]
        match = ["/hangs"]
        to = "main"
        mirror = {{ to = "hangs" }}
        [[routes.r.rules]]
        match = ["/dead"]
        to = "main"
        mirror = {{ to = "dead" }}
        [upstreams.dead]
        endpoints = ["{}"]
        {}{}"#,
        refusing.address(),
        main.table(),
        hangs.table()
    );
    let proxy = weir_tests::Proxy::start(mesh).await?;
    let mut client = proxy.h1().await?;
    for target in ["/hangs", "/dead", "/hangs", "/dead"] {
        assert_eq!(client.send(&Request::get(target)).await?.echo()?.upstream, "main");
    }
    hangs.received(2).await?;
    Ok(())
}

const CORS: &str = r#"
    [[routes.r.rules]]
    match = ["GET,PUT /api/*"]
    to = "a"
    cors = { origins = ["https://app.test", "https://*.wild.test"], methods = ["GET", "PUT"], headers = ["x-custom"], expose = ["x-seen"], credentials = true, max_age = "10m" }
    [[routes.r.rules]]
    match = ["/open/*"]
    to = "a"
    cors = { origins = ["*"] }
    [[routes.r.rules]]
    match = ["/none/*"]
    to = "a"
    "#;

fn preflight(target: &str, origin: &str, method: &str) -> Request {
    Request::new("OPTIONS", target).header("origin", origin).header("access-control-request-method", method)
}

fn allowed(response: &Response) -> Option<&str> {
    response.header("access-control-allow-origin")
}

#[tokio::test]
async fn preflights_are_answered_by_the_proxy() -> Claim {
    let world = World::start(&["a"], CORS).await?;
    let answer = world
        .send(&preflight("/api/x", "https://app.test", "PUT").header("access-control-request-headers", "x-custom"))
        .await?;
    assert_eq!((answer.status, allowed(&answer)), (204, Some("https://app.test")));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(answer.header("access-control-max-age"), Some("600"));
    let methods = answer.header("access-control-allow-methods").unwrap_or_default();
    assert!(methods.contains("GET") && methods.contains("PUT"), "{methods}");
    assert_eq!(answer.header("access-control-allow-headers").map(str::to_lowercase).as_deref(), Some("x-custom"));
    assert!(answer.all("vary").join(",").to_lowercase().contains("origin"));

    let wild = world.send(&preflight("/api/x", "https://b.wild.test", "GET")).await?;
    assert_eq!(allowed(&wild), Some("https://b.wild.test"));
    let stranger = world.send(&preflight("/api/x", "https://evil.test", "GET")).await?;
    assert_eq!(allowed(&stranger), None, "a stranger gets no permission");
    assert_eq!(world.upstream("a").ledger().count(), 0, "no preflight reached the upstream");

    let passed = world.send(&preflight("/none/x", "https://app.test", "GET")).await?;
    assert_eq!(passed.echo()?.method, "OPTIONS", "a rule without cors gets OPTIONS itself");
    Ok(())
}

#[tokio::test]
async fn answers_to_allowed_origins_bear_their_headers() -> Claim {
    let world = World::start(&["a"], CORS).await?;
    let answer = world.send(&Request::get("/api/x").header("origin", "https://app.test")).await?;
    assert_eq!((answer.status, allowed(&answer)), (200, Some("https://app.test")));
    assert_eq!(answer.header("access-control-expose-headers").map(str::to_lowercase).as_deref(), Some("x-seen"));
    assert!(answer.all("vary").join(",").to_lowercase().contains("origin"));
    let stranger = world.send(&Request::get("/api/x").header("origin", "https://evil.test")).await?;
    assert_eq!((stranger.status, allowed(&stranger)), (200, None));
    let open = world.send(&Request::get("/open/x").header("origin", "https://evil.test")).await?;
    assert_eq!(allowed(&open), Some("*"));
    let none = world.send(&Request::get("/api/x")).await?;
    assert_eq!(allowed(&none), None, "no origin, no header");
    Ok(())
}

#[tokio::test]
async fn versions_are_chosen_by_path_or_by_accept_version_and_say_when_they_end() -> Claim {
    let world = World::start(
        &["one", "two"],
        r#"
        [[routes.api.rules]]
        match = ["/v1/search/*", "/v1/exact"]
        to = "one"
        version = { name = "v1", deprecated = 2026-12-01, sunset = 2027-06-01 }
        [[routes.api.rules]]
        match = ["/v2/search/*"]
        to = "two"
        version = { name = "v2" }
        "#,
    )
    .await?;
    let ask = async |request: Request| -> anyhow::Result<(Response, Received)> {
        let response = world.send(&request).await?;
        let echo = response.echo()?;
        Ok((response, echo))
    };
    let (response, echo) = ask(Request::get("/v1/search/x?q=1")).await?;
    assert_eq!((echo.upstream.as_str(), echo.target.as_str()), ("one", "/v1/search/x?q=1"));
    assert_eq!(response.header("deprecation"), Some("@1796083200"), "RFC 9745");
    assert_eq!(response.header("sunset"), Some("Tue, 01 Jun 2027 00:00:00 GMT"), "RFC 8594");

    let (response, echo) = ask(Request::get("/search/x?q=1").header("accept-version", "v2")).await?;
    assert_eq!((echo.upstream.as_str(), echo.target.as_str()), ("two", "/v2/search/x?q=1"));
    assert_eq!((response.header("deprecation"), response.header("sunset")), (None, None));
    let (_, echo) = ask(Request::get("/exact").header("Accept-Version", "v1")).await?;
    assert_eq!((echo.upstream.as_str(), echo.target.as_str()), ("one", "/v1/exact"));

    assert_eq!(world.proxy.get("/search/x").await?.status, 404, "no version at all");
    let unknown = world.send(&Request::get("/search/x").header("accept-version", "v3")).await?;
    assert_eq!(unknown.status, 404);
    Ok(())
}

#[tokio::test]
async fn a_version_without_a_path_asks_for_its_header() -> Claim {
    let world = World::start(
        &["new", "old"],
        r#"
        [[routes.api.rules]]
        match = ["/things/*"]
        to = "new"
        version = { name = "v2" }
        [[routes.api.rules]]
        match = ["/things/*"]
        to = "old"
        "#,
    )
    .await?;
    expect(
        &world,
        &[
            (Request::get("/things/1"), "old"),
            (Request::get("/things/1").header("accept-version", "v2"), "new"),
            (Request::get("/things/1").header("accept-version", "v1"), "old"),
        ],
    )
    .await
}

#[tokio::test]
async fn one_connection_serves_many_rules_in_turn() -> Claim {
    let world = World::start(
        &["a", "b"],
        r#"
        [[routes.r.rules]]
        match = ["/a"]
        to = "a"
        [[routes.r.rules]]
        match = ["/b"]
        to = "b"
        [[routes.r.rules]]
        match = ["/self"]
        reply = { status = 200, body = "self" }
        "#,
    )
    .await?;
    let mut client: H1 = world.proxy.h1().await?;
    for (target, expected) in [("/a", "a"), ("/b", "b"), ("/self", "200"), ("/none", "404 no_route"), ("/a", "a")] {
        assert_eq!(weir_tests::world::who(&client.send(&Request::get(target)).await?), expected);
    }
    Ok(())
}
