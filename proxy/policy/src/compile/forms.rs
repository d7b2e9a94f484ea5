//! The alternatives of a rule, each in the forms in which it matches: as it is written, and without its version where
//! that stands in the path.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use weir_config::mesh::{self, Match};
use weir_config::names::{HeaderName, Name, PathPattern};
use weir_config::problem::{Path, Problem};

use super::{Compiler, Place};
use crate::method::{MAX_METHODS, MethodSet};
use crate::pattern::{Condition, RegexId, Subject, Value, literal_head};
use crate::rule::{Form, Own, Rank};
use crate::table::RuleId;

/// How a client asks for a version that is not in the path.
const ACCEPT_VERSION: &str = "accept-version";

/// What the forms of one alternative have in common.
struct Common {
    rule: RuleId,
    alternative: usize,
    methods: MethodSet,
    conditions: Vec<Condition>,
}

impl Compiler<'_> {
    /// Adds the forms of a rule, and says which they are; `None` after problems were added.
    pub(super) fn forms(&mut self, place: Place<'_>, id: RuleId, rule: &mesh::Rule) -> Option<Range<usize>> {
        let any = [Match {
            methods: Vec::new(),
            path: PathPattern::default(),
            headers: BTreeMap::new(),
            query: BTreeMap::new(),
        }];
        let alternatives = if rule.r#match.is_empty() { &any } else { rule.r#match.as_slice() };
        let version = rule.version.as_ref().map(|version| &version.name);
        let start = self.forms.len();
        let mut whole = true;
        for (position, alternative) in alternatives.iter().enumerate() {
            whole &= self.alternative(place, id, position, alternative, version).is_some();
        }
        whole.then_some(start..self.forms.len())
    }

    fn alternative(
        &mut self,
        place: Place<'_>,
        rule: RuleId,
        position: usize,
        alternative: &Match,
        version: Option<&Name>,
    ) -> Option<()> {
        let at = || place.at().key("match").index(position);
        // All of them first, so that each problem is reported.
        let regex = match &alternative.path {
            PathPattern::Regex(pattern) => self.regexes.get(pattern, at, &mut self.problems).map(Some),
            PathPattern::Exact(_) | PathPattern::Prefix(_) => Some(None),
        };
        let methods = self.methods(alternative, at);
        let conditions = self.conditions(alternative, at);
        let (regex, methods, conditions) = (regex?, methods?, conditions?);
        let mut common = Common { rule, alternative: position, methods, conditions };
        let Some(version) = version else {
            self.form(&common, &alternative.path, regex, Own::Same);
            return Some(());
        };
        let asks = Condition {
            on: Subject::Header,
            name: ACCEPT_VERSION.to_owned(),
            value: Value::Exact(version.to_string()),
        };
        match without_version(&alternative.path, version) {
            Named::Not => {
                common.require(asks);
                self.form(&common, &alternative.path, regex, Own::Same);
            }
            Named::InRegex => self.form(&common, &alternative.path, regex, Own::Same),
            Named::InPath { rest, own } => {
                self.form(&common, &alternative.path, None, Own::Same);
                common.require(asks);
                self.form(&common, &rest, None, own);
            }
        }
        Some(())
    }

    fn methods(&mut self, alternative: &Match, at: impl Fn() -> Path) -> Option<MethodSet> {
        let mut methods = MethodSet::default();
        for (index, method) in alternative.methods.iter().enumerate() {
            let Some(bit) = self.methods.intern(method) else {
                let message = format!("`{method}` is one method too many");
                let hint = format!("a document can name {MAX_METHODS} methods, the standard ones among them");
                self.problems.push(Problem::error(&at().key("methods").index(index), message).hint(hint));
                return None;
            };
            methods = methods.union(bit);
        }
        Some(methods)
    }

    /// In the order of headers and query, by name.
    fn conditions(&mut self, alternative: &Match, at: impl Fn() -> Path) -> Option<Vec<Condition>> {
        let headers = alternative.headers.iter().map(|(name, pattern)| (Subject::Header, name_of(name), pattern));
        let query = alternative.query.iter().map(|(name, pattern)| (Subject::Query, name.as_str(), pattern));
        // All of them first, so that each problem is reported.
        let conditions: Vec<Option<Condition>> = headers
            .chain(query)
            .map(|(on, name, pattern)| {
                let key = if on == Subject::Header { "headers" } else { "query" };
                let value = self.regexes.value(pattern, || at().key(key).key(name.to_owned()), &mut self.problems)?;
                Some(Condition { on, name: name.to_owned(), value })
            })
            .collect();
        conditions.into_iter().collect()
    }

    fn form(&mut self, common: &Common, path: &PathPattern, regex: Option<RegexId>, own: Own) {
        let position = self.forms.len() as u32;
        let (pattern, path_length) = match path {
            PathPattern::Exact(path) => (false, path.len()),
            PathPattern::Prefix(prefix) => (true, prefix.len()),
            PathPattern::Regex(pattern) => {
                let head = literal_head(pattern);
                let length = head.len();
                self.heads.insert(position, head);
                (true, length)
            }
        };
        let count = |on| common.conditions.iter().filter(|condition| condition.on == on).count();
        let start = self.conditions.len() as u32;
        self.conditions.extend_from_slice(&common.conditions);
        self.forms.push(Form {
            rule: common.rule,
            alternative: common.alternative,
            path: path.clone(),
            regex,
            methods: common.methods,
            conditions: start..self.conditions.len() as u32,
            rank: Rank {
                pattern,
                path_length: Reverse(path_length),
                regex: regex.is_some(),
                any_method: common.methods.is_empty(),
                headers: Reverse(count(Subject::Header)),
                query: Reverse(count(Subject::Query)),
                rule: common.rule,
                alternative: common.alternative,
                without_version: !matches!(own, Own::Same),
            },
            own,
        });
    }
}

impl Common {
    /// Adds a condition, unless it is there already.
    fn require(&mut self, condition: Condition) {
        if !self.conditions.contains(&condition) {
            self.conditions.push(condition);
        }
    }
}

/// Whether a path names the version.
enum Named {
    Not,
    /// A regex has no form without it.
    InRegex,
    InPath {
        rest: PathPattern,
        own: Own,
    },
}

fn without_version(path: &PathPattern, version: &Name) -> Named {
    let element = format!("/{version}");
    let rest = |path: &str| {
        path.strip_prefix(element.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/')).map(str::to_owned)
    };
    match path {
        PathPattern::Exact(path) => match rest(path) {
            Some(rest) => {
                let rest = if rest.is_empty() { "/".to_owned() } else { rest };
                Named::InPath { rest: PathPattern::Exact(rest), own: Own::Whole(path.as_str().into()) }
            }
            None => Named::Not,
        },
        PathPattern::Prefix(prefix) => match rest(prefix) {
            Some(rest) => Named::InPath { rest: PathPattern::Prefix(rest), own: Own::Behind(Arc::from(element)) },
            None => Named::Not,
        },
        PathPattern::Regex(pattern) => match literal_head(pattern).starts_with(format!("{element}/").as_bytes()) {
            true => Named::InRegex,
            false => Named::Not,
        },
    }
}

fn name_of(header: &HeaderName) -> &str {
    header
}
