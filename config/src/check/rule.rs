//! One rule.

use super::headers::{self, Way};
use super::{Upstreams, host, positive};
use crate::mesh::{Backends, Cors, Match, Mirror, Redirect, Reply, Rewrite, Rule, Version};
use crate::names::{Origin, PathPattern};
use crate::problem::{Path, Problem};
use crate::text::Text;

/// A rule of which everything could be read.
pub(super) fn whole(rule: &Rule, at: &Path, known: &Upstreams<'_>, problems: &mut Vec<Problem>) {
    parts(rule, at, known, problems);
    one_action(rule, at, problems);
    prefixes_match(rule, at, problems);
    if let (Some(_), Some(Backends::One(name))) = (&rule.sticky, &rule.to) {
        let problem = Problem::error(&at.key("sticky"), "there is no split to stick to");
        problems.push(problem.hint(format!("split `to` over upstreams: {{ {name} = 95, other = 5 }}")));
    }
}

/// What each key says by itself.
pub(super) fn parts(rule: &Rule, at: &Path, known: &Upstreams<'_>, problems: &mut Vec<Problem>) {
    for (index, alternative) in rule.r#match.iter().enumerate() {
        conditions(alternative, &at.key("match").index(index), problems);
    }
    if let Some(to) = &rule.to {
        backends(to, &at.key("to"), known, problems);
    }
    if let Some(redirect) = &rule.redirect {
        self::redirect(redirect, &at.key("redirect"), problems);
    }
    if let Some(reply) = &rule.reply {
        self::reply(reply, &at.key("reply"), problems);
    }
    timeouts(rule, at, problems);
    if let Some(version) = &rule.version {
        self::version(version, &at.key("version"), problems);
    }
    if let Some(rewrite) = &rule.rewrite {
        self::rewrite(rewrite, &at.key("rewrite"), problems);
    }
    if let Some(edits) = &rule.request_headers {
        headers::edits(edits, Way::Request, &at.key("request_headers"), problems);
    }
    if let Some(edits) = &rule.response_headers {
        headers::edits(edits, Way::Response, &at.key("response_headers"), problems);
    }
    if let Some(Mirror { to, .. }) = &rule.mirror {
        known.check(to, &at.key("mirror").key("to"), problems);
    }
    if let Some(cors) = &rule.cors {
        self::cors(cors, &at.key("cors"), problems);
    }
}

/// Exactly one of `to`, `redirect` and `reply`, and nothing that the one has no use for.
fn one_action(rule: &Rule, at: &Path, problems: &mut Vec<Problem>) {
    let given: Vec<&'static str> =
        [("to", rule.to.is_some()), ("redirect", rule.redirect.is_some()), ("reply", rule.reply.is_some())]
            .into_iter()
            .filter_map(|(key, given)| given.then_some(key))
            .collect();
    match given[..] {
        [] => {
            let problem = Problem::error(at, "the rule does not say what becomes of a request");
            problems.push(problem.hint("one of: to = \"upstream\", redirect = { … }, reply = { … }"));
        }
        ["to"] => {}
        [action] => {
            let needs_upstream = [
                ("sticky", rule.sticky.is_some()),
                ("timeout", rule.timeout.is_some()),
                ("attempt_timeout", rule.attempt_timeout.is_some()),
                ("idle_timeout", rule.idle_timeout.is_some()),
                ("rewrite", rule.rewrite.is_some()),
                ("request_headers", rule.request_headers.is_some()),
                ("mirror", rule.mirror.is_some()),
            ];
            for (key, _) in needs_upstream.into_iter().filter(|(_, given)| *given) {
                let problem = Problem::error(&at.key(key), format!("`{key}` has no effect beside `{action}`"));
                problems.push(problem.hint("it is for requests that go to an upstream; leave it out"));
            }
        }
        [_, .., last] => {
            let problem = Problem::error(&at.key(last), format!("the rule has both `{}`", given.join("` and `")));
            problems.push(problem.hint("keep exactly one of `to`, `redirect` and `reply`"));
        }
    }
}

/// A prefix can only be replaced where a prefix matched.
fn prefixes_match(rule: &Rule, at: &Path, problems: &mut Vec<Problem>) {
    let other = rule.r#match.iter().find(|alternative| !matches!(alternative.path, PathPattern::Prefix(_)));
    let Some(other) = other else { return };
    let rewrite = rule.rewrite.as_ref().and_then(|rewrite| rewrite.prefix.as_ref()).map(|_| "rewrite");
    let redirect = rule.redirect.as_ref().and_then(|redirect| redirect.prefix.as_ref()).map(|_| "redirect");
    for key in rewrite.into_iter().chain(redirect) {
        let message = format!("there is no prefix to replace in the match `{other}`");
        let hint = "use `path` for the whole new path, or match by prefixes (/a/*) only";
        problems.push(Problem::error(&at.key(key).key("prefix"), message).hint(hint));
    }
}

fn conditions(alternative: &Match, at: &Path, problems: &mut Vec<Problem>) {
    for (header, _) in alternative.headers.iter().filter(|(header, _)| *header == "host") {
        let at = at.key("headers").key(header.to_string());
        problems.push(Problem::error(&at, "hosts are not matched as headers").hint("use the route's `hosts`"));
    }
}

fn backends(to: &Backends, at: &Path, known: &Upstreams<'_>, problems: &mut Vec<Problem>) {
    match to {
        Backends::One(name) => known.check(name, at, problems),
        Backends::Split(weights) => {
            for name in weights.keys() {
                known.check(name, &at.key(name.to_string()), problems);
            }
            if weights.values().all(|weight| *weight == 0) {
                let problem = Problem::error(at, "all weights are 0, so no upstream gets a request");
                problems.push(problem.hint("give at least one of them a weight"));
            }
        }
    }
}

fn redirect(redirect: &Redirect, at: &Path, problems: &mut Vec<Problem>) {
    if let Some(status) = redirect.status.filter(|status| ![301, 302, 303, 307, 308].contains(status)) {
        let problem = Problem::error(&at.key("status"), format!("{status} is not a redirect's status"));
        problems.push(problem.hint("301 or 308 for ever, 302 or 307 for now, 303 to a page that is got"));
    }
    if let Some(scheme) = redirect.scheme.as_deref().filter(|scheme| !["http", "https"].contains(scheme)) {
        let problem = Problem::error(&at.key("scheme"), format!("unknown scheme \"{}\"", scheme.escape_debug()));
        problems.push(problem.did_you_mean(scheme, ["http", "https"], || Some("\"http\" or \"https\"".to_owned())));
    }
    if let Some(name) = &redirect.host {
        host(name, &at.key("host"), problems);
    }
    if redirect.port == Some(0) {
        problems.push(Problem::error(&at.key("port"), "0 is not a port").hint("a port is 1 to 65535"));
    }
    target(redirect.path.as_deref(), redirect.prefix.as_deref(), at, problems);
    let Redirect { status: _, scheme, host, port, path, prefix } = redirect;
    if scheme.is_none() && host.is_none() && port.is_none() && path.is_none() && prefix.is_none() {
        let problem = Problem::error(at, "the redirect leads to where it came from");
        problems.push(problem.hint("say at least one of `scheme`, `host`, `port`, `path` and `prefix`"));
    }
}

fn rewrite(rewrite: &Rewrite, at: &Path, problems: &mut Vec<Problem>) {
    target(rewrite.path.as_deref(), rewrite.prefix.as_deref(), at, problems);
    if let Some(text) = &rewrite.host
        && crate::names::Authority::from_text(text).is_err()
    {
        host(text, &at.key("host"), problems);
    }
    if *rewrite == Rewrite::default() {
        problems.push(Problem::error(at, "the rewrite changes nothing").hint("`prefix`, `path` or `host`"));
    }
}

/// The new path of a redirect or a rewrite: at most one of `path` and `prefix`, each fit to stand in a request line.
fn target(path: Option<&str>, prefix: Option<&str>, at: &Path, problems: &mut Vec<Problem>) {
    if path.is_some() && prefix.is_some() {
        let problem = Problem::error(&at.key("prefix"), "`path` and `prefix` are both given");
        problems.push(problem.hint("`path` is the whole new path, `prefix` stands in place of the one that matched"));
    }
    for (key, text) in [("path", path), ("prefix", prefix)].into_iter().filter_map(|(key, text)| Some((key, text?))) {
        let shown = text.escape_debug();
        let at = at.key(key);
        if !text.starts_with('/') {
            let problem = Problem::error(&at, format!("\"{shown}\" does not begin with `/`"));
            problems.push(problem.hint(format!("write \"/{shown}\"")));
        } else if text.contains(['?', '#']) {
            let problem = Problem::error(&at, format!("\"{shown}\" has a `?` or `#`, which no path has"));
            problems.push(problem.hint("the query stays as the client sent it"));
        } else if text.bytes().any(|byte| !(0x21..=0x7e).contains(&byte)) {
            let problem = Problem::error(&at, format!("\"{shown}\" has a character that no path has"));
            problems.push(problem.hint("percent-encode it: a blank is %20"));
        } else if text.ends_with("/*") {
            let problem = Problem::error(&at, format!("\"{shown}\" ends with a star, which would be sent as it is"));
            problems
                .push(problem.hint(format!("write \"{}\"", text.strip_suffix("/*").unwrap_or(text).escape_debug())));
        }
    }
}

fn reply(reply: &Reply, at: &Path, problems: &mut Vec<Problem>) {
    let status = reply.status;
    if !(200..=599).contains(&status) {
        problems.push(Problem::error(&at.key("status"), format!("{status} is no final status")).hint("200 to 599"));
    }
    // RFC 9110 §15.3.5, §15.3.6, §15.4.5.
    if matches!(status, 204 | 205 | 304) && reply.body.as_ref().is_some_and(|body| !body.is_empty()) {
        let problem = Problem::error(&at.key("body"), format!("an answer with the status {status} has no body"));
        problems.push(problem.hint("leave `body` out, or use another status"));
    }
    if let Some(content_type) = &reply.content_type {
        headers::value(content_type, &at.key("content_type"), problems);
        if !content_type.contains('/') {
            let message = format!("\"{}\" is not a media type", content_type.escape_debug());
            problems.push(Problem::error(&at.key("content_type"), message).hint("\"text/html; charset=utf-8\""));
        }
    }
}

fn timeouts(rule: &Rule, at: &Path, problems: &mut Vec<Problem>) {
    positive(rule.attempt_timeout, at.key("attempt_timeout"), "leave it out for no limit of its own", problems);
    positive(rule.idle_timeout, at.key("idle_timeout"), "say a time, or leave it out for 5m", problems);
    if let (Some(attempt), Some(timeout)) = (rule.attempt_timeout, rule.timeout)
        && attempt > timeout
        && !timeout.0.is_zero()
    {
        let message = format!("one attempt may take {attempt}, but the whole exchange only {timeout}");
        let hint = "`timeout` covers all attempts: make it the longer one";
        problems.push(Problem::error(&at.key("attempt_timeout"), message).hint(hint));
    }
}

fn version(version: &Version, at: &Path, problems: &mut Vec<Problem>) {
    if let (Some(deprecated), Some(sunset)) = (version.deprecated, version.sunset)
        && deprecated > sunset
    {
        let message = format!("the sunset, {sunset}, comes before the deprecation, {deprecated}");
        let hint = "a version is deprecated first and gone at its sunset (RFC 9745 §4)";
        problems.push(Problem::error(&at.key("sunset"), message).hint(hint));
    }
}

fn cors(cors: &Cors, at: &Path, problems: &mut Vec<Problem>) {
    if cors.origins.is_empty() {
        problems.push(Problem::error(&at.key("origins"), "no origin is given").hint("[\"https://app.example.com\"]"));
    }
    if cors.credentials == Some(true) && cors.origins.contains(&Origin::Any) {
        let problem = Problem::error(&at.key("credentials"), "credentials are not for the origin `*`");
        problems.push(problem.hint("name the origins; browsers refuse the two together (Fetch §3.2.5)"));
    }
}
