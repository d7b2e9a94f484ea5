//! What changed in a rule.

use super::value::{Same, listed, members, setting, settings, shown, values};
use super::{Changes, json};
use crate::mesh::{Backends, Filter, Match, Rule};
use crate::names::Name;
use crate::problem::Path;

/// A rule in a few words: `GET /v1/* sent to search`.
pub(super) fn told(rule: &Rule) -> String {
    let paths = if rule.r#match.is_empty() { "any request".to_owned() } else { listed(&rule.r#match) };
    format!("{paths} {}", action(rule))
}

/// What becomes of requests: they are ….
fn action(rule: &Rule) -> String {
    match rule {
        Rule { to: Some(Backends::One(name)), .. } => format!("sent to {name}"),
        Rule { to: Some(to), .. } => format!("sent to {}", shares(to)),
        Rule { redirect: Some(redirect), .. } => format!("redirected with {}", settings(&json(redirect))),
        Rule { reply: Some(reply), .. } => format!("answered with {}", reply.status),
        _ => "sent nowhere".to_owned(),
    }
}

/// Whether two rules differ in nothing but their names.
pub(super) fn but_for_name(a: &Rule, b: &Rule) -> bool {
    // Most rules differ in their matches: only the few others are worth a copy.
    a.r#match == b.r#match && Rule { name: None, ..a.clone() } == Rule { name: None, ..b.clone() }
}

/// All but its name. `who` is `route papers: rule search`.
pub(super) fn changed(who: &str, old: &Rule, new: &Rule, at: &Path, changes: &mut Changes) {
    if old == new {
        return;
    }
    matches(who, old, new, &at.key("match"), changes);
    actions(who, old, new, at, changes);
    setting(who, "sticky", &old.sticky, &new.sticky, None, at, changes);
    setting(who, "timeout", &old.timeout, &new.timeout, Some("15s until the response head"), at, changes);
    setting(who, "attempt_timeout", &old.attempt_timeout, &new.attempt_timeout, None, at, changes);
    setting(who, "idle_timeout", &old.idle_timeout, &new.idle_timeout, Some("5m"), at, changes);
    filters(who, &old.filters, &new.filters, &at.key("filters"), changes);
    setting(who, "version", &old.version, &new.version, None, at, changes);
    setting(who, "rewrite", &old.rewrite, &new.rewrite, None, at, changes);
    setting(who, "request_headers", &old.request_headers, &new.request_headers, None, at, changes);
    setting(who, "response_headers", &old.response_headers, &new.response_headers, None, at, changes);
    setting(who, "mirror", &old.mirror, &new.mirror, None, at, changes);
    setting(who, "cors", &old.cors, &new.cors, None, at, changes);
}

fn matches(who: &str, old: &Rule, new: &Rule, at: &Path, changes: &mut Changes) {
    match (&old.r#match[..], &new.r#match[..]) {
        ([], []) => {}
        ([], now) => changes.added(at, format!("{who} now matches {} only (was any request)", listed(now)), now),
        (was, []) => changes.removed(at, format!("{who} now matches any request (was {})", listed(was)), was),
        (was, now) => {
            let said = |alternative: &Match, verb: &str| match verb {
                "added" => format!("{who} now also matches {alternative}"),
                _ => format!("{who} no longer matches {alternative}"),
            };
            if members(was, now, at, changes, said) == Same::Reordered {
                changes.changed(at, format!("{who}: the same matches in another order"), was, now);
            }
        }
    }
}

fn actions(who: &str, old: &Rule, new: &Rule, at: &Path, changes: &mut Changes) {
    if let (Some(was), Some(now)) = (&old.to, &new.to) {
        backends(who, was, now, &at.key("to"), changes);
    } else if old.to.is_some() || new.to.is_some() {
        let sentence = format!("{who}: requests are now {} (were {})", action(new), action(old));
        changes.changed(at, sentence, json(old), json(new));
        return;
    }
    setting(who, "redirect", &old.redirect, &new.redirect, None, at, changes);
    setting(who, "reply", &old.reply, &new.reply, None, at, changes);
}

fn backends(who: &str, old: &Backends, new: &Backends, at: &Path, changes: &mut Changes) {
    if old == new {
        return;
    }
    if let (Backends::One(was), Backends::One(now)) = (old, new) {
        changes.changed(at, format!("{who} now sends to {now} (was {was})"), was, now);
        return;
    }
    let before = changes.0.len();
    let names: std::collections::BTreeSet<&Name> = old.weights().chain(new.weights()).map(|(name, _)| name).collect();
    for name in names {
        let (was, now) = (share(old, name), share(new, name));
        if was != now {
            let sentence = format!("{who} now sends {now} (was {was}) to {name}");
            let at = if matches!(new, Backends::Split(_)) { at.key(name.to_string()) } else { at.clone() };
            changes.changed(&at, sentence, was, now);
        }
    }
    if changes.0.len() == before {
        let sentence = format!("{who}: the split is written in other weights, the shares stay {}", shares(new));
        changes.changed(at, sentence, old, new);
    }
}

/// `95% a, 5% b`
fn shares(to: &Backends) -> String {
    listed(to.weights().map(|(name, _)| format!("{} {name}", share(to, name))))
}

/// The part that `name` gets, to a hundredth of a percent: `5%`.
fn share(to: &Backends, name: &Name) -> String {
    let weight: u64 = to.weights().filter(|(other, _)| *other == name).map(|(_, weight)| u64::from(weight)).sum();
    let all: u64 = to.weights().map(|(_, weight)| u64::from(weight)).sum();
    let hundredths = (weight * 10_000 + all / 2).checked_div(all).unwrap_or(0);
    match hundredths % 100 {
        0 => format!("{}%", hundredths / 100),
        rest => format!("{}.{}%", hundredths / 100, format!("{rest:02}").trim_end_matches('0')),
    }
}

/// Filters go by their kind; the second one of a kind by its place among them.
fn filters(who: &str, old: &[Filter], new: &[Filter], at: &Path, changes: &mut Changes) {
    if old == new {
        return;
    }
    let nth =
        |filters: &[Filter], index: usize| filters[..index].iter().filter(|f| f.kind == filters[index].kind).count();
    let find = |filters: &[Filter], kind: &str, nth: usize| {
        filters.iter().enumerate().filter(|(_, filter)| filter.kind == kind).nth(nth).map(|(index, _)| index)
    };
    let mut kept = Vec::new();
    for (index, filter) in new.iter().enumerate() {
        let at = at.index(index);
        let kind = &filter.kind;
        match find(old, kind, nth(new, index)) {
            Some(partner) => {
                kept.push(partner);
                let (was, now) = (json(&old[partner].settings), json(&filter.settings));
                values(&format!("{who}: filter {kind}"), "", Some(was), Some(now), None, &at, changes);
            }
            None => changes.added(&at, format!("{who}: filter {kind} added {}", shown(&json(filter))), filter),
        }
    }
    for (index, filter) in old.iter().enumerate().filter(|(index, _)| !kept.contains(index)) {
        changes.removed(&at.index(index), format!("{who}: filter {} removed", filter.kind), filter);
    }
    if !kept.is_sorted() {
        let order = |filters: &[Filter]| listed(filters.iter().map(|filter| &filter.kind));
        let sentence = format!("{who}: the filters' order is now {} (was {})", order(new), order(old));
        changes.changed(at, sentence, old, new);
    }
}
