//! Documents and requests of few words, so that rules meet.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use weir_config::mesh::{Backends, Cors, Match, Mesh, Rewrite, Route, Rule, Upstream, ValuePattern, Version};
use weir_config::names::{HeaderName, Host, Method, Name, Origin, PathPattern};

use crate::reference;
use crate::request::{Facts, RequestHead};
use crate::table::Table;

/// What documents are made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// Every feature, and regexes.
    Many,
    /// Every feature.
    Plain,
    /// Two paths at two hosts, one header: nearly every rule meets another.
    Few,
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn hosts(words: Words) -> impl Strategy<Value = Vec<Host>> {
    let hosts = match words {
        Words::Many | Words::Plain => vec!["a.test", "b.a.test", "c.b.a.test", "*.a.test", "*.b.a.test", "*.test"],
        Words::Few => vec!["a.test", "*.test"],
    };
    prop_oneof![
        2 => Just(Vec::new()),
        3 => subsequence(hosts, 1..=2)
            .prop_map(|hosts| hosts.into_iter().map(|host| Host::parse(host).unwrap()).collect::<Vec<_>>()),
    ]
}

fn path(words: Words) -> impl Strategy<Value = PathPattern> {
    let mut paths = match words {
        Words::Many | Words::Plain => {
            vec!["/", "/a", "/a/b", "/ab", "/v1", "/v1/a", "/*", "/a/*", "/a/b/*", "/v1/*", "/v1/a/*", "/v2/*"]
        }
        Words::Few => vec!["/a", "/v1/a", "/a/*"],
    };
    if words == Words::Many {
        paths.extend(["~^/a", "~^/a/[a-z]+$", "~b$", "~^/v1/", "~^/v1/a$", "~^/[ab]$", "~^/ab?", "~^/a/b"]);
    }
    select(paths).prop_map(|text| PathPattern::parse(text).unwrap())
}

fn value(words: Words) -> impl Strategy<Value = ValuePattern> {
    let exact = |text: &str| ValuePattern::Exact(text.to_owned());
    let mut values = vec![exact("v1")];
    if words != Words::Few {
        values.extend([exact("1"), exact("1"), exact("2")]);
    }
    if words == Words::Many {
        values.extend(["^1", "[12]"].map(|text| ValuePattern::Regex(text.to_owned())));
    }
    select(values)
}

fn alternative(words: Words) -> impl Strategy<Value = Match> {
    let methods = prop_oneof![
        2 => Just(Vec::new()),
        3 => subsequence(vec!["GET", "OPTIONS", "PROPFIND"], 1..=3),
    ];
    let names = if words == Words::Few { vec!["accept-version"] } else { vec!["x-a", "x-b", "accept-version"] };
    let header = select(names).prop_map(|text| HeaderName::parse(text).unwrap());
    let headers = prop_oneof![2 => Just(BTreeMap::new()), 1 => btree_map(header, value(words), 1..=2)];
    let parameter = select(vec!["q", "r"]).prop_map(str::to_owned);
    let queries = if words == Words::Few { 0 } else { 1 };
    let query = prop_oneof![3 => Just(BTreeMap::new()), queries => btree_map(parameter, value(words), 1..=2)];
    (methods, path(words), headers, query).prop_map(|(methods, path, headers, query)| Match {
        methods: methods.into_iter().map(|method| Method::parse(method).unwrap()).collect(),
        path,
        headers,
        query,
    })
}

fn rule(words: Words) -> impl Strategy<Value = Rule> {
    let version = select(vec![None, None, None, Some("v1"), Some("v2")])
        .prop_map(|version| version.map(|version| Version { name: name(version), deprecated: None, sunset: None }));
    let rewrite =
        select(vec![None, None, Some((Some("/new"), None)), Some((None, Some("/x"))), Some((None, Some("/")))]);
    let alternatives = prop_oneof![1 => Just(Vec::new()), 6 => vec(alternative(words), 1..=3)];
    (alternatives, version, any::<bool>(), rewrite).prop_map(|(r#match, version, cors, rewrite)| {
        let prefixes = r#match.iter().all(|alternative| matches!(alternative.path, PathPattern::Prefix(_)));
        let rewrite = rewrite.filter(|(_, prefix)| prefix.is_none() || prefixes).map(|(path, prefix)| Rewrite {
            path: path.map(str::to_owned),
            prefix: prefix.map(str::to_owned),
            host: None,
        });
        Rule {
            r#match,
            version,
            rewrite,
            cors: cors.then(|| Cors { origins: vec![Origin::Any], ..Cors::default() }),
            to: Some(Backends::One(name("u"))),
            ..Rule::default()
        }
    })
}

fn route(words: Words) -> impl Strategy<Value = Route> {
    let listeners = option::of(subsequence(vec!["edge", "egress"], 1..=2));
    (listeners, hosts(words), vec(rule(words), 1..=3)).prop_map(|(listeners, hosts, rules)| Route {
        listeners: listeners.map(|names| names.into_iter().map(name).collect()),
        hosts,
        rules,
    })
}

pub fn mesh(words: Words) -> impl Strategy<Value = Mesh> {
    btree_map(select(vec!["a", "b", "c", "d"]).prop_map(name), route(words), 1..=4).prop_map(|routes| Mesh {
        routes,
        upstreams: BTreeMap::from([(
            name("u"),
            Upstream { endpoints: vec![([127, 0, 0, 1], 1).into()], ..Upstream::default() },
        )]),
    })
}

/// A request, and the listener that it comes to.
#[derive(Clone, Debug)]
pub struct Request {
    pub listener: &'static str,
    pub default: bool,
    pub method: &'static str,
    pub host: &'static str,
    pub path: &'static str,
    pub query: Option<&'static str>,
    pub headers: Vec<(&'static str, &'static str)>,
}

impl Request {
    pub fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: self.method,
            host: self.host,
            path: self.path,
            query: self.query,
            headers: &self.headers,
            content_length: None,
        }
    }

    pub fn facts(&self, table: &Table) -> Facts {
        Facts {
            listener: table.listener(self.listener, self.default),
            client: [127, 0, 0, 1].into(),
            https: false,
            port: 80,
            now: std::time::Duration::ZERO,
        }
    }

    pub fn for_reference(&self) -> reference::Request<'_> {
        reference::Request {
            listener: self.listener,
            default: self.default,
            method: self.method,
            host: self.host,
            path: self.path,
            query: self.query,
            headers: &self.headers,
        }
    }
}

pub fn request() -> impl Strategy<Value = Request> {
    let method = select(vec!["GET", "GET", "OPTIONS", "OPTIONS", "PROPFIND", "BREW"]);
    let host =
        select(vec!["a.test", "b.a.test", "c.b.a.test", "x.a.test", "x.b.a.test", "x.test", "test", "other", ""]);
    let path = select(vec![
        "/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/abc", "/b", "/v1", "/v1/", "/v1/a", "/v1/a/b", "/v2/a", "/a/v1",
        "/x",
    ]);
    let query = select(vec![None, None, Some("q=1"), Some("q=2&q=1"), Some("r=1&q=v1"), Some("%71=%31&r"), Some("")]);
    let headers = vec(
        select(vec![
            ("x-a", "1"),
            ("X-A", "2"),
            ("x-b", "1"),
            ("x-b", "12"),
            ("accept-version", "v1"),
            ("Accept-Version", "v2"),
            ("origin", "https://a.test"),
            ("origin", "https://a.test"),
            ("access-control-request-method", "GET"),
            ("Access-Control-Request-Method", "PROPFIND"),
            ("access-control-request-method", "BREW"),
        ]),
        0..=5,
    );
    let listener = select(vec![("edge", false), ("edge", true), ("egress", false), ("other", true), ("other", false)]);
    (listener, method, host, path, query, headers).prop_map(
        |((listener, default), method, host, path, query, headers)| Request {
            listener,
            default,
            method,
            host,
            path,
            query,
            headers,
        },
    )
}
