//! A second matcher, as naive as can be, to hold the real one against.
//!
//! Written straight from the text (Gateway API v1.6, `HTTPRouteRule.matches`, and the precedence that this crate's
//! documentation lists): it looks at every alternative of every rule for every request, and shares no line with the
//! matcher that serves. Slow, and only for tests.

use std::cmp::Ordering;

use weir_config::mesh::{Match, Mesh, Route, Rule, ValuePattern};
use weir_config::names::{Host, PathPattern};

/// A request, as a client would send it to a listener. Host and path are in normal form.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub listener: &'a str,
    /// Whether that listener is marked `default`.
    pub default: bool,
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
    /// Names in any case.
    pub headers: &'a [(&'a str, &'a str)],
}

/// Which rule takes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub route: String,
    /// The position of the rule in its route.
    pub rule: usize,
    /// The position of the alternative in its rule; 0 where the rule writes none.
    pub alternative: usize,
    /// The path that the upstream is asked for.
    pub path: String,
    /// How specific it is, point by point in the order of precedence, and at each the more the better: the host, an
    /// exact path, the path's length, a prefix rather than a regex, methods, headers, query parameters.
    pub rank: [usize; 7],
}

/// The rule that takes a request, if any does.
pub fn find(mesh: &Mesh, request: &Request<'_>) -> Option<Found> {
    let mut all: Vec<Matched<'_>> = Vec::new();
    for (name, route) in &mesh.routes {
        if !served(route, request) {
            continue;
        }
        let Some(host) = best_host(route, request.host) else { continue };
        for (position, rule) in route.rules.iter().enumerate() {
            for (alternative, matched) in alternatives(rule).into_iter().enumerate() {
                for way in ways(rule, &matched) {
                    if way.takes(rule, request) {
                        let place = (name.as_str(), position, alternative, way.short);
                        all.push(Matched { host, way, place, rule });
                    }
                }
            }
        }
    }
    let mut best: Option<Matched<'_>> = None;
    for next in all {
        if best.as_ref().is_none_or(|best| next.goes_before(best)) {
            best = Some(next);
        }
    }
    best.map(|best| best.found(request))
}

fn served(route: &Route, request: &Request<'_>) -> bool {
    match &route.listeners {
        None => request.default,
        Some(names) => names.iter().any(|name| name.as_str() == request.listener),
    }
}

/// How specific the best of the route's hosts is that matches: an exact one beats all wildcards, then the most
/// characters count, then any host.
fn best_host(route: &Route, host: &str) -> Option<usize> {
    if route.hosts.is_empty() {
        return Some(0);
    }
    let mut best = None;
    for pattern in &route.hosts {
        let specific = match pattern {
            Host::Exact(exact) if host == &**exact => usize::MAX,
            Host::Wildcard(suffix) if host.len() > suffix.len() && host.ends_with(&**suffix) => suffix.len(),
            Host::Exact(_) | Host::Wildcard(_) => continue,
        };
        best = best.max(Some(specific));
    }
    best
}

/// A rule that writes no match takes every request.
fn alternatives(rule: &Rule) -> Vec<Match> {
    match rule.r#match.is_empty() {
        true => vec![Match::default()],
        false => rule.r#match.clone(),
    }
}

/// A way in which an alternative matches.
struct Way {
    matched: Match,
    /// The version that the request must accept.
    accept: Option<String>,
    /// Whether the version is left out of the path.
    short: bool,
}

fn ways(rule: &Rule, matched: &Match) -> Vec<Way> {
    let plain = |accept| Way { matched: matched.clone(), accept, short: false };
    let Some(version) = &rule.version else { return vec![plain(None)] };
    let version = version.name.to_string();
    let begins = |path: &str| path == format!("/{version}") || path.starts_with(&format!("/{version}/"));
    let rest = |path: &str| path[version.len() + 1..].to_owned();
    let short = match &matched.path {
        PathPattern::Exact(path) if begins(path) => match rest(path) {
            empty if empty.is_empty() => PathPattern::Exact("/".to_owned()),
            rest => PathPattern::Exact(rest),
        },
        PathPattern::Prefix(prefix) if begins(prefix) => PathPattern::Prefix(rest(prefix)),
        PathPattern::Regex(regex) if head_of(regex).starts_with(&format!("/{version}/")) => return vec![plain(None)],
        _ => return vec![plain(Some(version))],
    };
    let short = Way { matched: Match { path: short, ..matched.clone() }, accept: Some(version), short: true };
    vec![plain(None), short]
}

impl Way {
    fn takes(&self, rule: &Rule, request: &Request<'_>) -> bool {
        let lines = |name: &str| {
            let name = name.to_owned();
            let lines = request.headers.iter().filter(move |(known, _)| known.to_lowercase() == name);
            lines.map(|(_, value)| *value).collect::<Vec<_>>()
        };
        let asks = lines("access-control-request-method");
        let preflight = request.method == "OPTIONS" && !lines("origin").is_empty() && !asks.is_empty();
        let method = if preflight && rule.cors.is_some() { asks[0] } else { request.method };

        let path = match &self.matched.path {
            PathPattern::Exact(path) => request.path == path,
            PathPattern::Prefix(prefix) => request.path == prefix || request.path.starts_with(&format!("{prefix}/")),
            PathPattern::Regex(regex) => regex::Regex::new(regex).is_ok_and(|regex| regex.is_match(request.path)),
        };
        let methods = &self.matched.methods;
        path && (methods.is_empty() || methods.iter().any(|known| known.as_str() == method))
            && self.matched.headers.iter().all(|(name, value)| lines(name).iter().any(|line| fits(value, line)))
            && self.accept.as_ref().is_none_or(|version| lines("accept-version").contains(&version.as_str()))
            && self.matched.query.iter().all(|(name, value)| {
                let found = parameters(request.query.unwrap_or_default()).into_iter().find(|(known, _)| known == name);
                request.query.is_some() && found.is_some_and(|(_, given)| fits(value, &given))
            })
    }

    /// Exact or not, and how long.
    fn path(&self) -> (bool, usize) {
        match &self.matched.path {
            PathPattern::Exact(path) => (true, path.len()),
            PathPattern::Prefix(prefix) => (false, prefix.len()),
            PathPattern::Regex(regex) => (false, head_of(regex).len()),
        }
    }

    fn headers(&self) -> usize {
        let written = self.matched.headers.iter().any(|(name, value)| {
            let version = self.accept.as_ref();
            *name == "accept-version" && version.is_some_and(|version| *value == ValuePattern::Exact(version.clone()))
        });
        self.matched.headers.len() + usize::from(self.accept.is_some() && !written)
    }
}

fn fits(pattern: &ValuePattern, value: &str) -> bool {
    match pattern {
        ValuePattern::Exact(exact) => exact == value,
        ValuePattern::Regex(regex) => regex::Regex::new(regex).is_ok_and(|regex| regex.is_match(value)),
    }
}

/// Names and values, decoded. A letter at a time, and only for what tests send: escapes of ASCII.
fn parameters(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let mut out = String::new();
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            match rest.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(byte) if letter == '%' => {
                    out.push(char::from(byte));
                    rest = &rest[3..];
                }
                _ => {
                    out.push(letter);
                    rest = &rest[letter.len_utf8()..];
                }
            }
        }
        out
    };
    let pair = |pair: &str| match pair.find('=') {
        Some(at) => (decode(&pair[..at]), decode(&pair[at + 1..])),
        None => (decode(pair), String::new()),
    };
    query.split('&').map(pair).collect()
}

/// The letters after `^` up to the first that means something. Right for regexes without alternatives at their top and
/// without flags; tests write no others.
fn head_of(regex: &str) -> String {
    let Some(rest) = regex.strip_prefix('^') else { return String::new() };
    let mut head = String::new();
    let mut letters = rest.chars().peekable();
    while let Some(letter) = letters.next() {
        let literal = match letter {
            '\\' => match letters.next() {
                Some(escaped) if !escaped.is_alphanumeric() => escaped,
                _ => break,
            },
            '.' | '[' | '(' | '{' | '*' | '+' | '?' | '|' | '$' | '^' => break,
            letter => letter,
        };
        if matches!(letters.peek(), Some('*' | '?' | '{')) {
            break;
        }
        head.push(literal);
        if letters.peek() == Some(&'+') {
            break;
        }
    }
    head
}

/// An alternative that takes a request.
struct Matched<'m> {
    host: usize,
    way: Way,
    /// Route, rule, alternative, and the way without a version after that as written.
    place: (&'m str, usize, usize, bool),
    rule: &'m Rule,
}

impl Matched<'_> {
    /// See [`Found::rank`].
    fn rank(&self) -> [usize; 7] {
        let (exact, length) = self.way.path();
        let regex = matches!(self.way.matched.path, PathPattern::Regex(_));
        let methods = !self.way.matched.methods.is_empty();
        let query = self.way.matched.query.len();
        [self.host, exact.into(), length, (!regex).into(), methods.into(), self.way.headers(), query]
    }

    fn goes_before(&self, other: &Self) -> bool {
        match self.rank().cmp(&other.rank()) {
            Ordering::Greater => true,
            Ordering::Equal => self.place < other.place,
            Ordering::Less => false,
        }
    }

    fn found(&self, request: &Request<'_>) -> Found {
        let (route, rule, alternative, short) = self.place;
        let mut path = request.path.to_owned();
        let own = &alternatives(self.rule)[alternative].path;
        if short {
            let version = self.way.accept.as_deref().unwrap_or_default();
            path = match own {
                PathPattern::Exact(exact) => exact.clone(),
                PathPattern::Prefix(_) | PathPattern::Regex(_) => format!("/{version}{path}"),
            };
        }
        if let Some(rewrite) = &self.rule.rewrite {
            if let Some(whole) = &rewrite.path {
                path = whole.clone();
            }
            if let (Some(new), PathPattern::Prefix(prefix)) = (&rewrite.prefix, own) {
                let new = new.strip_suffix('/').unwrap_or(new);
                path = format!("{new}{}", &path[prefix.len()..]);
                if path.is_empty() {
                    path = "/".to_owned();
                }
            }
        }
        Found { route: route.to_owned(), rule, alternative, path, rank: self.rank() }
    }
}
