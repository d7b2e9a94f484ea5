use std::collections::BTreeSet;

use proptest::prelude::*;

use super::documents::{Request, Words, mesh};
use crate::compile;
use crate::decide::{Asked, find};

/// One request of each kind that the generated documents can tell apart, with values among them that none names.
fn universe() -> Vec<Request> {
    let listeners = [("edge", false), ("edge", true), ("egress", false), ("other", true)];
    let hosts = ["a.test", "b.a.test", "c.b.a.test", "x.a.test", "x.b.a.test", "x.test", "other"];
    let paths =
        ["/", "/a", "/a/b", "/ab", "/v1", "/v1/a", "/x", "/a/x", "/a/b/x", "/v1/x", "/v1/a/x", "/v2/x", "/v2", "/b"];
    let requests = [
        ("GET", None),
        ("PROPFIND", None),
        ("BREW", None),
        ("OPTIONS", None),
        ("OPTIONS", Some("GET")),
        ("OPTIONS", Some("PROPFIND")),
        ("OPTIONS", Some("OPTIONS")),
        ("OPTIONS", Some("BREW")),
    ];
    let mut all = Vec::new();
    for (listener, default) in listeners {
        for host in hosts {
            for path in paths {
                for (method, asks) in requests {
                    let mut headers = Vec::new();
                    if let Some(asks) = asks {
                        headers.extend([("origin", "https://a.test"), ("access-control-request-method", asks)]);
                    }
                    all.push(Request { listener, default, method, host, path, query: None, headers });
                }
            }
        }
    }
    all
}

proptest! {
    // Each case asks some hundred thousand requests.
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn exactly_what_no_request_finds_is_reported(mesh in prop_oneof![1 => mesh(Words::Plain), 4 => mesh(Words::Few)]) {
        let compiled = compile(&mesh).unwrap();
        let table = &compiled.table;

        // Every form with its own headers and query, and no other, at every point of the rest of the universe.
        let mut chosen = BTreeSet::new();
        let mut asked_with = BTreeSet::new();
        let mut universe = universe();
        for form in &table.forms {
            let conditions = table.conditions((form.conditions.start, form.conditions.end));
            if !asked_with.insert(conditions.to_vec()) {
                continue;
            }
            let text = |condition: &crate::pattern::Condition| match &condition.value {
                crate::pattern::Value::Exact(value) => value.clone(),
                crate::pattern::Value::Regex(_) => unreachable!(),
            };
            let of = |on| conditions.iter().filter(move |condition| condition.on == on);
            let own: Vec<(String, String)> =
                of(crate::pattern::Subject::Header).map(|condition| (condition.name.clone(), text(condition))).collect();
            let query: Vec<String> = of(crate::pattern::Subject::Query)
                .map(|condition| format!("{}={}", condition.name, text(condition)))
                .collect();
            let query = (!query.is_empty()).then(|| query.join("&"));
            for request in &mut universe {
                let mut headers: Vec<(&str, &str)> = own.iter().map(|(name, value)| (&**name, &**value)).collect();
                headers.extend(&request.headers);
                let mut head = request.head();
                head.headers = &headers;
                head.query = query.as_deref();
                if let Some(candidate) = find(table, &Asked::new(table, &head, &request.facts(table))) {
                    chosen.insert((candidate.rule, table.form(candidate).alternative));
                }
            }
        }

        let mut expected = BTreeSet::new();
        for rule in table.rules() {
            let at = format!("routes.{}.rules[{}]", rule.route, rule.position);
            let count = mesh.routes[&rule.route].rules[rule.position].r#match.len();
            let dead: Vec<usize> =
                (0..count.max(1)).filter(|alternative| !chosen.contains(&(rule.id, *alternative))).collect();
            if dead.len() == count.max(1) {
                expected.insert(at);
            } else {
                expected.extend(dead.into_iter().map(|alternative| format!("{at}.match[{alternative}]")));
            }
        }
        let reported: BTreeSet<String> = compiled.warnings.iter().map(|problem| problem.path.to_string()).collect();
        prop_assert_eq!(reported, expected);
    }
}
