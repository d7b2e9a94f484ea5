//! Filters: what a rule asks of a request before it goes on. One file a filter (settings, help, behaviour, tests), and
//! one line in the [`CATALOGUE`].
//!
//! A filter is synchronous and never waits. It sees a request's head and what else is known about it, and says
//! [`Next`]; it may add fields to the access log.

mod buckets;
mod deny;
mod gcra;
mod log_fields;
#[cfg(feature = "test-hooks")]
mod panic;
mod rate_limit;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use weir_config::node::Node;
use weir_config::problem::{Path, Problem};
use weir_config::read::Read;

use crate::reason::Reason;
use crate::request::{Facts, RequestHead};

/// Every kind of filter there is.
pub static CATALOGUE: &[Kind] = &[
    rate_limit::KIND,
    deny::KIND,
    log_fields::KIND,
    #[cfg(feature = "test-hooks")]
    panic::KIND,
];

/// What one rule's filter does.
pub trait Filter: Any + Send + Sync {
    fn request(&self, cx: &mut FilterContext<'_>) -> Next;

    /// How many bytes the body of this request may have, where its length shows only as it comes.
    fn body_limit(&self, _head: &RequestHead<'_>, _facts: &Facts) -> Option<u64> {
        None
    }

    /// Takes over what the same filter of an older table has counted, if it counts. `old` may be of another type.
    fn inherit(&mut self, _old: &dyn Filter) {}

    /// The same filter as it was before the first request; `None` for one that remembers nothing.
    fn fresh(&self) -> Option<Box<dyn Filter>> {
        None
    }
}

/// What a filter sees and may change.
pub struct FilterContext<'a> {
    pub head: &'a RequestHead<'a>,
    pub facts: &'a Facts,
    /// Further fields of the request's line in the access log.
    pub log: &'a mut Vec<(Arc<str>, String)>,
}

/// How a request goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    Continue,
    Reply(Refusal),
}

/// A refusal; its status follows from the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// When to try again, in whole seconds.
    pub retry_after: Option<Duration>,
    /// Further headers of the answer.
    pub headers: Vec<(&'static str, String)>,
}

/// A kind of filter: what `weir filters` tells of it, and how one is made.
#[derive(Debug)]
pub struct Kind {
    /// As in `kind = "…"`.
    pub name: &'static str,
    /// One line.
    pub help: &'static str,
    /// All there is to know, in Markdown.
    pub description: &'static str,
    /// The JSON Schema of the settings, without `kind`.
    pub schema: fn() -> Value,
    pub compile: Compile,
    /// Lines of TOML that can stand in a rule.
    pub example: &'static str,
}

/// Makes a filter of its settings (the whole table, `kind` among it), which stand at a path. `None` after problems were
/// added.
pub type Compile = fn(&Node, &Path, &mut Vec<Problem>) -> Option<Box<dyn Filter>>;

/// A filter of a rule.
pub struct CompiledFilter {
    pub kind: &'static str,
    filter: Box<dyn Filter>,
}

impl Kind {
    /// The kind of that name.
    pub fn named(name: &str) -> Option<&'static Kind> {
        CATALOGUE.iter().find(|kind| kind.name == name)
    }
}

impl CompiledFilter {
    /// The filter of a document; `None` after problems were added.
    pub(crate) fn new(
        filter: &weir_config::mesh::Filter,
        at: &Path,
        problems: &mut Vec<Problem>,
    ) -> Option<CompiledFilter> {
        let Some(kind) = Kind::named(&filter.kind) else {
            let names = || CATALOGUE.iter().map(|kind| kind.name);
            let all = || Some(format!("one of {}", names().collect::<Vec<_>>().join(", ")));
            let problem = Problem::error(&at.key("kind"), format!("unknown filter `{}`", filter.kind.escape_debug()));
            problems.push(problem.did_you_mean(&filter.kind, names(), all));
            return None;
        };
        let filter = (kind.compile)(&filter.settings, at, problems)?;
        Some(CompiledFilter { kind: kind.name, filter })
    }

    pub fn request(&self, cx: &mut FilterContext<'_>) -> Next {
        self.filter.request(cx)
    }

    /// See [`Filter::body_limit`]. A rule's is [`crate::Rule::body_limit`].
    pub fn body_limit(&self, head: &RequestHead<'_>, facts: &Facts) -> Option<u64> {
        self.filter.body_limit(head, facts)
    }

    pub(crate) fn inherit(&mut self, old: &CompiledFilter) {
        if self.kind == old.kind {
            self.filter.inherit(&*old.filter);
        }
    }

    /// What it says to a request on fresh state; nothing is counted.
    pub(crate) fn request_on_fresh_state(&self, cx: &mut FilterContext<'_>) -> Next {
        match self.filter.fresh() {
            Some(fresh) => fresh.request(cx),
            None => self.filter.request(cx),
        }
    }
}

impl fmt::Debug for CompiledFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledFilter").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Reads settings and makes a filter of them.
fn compile<S: Read, F: Filter>(
    node: &Node,
    at: &Path,
    problems: &mut Vec<Problem>,
    build: impl FnOnce(S, &Path, &mut Vec<Problem>) -> Option<F>,
) -> Option<Box<dyn Filter>> {
    let settings = S::read(node, at, problems)?;
    build(settings, at, problems).map(|filter| Box::new(filter) as Box<dyn Filter>)
}

#[cfg(test)]
pub(crate) mod testing {
    use std::net::IpAddr;

    use super::*;
    use crate::table::ListenerId;

    /// The filter of some settings, written as a TOML table's lines.
    pub(crate) fn compiled(settings: &str) -> Result<CompiledFilter, Vec<Problem>> {
        let tree = Node::from_toml(settings);
        assert_eq!(tree.problems, [], "{settings}");
        let kind = tree.node.get("kind").and_then(Node::as_str).unwrap().to_owned();
        let mut problems = Vec::new();
        let filter = weir_config::mesh::Filter { kind, settings: tree.node };
        let compiled = CompiledFilter::new(&filter, &Path::root().key("filter"), &mut problems);
        assert_eq!(compiled.is_some(), problems.is_empty(), "{settings}: {problems:?}");
        compiled.ok_or(problems)
    }

    /// The only problem of some settings, on one line.
    pub(crate) fn refused(settings: &str) -> String {
        let problems = compiled(settings).unwrap_err();
        assert_eq!(problems.len(), 1, "{settings}: {problems:?}");
        problems[0].to_string()
    }

    pub(crate) fn facts() -> Facts {
        let client = IpAddr::from([192, 0, 2, 1]);
        Facts { listener: ListenerId::NONE, client, https: false, port: 80, now: Duration::ZERO }
    }

    pub(crate) const HEAD: RequestHead<'static> =
        RequestHead { method: "GET", host: "a.b", path: "/", query: None, headers: &NO_HEADERS, content_length: None };
    const NO_HEADERS: [(&str, &str); 0] = [];

    pub(crate) fn ask(filter: &CompiledFilter, head: &RequestHead<'_>, facts: &Facts) -> Next {
        filter.request(&mut FilterContext { head, facts, log: &mut Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(kind: &Kind) -> Vec<Node> {
        let tree = Node::from_toml(kind.example);
        assert_eq!(tree.problems, [], "{}", kind.name);
        tree.node.get("filters").and_then(Node::array).unwrap().to_vec()
    }

    fn properties(kind: &Kind) -> serde_json::Map<String, Value> {
        (kind.schema)()["properties"].as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn every_kind_has_help_and_an_example_that_compiles() {
        for kind in CATALOGUE {
            assert!(!kind.help.is_empty() && !kind.help.contains('\n'), "{}", kind.name);
            assert!(kind.description.len() > kind.help.len(), "{}", kind.name);
            assert!(std::ptr::eq(Kind::named(kind.name).unwrap(), kind), "{} is there twice", kind.name);
            for settings in settings(kind) {
                assert_eq!(settings.get("kind").and_then(Node::as_str), Some(kind.name));
                let mut problems = Vec::new();
                assert!((kind.compile)(&settings, &Path::root(), &mut problems).is_some(), "{problems:?}");
                assert_eq!(problems, []);
            }
        }
    }

    #[test]
    fn every_setting_is_described_and_every_key_of_an_example_is_a_setting() {
        for kind in CATALOGUE {
            let properties = properties(kind);
            for (name, setting) in &properties {
                let described = setting["description"].as_str().is_some_and(|text| !text.is_empty());
                assert!(described, "{}.{name}: {setting}", kind.name);
            }
            for settings in settings(kind) {
                for (key, _) in settings.table().unwrap() {
                    assert!(key.name == "kind" || properties.contains_key(&key.name), "{}.{}", kind.name, key.name);
                }
            }
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_what_was_probably_meant() {
        for kind in CATALOGUE {
            for name in properties(kind).keys() {
                let mut misspelled = name.clone();
                misspelled.insert(1, 'q');
                let text = format!("{misspelled} = 1\nkind = \"{}\"", kind.name);
                let mut problems = Vec::new();
                (kind.compile)(&Node::from_toml(&text).node, &Path::root(), &mut problems);
                let problem = problems.iter().find(|problem| problem.path.to_string() == misspelled).unwrap();
                assert_eq!(problem.hint.as_deref(), Some(&*format!("did you mean `{name}`?")));
            }
        }
    }

    #[test]
    fn an_unknown_kind_is_refused_with_what_was_probably_meant() {
        let refused = testing::refused("kind = \"rate_limt\"");
        assert_eq!(refused, "filter.kind: unknown filter `rate_limt` (did you mean `rate_limit`?)");
        assert!(testing::refused("kind = \"xyz\"").contains("(one of rate_limit, deny, log_fields"));
    }
}
