//! Mesh documents by chance, each without errors.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use weir_config::mesh::*;
use weir_config::names::{Authority, HeaderName, Host, Method, Name, Origin, PathPattern};
use weir_config::node::{Key, Node, Value};
use weir_config::units::{Date, Duration, Share};

/// Few names and values, so that two documents by chance have much in common.
pub fn mesh() -> impl Strategy<Value = Mesh> {
    let upstreams =
        ["blue", "green", "a.b_c-1"].map(|known| upstream().prop_map(move |upstream| (name(known), upstream)));
    (btree_map(select(&["papers", "site", "v1.2"][..]).prop_map(name), route(), 0..3), upstreams)
        .prop_map(|(routes, upstreams)| Mesh { routes, upstreams: upstreams.into_iter().collect() })
}

pub fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn route() -> impl Strategy<Value = Route> {
    let hosts = ["api.example.com", "*.example.com", "[::1]"].map(|host| Host::parse(host).expect("a host"));
    let hosts = subsequence(hosts.to_vec(), 0..=3).prop_shuffle();
    let listeners = subsequence(vec![name("edge"), name("egress")], 1..=2);
    let names = subsequence(vec!["one", "two", "three"], 0..=3).prop_shuffle();
    (of(listeners), hosts, names, vec(rule(), 1..4)).prop_map(|(listeners, hosts, names, mut rules)| {
        for (rule, text) in rules.iter_mut().zip(names) {
            rule.name = Some(name(text));
        }
        Route { listeners, hosts, rules }
    })
}

/// Without a name.
fn rule() -> impl Strategy<Value = Rule> {
    let action = prop_oneof![
        3 => (split(), of(sticky())).prop_map(|(to, sticky)| {
            let sticky = sticky.filter(|_| matches!(to, Backends::Split(_)));
            Rule { to: Some(to), sticky, ..Rule::default() }
        }),
        1 => redirect().prop_map(|redirect| Rule { redirect: Some(redirect), ..Rule::default() }),
        1 => reply().prop_map(|reply| Rule { reply: Some(reply), ..Rule::default() }),
    ];
    let times = (of(duration()), of(duration()), of(duration()));
    let edits = (of(edits()), of(edits()), of(rewrite()), of(mirror()));
    (action, vec(r#match(), 0..3), times, edits, vec(filter(), 0..3), of(version()), of(cors())).prop_map(
        |(action, matches, (timeout, attempt_timeout, idle_timeout), edits, filters, version, cors)| {
            let (request_headers, response_headers, rewrite, mirror) = edits;
            let rule = Rule { r#match: matches, filters, version, cors, response_headers, ..action };
            if rule.to.is_none() {
                return rule;
            }
            let attempt_timeout = attempt_timeout.filter(|attempt| timeout.is_none_or(|whole| *attempt <= whole));
            Rule { timeout, attempt_timeout, idle_timeout, request_headers, rewrite, mirror, ..rule }
        },
    )
}

fn split() -> impl Strategy<Value = Backends> {
    let known = || select(&["blue", "green", "a.b_c-1"][..]).prop_map(name);
    prop_oneof![
        known().prop_map(Backends::One),
        (btree_map(known(), 0..4u32, 1..4), known()).prop_map(|(mut weights, one)| {
            *weights.entry(one).or_default() += 1;
            Backends::Split(weights)
        }),
    ]
}

fn r#match() -> impl Strategy<Value = Match> {
    let methods = subsequence(vec!["GET", "POST"], 0..=2)
        .prop_map(|methods| methods.into_iter().map(|method| Method::parse(method).expect("a method")).collect());
    let path = select(&["/*", "/a/*", "/v1/papers/*"][..]).prop_map(|path| PathPattern::parse(path).expect("a path"));
    let headers = btree_map(header(), pattern(), 0..2);
    let query = btree_map("[a-z .]{0,4}", pattern(), 0..2);
    (methods, path, headers, query).prop_map(|(methods, path, headers, query)| Match { methods, path, headers, query })
}

fn pattern() -> impl Strategy<Value = ValuePattern> {
    prop_oneof![".{0,6}".prop_map(ValuePattern::Exact), "[a-z^$]{0,6}".prop_map(ValuePattern::Regex)]
}

fn header() -> impl Strategy<Value = HeaderName> {
    select(&["x-a", "X-B", "accept"][..]).prop_map(|header| HeaderName::parse(header).expect("a header's name"))
}

fn redirect() -> impl Strategy<Value = Redirect> {
    let target = prop_oneof![
        Just((None, None)),
        "/[a-z]{0,4}".prop_map(|path| (Some(path), None)),
        "/[a-z]{0,4}".prop_map(|prefix| (None, Some(prefix))),
    ];
    let status = of(select(&[301u16, 302, 303, 307, 308][..]));
    (status, of(1..u16::MAX), target).prop_map(|(status, port, (path, prefix))| {
        let (scheme, host) = (Some("https".to_owned()), port.map(|_| "example.com".to_owned()));
        Redirect { status, scheme, host, port, path, prefix }
    })
}

fn reply() -> impl Strategy<Value = Reply> {
    (400..=599u16, of(".{0,8}"), of(Just("text/html".to_owned()))).prop_map(|(status, body, content_type)| Reply {
        status,
        body,
        content_type,
    })
}

fn sticky() -> impl Strategy<Value = Sticky> {
    prop_oneof!["[a-z-]{1,6}".prop_map(Sticky::Cookie), header().prop_map(Sticky::Header), Just(Sticky::Address),]
}

/// Never zero.
fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![1..100_000u64, (1..100u64).prop_map(|seconds| seconds * 1_000)]
        .prop_map(|millis| Duration(std::time::Duration::from_millis(millis)))
}

/// A filter of an unknown kind with any settings at all.
fn filter() -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        (-1e9..1e9f64).prop_map(Value::Float),
        ".{0,6}".prop_map(Value::String),
    ]
    .prop_map(Node::new);
    let settings = leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Array),
            btree_map(".{0,3}", inner, 0..3).prop_map(|entries| Value::Table(
                entries.into_iter().map(|(key, node)| (Key::new(key), node)).collect()
            )),
        ]
        .prop_map(Node::new)
    });
    (select(&["rate_limit", "deny"][..]), btree_map("[a-j]{1,3}", settings, 0..3)).prop_map(|(kind, settings)| {
        let kind_entry = (Key::new("kind"), Node::new(Value::String(kind.to_owned())));
        let rest = settings.into_iter().map(|(key, node)| (Key::new(key), node));
        let settings = Node::new(Value::Table(std::iter::once(kind_entry).chain(rest).collect()));
        Filter { kind: kind.to_owned(), settings }
    })
}

fn version() -> impl Strategy<Value = Version> {
    let date = |year: i16| Date(jiff::civil::date(year, 3, 1));
    (select(&["v1", "v2"][..]), of(2020..2023i16), of(2023..2030i16)).prop_map(move |(text, deprecated, sunset)| {
        Version { name: name(text), deprecated: deprecated.map(date), sunset: sunset.map(date) }
    })
}

/// With a prefix, which all of [`match`]'s paths bear.
fn rewrite() -> impl Strategy<Value = Rewrite> {
    prop_oneof![
        "/[a-z]{0,4}".prop_map(|prefix| Rewrite { prefix: Some(prefix), ..Rewrite::default() }),
        "/[a-z]{0,4}".prop_map(|path| Rewrite { path: Some(path), ..Rewrite::default() }),
        Just(Rewrite { host: Some("rest.internal:8080".to_owned()), ..Rewrite::default() }),
    ]
}

fn edits() -> impl Strategy<Value = HeaderEdits> {
    let values = || btree_map(header(), "[!-~]{0,6}", 0..2);
    (values(), values(), header()).prop_map(|(set, add, removed)| HeaderEdits { set, add, remove: vec![removed] })
}

fn mirror() -> impl Strategy<Value = Mirror> {
    let share = (0..=1_000_000u32).prop_map(|ppm| Share::from_ppm(ppm).expect("at most a million"));
    of(share).prop_map(|share| Mirror { to: name("green"), share })
}

fn cors() -> impl Strategy<Value = Cors> {
    let origins =
        ["https://app.example.com", "https://*.example.com"].map(|text| Origin::parse(text).expect("an origin"));
    let parts = (vec(header(), 0..2), vec(header(), 0..2), of(any::<bool>()), of(duration()));
    (subsequence(origins.to_vec(), 1..=2), parts).prop_map(|(origins, (headers, expose, credentials, max_age))| Cors {
        origins,
        methods: Vec::new(),
        headers,
        expose,
        credentials,
        max_age,
    })
}

fn upstream() -> impl Strategy<Value = Upstream> {
    let endpoints = ["127.0.0.1:7001", "127.0.0.1:7002", "[::1]:7001"].map(|text| text.parse().expect("an address"));
    let place = prop_oneof![
        subsequence(endpoints.to_vec(), 1..=3).prop_shuffle().prop_map(|endpoints| (endpoints, None)),
        (1..9_000u16).prop_map(|port| (Vec::new(), Some(Authority { host: "search.internal".to_owned(), port }))),
    ];
    let tls = select(vec![None, Some(Ca::System), Some(Ca::File("ca.pem".to_owned()))]);
    let tls = of(tls.prop_map(|ca| UpstreamTls { sni: "search.internal".to_owned(), ca }));
    let protocol = of(select(&[Protocol::H1, Protocol::H2, Protocol::Auto][..]));
    let times = (of(duration()), of(duration()), of(duration()), of(duration()));
    (place, protocol, tls, times, of(1..200u32)).prop_map(|((endpoints, dns), protocol, tls, times, h2_streams)| {
        let (connect_timeout, handshake_timeout, write_timeout, keepalive) = times;
        let protocol = protocol.filter(|protocol| tls.is_some() || *protocol != Protocol::Auto);
        let h2_streams = h2_streams.filter(|_| protocol.unwrap_or_default() != Protocol::H1);
        let least = connect_timeout.unwrap_or_default();
        let handshake_timeout = handshake_timeout.filter(|time| tls.is_some() && *time >= least);
        Upstream {
            endpoints,
            dns,
            protocol,
            tls,
            connect_timeout,
            handshake_timeout,
            write_timeout,
            keepalive,
            h2_streams,
        }
    })
}
