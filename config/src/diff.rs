//! What changed between two mesh documents, as a person would say it: not lines, but "rule search now sends 10% (was
//! 5%) to search-green". Forms that mean the same (`"60s"` and `"1m"`, a match as a string or as a table) are the same.
//!
//! # Decisions
//! * Rules are told apart by their names. Of those without, equal ones are the same, then those with the same matches;
//!   what is left was added or removed.
//! * An order that has no meaning (of hosts, of endpoints) is still said when it changes, with that remark: two
//!   documents without a difference are equal, so that an empty diff can be trusted.

mod route;
mod rule;
mod upstream;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::mesh::Mesh;
use crate::names::Name;
use crate::problem::Path;

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// In the new document; in the old one for what was removed.
    pub path: Path,
    pub kind: Kind,
    /// `route papers: rule search now sends 10% (was 5%) to search-green`
    pub sentence: String,
    /// What was there. None where something was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// What is there now. None where something was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Added,
    Removed,
    Changed,
}

/// What changed from `old` to `new`: routes first, then upstreams, by name. Empty exactly when the two are equal.
pub fn diff(old: &Mesh, new: &Mesh) -> Vec<Change> {
    let mut changes = Changes::default();
    let at = Path::root().key("routes");
    let renamed = renamed(&old.routes, &new.routes);
    let moved: BTreeSet<&Name> = renamed.values().copied().collect();
    for (name, pair) in paired(&old.routes, &new.routes) {
        let at = at.key(name.to_string());
        match pair {
            Pair::Both(old, new) => route::changed(name, old, new, &at, &mut changes),
            Pair::New(route) => match renamed.get(name) {
                Some(was) => changes.changed(&at, format!("route {was} is now called {name}"), was, name),
                None => changes.added(&at, route::added(name, route), route),
            },
            Pair::Old(_) if moved.contains(name) => {}
            Pair::Old(route) => changes.removed(&at, format!("route {name} removed"), route),
        }
    }
    let at = Path::root().key("upstreams");
    for (name, pair) in paired(&old.upstreams, &new.upstreams) {
        let at = at.key(name.to_string());
        match pair {
            Pair::Both(old, new) => upstream::changed(name, old, new, &at, &mut changes),
            Pair::New(new) => changes.added(&at, upstream::added(name, new), new),
            Pair::Old(old) => changes.removed(&at, format!("upstream {name} removed"), old),
        }
    }
    changes.0
}

/// What has been found so far.
#[derive(Default)]
struct Changes(Vec<Change>);

impl Changes {
    fn added(&mut self, at: &Path, sentence: String, new: impl Serialize) {
        self.push(at, Kind::Added, sentence, None, Some(json(new)));
    }

    fn removed(&mut self, at: &Path, sentence: String, old: impl Serialize) {
        self.push(at, Kind::Removed, sentence, Some(json(old)), None);
    }

    fn changed(&mut self, at: &Path, sentence: String, old: impl Serialize, new: impl Serialize) {
        self.push(at, Kind::Changed, sentence, Some(json(old)), Some(json(new)));
    }

    fn push(&mut self, at: &Path, kind: Kind, sentence: String, old: Option<Value>, new: Option<Value>) {
        self.0.push(Change { path: at.clone(), kind, sentence, old, new });
    }
}

/// The documents' types are JSON by construction: their keys are strings.
fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

enum Pair<'a, T> {
    Both(&'a T, &'a T),
    Old(&'a T),
    New(&'a T),
}

/// What goes by the same name, by name.
fn paired<'a, T>(old: &'a BTreeMap<Name, T>, new: &'a BTreeMap<Name, T>) -> BTreeMap<&'a Name, Pair<'a, T>> {
    let mut pairs: BTreeMap<_, _> = old.iter().map(|(name, old)| (name, Pair::Old(old))).collect();
    for (name, new) in new {
        let pair = old.get(name).map_or(Pair::New(new), |old| Pair::Both(old, new));
        pairs.insert(name, pair);
    }
    pairs
}

/// What is there as it was, but under another name: new names, with the old ones. Where several are alike nobody can
/// say which became which, so none of them counts.
fn renamed<'a, T: Serialize>(old: &'a BTreeMap<Name, T>, new: &'a BTreeMap<Name, T>) -> BTreeMap<&'a Name, &'a Name> {
    let mut alike: BTreeMap<String, (Vec<&Name>, Vec<&Name>)> = BTreeMap::new();
    for (name, gone) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
        alike.entry(json(gone).to_string()).or_default().0.push(name);
    }
    for (name, come) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
        alike.entry(json(come).to_string()).or_default().1.push(name);
    }
    let pairs = alike.into_values().filter_map(|(old, new)| match (&old[..], &new[..]) {
        ([old], [new]) => Some((*new, *old)),
        _ => None,
    });
    pairs.collect()
}
