//! What holds between the parts of a document, beyond what the types say.
//!
//! A document that was read whole is checked whole. One with errors is checked in the parts that could be read, so that
//! its other problems show at once; what may only look wrong because something beside it could not be read is left
//! unsaid.

mod bootstrap;
mod headers;
mod limits;
mod rule;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};

use crate::mesh::{Mesh, Route, Rule, Upstream};
use crate::names::{Host, Name};
use crate::node::Node;
use crate::problem::{Path, Problem};
use crate::read::{Keys, Partly};
use crate::text::Text;

pub use bootstrap::{bootstrap, bootstrap_in_part};

/// What is wrong with a mesh document that was read whole.
pub fn mesh(mesh: &Mesh) -> Vec<Problem> {
    let mut problems = Vec::new();
    let known = Upstreams(Some(mesh.upstreams.keys().map(|name| &**name).collect()));
    for (name, route) in &mesh.routes {
        let at = Path::root().key("routes").key(name.to_string());
        if route.rules.is_empty() {
            let at = at.key("rules");
            problems.push(Problem::error(&at, "the route has no rules").hint(format!("add [[{at}]]")));
        }
        for (rule, at) in indexed(&route.rules, &at.key("rules")) {
            rule::whole(rule, &at, &known, &mut problems);
        }
        distinct_rules(indexed(&route.rules, &at.key("rules")), &mut problems);
        distinct(&route.hosts, "host", &at.key("hosts"), &mut problems);
        distinct(route.listeners.as_deref().unwrap_or_default(), "listener", &at.key("listeners"), &mut problems);
    }
    for (name, upstream) in &mesh.upstreams {
        let at = Path::root().key("upstreams").key(name.to_string());
        upstream::whole(upstream, &at, &mut problems);
    }
    unused(mesh, &mut problems);
    problems
}

/// What is wrong with those parts of a mesh document that could be read.
pub fn mesh_in_part(node: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    let known = Upstreams::declared(node);
    for (route, at) in entries(node, "routes") {
        let mut whole = Vec::new();
        for (index, rule) in route.get("rules").and_then(Node::array).unwrap_or_default().iter().enumerate() {
            let at = at.key("rules").index(index);
            match read_partly::<Rule>(rule) {
                Some((rule, true)) => {
                    rule::whole(&rule, &at, &known, &mut problems);
                    whole.push((rule, at));
                }
                Some((rule, false)) => rule::parts(&rule, &at, &known, &mut problems),
                None => {}
            }
        }
        distinct_rules(whole.iter().map(|(rule, at)| (rule, at.clone())), &mut problems);
        if let Some((Route { hosts, .. }, _)) = read_partly(route) {
            distinct::<Host>(&hosts, "host", &at.key("hosts"), &mut problems);
        }
    }
    for (upstream, at) in entries(node, "upstreams") {
        match read_partly::<Upstream>(upstream) {
            Some((upstream, true)) => upstream::whole(&upstream, &at, &mut problems),
            Some((upstream, false)) => upstream::parts(&upstream, &at, &mut problems),
            None => {}
        }
    }
    problems
}

/// What of `node` could be read, and whether that is all of it.
fn read_partly<T: Partly>(node: &Node) -> Option<(T, bool)> {
    let mut problems = Vec::new();
    T::read_partly(node, &Path::root(), &mut problems).map(|part| (part, problems.is_empty()))
}

/// The values of the table `key` of a document's root, each with its path.
fn entries<'a>(node: &'a Node, key: &'static str) -> impl Iterator<Item = (&'a Node, Path)> {
    let at = Path::root().key(key);
    let entries = node.get(key).and_then(Node::table).unwrap_or_default();
    entries.iter().map(move |(name, node)| (node, at.key(name.name.clone())))
}

fn indexed<'a, T>(items: &'a [T], at: &Path) -> impl Iterator<Item = (&'a T, Path)> {
    items.iter().enumerate().map(move |(index, item)| (item, at.index(index)))
}

/// The upstreams that rules may name. None where a document's upstreams could not be told.
struct Upstreams<'a>(Option<BTreeSet<&'a str>>);

impl<'a> Upstreams<'a> {
    /// By their keys alone: an upstream with an error in its table is no unknown one.
    fn declared(node: &'a Node) -> Self {
        let Some(root) = node.table() else { return Self(None) };
        if root.iter().any(|(key, _)| !Mesh::KEYS.contains(&key.name.as_str())) {
            return Self(None);
        }
        let Some(upstreams) = node.get("upstreams") else { return Self(Some(BTreeSet::new())) };
        Self(upstreams.table().map(|entries| entries.iter().map(|(key, _)| key.name.as_str()).collect()))
    }

    fn check(&self, name: &Name, at: &Path, problems: &mut Vec<Problem>) {
        let Some(known) = self.0.as_ref().filter(|known| !known.contains(&**name)) else { return };
        let declare = || Some(format!("declare it: [upstreams.{name}]"));
        let problem = Problem::error(at, format!("unknown upstream `{name}`"));
        problems.push(problem.did_you_mean(name, known.iter().copied(), declare));
    }
}

/// A rule without a name goes by its position, so `name = "1"` may clash with that too.
fn distinct_rules<'a>(rules: impl Iterator<Item = (&'a Rule, Path)>, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<String, Path> = BTreeMap::new();
    for (position, (rule, at)) in rules.enumerate() {
        let name = rule.name.as_ref().map_or_else(|| position.to_string(), Name::to_string);
        if let Some(first) = seen.get(&name) {
            let message = format!("two rules of this route go by the name `{name}`");
            let hint = format!("the other is {first}; a rule without a name goes by its position");
            problems.push(Problem::error(&at.key("name"), message).hint(hint));
        } else {
            seen.insert(name, at);
        }
    }
}

fn distinct<T: Ord + ToString>(items: &[T], what: &str, at: &Path, problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for (item, at) in indexed(items, at) {
        if !seen.insert(item) {
            problems.push(Problem::error(&at, format!("the {what} `{}` is here twice", item.to_string())));
        }
    }
}

/// Upstreams that no rule sends anything to.
fn unused(mesh: &Mesh, problems: &mut Vec<Problem>) {
    let rules = || mesh.routes.values().flat_map(|route| &route.rules);
    let split = rules().filter_map(|rule| rule.to.as_ref()).flat_map(|to| to.weights().map(|(name, _)| name));
    let mirrored = rules().filter_map(|rule| rule.mirror.as_ref()).map(|mirror| &mirror.to);
    let used: BTreeSet<&Name> = split.chain(mirrored).collect();
    for name in mesh.upstreams.keys().filter(|name| !used.contains(name)) {
        let at = Path::root().key("upstreams").key(name.to_string());
        problems.push(Problem::warning(&at, format!("no rule uses the upstream `{name}`")));
    }
}

/// A host as it may stand in a URL or in a `Host` header.
fn host(text: &str, at: &Path, problems: &mut Vec<Problem>) {
    if let Err(fault) = Host::from_text(text) {
        problems.push(Problem::fault(at, fault));
    } else if text.starts_with("*.") {
        problems.push(Problem::error(at, format!("\"{text}\" is not one host")).hint("write a host without a star"));
    }
}

/// A span of time that must not be zero.
fn positive(duration: Option<crate::units::Duration>, at: Path, hint: &str, problems: &mut Vec<Problem>) {
    if duration.is_some_and(|duration| duration.0.is_zero()) {
        problems.push(Problem::error(&at, "nothing can happen in no time").hint(hint));
    }
}
