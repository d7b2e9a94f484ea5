//! What changed in a route: its hosts, its listeners, which rules it has.

use std::collections::BTreeMap;

use super::value::{Same, counted, listed, members};
use super::{Changes, rule};
use crate::mesh::{Route, Rule};
use crate::names::Name;
use crate::problem::Path;

pub(super) fn added(name: &Name, route: &Route) -> String {
    let hosts = match &route.hosts[..] {
        [] => "any host".to_owned(),
        [one] => format!("host {one}"),
        hosts => format!("hosts {}", listed(hosts)),
    };
    let listeners = route.listeners.as_ref().map(|names| format!(", listeners {}", listed(names))).unwrap_or_default();
    format!("route {name} added ({hosts}{listeners}, {})", counted(route.rules.len(), "rule"))
}

pub(super) fn changed(name: &Name, old: &Route, new: &Route, at: &Path, changes: &mut Changes) {
    if old == new {
        return;
    }
    let who = format!("route {name}");
    hosts(&who, old, new, &at.key("hosts"), changes);
    listeners(&who, old, new, &at.key("listeners"), changes);
    rules(&who, old, new, &at.key("rules"), changes);
}

fn hosts(who: &str, old: &Route, new: &Route, at: &Path, changes: &mut Changes) {
    match (&old.hosts[..], &new.hosts[..]) {
        ([], []) => {}
        ([], hosts) => {
            changes.added(at, format!("{who} now answers for {} only (was any host)", listed(hosts)), hosts);
        }
        (hosts, []) => changes.removed(at, format!("{who} now answers for any host (was {})", listed(hosts)), hosts),
        (old, new) => {
            let same = members(old, new, at, changes, |host, verb| format!("{who}: host {host} {verb}"));
            if same == Same::Reordered {
                changes.changed(at, format!("{who}: hosts in another order, which has no effect"), old, new);
            }
        }
    }
}

fn listeners(who: &str, old: &Route, new: &Route, at: &Path, changes: &mut Changes) {
    match (&old.listeners, &new.listeners) {
        (None, None) => {}
        (None, Some(names)) => {
            changes.added(at, format!("{who} is now served by {} (was the default listeners)", listed(names)), names);
        }
        (Some(names), None) => {
            changes.removed(at, format!("{who} is now served by the default listeners (was {})", listed(names)), names);
        }
        (Some(old), Some(new)) => {
            let same = members(old, new, at, changes, |name, verb| format!("{who}: listener {name} {verb}"));
            if same == Same::Reordered {
                changes.changed(at, format!("{who}: listeners in another order, which has no effect"), old, new);
            }
        }
    }
}

fn rules(who: &str, old: &Route, new: &Route, at: &Path, changes: &mut Changes) {
    let Partners { of_new, old_alone } = Partners::find(&old.rules, &new.rules);
    for (index, (rule, partner)) in new.rules.iter().zip(&of_new).enumerate() {
        let at = at.index(index);
        let route = who;
        let who = format!("{route}: rule {}", called(rule, index));
        match partner {
            Some(partner) => {
                let was = &old.rules[*partner];
                if was.name != rule.name {
                    let sentence =
                        format!("{route}: rule {} is now called {}", called(was, *partner), called(rule, index));
                    changes.changed(&at.key("name"), sentence, &was.name, &rule.name);
                }
                rule::changed(&who, was, rule, &at, changes);
            }
            None => changes.added(&at, format!("{who} added ({})", rule::told(rule)), rule),
        }
    }
    for (index, rule) in old.rules.iter().enumerate().filter(|(index, _)| old_alone[*index]) {
        let sentence = format!("{who}: rule {} removed ({})", called(rule, index), rule::told(rule));
        changes.removed(&at.index(index), sentence, rule);
    }
    // Order counts between the rules that are in both.
    if !of_new.iter().flatten().is_sorted() {
        let order = |rules: &[Rule]| rules.iter().enumerate().map(|(index, rule)| called(rule, index)).collect();
        let (was, now): (Vec<String>, Vec<String>) = (order(&old.rules), order(&new.rules));
        let sentence = match now.len() <= FEW && was.len() <= FEW {
            true => format!("{who}: the rules' order is now {} (was {})", listed(&now), listed(&was)),
            false => format!("{who}: the rules are in another order"),
        };
        changes.changed(at, sentence, was, now);
    }
}

/// Names that a sentence bears.
const FEW: usize = 12;

/// A rule's name; its position where it has none.
fn called(rule: &Rule, index: usize) -> String {
    rule.name.as_ref().map_or_else(|| index.to_string(), Name::to_string)
}

/// Which rules are the same in two versions of a route.
struct Partners {
    /// For each new rule, which old one it was.
    of_new: Vec<Option<usize>>,
    /// For each old rule, whether it is gone.
    old_alone: Vec<bool>,
}

impl Partners {
    fn find(old: &[Rule], new: &[Rule]) -> Self {
        let mut partners = Self { of_new: vec![None; new.len()], old_alone: vec![true; old.len()] };
        let was = by_name(old);
        for (index, name) in new.iter().enumerate().filter_map(|(index, rule)| Some((index, rule.name.as_ref()?))) {
            if let Some(&partner) = was.get(name) {
                partners.pair(index, partner);
            }
        }
        let is = by_name(new);
        // A name that is still there belongs to its rule, so what was renamed must have lost its name.
        let renamed = |rule: &Rule| rule.name.as_ref().is_none_or(|name| !is.contains_key(name));
        partners.pair_alike(old, new, |old, new| old == new);
        partners.pair_alike(old, new, |old, new| renamed(old) && rule::but_for_name(old, new));
        partners.pair_alike(old, new, |old, new| renamed(old) && old.r#match == new.r#match);
        partners
    }

    fn pair(&mut self, new: usize, old: usize) {
        if self.of_new[new].is_none() && self.old_alone[old] {
            self.of_new[new] = Some(old);
            self.old_alone[old] = false;
        }
    }

    fn pair_alike(&mut self, old: &[Rule], new: &[Rule], alike: impl Fn(&Rule, &Rule) -> bool) {
        for (index, rule) in new.iter().enumerate() {
            if self.of_new[index].is_some() {
                continue;
            }
            let mut candidates = old.iter().enumerate().filter(|(index, _)| self.old_alone[*index]);
            if let Some((partner, _)) = candidates.find(|(_, candidate)| alike(candidate, rule)) {
                self.pair(index, partner);
            }
        }
    }
}

fn by_name(rules: &[Rule]) -> BTreeMap<&Name, usize> {
    rules.iter().enumerate().filter_map(|(index, rule)| Some((rule.name.as_ref()?, index))).collect()
}
