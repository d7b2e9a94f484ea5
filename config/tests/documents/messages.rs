//! What an operator sees.

use std::fmt;

use serde_json::json;
use weir_config::mesh::Mesh;
use weir_config::node::{Node, locate};
use weir_config::problem::{Paint, Part, Path, Problem, Problems, did_you_mean};
use weir_config::{Parsed, placed};

use crate::{mesh, problems_of_mesh};

const FIVE_ERRORS: &str = r#"# A document with five errors.
[routes.papers]
hosts = ["api.example.com:443"]

  [[routes.papers.rules]]
  name = "search"
  match = ["get /v1/search/*"]
  to = "serach"
  timout = "2s"

[upstreams.search]
endpoints = ["127.0.0.1:7001"]
connect_timeout = 500
"#;

#[test]
fn five_errors_are_all_shown_with_their_places_and_hints() {
    let parsed = Mesh::parse_toml(FIVE_ERRORS);
    assert!(parsed.value.is_none());
    let expected = r#"mesh.toml:3:10: error: "api.example.com:443" is not a host
  at routes.papers.hosts[0]
  3 | hosts = ["api.example.com:443"]
    |          ^^^^^^^^^^^^^^^^^^^^^
  hint: leave the port out, listeners have ports: "api.example.com"

mesh.toml:7:12: error: `get` is not a method
  at routes.papers.rules[0].match[0]
  7 |   match = ["get /v1/search/*"]
    |            ^^^^^^^^^^^^^^^^^^
  hint: methods are written in capitals: `GET`

mesh.toml:8:8: error: unknown upstream `serach`
  at routes.papers.rules[0].to
  8 |   to = "serach"
    |        ^^^^^^^^
  hint: did you mean `search`?

mesh.toml:9:3: error: unknown key `timout`
  at routes.papers.rules[0].timout
  9 |   timout = "2s"
    |   ^^^^^^
  hint: did you mean `timeout`?

mesh.toml:13:19: error: expected a duration such as "30s", found the number 500
  at upstreams.search.connect_timeout
  13 | connect_timeout = 500
     |                   ^^^
  hint: write the unit: "500s" or "500ms"
"#;
    assert_eq!(Problems::new("mesh.toml", FIVE_ERRORS, &parsed.problems).to_string(), expected);
}

#[test]
fn scripts_get_the_same_as_json() {
    let parsed = Mesh::parse_toml(FIVE_ERRORS);
    let problems = Problems::new("mesh.toml", FIVE_ERRORS, &parsed.problems).json();
    assert_eq!(problems.as_array().map(Vec::len), Some(5));
    assert_eq!(
        problems[3],
        json!({
            "severity": "error",
            "path": "routes.papers.rules[0].timout",
            "message": "unknown key `timout`",
            "hint": "did you mean `timeout`?",
            "line": 9,
            "column": 3,
        })
    );
}

#[test]
fn a_caller_may_colour_the_parts() {
    struct Tags;
    impl Paint for Tags {
        fn paint(&self, f: &mut fmt::Formatter<'_>, part: Part, text: &str) -> fmt::Result {
            write!(f, "<{part:?}>{text}</>")
        }
    }
    let text = "routes = 1\n";
    let problems = Mesh::parse_toml(text).problems;
    assert_eq!(
        Problems::new("m", text, &problems).painted(&Tags).to_string(),
        "<Place>m:1:10</>: <Severity(Error)>error</>: <Message>expected a table, found the number 1</>\n  \
         at <Path>routes</>\n\
         <Margin>  1 | </><Source>routes = 1</>\n\
         <Margin>    | </>         <Underline(Error)>^</>\n"
    );
}

#[test]
fn all_syntax_errors_are_shown_at_once() {
    let text = "[routes.a]\nrules = [1 2]\n[upstreams.b]\nendpoints = nonsense\nendpoints = [\"127.0.0.1:1\"]\n[open\n";
    let problems = Mesh::parse_toml(text).problems;
    let lines: Vec<u64> = Problems::new("m", text, &problems)
        .json()
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|problem| problem["line"].as_u64())
        .collect();
    assert!([2, 4, 5, 6].iter().all(|line| lines.contains(line)), "{problems:#?}");
    let nonsense = problems.iter().find(|problem| problem.message == "`nonsense` is not a value");
    assert_eq!(nonsense.and_then(|problem| problem.hint.as_deref()), Some("strings are in quotes: \"nonsense\""));
    // No table of half a document is looked at.
    assert!(problems.iter().all(|problem| problem.path.is_root()), "{problems:#?}");
}

#[test]
fn an_open_bracket_does_not_bury_the_rest_in_errors() {
    let text = "[routes.a]\nhosts = [\"a.com\"\n\n[[routes.a.rules]]\nto = \"a\"\ntimeout = \"1s\"\n\n[upstreams.a\n";
    let shown: Vec<String> = Mesh::parse_toml(text).problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "missing comma between array elements, expected `,` (or a bracket before it is not closed)",
            "unclosed array, expected `]`"
        ],
        "{}",
        Problems::new("m", text, &Mesh::parse_toml(text).problems)
    );
}

#[test]
fn what_stands_twice_does_not_hide_the_other_errors() {
    let text = "upstreams.a.endpoints = [\"127.0.0.1:1\"]\nroutes.r.rules = [{ to = \"a\" }]\n\
                routes.r.rules = []\nroutes.r.host = [\"b\"]\n[upstreams.a]\n";
    assert_eq!(
        problems_of_mesh(text),
        [
            "`rules` is here for the second time (a key stands once in its table, and a table has one header)",
            "routes.r.host: unknown key `host` (did you mean `hosts`?)",
            "`a` is here for the second time (a key stands once in its table, and a table has one header)",
        ]
    );
}

#[test]
fn json_has_its_own_syntax_errors() {
    for (text, message, place) in [
        ("{\n  \"routes\": {},\n  \"routes\": {}\n}", "duplicate key \"routes\"", "3:10"),
        ("{ \"routes\": }", "expected value", "1:13"),
        ("", "EOF while parsing a value", "1:1"),
        ("[1, 18446744073709551615]", "18446744073709551615 is out of range", "1:24"),
    ] {
        let Parsed { value, problems, .. } = Mesh::parse("m.json", text);
        assert!(value.is_none());
        let shown = Problems::new("m.json", text, &problems).to_string();
        assert!(shown.starts_with(&format!("m.json:{place}: error: {message}\n")), "{shown}");
    }
}

#[test]
fn values_that_no_document_holds_are_refused_where_they_stand() {
    let text = "a = 10:00:00\nb = 2026-12-01T10:00:00Z\nc = nan\nd = 9223372036854775808\n";
    let problems: Vec<String> = Node::from_toml(text).problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "a: 10:00:00 has a time of day (only dates are used here: 2026-12-01)",
            "b: 2026-12-01T10:00:00Z has a time of day (only dates are used here: 2026-12-01)",
            "c: nan is no usable number (JSON has no such number, so neither have we)",
            "d: 9223372036854775808 is out of range (a number has at most 64 bits)",
        ]
    );
}

#[test]
fn wrong_types_are_said_with_what_is_there() {
    for (rule, problem) in [
        ("match = \"/a\"", "match: expected a list, found \"/a\" (write it in brackets: [\"/a\"])"),
        ("match = []", "match: the list is empty (leave the key out, or say what is in the list)"),
        (
            "match = [5]",
            "match[0]: expected a match such as \"GET /v1/*\" or a table, found the number 5 (write it in quotes: \"5\")",
        ),
        ("match = [\"GET\"]", "match[0]: the match \"GET\" has no path (write \"GET /*\" for any path)"),
        ("match = [\"v1\"]", "match[0]: the path \"v1\" does not begin with `/` (write \"/v1\")"),
        (
            "match = [{ headers = { x-a = 1 } }]",
            "match[0].headers.x-a: expected a string or { regex = \"…\" }, found the number 1 (write it in quotes: \"1\")",
        ),
        (
            "match = [{ headers = { x-a = \"1\", X-A = \"2\" } }]",
            "match[0].headers.X-A: `X-A` is here twice, in different spellings",
        ),
        ("match = [{ method = \"GET\" }]", "match[0].method: unknown key `method` (did you mean `methods`?)"),
        ("filters = [{ rate = \"1/s\" }]", "filters[0].kind: `kind` is missing (`weir filters` lists them)"),
        (
            "filters = [\"deny\"]",
            "filters[0]: expected a filter, found \"deny\" (a table with its kind: { kind = \"rate_limit\", rate = \"100/s\" })",
        ),
        (
            "mirror = { to = \"u\", share = 5 }",
            "mirror.share: expected a share such as \"5%\", found the number 5 (write \"5%\")",
        ),
        (
            "version = { name = \"v1\", sunset = \"soon\" }",
            "version.sunset: \"soon\" is not a date (year-month-day: 2026-12-01)",
        ),
        (
            "cors = { origins = [\"*\"], credentials = \"true\" }",
            "cors.credentials: expected true or false, found \"true\" (write it without quotes: true)",
        ),
        (
            "reply = { status = \"200\" }",
            "reply.status: expected a whole number, found \"200\" (write it without quotes: 200)",
        ),
        ("reply = { status = 70000 }", "reply.status: 70000 is out of range (a whole number from 0 to 65535)"),
        (
            "sticky = {}",
            "sticky: expected exactly one of `cookie`, `header` and `address` ({ cookie = \"weir-split\" }, { header = \"x-user\" } or { address = true })",
        ),
        ("sticky = { cokie = \"a\" }", "sticky.cokie: unknown key `cokie` (did you mean `cookie`?)"),
        (
            "retry = { retries = 1 }",
            "retry: unknown key `retry` (known keys: `name`, `match`, `to`, `redirect`, `reply`, `sticky`, `timeout`, `attempt_timeout`, `idle_timeout`, `filters`, `version`, `rewrite`, `request_headers`, `response_headers`, `mirror`, `cors`)",
        ),
    ] {
        let document =
            format!("upstreams.u.endpoints = [\"127.0.0.1:1\"]\nroutes.r.rules = [{{ to = \"u\", {rule} }}]");
        assert_eq!(problems_of_mesh(&document), [format!("routes.r.rules[0].{problem}")], "{rule}");
    }
}

#[test]
fn problems_found_later_get_their_places_too() {
    let text = "routes.r.rules = [{ to = \"u\" }]\nupstreams.u.endpoints = [\"127.0.0.1:1\"]\n";
    let node = Mesh::parse_toml(text).node;
    let rule = Path::root().key("routes").key("r").key("rules").index(0);
    let span_of = |path: &Path| locate(&node, path).map(|span| &text[span]);
    assert_eq!(span_of(&rule), Some("{ to = \"u\" }"));
    assert_eq!(span_of(&rule.key("to")), Some("\"u\""));
    // What is not there is shown at what is around it.
    assert_eq!(span_of(&rule.key("reply").key("status")), Some("{ to = \"u\" }"));
    assert_eq!(span_of(&Path::root()), None);
    let problems =
        placed(vec![Problem::error(&rule.key("to"), "late"), Problem::error(&Path::root(), "all of it")], &node);
    assert_eq!(problems.iter().map(|problem| problem.span.is_some()).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn long_lines_and_control_characters_do_not_spoil_the_screen() {
    let long = format!("{{ \"routes\": {}{{ \"r\": 1 }} x", " ".repeat(5_000));
    let problems = Mesh::parse_json(&long).problems;
    let shown = Problems::new("m.json", &long, &problems).to_string();
    assert!(shown.lines().all(|line| line.chars().count() < 200), "{shown}");
    // A span that begins at the line's end, behind all that is shown of it.
    let full = format!("# {}\r\n", "x".repeat(158));
    let problem = Problem::error(&Path::root(), "here").span(Some(161..162));
    assert!(Problems::new("m", &full, &[problem]).to_string().starts_with("m:1:162: error: here\n"));
    let steering = "routes = \"\u{7f}é\u{9b}2J\" # \u{1b}[2J\n";
    let problems = Mesh::parse_toml(steering).problems;
    let shown = Problems::new("m", steering, &problems).to_string();
    assert!(!shown.contains(['\u{1b}', '\u{9b}', '\u{7f}']), "{shown:?}");
}

#[test]
fn only_what_is_near_is_suggested() {
    let known = ["timeout", "attempt_timeout", "to", "h1", "h2"];
    for (word, suggestion) in [
        ("timout", Some("timeout")),
        ("timeuot", Some("timeout")),
        ("attempttimeout", Some("attempt_timeout")),
        ("too", Some("to")),
        ("retry", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(did_you_mean(word, known), suggestion, "{word}");
    }
}

#[test]
fn a_match_reads_from_both_forms() {
    let rules = |text: &str| {
        mesh(&format!(
            "upstreams.u.endpoints = [\"127.0.0.1:1\"]\nroutes.r.rules = [{{ to = \"u\", match = [{text}] }}]"
        ))
    };
    for (string, table) in [
        ("\"/a\"", "{ path = \"/a\" }"),
        ("\"GET,POST /a/*\"", "{ methods = [\"GET\", \"POST\"], path = \"/a/*\" }"),
        ("\"GET  ~^/a b$\"", "{ methods = [\"GET\"], path = \"~^/a b$\" }"),
        ("\"/*\"", "{}"),
    ] {
        assert_eq!(rules(string), rules(table), "{string}");
    }
}
