//! What a document becomes, and what is wrong with it that only the policy can know.

mod common;

use std::time::Duration;

use common::{GET, RequestHead, facts, get, mesh, refused, rule, rules, table};
use weir_config::problem::Problem;
use weir_policy::{Action, CompiledFilter, FilterContext, Next, Table, Timeout, compile};

fn line(problem: &Problem) -> String {
    problem.to_string()
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_where() {
    let problems = refused(
        r#"
        [routes.a]
        rules = [
          { match = ["~(", { headers = { x-a = { regex = "[" } }, query = { q = { regex = "*" } } }], to = "blue" },
          { to = "blue", filters = [{ kind = "rate_limt" }, { kind = "deny", paths = ["~("] }] },
        ]
        "#,
    );
    let paths: Vec<String> = problems.iter().map(|problem| problem.path.to_string()).collect();
    assert_eq!(
        paths,
        [
            "routes.a.rules[0].match[0]",
            "routes.a.rules[0].match[1].headers.x-a",
            "routes.a.rules[0].match[1].query.q",
            "routes.a.rules[1].filters[0].kind",
            "routes.a.rules[1].filters[1].paths[0]",
        ]
    );
    assert_eq!(line(&problems[0]), "routes.a.rules[0].match[0]: not a regex: unclosed group");
    assert!(problems.iter().all(|problem| problem.span.is_none() && problem.is_error()));
}

#[test]
fn a_regex_that_would_eat_the_memory_is_refused() {
    let problems = refused(r#"routes.a.rules = [{ match = ["~^/(a{1000}){1000}$"], to = "blue" }]"#);
    assert_eq!(line(&problems[0]), "routes.a.rules[0].match[0]: the regex needs more than 1024 KiB when compiled");
}

#[test]
fn what_a_check_refuses_is_refused_in_its_words() {
    let mut mesh = mesh(r#"routes.a.rules = [{ to = "blue" }]"#);
    mesh.upstreams.clear();
    let problems = compile(&mesh).unwrap_err();
    assert_eq!(problems, weir_config::check::mesh(&mesh));
    assert!(line(&problems[0]).starts_with("routes.a.rules[0].to: unknown upstream `blue`"));

    for route in mesh.routes.values_mut() {
        route.rules[0].to = None;
    }
    assert_eq!(compile(&mesh).unwrap_err(), weir_config::check::mesh(&mesh));
}

#[test]
fn too_many_methods_or_listeners_are_refused() {
    let methods: Vec<String> = (0..56).map(|number| format!("M{number}")).collect();
    let problems = refused(&format!("routes.a.rules = [{{ match = [\"{} /\"], to = \"blue\" }}]", methods.join(",")));
    assert!(line(&problems[0]).starts_with("routes.a.rules[0].match[0].methods[55]: `M55` is one method too many"));

    let listeners: Vec<String> = (0..65).map(|number| format!("\"l{number}\"")).collect();
    let routes = format!("[routes.a]\nlisteners = [{}]\nrules = [{{ to = \"blue\" }}]", listeners.join(","));
    assert!(line(&refused(&routes)[0]).starts_with("routes.a.listeners[64]: `l64` is one listener too many"));
}

#[test]
fn times_mean_what_the_contract_says() {
    let table = rules(
        r#"
        { match = ["/default"], to = "blue" },
        { match = ["/off"], to = "blue", timeout = "0s" },
        { match = ["/total"], to = "blue", timeout = "2s", attempt_timeout = "1s", idle_timeout = "10s" },
        "#,
    );
    let default = rule(&table, &get("/default")).unwrap();
    assert_eq!(default.timeout, Timeout::Head(Duration::from_secs(15)));
    assert_eq!((default.attempt_timeout, default.idle_timeout), (None, Duration::from_secs(300)));
    assert_eq!(rule(&table, &get("/off")).unwrap().timeout, Timeout::Off);
    let total = rule(&table, &get("/total")).unwrap();
    assert_eq!(total.timeout, Timeout::Total(Duration::from_secs(2)));
    assert_eq!((total.attempt_timeout, total.idle_timeout), (Some(Duration::from_secs(1)), Duration::from_secs(10)));
}

#[test]
fn a_version_says_in_headers_when_it_is_deprecated_and_gone() {
    let table = rules(
        r#"
        { match = ["/v1/*"], to = "blue", version = { name = "v1", deprecated = 2026-12-01, sunset = 2027-06-01 },
          response_headers = { set = { x-a = "1" }, add = { x-b = "2" }, remove = ["x-c"] } },
        { match = ["/v2/*"], to = "blue", version = { name = "v2", sunset = 2027-06-01 },
          response_headers = { set = { sunset = "mine" } } },
        "#,
    );
    let edits = &rule(&table, &get("/v1/x")).unwrap().response_edits;
    let set: Vec<(&str, &str)> = edits.set.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(set, [("x-a", "1"), ("deprecation", "@1796083200"), ("sunset", "Tue, 01 Jun 2027 00:00:00 GMT"),]);
    assert_eq!((&*edits.add[0].0, &*edits.add[0].1, &*edits.remove[0]), ("x-b", "2", "x-c"));
    let own = &rule(&table, &get("/v2/x")).unwrap().response_edits;
    assert_eq!(own.set.len(), 1);
    assert_eq!(&*own.set[0].1, "mine");
}

#[test]
fn a_reply_describes_its_body() {
    let table = rules(
        r#"
        { match = ["/plain"], reply = { status = 200, body = "hi" } },
        { match = ["/html"], reply = { status = 200, body = "<p>", content_type = "text/html" } },
        { match = ["/empty"], reply = { status = 204 } },
        "#,
    );
    let reply = |path| match &rule(&table, &get(path)).unwrap().action {
        Action::Reply(reply) => (reply.status, reply.body.to_string(), reply.content_type.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(reply("/plain"), (200, "hi".to_owned(), Some("text/plain; charset=utf-8".into())));
    assert_eq!(reply("/html"), (200, "<p>".to_owned(), Some("text/html".into())));
    assert_eq!(reply("/empty"), (204, String::new(), None));
}

#[test]
fn rules_go_by_their_name_or_position_and_upstreams_are_sorted() {
    let table = table(
        r#"
        [routes.b]
        rules = [{ match = ["/0"], to = "green" }, { name = "named", match = ["/1"], to = "blue" }]
        [routes.a]
        rules = [{ match = ["/2"], to = "blue" }]
        "#,
    );
    let names: Vec<_> = table.rules().iter().map(|rule| format!("{}/{}", rule.route, rule.name)).collect();
    assert_eq!(names, ["a/0", "b/0", "b/named"]);
    assert!((0..).zip(table.rules()).all(|(position, rule)| rule.id.0 == position));
    assert_eq!(table.upstreams().iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["blue", "green"]);
}

#[test]
fn the_tightest_filter_bounds_the_body() {
    let table = rules(
        r#"{ to = "blue", filters = [
          { kind = "deny", body_over = "1MiB" },
          { kind = "deny", methods = ["POST"], body_over = "64KiB" },
        ] }"#,
    );
    let limit = |method| {
        let head = RequestHead { method, ..GET };
        rule(&table, &head).unwrap().body_limit(&head, &facts(&table))
    };
    assert_eq!(limit("POST"), Some(64 << 10));
    assert_eq!(limit("PUT"), Some(1 << 20));
}

fn limited(route: &str, name: &str, settings: &str) -> Table {
    table(&format!(
        "[routes.{route}]\nrules = [{{ name = \"{name}\", to = \"blue\", filters = [{{ kind = \"rate_limit\", {settings} }}] }}]"
    ))
}

fn admits(table: &Table) -> bool {
    let rule = rule(table, &GET).unwrap();
    let request = |filter: &CompiledFilter| {
        filter.request(&mut FilterContext { head: &GET, facts: &facts(table), log: &mut Vec::new() })
    };
    rule.filters.iter().all(|filter| request(filter) == Next::Continue)
}

#[test]
fn a_new_table_takes_over_what_the_old_one_counted() {
    let old = limited("a", "x", "rate = \"1/h\", burst = 1");
    assert!(admits(&old));
    assert!(!admits(&old));
    for (route, name, settings, same) in [
        ("a", "x", "rate = \"1/h\", burst = 1", true),
        ("a", "x", "rate = \"1/m\", burst = 1", true),
        ("a", "x", "key = \"address\", rate = \"1/h\", burst = 1", false),
        ("a", "y", "rate = \"1/h\", burst = 1", false),
        ("b", "x", "rate = \"1/h\", burst = 1", false),
    ] {
        let mut new = limited(route, name, settings);
        new.inherit(&old);
        assert_eq!(admits(&new), !same, "{route} {name} {settings}");
    }
}

#[test]
fn routes_that_come_and_go_do_not_move_what_is_counted() {
    let old = table(
        r#"
        routes.a.rules = [{ match = ["/a"], to = "blue" }]
        routes.c.rules = [{ to = "blue", filters = [{ kind = "rate_limit", rate = "1/h" }] }]
        routes.e.rules = [{ match = ["/e"], to = "blue", filters = [{ kind = "rate_limit", rate = "1/h" }] }]
        "#,
    );
    assert!(admits(&old));
    let mut new = table(
        r#"
        routes.b.rules = [{ match = ["/b"], to = "blue", filters = [{ kind = "rate_limit", rate = "1/h" }] }]
        routes.c.rules = [{ to = "blue", filters = [{ kind = "rate_limit", rate = "1/h" }] }]
        routes.d.rules = [{ match = ["/d"], to = "blue" }]
        "#,
    );
    new.inherit(&old);
    assert!(!admits(&new));
}
