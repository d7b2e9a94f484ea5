//! From a request to what becomes of it.

use weir_config::units::Share;

use crate::cors;
use crate::location::target;
use crate::method::MethodSet;
use crate::request::{Facts, RequestHead};
use crate::rule::{Action, Form, Rule};
use crate::split::{self, derived};
use crate::table::{Candidate, ListenerId, RuleId, Table, UpstreamId};

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// 404 `no_route`.
    NoRoute,
    Forward(Forward),
    Redirect {
        rule: RuleId,
        status: u16,
        /// The value of `Location`.
        location: String,
    },
    /// The rule's own answer.
    Reply {
        rule: RuleId,
    },
    /// 204 with these headers, which answer a CORS preflight.
    Preflight {
        rule: RuleId,
        headers: Vec<(&'static str, String)>,
    },
}

/// A request goes to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    pub rule: RuleId,
    pub upstream: UpstreamId,
    /// The path and query to ask for; `None` for those that the client sent.
    pub target: Option<String>,
    /// A second upstream that gets a copy.
    pub mirror: Option<UpstreamId>,
    /// A `Set-Cookie` for the answer, which keeps the client on this side of the split.
    pub set_cookie: Option<String>,
}

impl Decision {
    pub fn rule(&self) -> Option<RuleId> {
        match self {
            Self::NoRoute => None,
            Self::Forward(forward) => Some(forward.rule),
            Self::Redirect { rule, .. } | Self::Reply { rule } | Self::Preflight { rule, .. } => Some(*rule),
        }
    }
}

/// What becomes of a request. `chance` is 64 random bits, uniformly distributed; the answer is a function of the four.
/// Allocates nothing where a request is forwarded as it came.
pub fn decide(table: &Table, head: &RequestHead<'_>, facts: &Facts, chance: u64) -> Decision {
    let Some(found) = find(table, &Asked::new(table, head, facts)) else { return Decision::NoRoute };
    match found.plain() {
        Some(upstream) => {
            let rule = found.rule;
            Decision::Forward(Forward { rule, upstream, target: None, mirror: None, set_cookie: None })
        }
        None => act(table.rule(found.rule), table.form(found), head, facts, chance),
    }
}

/// What the headers of an answer, other than a preflight's, say about sharing it with scripts from elsewhere: those of
/// the rule's `cors` for the request's `Origin`. `None` where the rule has no `cors`.
pub fn cors_headers(table: &Table, rule: RuleId, origin: Option<&[u8]>) -> Option<Vec<(&'static str, String)>> {
    table.rule(rule).cors.as_ref().map(|cors| cors.headers(origin))
}

/// A request, with what the candidates compare made ready.
pub(crate) struct Asked<'a> {
    pub head: &'a RequestHead<'a>,
    pub listener: ListenerId,
    /// The method that a rule without `cors` sees.
    pub method: MethodSet,
    /// The one that a rule with `cors` sees: of a preflight, that of the request it asks for.
    pub method_for_cors: MethodSet,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(table: &Table, head: &'a RequestHead<'a>, facts: &Facts) -> Self {
        let method = table.methods.of(head.method);
        let method_for_cors = match cors::preflight(head) {
            Some(asked_for) => str::from_utf8(asked_for).map_or(MethodSet::default(), |name| table.methods.of(name)),
            None => method,
        };
        Self { head, listener: facts.listener, method, method_for_cors }
    }

    pub(crate) fn method_for(&self, cors: bool) -> MethodSet {
        if cors { self.method_for_cors } else { self.method }
    }
}

/// The best candidate that matches: the first, since they come best first.
pub(crate) fn find<'t>(table: &'t Table, asked: &Asked<'_>) -> Option<&'t Candidate> {
    table.index.find(asked.head.host, asked.head.path, |range| {
        table.candidates[range].iter().find(|candidate| takes(table, candidate, asked))
    })
}

/// Whether all that host and path do not decide holds too.
fn takes(table: &Table, candidate: &Candidate, asked: &Asked<'_>) -> bool {
    let gate = &table.gates[candidate.gate as usize];
    gate.listeners.serve(asked.listener)
        && gate.methods.takes(asked.method_for(gate.cors))
        && candidate.regex().is_none_or(|regex| regex.of(&table.regexes).is_match(asked.head.path.as_bytes()))
        && table.conditions(candidate.conditions).iter().all(|condition| condition.holds(asked.head, &table.regexes))
}

fn act(rule: &Rule, form: &Form, head: &RequestHead<'_>, facts: &Facts, chance: u64) -> Decision {
    if let Some(cors) = &rule.cors
        && cors::preflight(head).is_some()
    {
        return Decision::Preflight { rule: rule.id, headers: cors.preflight(head.headers.get("origin")) };
    }
    match &rule.action {
        Action::Forward(split) => {
            let (upstream, set_cookie) = split.choose(head, facts, chance);
            let mirror = rule.mirror.filter(|(_, share)| draws(*share, derived(chance, split::Use::Mirror)));
            Decision::Forward(Forward {
                rule: rule.id,
                upstream,
                target: rewritten(rule, form, head),
                mirror: mirror.map(|(upstream, _)| upstream),
                set_cookie,
            })
        }
        Action::Redirect(redirect) => {
            let path = form.own_path(head.path);
            let location = redirect.location(head, facts, &path, form.own_prefix());
            Decision::Redirect { rule: rule.id, status: redirect.status, location }
        }
        Action::Reply(_) => Decision::Reply { rule: rule.id },
    }
}

/// The path and query that the upstream is asked for, where they are not the client's.
fn rewritten(rule: &Rule, form: &Form, head: &RequestHead<'_>) -> Option<String> {
    if rule.path_rewrite.is_none() && form.is_as_written() {
        return None;
    }
    let path = form.own_path(head.path);
    Some(match &rule.path_rewrite {
        Some(edit) => target(&edit.apply(&path, form.own_prefix()), head.query),
        None => target(&path, head.query),
    })
}

/// Whether a random number falls into a share.
fn draws(share: Share, random: u64) -> bool {
    (u128::from(random) * 1_000_000) >> 64 < u128::from(share.ppm())
}
