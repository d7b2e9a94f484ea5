//! Rules, and alternatives of rules, that can never be chosen.
//!
//! Who goes before whom is decided by host, path, methods, headers and query, in this order. Going through it shows that
//! a form is covered by others, alone or together, only if they are at the same host and path (a more specific one lets
//! infinitely many requests pass, a less specific one comes later) and have the same headers and query (with more, they
//! let requests pass; with fewer, they come later). What is left are the methods and the listeners, and these are finite
//! sets: so the search is complete, but for what regexes mean. Two regexes are the same if they are written the same.
//!
//! A rule with `cors` takes a preflight for the method that it asks for, others take it as an OPTIONS. So plain requests
//! and preflights are covered apart.

use std::collections::BTreeMap;

use weir_config::mesh::Mesh;
use weir_config::problem::{Path, Problem};

use crate::index::Hook;
use crate::method::{MethodSet, Methods};
use crate::pattern::{Condition, RegexId};
use crate::rule::{Form, Rule};
use crate::table::{Listeners, RuleId};

/// Shadows that a warning names.
const MOST_NAMED: usize = 3;

/// A warning for each rule that can never be chosen, and for each such alternative of the others.
pub(super) fn warnings(
    mesh: &Mesh,
    rules: &[Rule],
    forms: &[Form],
    conditions: &[Condition],
    hooked: &[(Hook<'_>, u32)],
) -> Vec<Problem> {
    let search = Search { rules, forms, conditions };
    let mut shadows: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut reachable = vec![false; forms.len()];
    for place in hooked.chunk_by(|(one, _), (next, _)| one == next) {
        let form_ids = || place.iter().map(|(_, form)| *form);
        match place {
            [(_, only)] => reachable[*only as usize] = true,
            _ => search.place(form_ids(), &mut reachable, &mut shadows),
        }
    }
    if reachable.iter().all(|reachable| *reachable) {
        return Vec::new();
    }
    let names = Names { mesh, rules };
    rules.iter().flat_map(|rule| names.warnings(rule, forms, &reachable, &shadows)).collect()
}

struct Search<'a> {
    rules: &'a [Rule],
    forms: &'a [Form],
    conditions: &'a [Condition],
}

/// What must be the same for one form to cover another at the same host and path. The conditions are sorted.
type Likeness<'a> = (Option<RegexId>, Vec<&'a Condition>);

impl<'a> Search<'a> {
    /// Goes through the forms of one host and path, best first.
    fn place(&self, forms: impl Iterator<Item = u32>, reachable: &mut [bool], shadows: &mut BTreeMap<u32, Vec<u32>>) {
        let mut alike: BTreeMap<Likeness<'a>, (Taken, Vec<u32>)> = BTreeMap::new();
        for id in forms {
            let form = &self.forms[id as usize];
            let (taken, before) = alike.entry(self.likeness(form)).or_default();
            let own = self.takes(form);
            if taken.cover(&own) {
                shadows.entry(id).or_insert_with(|| self.shadows(&own, before));
                continue;
            }
            // Only what takes something more is kept, so there are few, however many rules are alike.
            reachable[id as usize] = true;
            taken.add(&own);
            before.push(id);
        }
    }

    fn likeness(&self, form: &Form) -> Likeness<'a> {
        let range = form.conditions.start as usize..form.conditions.end as usize;
        let mut conditions: Vec<&Condition> = self.conditions[range].iter().collect();
        conditions.sort_unstable();
        (form.regex, conditions)
    }

    fn takes(&self, form: &Form) -> Taken {
        let rule = &self.rules[form.rule.0 as usize];
        let methods = Set { all: form.methods.is_empty(), some: form.methods };
        let options = Methods::default().of("OPTIONS");
        let preflights = if rule.cors.is_some() || methods.all {
            methods
        } else {
            Set { all: form.methods.meets(options), some: MethodSet::default() }
        };
        let mut taken = Taken::default();
        taken.0.extend(each(rule.listeners).map(|listener| (listener, Requests { plain: methods, preflights })));
        taken
    }

    /// Of the forms that go before, those that take a part of what is taken; or one that takes all.
    fn shadows(&self, own: &Taken, before: &[u32]) -> Vec<u32> {
        let of = |id: &&u32| self.takes(&self.forms[**id as usize]);
        if let Some(one) = before.iter().find(|id| of(id).cover(own)) {
            return vec![*one];
        }
        before.iter().filter(|id| of(id).meet(own)).copied().collect()
    }
}

/// The listeners of a route, one by one; 64 stands for those marked `default`.
fn each(listeners: Listeners) -> impl Iterator<Item = u32> {
    let named = (0..64).filter(move |bit| listeners.named >> bit & 1 == 1);
    named.chain(listeners.default.then_some(64))
}

/// Requests by listener.
#[derive(Default)]
struct Taken(BTreeMap<u32, Requests>);

#[derive(Clone, Copy, Default)]
struct Requests {
    plain: Set,
    /// By the method that is asked for.
    preflights: Set,
}

/// Methods, perhaps all there are, those included that no document names.
#[derive(Clone, Copy, Default)]
struct Set {
    all: bool,
    some: MethodSet,
}

impl Taken {
    fn cover(&self, other: &Self) -> bool {
        other.0.iter().all(|(listener, requests)| {
            let taken = self.0.get(listener).copied().unwrap_or_default();
            taken.plain.covers(requests.plain) && taken.preflights.covers(requests.preflights)
        })
    }

    fn meet(&self, other: &Self) -> bool {
        other.0.iter().any(|(listener, requests)| {
            self.0
                .get(listener)
                .is_some_and(|taken| taken.plain.meets(requests.plain) || taken.preflights.meets(requests.preflights))
        })
    }

    fn add(&mut self, other: &Self) {
        for (listener, requests) in &other.0 {
            let taken = self.0.entry(*listener).or_default();
            taken.plain = taken.plain.union(requests.plain);
            taken.preflights = taken.preflights.union(requests.preflights);
        }
    }
}

impl Set {
    fn covers(self, other: Self) -> bool {
        self.all || (!other.all && self.some.contains(other.some))
    }

    fn meets(self, other: Self) -> bool {
        let empty = |set: Self| !set.all && set.some.is_empty();
        !empty(self) && !empty(other) && (self.all || other.all || self.some.meets(other.some))
    }

    fn union(self, other: Self) -> Self {
        Self { all: self.all || other.all, some: self.some.union(other.some) }
    }
}

/// What rules and alternatives are called in the document.
struct Names<'a> {
    mesh: &'a Mesh,
    rules: &'a [Rule],
}

impl Names<'_> {
    fn warnings(
        &self,
        rule: &Rule,
        forms: &[Form],
        reachable: &[bool],
        shadows: &BTreeMap<u32, Vec<u32>>,
    ) -> Vec<Problem> {
        // By alternative: whether a form of it is chosen at times, and else who goes before.
        let mut alternatives: BTreeMap<usize, (bool, Vec<u32>)> = BTreeMap::new();
        for id in rule.forms.clone() {
            let (alive, by) = alternatives.entry(forms[id].alternative).or_default();
            *alive |= reachable[id];
            by.extend(shadows.get(&(id as u32)).into_iter().flatten());
        }
        let path_of = |id: u32| {
            let form = &forms[id as usize];
            self.path(form.rule, Some(form.alternative)).to_string()
        };
        let warning = |at: &Path, what: &str, shadows: Vec<u32>| {
            let mut names: Vec<String> = shadows.into_iter().map(path_of).collect();
            names.sort_unstable();
            names.dedup();
            let verb = if names.len() == 1 { "takes" } else { "together take" };
            let more = names.len().saturating_sub(MOST_NAMED);
            names.truncate(MOST_NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let message = format!("{what} can never be chosen: {}{more} {verb} all its requests", names.join(", "));
            Problem::warning(at, message).hint("remove it, or make it more specific")
        };
        if alternatives.values().all(|(alive, _)| !alive) {
            let shadows = alternatives.into_values().flat_map(|(_, shadows)| shadows).collect();
            return vec![warning(&self.path(rule.id, None), "the rule", shadows)];
        }
        let dead = alternatives.into_iter().filter(|(_, (alive, _))| !alive);
        dead.map(|(alternative, (_, by))| warning(&self.path(rule.id, Some(alternative)), "the match", by)).collect()
    }

    /// Where a rule stands, or an alternative of it where it writes any.
    fn path(&self, rule: RuleId, alternative: Option<usize>) -> Path {
        let rule = &self.rules[rule.0 as usize];
        let at = super::Place { route: &rule.route, rule: rule.position }.at();
        let written = self.mesh.routes.get(&rule.route).and_then(|route| route.rules.get(rule.position));
        match alternative.filter(|_| written.is_some_and(|rule| !rule.r#match.is_empty())) {
            Some(alternative) => at.key("match").index(alternative),
            None => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(text: &str) -> Vec<String> {
        let parsed = Mesh::parse_toml(&format!("{text}\n[upstreams.u]\nendpoints = [\"127.0.0.1:1\"]"));
        let mesh = parsed.value.unwrap_or_else(|| panic!("{:?}", parsed.problems));
        let compiled = crate::compile(&mesh).unwrap();
        compiled.warnings.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    #[test]
    fn a_rule_behind_one_that_takes_all_is_reported_with_what_takes_it() {
        let found = warnings(
            "[routes.a]\nrules = [{ match = [\"/x/*\", \"/y\"], to = \"u\" }, { match = [\"GET /z\", \"/x/*\"], to = \"u\" }]
             [routes.b]\nrules = [{ match = [\"/y\"], to = \"u\" }, { to = \"u\" }, { to = \"u\" }]",
        );
        assert_eq!(
            found,
            [
                "routes.a.rules[1].match[1]: the match can never be chosen: routes.a.rules[0].match[0] takes all its requests",
                "routes.b.rules[0]: the rule can never be chosen: routes.a.rules[0].match[1] takes all its requests",
                "routes.b.rules[2]: the rule can never be chosen: routes.b.rules[1] takes all its requests",
            ]
        );
    }

    #[test]
    fn several_rules_together_can_take_all() {
        let found = warnings(
            "[routes.a]\nrules = [{ match = [\"GET /x\"], to = \"u\" }, { match = [\"POST /x\"], to = \"u\" }]
             [routes.b]\nrules = [{ match = [\"POST,GET /x\"], to = \"u\" }, { match = [\"GET,PUT /x\"], to = \"u\" }]",
        );
        assert_eq!(
            found,
            [
                "routes.b.rules[0]: the rule can never be chosen: routes.a.rules[0].match[0], routes.a.rules[1].match[0] \
             together take all its requests"
            ]
        );
    }

    #[test]
    fn what_lets_a_request_pass_is_not_reported() {
        let found = warnings(
            "[routes.a]
             rules = [
               { match = [{ path = \"/x\", headers = { h = \"1\" } }, { path = \"/x\", headers = { h = \"2\" } }], to = \"u\" },
               { match = [\"/x\"], to = \"u\" },
               { match = [\"~^/r$\"], to = \"u\" },
               { match = [\"~^/r()$\"], to = \"u\" },
             ]
             [routes.b]\nlisteners = [\"edge\"]\nrules = [{ match = [\"/x\"], to = \"u\" }]
             [routes.c]\nhosts = [\"a.b\"]\nrules = [{ match = [\"/x\"], to = \"u\" }]",
        );
        assert_eq!(found, [] as [&str; 0]);
    }
}
