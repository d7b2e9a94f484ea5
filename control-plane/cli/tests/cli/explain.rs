use serde_json::json;

use crate::world::{BOOTSTRAP, MESH, Ran, World};

fn world() -> World {
    World::new().with("mesh.toml", MESH).with("bootstrap.toml", BOOTSTRAP)
}

fn explain(arguments: &[&str]) -> Ran {
    world().weir(&[&["explain", "--mesh", "mesh.toml"], arguments].concat())
}

#[test]
fn a_forwarded_request_is_shown_with_all_that_happens_to_it() {
    let ran = explain(&["--host", "api.example.com", "--path", "/v1/search/x?q=a"]).exits(0);
    for text in [
        "GET api.example.com/v1/search/x?q=a\n",
        "Forwarded to upstream blue\n",
        "rule         search of route papers, for /v1/search/* at api.example.com\n",
        "split        blue 95%, green 5%\n",
        "filter       rate_limit passes\n",
        "asked for    /api/x?q=a  (was /v1/search/x?q=a)\n",
        "to upstream  without x-debug\n",
        "to upstream  x-env: prod\n",
        "timeouts     2s for the whole exchange, 5m between two bytes\n",
        "old-home of route papers  path: ",
        "0 of route inside         listener: ",
    ] {
        assert!(ran.stdout.contains(text), "{text:?} is not in\n{}", ran.stdout);
    }
}

#[test]
fn the_roll_of_the_dice_decides_the_split() {
    let upstream = |chance: &str| {
        let arguments = ["--host", "api.example.com", "--path", "/v1/search", "--chance", chance, "-o", "json"];
        explain(&arguments).exits(0).json()["outcome"]["upstream"].clone()
    };
    assert_eq!(upstream("0"), "blue");
    assert_eq!(upstream(&u64::MAX.to_string()), "green");
}

#[test]
fn an_explanation_as_json_has_the_outcome_the_rule_its_terms_and_the_losers() {
    let answer = explain(&["--host", "API.example.com:443", "--path", "/v1/%73earch", "-o", "json"]).exits(0).json();
    assert_eq!(answer["request"], json!({ "method": "GET", "host": "api.example.com", "path": "/v1/search" }));
    assert_eq!(answer["outcome"], json!({ "action": "forward", "upstream": "blue", "target": "/api" }));
    assert_eq!((&answer["chosen"]["route"], &answer["chosen"]["rule"]), (&json!("papers"), &json!("search")));
    assert_eq!(answer["shares"][1], json!({ "upstream": "green", "weight": 5, "share": 0.05 }));
    assert_eq!(answer["filters"], json!([{ "kind": "rate_limit" }]));
    assert_eq!((&answer["terms"]["timeout"], &answer["terms"]["timeout_covers"]), (&json!("2s"), &json!("exchange")));
    assert_eq!(answer["terms"]["request_headers"]["remove"], json!(["x-debug"]));
    assert_eq!(answer["others"].as_array().map(Vec::len), Some(3));
    assert_eq!(answer["listener"]["assumed"], true);
}

#[test]
fn redirects_replies_and_no_route_are_said_as_they_are() {
    let host = ["--host", "api.example.com"];
    let at = |path: &'static str| explain(&[&host[..], &["--path", path]].concat()).exits(0);
    at("/old").says("Redirected (301) to https://api.example.com/new\n");
    at("/robots.txt").says("Answered by the proxy itself (200)\n");
    at("/nothing").says("404 no_route: no rule matches\n");
}

#[test]
fn a_path_that_is_refused_before_the_rules_says_why() {
    explain(&["--path", "/a%2fb"]).exits(0).says("400 bad_request: ");
    explain(&["--path", "a"]).exits(0).says("400 bad_request: ");
    explain(&["--host", "user@host", "--path", "/"]).exits(0).says("400 bad_request: ");
    let answer = explain(&["--path", "/a%00", "-o", "json"]).exits(0).json();
    assert_eq!(answer["refused"]["reason"], "bad_request");
    assert!(answer.get("outcome").is_none());
}

#[test]
fn the_bootstrap_document_says_what_a_listener_is() {
    let path = ["--host", "api.example.com", "--path", "/old", "--bootstrap", "bootstrap.toml"];
    explain(&path).exits(0).says("by listener edge (port 8443, TLS)").says("https://api.example.com:8443/new");
    explain(&[&path[..], &["--listener", "plain"]].concat()).exits(0).says("404 no_route").says("listener: ");
    explain(&[&path[..], &["--listener", "egress"]].concat()).exits(0).says("Forwarded to upstream green");
    explain(&[&path[..], &["--listener", "edgy"]].concat())
        .exits(1)
        .complains("no listener `edgy`")
        .complains("did you mean `edge`? Known: edge, egress, plain");
}

#[test]
fn a_plain_listener_that_redirects_what_no_rule_takes_is_said() {
    let bootstrap = BOOTSTRAP.replace("127.0.0.1:8080\"", "127.0.0.1:8080\"\nredirect_to_https = 8443");
    let world = world().with("bootstrap.toml", &bootstrap);
    let arguments = ["explain", "--mesh", "mesh.toml", "--bootstrap", "bootstrap.toml", "--listener", "plain"];
    world
        .weir(&[&arguments[..], &["--host", "api.example.com", "--path", "/x?y=z"]].concat())
        .exits(0)
        .says("Redirected by the listener (308), since no rule matches: https://api.example.com:8443/x?y=z");
}

#[test]
fn without_a_bootstrap_document_only_listeners_that_routes_name_are_known() {
    explain(&["--listener", "egress"]).exits(0).says("Forwarded to upstream green").says("assumed");
    explain(&["--listener", "egres"]).exits(1).complains("did you mean `egress`?").complains("--bootstrap");
}

#[test]
fn headers_are_given_as_curl_takes_them() {
    explain(&["-H", "Host: api.example.com", "--path", "/robots.txt"]).exits(0).says("Answered by the proxy itself");
    explain(&["-H", "no colon"]).exits(2).complains("name: value");
    explain(&["-H", "b@d: x"]).exits(2).complains("is not a header name");
}

#[test]
fn a_filter_that_refuses_is_the_outcome() {
    let deny = "filters = [{ kind = \"deny\", methods = [\"POST\"] }]\n  match = [\"/old\"]";
    let world = World::new().with("mesh.toml", &MESH.replace("match    = [\"/old\"]", deny));
    let arguments =
        ["explain", "--mesh", "mesh.toml", "--host", "api.example.com", "--path", "/old", "--method", "POST"];
    world.weir(&arguments).exits(0).says("Refused by the filter deny: virtual_patch");
}
