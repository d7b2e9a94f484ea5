//! The admin pages: who may ask, and that they tell what is so.

use anyhow::Context;
use serde_json::Value;
use weir_tests::{Claim, H1, Proxy, Request, Response, Setup, World};

use crate::{BOTH, encoded};

async fn admin(proxy: &Proxy, request: &Request) -> anyhow::Result<Response> {
    H1::connect(proxy.address("admin")).await?.send(request).await
}

#[tokio::test]
async fn admin_refuses_foreign_hosts_and_what_a_browser_sends_unasked() -> Claim {
    let proxy = Proxy::start("[[routes.r.rules]]\nreply = { status = 200 }").await?;
    let port = proxy.address("admin").port();
    for host in ["localhost", &format!("localhost:{port}"), &format!("127.0.0.1:{port}"), "[::1]"] {
        assert_eq!(admin(&proxy, &Request::get("/table").host(host)).await?.status, 200, "{host}");
    }
    let json = |host: &str| Request::post("/drain", "{}").host(host).header("content-type", "application/json");
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "me@localhost"] {
        for page in ["/", "/table", "/upstreams", "/certificates", "/limits", "/log", "/explain?path=/"] {
            let answer = admin(&proxy, &Request::get(page).host(host)).await?;
            assert!([400, 403].contains(&answer.status), "{host}{page}: {}", answer.status);
            assert!(!answer.text().contains("routes"), "{host}{page}: {}", answer.text());
        }
        assert!([400, 403].contains(&admin(&proxy, &json(host)).await?.status), "{host}");
    }
    // A form or a script of another page: to the right host, but without asking first.
    let simple = Request::post("/drain", "{}").host("localhost");
    for request in [simple.clone(), simple.clone().header("content-type", "text/plain")] {
        assert_eq!(admin(&proxy, &request).await?.status, 415);
    }
    let mut absolute = H1::connect(proxy.address("admin")).await?;
    absolute.write("GET http://evil.example/table HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    assert_eq!(absolute.response("GET").await?.status, 403);
    let preflight = Request::new("OPTIONS", "/drain")
        .host("localhost")
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    assert_eq!(admin(&proxy, &preflight).await?.header("access-control-allow-origin"), None);
    assert_eq!(proxy.ask("health", "/readyz").await?.status, 200, "none of them was heard");
    Ok(())
}

#[tokio::test]
async fn the_table_upstreams_and_limits_are_those_that_serve() -> Claim {
    let world = World::start(&["a", "b"], "[[routes.first.rules]]\nto = 'a'").await?;
    let page = async |path: &str| -> anyhow::Result<Value> {
        admin(&world.proxy, &Request::get(path).host("localhost")).await?.json()
    };
    let table = page("/table").await?;
    assert!(table["document"]["routes"]["first"].is_object(), "{table}");
    world.apply("[[routes.second.rules]]\nto = 'b'").await?;
    let table = page("/table").await?;
    assert!(table["document"]["routes"]["second"].is_object() && table["rules"] == 1, "{table}");
    assert_eq!(table["version"].as_f64(), Some(world.proxy.version().await?));
    let upstreams = page("/upstreams").await?;
    let address = world.upstream("b").address().to_string();
    assert_eq!(upstreams["b"]["endpoints"][0]["address"], address.as_str(), "{upstreams}");
    let _open = world.proxy.h1().await?;
    world.proxy.metric_becomes("weir_connections", &[("listener", "edge")], |open| open >= 1.0).await?;
    let limits = page("/limits").await?;
    assert!(limits["listeners"]["edge"]["connections"].as_u64() >= Some(1), "{limits}");
    Ok(())
}

const ROUTES: &str = r#"
    [routes.papers]
    hosts = ["api.test", "*.wild.test"]
    [[routes.papers.rules]]
    name = "search"
    match = ["GET,POST /v1/search/*", { path = "/q", headers = { x-beta = "1" }, query = { lang = "en" } }]
    to = "a"
    version = { name = "v1" }
    [[routes.papers.rules]]
    name = "numbers"
    match = ["~^/p/[0-9]+$"]
    to = "b"
    rewrite = { path = "/number" }
    [[routes.papers.rules]]
    name = "rest"
    match = ["/old/*"]
    to = { a = 0, b = 1 }
    rewrite = { prefix = "/api", host = "rest.internal" }
    [[routes.papers.rules]]
    name = "moved"
    match = ["/moved/*"]
    redirect = { status = 308, prefix = "/new" }
    [[routes.papers.rules]]
    name = "elsewhere"
    match = ["/elsewhere"]
    redirect = { status = 302, scheme = "https", host = "other.test", path = "/" }
    [[routes.papers.rules]]
    name = "robots"
    match = ["GET /robots.txt"]
    reply = { status = 200, body = "none" }
    [[routes.papers.rules]]
    name = "denied"
    match = ["/denied"]
    to = "a"
    filters = [{ kind = "deny", headers = { user-agent = { regex = "(?i)bot" } } }]
    [[routes.papers.rules]]
    name = "shared"
    match = ["/shared/*"]
    to = "a"
    cors = { origins = ["https://app.test"], methods = ["GET"] }
    [[routes.any.rules]]
    match = ["/any/*"]
    to = "b"
    "#;

fn requests() -> Vec<Request> {
    let to = |host: &str, target: &str| Request::get(target).host(host);
    let mut requests = vec![
        to("api.test", "/q?lang=en").header("x-beta", "1"),
        to("api.test", "/q?lang=de").header("x-beta", "1"),
        to("api.test", "/search/x?q=1").header("accept-version", "v1"),
        to("api.test", "/denied").header("user-agent", "EvilBot/1"),
        to("api.test", "/denied").header("user-agent", "curl"),
        Request::new("DELETE", "/v1/search/x").host("api.test"),
        Request::new("POST", "/v1/search/x").host("API.test:8080"),
        Request::new("OPTIONS", "/shared/x")
            .host("api.test")
            .header("origin", "https://app.test")
            .header("access-control-request-method", "GET"),
        to("api.test", "/shared/x").header("origin", "https://app.test"),
    ];
    for host in ["api.test", "api.test:8443", "a.b.wild.test", "wild.test", "other.test"] {
        for target in [
            "/v1/search",
            "/v1/search/x?q=1",
            "/v1/searching",
            "/v1/./x/../search/y",
            "/p/17",
            "/p/x",
            "/old/a/b?c=d",
            "/old",
            "/moved/a?b=c",
            "/elsewhere?x=1",
            "/robots.txt",
            "/any/x",
            "/%61ny/x",
            "/",
        ] {
            requests.push(to(host, target));
        }
    }
    requests
}

/// What `/explain` says of a request.
async fn explained(proxy: &Proxy, request: &Request) -> anyhow::Result<Value> {
    let mut target = format!(
        "/explain?listener=edge&host={}&path={}&method={}",
        encoded(&request.host),
        encoded(&request.target),
        request.method
    );
    for (name, value) in &request.headers {
        target.push_str(&format!("&header={}", encoded(&format!("{name}:{value}"))));
    }
    let answer = admin(proxy, &Request::get(&target).host("localhost")).await?;
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    answer.json()
}

/// Sends what was explained and compares.
async fn as_explained(world: &World, request: &Request, id: &str) -> Claim {
    let said = explained(&world.proxy, request).await?;
    let response = world.send(&request.clone().header("x-request-id", id)).await?;
    let shown = format!("{} {}{}: {said}", request.method, request.host, request.target);
    let refused = said["filters"].as_array().into_iter().flatten().find_map(|filter| filter["refused"].as_str());
    let outcome = &said["outcome"];
    match (outcome["action"].as_str().context("no action")?, refused) {
        (_, Some(reason)) => assert_eq!(response.reason().as_deref(), Some(reason), "{shown}"),
        ("no_route", _) => assert_eq!(response.refusal(), (404, "no_route".into()), "{shown}"),
        ("forward", _) => {
            let echo = response.echo().context(shown.clone())?;
            assert_eq!(Some(echo.upstream.as_str()), outcome["upstream"].as_str(), "{shown}");
            assert_eq!(echo.target, outcome["target"].as_str().unwrap_or(&request.target), "{shown}");
        }
        ("redirect", _) => {
            assert_eq!(u64::from(response.status), outcome["status"].as_u64().unwrap_or_default(), "{shown}");
            assert_eq!(response.header("location"), outcome["location"].as_str(), "{shown}");
        }
        ("reply" | "preflight", _) => {
            assert_eq!(u64::from(response.status), outcome["status"].as_u64().unwrap_or_default(), "{shown}");
        }
        (other, _) => panic!("{other}: {shown}"),
    }
    let lines = world.proxy.access_log();
    let line =
        weir_tests::until("its line", || lines.lines().into_iter().find(|line| line.text("http.request.id") == id));
    let line = line.await?;
    for (field, chosen) in [("labels.route", &said["chosen"]["route"]), ("labels.rule", &said["chosen"]["rule"])] {
        assert_eq!(line.text(field), chosen.as_str().unwrap_or_default(), "{shown}");
    }
    Ok(())
}

#[tokio::test]
async fn what_explain_says_is_what_happens() -> Claim {
    let world = World::start_with(&["a", "b"], ROUTES, |setup: Setup| setup.listener("edge", BOTH)).await?;
    let (mut id, mut actions) = (0, std::collections::BTreeSet::new());
    for request in requests() {
        id += 1;
        as_explained(&world, &request, &format!("first-{id}")).await?;
        actions.insert(explained(&world.proxy, &request).await?["outcome"]["action"].to_string());
    }
    assert_eq!(actions.len(), 5, "every action is among them: {actions:?}");

    // The table that serves now, not the one of the start.
    world
        .apply("[routes.new]\nhosts = ['api.test']\n[[routes.new.rules]]\nmatch = ['/p/*', '/moved/*']\nto = 'a'")
        .await?;
    for request in requests() {
        id += 1;
        as_explained(&world, &request, &format!("second-{id}")).await?;
    }
    Ok(())
}
