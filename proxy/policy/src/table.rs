//! What a document becomes: an immutable table that every request of a generation asks.

use regex::bytes::Regex;
use weir_config::names::Name;

use crate::index::Index;
use crate::method::{MethodSet, Methods};
use crate::pattern::{Condition, RegexId};
use crate::rule::{Form, Rule};

/// A compiled mesh document. A function of the document alone, but for the state of its rate limits.
#[derive(Debug)]
pub struct Table {
    pub(crate) rules: Vec<Rule>,
    pub(crate) upstreams: Vec<Name>,
    pub(crate) listeners: Vec<Name>,
    /// Which route names which listener.
    pub(crate) named: Vec<(Name, Name)>,
    pub(crate) methods: Methods,
    pub(crate) index: Index,
    /// In the order of the index.
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) gates: Vec<Gate>,
    pub(crate) forms: Vec<Form>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) regexes: Vec<Regex>,
}

/// A position in [`Table::rules`]: rules are in the order of their routes' names, then of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// A position in [`Table::upstreams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamId(pub u32);

/// What a listener is to one table. It holds for that table alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerId {
    /// Its bit, if a route names it.
    named: u64,
    default: bool,
}

/// The listeners that serve a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listeners {
    pub named: u64,
    /// Those marked `default`: where the route names none.
    pub default: bool,
}

/// How many listeners the routes of a document can name.
pub(crate) const MAX_LISTENERS: usize = 64;

/// A form at one host: what is asked of a request once host and path are found. Half a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(crate) struct Candidate {
    pub form: u32,
    pub rule: RuleId,
    /// Its position in [`Table::gates`].
    pub gate: u32,
    pub conditions: (u32, u32),
    regex: u32,
    plain: u32,
}

/// Whom a candidate lets in. Few are distinct, so candidates share them, and they stay in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Gate {
    pub listeners: Listeners,
    pub methods: MethodSet,
    /// Whether the rule answers preflights.
    pub cors: bool,
}

/// No regex, no upstream.
const NONE: u32 = u32::MAX;

impl Candidate {
    pub(crate) fn new(position: u32, form: &Form, gate: u32, plain: Option<UpstreamId>) -> Self {
        Self {
            form: position,
            rule: form.rule,
            gate,
            conditions: (form.conditions.start, form.conditions.end),
            regex: form.regex.map_or(NONE, RegexId::position),
            plain: plain.map_or(NONE, |upstream| upstream.0),
        }
    }

    /// The regex that the path must match beyond its literal head.
    pub(crate) fn regex(&self) -> Option<RegexId> {
        (self.regex != NONE).then_some(RegexId::at(self.regex))
    }

    /// The one upstream of a rule that changes nothing of a request's path and draws no lots: all there is to decide.
    pub(crate) fn plain(&self) -> Option<UpstreamId> {
        (self.plain != NONE).then_some(UpstreamId(self.plain))
    }
}

impl Table {
    /// All rules; the position of each is its id.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of an id that this table gave.
    pub fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[id.0 as usize]
    }

    /// The names of the document's upstreams, sorted; the position of each is its id.
    pub fn upstreams(&self) -> &[Name] {
        &self.upstreams
    }

    /// What the listener of that name is to this table; asked once per listener and generation. A name that no route
    /// mentions serves the routes that mention none, if it is marked `default`, else nothing.
    pub fn listener(&self, name: &str, default: bool) -> ListenerId {
        let bit = self.listeners.iter().position(|known| known.as_str() == name);
        ListenerId { named: bit.map_or(0, |bit| 1 << bit), default }
    }

    /// Which listeners are named, each with a route that names it, so that a node can refuse a table whose routes name
    /// a listener that it does not have.
    pub fn listeners_named(&self) -> impl Iterator<Item = (&str, &str)> {
        self.named.iter().map(|(listener, route)| (listener.as_str(), route.as_str()))
    }

    /// Takes over what the filters of an older table have counted: where route, rule, position and kind of a filter are
    /// the same, and for a rate limit its key. A changed rate keeps the buckets.
    pub fn inherit(&mut self, old: &Table) {
        // Both lists are sorted by route; within a route, rules are told by their names.
        let mut old_rules = old.rules.as_slice();
        for route in self.rules.chunk_by_mut(|one, next| one.route == next.route) {
            let name = &route[0].route;
            let (before, rest) = old_rules.split_at(old_rules.partition_point(|rule| rule.route < *name));
            debug_assert!(before.iter().all(|rule| rule.route < *name));
            let (same, rest) = rest.split_at(rest.partition_point(|rule| rule.route == *name));
            old_rules = rest;
            for rule in route.iter_mut().filter(|rule| !rule.filters.is_empty()) {
                let Some(old) = same.iter().find(|old| old.name == rule.name) else { continue };
                for (filter, old) in rule.filters.iter_mut().zip(&old.filters) {
                    filter.inherit(old);
                }
            }
        }
    }

    pub(crate) fn form(&self, candidate: &Candidate) -> &Form {
        &self.forms[candidate.form as usize]
    }

    pub(crate) fn conditions(&self, (start, end): (u32, u32)) -> &[Condition] {
        &self.conditions[start as usize..end as usize]
    }
}

impl Listeners {
    pub(crate) fn serve(self, listener: ListenerId) -> bool {
        self.named & listener.named != 0 || (self.default && listener.default)
    }
}

#[cfg(test)]
impl ListenerId {
    /// A listener that serves nothing.
    pub(crate) const NONE: Self = Self { named: 0, default: false };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_half_a_cache_line() {
        assert_eq!(size_of::<Candidate>(), 32);
    }
}
