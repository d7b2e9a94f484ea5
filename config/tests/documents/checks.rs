//! What holds between the parts, and what is said when it does not.

mod bootstraps;
mod rules;
mod upstreams;

use weir_config::mesh::Mesh;

use crate::problems_of_mesh;

/// Each text has this one problem; where that is empty, none.
#[track_caller]
fn each(check: fn(&str) -> Vec<String>, cases: &[(&str, &str)]) {
    for (text, problem) in cases {
        let found = check(text);
        match *problem {
            "" => assert!(found.is_empty(), "{text}\n{found:#?}"),
            problem => assert_eq!(found, [problem], "{text}"),
        }
    }
}

#[test]
fn names_and_hosts_are_there_once() {
    let document = r#"
        upstreams.a.endpoints = ["127.0.0.1:1"]
        [routes.r]
        hosts = ["a.com", "b.com", "A.com"]
        listeners = ["edge", "edge"]
        rules = [{ to = "a" }, { name = "x", to = "a" }, { name = "x", to = "a" }, { name = "0", to = "a" }]
    "#;
    assert_eq!(
        problems_of_mesh(document),
        [
            "routes.r.hosts[2]: the host `a.com` is here twice",
            "routes.r.listeners[1]: the listener `edge` is here twice",
            "routes.r.rules[2].name: two rules of this route go by the name `x` \
             (the other is routes.r.rules[1]; a rule without a name goes by its position)",
            "routes.r.rules[3].name: two rules of this route go by the name `0` \
             (the other is routes.r.rules[0]; a rule without a name goes by its position)",
        ]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>()
    );
}

#[test]
fn an_unused_upstream_is_a_warning() {
    let parsed = Mesh::parse_toml(
        r#"
        routes.r.rules = [{ to = "a", mirror = { to = "b" } }]
        upstreams.a.endpoints = ["127.0.0.1:1"]
        upstreams.b.endpoints = ["127.0.0.1:2"]
        upstreams.c.endpoints = ["127.0.0.1:3"]
        "#,
    );
    let [problem] = &parsed.problems[..] else { panic!("{:?}", parsed.problems) };
    assert_eq!(problem.to_string(), "upstreams.c: no rule uses the upstream `c`");
    assert!(!problem.is_error() && parsed.value.is_some());
}

#[test]
fn an_error_makes_no_noise_elsewhere() {
    for (document, problems) in [
        // The upstream is there, only its table is wrong.
        (
            "routes.r.rules = [{ to = \"a\" }]\nupstreams.a.endpoint = [\"127.0.0.1:1\"]",
            vec!["upstreams.a.endpoint: unknown key `endpoint` (did you mean `endpoints`?)"],
        ),
        // All of them are there, only the word is wrong.
        (
            "routes.r.rules = [{ to = \"a\" }]\nupstream.a.endpoints = [\"127.0.0.1:1\"]",
            vec!["upstream: unknown key `upstream` (did you mean `upstreams`?)"],
        ),
        // What the rule would do is said, in a wrong way.
        (
            "routes.r.rules = [{ too = { a = 1 }, sticky = { address = true } }]",
            vec!["routes.r.rules[0].too: unknown key `too` (did you mean `to`?)"],
        ),
        (
            "routes.r.rules = [{ to = \"A\", rewrite = { prefix = \"/\" } }]",
            vec!["routes.r.rules[0].to: `A` is not a name (names are lower-case: `a`)"],
        ),
        // Of a rule with an error the rest is looked at too, and of the rules after it, under their own numbers.
        (
            "routes.r.rules = [{ to = \"a\", timout = \"1s\", reply = { status = 1 } }, { to = \"nowhere\" }]\n\
             upstreams.a.endpoints = [\"127.0.0.1:1\"]",
            vec![
                "routes.r.rules[0].timout: unknown key `timout` (did you mean `timeout`?)",
                "routes.r.rules[0].reply.status: 1 is no final status (200 to 599)",
                "routes.r.rules[1].to: unknown upstream `nowhere` (declare it: [upstreams.nowhere])",
            ],
        ),
        (
            "routes.r = 5",
            vec!["routes.r: expected a table, found the number 5 (a table has the keys `listeners`, `hosts`, `rules`)"],
        ),
        ("[routes.r]", vec!["routes.r.rules: the route has no rules (add [[routes.r.rules]])"]),
    ] {
        assert_eq!(problems_of_mesh(document), problems, "{document}");
    }
}
