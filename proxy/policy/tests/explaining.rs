//! What is said of a decision: its JSON is what scripts read, its words what people read.

mod common;

use common::{GET, RequestHead, ask, facts, get, rules, table};
use serde_json::json;
use weir_policy::{Lost, Outcome, Precedence, Reason, decide, explain};

const DOCUMENT: &str = r#"
[routes.api]
hosts = ["api.example.com"]
rules = [
  { name = "search", match = ["GET /v1/search/*"], to = { blue = 95, green = 5 }, rewrite = { prefix = "/api" },
    version = { name = "v1" }, filters = [
      { kind = "log_fields", fields = { "labels.q" = "query:q" } },
      { kind = "rate_limit", rate = "1/h" },
      { kind = "deny", methods = ["GET"] },
      { kind = "deny", methods = ["POST"] },
    ] },
  { name = "post", match = ["POST /v1/search/*"], to = "blue" },
  { name = "beta", match = [{ path = "/v1/*", headers = { x-beta = "1" }, query = { lang = "en" } }], to = "blue" },
  { name = "rest", to = "blue" },
]
[routes.egress]
listeners = ["egress"]
rules = [{ to = "blue" }]
[routes.other]
hosts = ["*.example.org"]
rules = [{ to = "blue" }]
"#;

#[test]
fn an_explanation_is_json_that_scripts_can_read() {
    let table = table(DOCUMENT);
    let head =
        RequestHead { host: "api.example.com", query: Some("q=1"), headers: &[("x-beta", "1")], ..get("/v1/search/x") };
    let explanation = explain(&table, &head, &facts(&table), 0);
    assert_eq!(
        serde_json::to_value(&explanation).unwrap(),
        json!({
            "outcome": { "action": "forward", "upstream": "blue", "target": "/api/x?q=1" },
            "chosen": {
                "route": "api", "rule": "search", "alternative": 0, "host": "api.example.com", "path": "/v1/search/*",
            },
            "shares": [
                { "upstream": "blue", "weight": 95, "share": 0.95 },
                { "upstream": "green", "weight": 5, "share": 0.05 },
            ],
            "filters": [
                { "kind": "log_fields" },
                { "kind": "rate_limit" },
                { "kind": "deny", "refused": "virtual_patch" },
            ],
            "others": [
                { "route": "api", "rule": "post", "lost": "method" },
                { "route": "api", "rule": "beta", "lost": { "query": "lang" } },
                { "route": "api", "rule": "rest", "lost": { "outranked": "longest_path" } },
                { "route": "egress", "rule": "0", "lost": "listener" },
                { "route": "other", "rule": "0", "lost": "host" },
            ],
        })
    );
}

#[test]
fn explaining_counts_nothing() {
    let table = rules(r#"{ to = "blue", filters = [{ kind = "rate_limit", rate = "1/h" }] }"#);
    for _ in 0..3 {
        let explanation = explain(&table, &GET, &facts(&table), 0);
        assert_eq!(explanation.filters[0].refused, None::<Reason>);
    }
}

#[test]
fn where_nothing_matches_every_rule_says_why() {
    let table = table(DOCUMENT);
    let head = RequestHead { host: "api.example.com", ..get("/") };
    let facts = weir_policy::Facts { listener: table.listener("internal", false), ..facts(&table) };
    let explanation = explain(&table, &head, &facts, 0);
    assert_eq!(explanation.outcome, Outcome::NoRoute);
    assert!(explanation.chosen.is_none() && explanation.shares.is_empty() && explanation.filters.is_empty());
    assert_eq!(explanation.others.len(), table.rules().len());
    assert!(explanation.others.iter().all(|loser| loser.lost == Lost::Listener));
}

#[test]
fn the_form_without_the_version_is_shown_as_it_matched() {
    let table = table(DOCUMENT);
    let headers = [("accept-version", "v1")];
    let head = RequestHead { host: "api.example.com", headers: &headers, ..get("/search/x") };
    let explanation = explain(&table, &head, &facts(&table), 0);
    assert_eq!(explanation.chosen.unwrap().path, "/search/*");
    assert_eq!(explanation.decision, decide(&table, &head, &facts(&table), 0));
    assert_eq!(explanation.decision, ask(&table, &head));
}

#[test]
fn the_reasons_read_as_sentences() {
    assert_eq!(Lost::Header("x-a".to_owned()).to_string(), "header x-a: not what the rule asks for");
    assert_eq!(
        Lost::Outranked(Precedence::LongestPath).to_string(),
        "outranked: it matches, but the longest path goes first"
    );
}
