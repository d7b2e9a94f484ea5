use serde_json::json;

use crate::world::{BOOTSTRAP, MESH, World, ran};

/// Five errors of five kinds.
const BROKEN: &str = r#"
[routes.papers]
hots = ["api.example.com"]
  [[routes.papers.rules]]
  match   = ["GET v1"]
  to      = "blue"
  timeout = 5
  filters = [{ kind = "rate_limits", rate = "100/s" }]

[upstreams.green]
endpoints = ["127.0.0.1:7002"]
"#;

#[test]
fn a_good_document_is_said_to_be_good_with_what_it_holds() {
    let world = World::new().with("mesh.toml", MESH).with("bootstrap.toml", BOOTSTRAP);
    world
        .weir(&["check", "mesh.toml"])
        .exits(0)
        .says("good: mesh.toml is a mesh document with 2 routes, 4 rules and 2 upstreams");
    world
        .weir(&["check", "bootstrap.toml"])
        .exits(0)
        .says("good: bootstrap.toml is a bootstrap document with 3 listeners");
    assert_eq!(world.weir(&["check", "mesh.toml", "--output", "json"]).exits(0).json(), json!([]));
}

#[test]
fn every_error_is_shown_at_once_with_its_place_its_line_and_a_hint() {
    let ran = World::new().with("mesh.toml", BROKEN).weir(&["check", "mesh.toml"]).exits(1);
    for text in [
        "mesh.toml:3:1: error: ",
        "3 | hots = [\"api.example.com\"]",
        "    | ^^^^",
        "hint: did you mean `hosts`?",
        "mesh.toml:5:",
        "mesh.toml:6:",
        "mesh.toml:7:",
        "write the unit: \"5s\" or \"5ms\"",
    ] {
        assert!(ran.stdout.contains(text), "{text:?} is not in\n{}", ran.stdout);
    }
    assert!(ran.stdout.ends_with("refused: mesh.toml has 4 errors\n"), "{}", ran.stdout);
}

#[test]
fn errors_that_only_compiling_finds_have_their_place_too() {
    let text = MESH.replace("rate_limit", "rate_limits").replace("\"/old\"", "\"~[\"");
    let ran = World::new().with("mesh.toml", &text).weir(&["check", "mesh.toml"]).exits(1);
    let ran = ran.says("did you mean `rate_limit`?").says("mesh.toml:9:").says("mesh.toml:14:");
    assert!(ran.stdout.ends_with("refused: mesh.toml has 2 errors\n"), "{}", ran.stdout);
}

#[test]
fn errors_as_json_are_a_list_with_places() {
    let ran = World::new().with("mesh.toml", BROKEN).weir(&["check", "-o", "json", "mesh.toml"]).exits(1);
    let problems = ran.json();
    let first = &problems[0];
    assert_eq!((&first["line"], &first["column"], &first["severity"]), (&json!(3), &json!(1), &json!("error")));
    assert_eq!(first["path"], "routes.papers.hots");
    assert_eq!(problems.as_array().map(Vec::len), Some(4));
    assert_eq!(ran.stderr, "");
}

#[test]
fn warnings_alone_refuse_nothing_unless_asked_to() {
    let text = MESH.replace("match = [\"GET /robots.txt\"]", "match = [\"GET /v1/search/*\"]");
    let world = World::new().with("mesh.toml", &text);
    world.weir(&["check", "mesh.toml"]).exits(0).says(": warning: ").says("good: mesh.toml");
    world
        .weir(&["check", "mesh.toml", "--deny-warnings"])
        .exits(1)
        .says("refused by --deny-warnings: mesh.toml has 1 warning");
    let problems = world.weir(&["check", "mesh.toml", "-o", "json"]).exits(0).json();
    assert_eq!(problems[0]["severity"], "warning");
    assert!(problems[0]["line"].is_u64(), "{problems}");
}

#[test]
fn a_document_may_come_from_stdin_as_toml_or_json() {
    let world = World::new();
    world.weir_with_stdin(&["check", "-"], MESH).exits(0).says("good: <stdin>");
    let json = r#"{"routes": {"home": {"rules": [{"to": "nowhere"}]}}}"#;
    world.weir_with_stdin(&["check", "-"], json).exits(1).says("at routes.home.rules[0].to").says("refused: <stdin>");
}

#[test]
fn the_kind_follows_from_the_content_unless_it_is_given() {
    let world = World::new().with("document", BOOTSTRAP);
    world.weir(&["check", "document"]).exits(0).says("a bootstrap document");
    world.weir(&["check", "--kind", "mesh", "document"]).exits(1).says("`listeners`");
}

#[test]
fn a_file_that_is_not_there_is_a_failure_that_says_what_to_do() {
    let world = World::new();
    world.weir(&["check", "none.toml"]).exits(1).complains("error: none.toml could not be read: ").complains("hint: ");
    let ran = world.weir(&["check", "-o", "json", "none.toml"]).exits(1);
    let told: serde_json::Value = serde_json::from_str(&ran.stderr).expect("JSON");
    assert!(told["error"].is_string() && told["hint"].is_string(), "{told}");
}

#[test]
fn colour_appears_only_where_it_is_seen_or_asked_for() {
    let world = World::new().with("mesh.toml", BROKEN);
    assert!(!world.weir(&["check", "mesh.toml"]).stdout.contains('\x1b'));
    let mut forced = world.command(&["check", "mesh.toml"]);
    forced.env("CLICOLOR_FORCE", "1");
    assert!(ran(forced).stdout.contains('\x1b'));
    let mut refused = world.command(&["check", "mesh.toml"]);
    refused.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    assert!(!ran(refused).stdout.contains('\x1b'));
}
