//! What [`decide`] decides, and why: the shares of the split, what the filters would say, and why every other rule lost.
//!
//! The decision is [`decide`]'s own. Why the others lost is found apart from it, by asking every form of every rule one
//! question after the other; that is slow, and for people.

mod words;

use std::cmp::Reverse;

use serde::Serialize;
use weir_config::names::{Host, Name, PathPattern};

use crate::decide::{Asked, Decision, decide, find};
use crate::filters::{FilterContext, Next};
use crate::pattern::Subject;
use crate::reason::Reason;
use crate::request::{Facts, RequestHead};
use crate::rule::{Action, Form, Rank, Rule};
use crate::table::{Table, UpstreamId};

/// A decision and its reasons. As JSON it is part of what the CLI and the admin port promise.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// As decided, with the ids of the table.
    #[serde(skip)]
    pub decision: Decision,
    pub outcome: Outcome,
    /// The rule that was chosen; absent where none matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Chosen>,
    /// What would become of many such requests, by upstream: what a sticky split does to this one is in the outcome.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Share>,
    /// What the rule's filters say to this request if it is the first they see, up to the one that refuses it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<FilterVerdict>,
    /// Every other rule, in the order of the table, and why it lost.
    pub others: Vec<Loser>,
}

/// What becomes of the request, in names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Outcome {
    NoRoute,
    Forward {
        upstream: Name,
        /// Absent: the path and query that the client sent.
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        mirror: Option<Name>,
        #[serde(skip_serializing_if = "Option::is_none")]
        set_cookie: Option<String>,
    },
    Redirect {
        status: u16,
        location: String,
    },
    Reply {
        status: u16,
    },
    Preflight {
        status: u16,
        headers: Vec<(&'static str, String)>,
    },
}

/// A rule, and the alternative of it that matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chosen {
    pub route: Name,
    pub rule: String,
    /// The position of the alternative among the rule's, from 0.
    pub alternative: usize,
    /// The host of the route that matches; absent for any host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The path that matches: of an alternative whose path names a version, perhaps the one without it.
    pub path: String,
}

/// A backend's part of a split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    pub upstream: Name,
    pub weight: u32,
    /// 0 to 1.
    pub share: f64,
}

/// What a filter says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FilterVerdict {
    pub kind: &'static str,
    /// Absent: the request goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Reason>,
}

/// A rule that was not chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loser {
    pub route: Name,
    pub rule: String,
    pub lost: Lost,
}

/// Why a rule lost: the furthest that any of its alternatives came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// The route is not served by the listener.
    Listener,
    /// None of the route's hosts matches.
    Host,
    /// No path of the rule matches.
    Path,
    /// Where a path matches, the method does not.
    Method,
    /// Where path and method match, this header does not.
    Header(String),
    /// Where path, method and headers match, this query parameter does not.
    Query(String),
    /// It matches, but the chosen rule goes before it, by this point of the precedence.
    Outranked(Precedence),
}

/// The points by which one matching rule goes before another, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Precedence {
    /// Exact host before wildcard, the longer wildcard, any wildcard before any host.
    Host,
    /// Exact path before the others.
    ExactPath,
    /// The longer prefix or literal head.
    LongestPath,
    /// Of a prefix and a regex equally long, the prefix.
    PrefixBeforeRegex,
    /// One that names methods.
    Method,
    /// The one with more headers.
    MostHeaders,
    /// The one with more query parameters.
    MostQuery,
    /// The route whose name sorts first.
    RouteName,
    /// The rule that stands first in its route.
    FirstRule,
}

/// Explains what [`decide`] answers to the same four. Nothing is counted: rate limits are asked on fresh state.
pub fn explain(table: &Table, head: &RequestHead<'_>, facts: &Facts, chance: u64) -> Explanation {
    let decision = decide(table, head, facts, chance);
    let asked = Asked::new(table, head, facts);
    let form = find(table, &asked).map(|candidate| table.form(candidate));
    let rule = form.map(|form| table.rule(form.rule));
    let winner = form.map(|form| (form.rule, host_rank(&table.rule(form.rule).hosts, head.host), &form.rank));
    let others = table
        .rules()
        .iter()
        .filter(|rule| winner.is_none_or(|(id, ..)| id != rule.id))
        .map(|rule| Loser {
            route: rule.route.clone(),
            rule: rule.name.to_string(),
            lost: lost(table, rule, &asked, winner.map(|(_, host, rank)| (host, rank))),
        })
        .collect();
    Explanation {
        outcome: outcome(table, &decision),
        decision,
        chosen: form.map(|form| chosen(table, form, head)),
        shares: rule.map(|rule| shares(table, rule)).unwrap_or_default(),
        filters: rule.map(|rule| verdicts(rule, head, facts)).unwrap_or_default(),
        others,
    }
}

fn outcome(table: &Table, decision: &Decision) -> Outcome {
    let name = |upstream: UpstreamId| table.upstreams()[upstream.0 as usize].clone();
    match decision {
        Decision::NoRoute => Outcome::NoRoute,
        Decision::Forward(forward) => Outcome::Forward {
            upstream: name(forward.upstream),
            target: forward.target.clone(),
            mirror: forward.mirror.map(name),
            set_cookie: forward.set_cookie.clone(),
        },
        Decision::Redirect { status, location, .. } => {
            Outcome::Redirect { status: *status, location: location.clone() }
        }
        Decision::Reply { rule } => match &table.rule(*rule).action {
            Action::Reply(reply) => Outcome::Reply { status: reply.status },
            // Only rules with a reply are decided so.
            Action::Forward(_) | Action::Redirect(_) => Outcome::NoRoute,
        },
        Decision::Preflight { headers, .. } => Outcome::Preflight { status: 204, headers: headers.clone() },
    }
}

fn chosen(table: &Table, form: &Form, head: &RequestHead<'_>) -> Chosen {
    let rule = table.rule(form.rule);
    let host = rule.hosts.iter().filter_map(|host| Some((one_host_rank(host, head.host)?, host))).min();
    Chosen {
        route: rule.route.clone(),
        rule: rule.name.to_string(),
        alternative: form.alternative,
        host: host.map(|(_, host)| host.to_string()),
        path: form.path.to_string(),
    }
}

fn shares(table: &Table, rule: &Rule) -> Vec<Share> {
    let Action::Forward(split) = &rule.action else { return Vec::new() };
    let share = |backend| split.share(backend);
    split
        .backends()
        .iter()
        .map(|backend| Share {
            upstream: table.upstreams()[backend.upstream.0 as usize].clone(),
            weight: backend.weight,
            share: share(backend),
        })
        .collect()
}

fn verdicts(rule: &Rule, head: &RequestHead<'_>, facts: &Facts) -> Vec<FilterVerdict> {
    let mut verdicts = Vec::new();
    for filter in &rule.filters {
        let next = filter.request_on_fresh_state(&mut FilterContext { head, facts, log: &mut Vec::new() });
        let refused = match next {
            Next::Continue => None,
            Next::Reply(refusal) => Some(refusal.reason),
        };
        verdicts.push(FilterVerdict { kind: filter.kind, refused });
        if refused.is_some() {
            break;
        }
    }
    verdicts
}

/// How specific the host is at which a rule matches: the lesser, the more.
type HostRank = (u8, Reverse<usize>);

const ANY_HOST: HostRank = (2, Reverse(0));

fn one_host_rank(host: &Host, asked: &str) -> Option<HostRank> {
    match host {
        Host::Exact(exact) => (**exact == *asked).then_some((0, Reverse(0))),
        Host::Wildcard(suffix) => {
            let labels = asked.strip_suffix(&**suffix).is_some_and(|labels| !labels.is_empty());
            labels.then_some((1, Reverse(suffix.len())))
        }
    }
}

fn host_rank(hosts: &[Host], asked: &str) -> Option<HostRank> {
    match hosts {
        [] => Some(ANY_HOST),
        hosts => hosts.iter().filter_map(|host| one_host_rank(host, asked)).min(),
    }
}

/// Why a rule is not the winner.
fn lost(table: &Table, rule: &Rule, asked: &Asked<'_>, winner: Option<(Option<HostRank>, &Rank)>) -> Lost {
    if !rule.listeners.serve(asked.listener) {
        return Lost::Listener;
    }
    let Some(host) = host_rank(&rule.hosts, asked.head.host) else { return Lost::Host };
    let mut furthest = Lost::Path;
    let mut best: Option<&Rank> = None;
    for form in &table.forms[rule.forms.clone()] {
        match first_mismatch(table, rule, form, asked) {
            Some(mismatch) if stage(&mismatch) > stage(&furthest) => furthest = mismatch,
            Some(_) => {}
            None => best = Some(best.map_or(&form.rank, |best| best.min(&form.rank))),
        }
    }
    match best.zip(winner) {
        Some((rank, winner)) => Lost::Outranked(precedence(table, (Some(host), rank), winner)),
        None => furthest,
    }
}

/// How far a form came.
fn stage(lost: &Lost) -> u8 {
    match lost {
        Lost::Listener => 0,
        Lost::Host => 1,
        Lost::Path => 2,
        Lost::Method => 3,
        Lost::Header(_) => 4,
        Lost::Query(_) => 5,
        Lost::Outranked(_) => 6,
    }
}

/// What of a form does not match, of what host and listener leave open.
fn first_mismatch(table: &Table, rule: &Rule, form: &Form, asked: &Asked<'_>) -> Option<Lost> {
    let path = asked.head.path;
    let path_matches = match (&form.path, form.regex) {
        (_, Some(regex)) => regex.of(&table.regexes).is_match(path.as_bytes()),
        (PathPattern::Exact(exact), _) => path == exact,
        (PathPattern::Prefix(prefix), _) => {
            path.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        (PathPattern::Regex(_), None) => false,
    };
    if !path_matches {
        return Some(Lost::Path);
    }
    if !form.methods.takes(asked.method_for(rule.cors.is_some())) {
        return Some(Lost::Method);
    }
    let conditions = table.conditions((form.conditions.start, form.conditions.end));
    let failed = |on| {
        let mut of_kind = conditions.iter().filter(move |condition| condition.on == on);
        of_kind.find(|condition| !condition.holds(asked.head, &table.regexes)).map(|condition| condition.name.clone())
    };
    failed(Subject::Header).map(Lost::Header).or_else(|| failed(Subject::Query).map(Lost::Query))
}

/// The first point at which the winner goes before the loser.
fn precedence(
    table: &Table,
    (loser_host, loser): (Option<HostRank>, &Rank),
    (winner_host, winner): (Option<HostRank>, &Rank),
) -> Precedence {
    let points = [
        (loser_host != winner_host, Precedence::Host),
        (loser.pattern != winner.pattern, Precedence::ExactPath),
        (loser.path_length != winner.path_length, Precedence::LongestPath),
        (loser.regex != winner.regex, Precedence::PrefixBeforeRegex),
        (loser.any_method != winner.any_method, Precedence::Method),
        (loser.headers != winner.headers, Precedence::MostHeaders),
        (loser.query != winner.query, Precedence::MostQuery),
        (table.rule(loser.rule).route != table.rule(winner.rule).route, Precedence::RouteName),
    ];
    let first = points.into_iter().find_map(|(differs, point)| differs.then_some(point));
    first.unwrap_or(Precedence::FirstRule)
}
