//! What a rule does with a request, compiled: nothing in here is looked up or parsed again while traffic flows.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use weir_config::mesh;
use weir_config::names::{Host, Name, PathPattern};
use weir_config::units::Share;

use crate::cors::Cors;
use crate::filters::CompiledFilter;
use crate::location::{PathEdit, Redirect};
use crate::method::MethodSet;
use crate::pattern::RegexId;
use crate::request::{Facts, RequestHead};
use crate::split::Split;
use crate::table::{Listeners, RuleId, UpstreamId};

/// A rule of a route.
#[derive(Debug)]
pub struct Rule {
    pub id: RuleId,
    /// The name of its route.
    pub route: Name,
    /// Its own name; where it has none its position in the route, counted from 0.
    pub name: Arc<str>,
    pub action: Action,
    pub timeout: Timeout,
    /// Time for one attempt, until its response head.
    pub attempt_timeout: Option<Duration>,
    /// Longest pause between two bytes of the exchange.
    pub idle_timeout: Duration,
    /// Edits of the request's headers on their way to the upstream.
    pub request_edits: Edits,
    /// Edits of the answer's headers on their way to the client; a version's `deprecation` and `sunset` among them.
    pub response_edits: Edits,
    /// In the order in which they see a request.
    pub filters: Vec<CompiledFilter>,
    /// The API version that it serves.
    pub version: Option<Name>,
    pub cors: Option<Cors>,
    /// A second upstream, and the share of the requests that it gets too. [`crate::decide`] has drawn already.
    pub mirror: Option<(UpstreamId, Share)>,
    /// The `Host` that the upstream sees, where it is not the client's.
    pub host_rewrite: Option<Arc<str>>,
    pub(crate) path_rewrite: Option<PathEdit>,
    /// Its forms in the table.
    pub(crate) forms: Range<usize>,
    /// Of its route; empty for any host.
    pub(crate) hosts: Arc<[Host]>,
    /// Of its route.
    pub(crate) listeners: Listeners,
    /// Its position in the route, counted from 0.
    pub(crate) position: usize,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Action {
    Forward(Split),
    Redirect(Redirect),
    Reply(Reply),
}

/// An answer by the proxy itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub status: u16,
    /// Empty where there is none.
    pub body: Arc<str>,
    /// `None` where there is no body to describe.
    pub content_type: Option<Arc<str>>,
}

/// Time for a whole exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// Until the response head; then only the idle timeout counts. Where the rule says nothing.
    Head(Duration),
    /// For the whole exchange with all its attempts. As written.
    Total(Duration),
    /// `"0s"`.
    Off,
}

/// Edits of headers: first `remove`, then `set` (in place of what was there), then `add` (one more line). Names are in
/// lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    pub remove: Vec<Arc<str>>,
    pub set: Vec<(Arc<str>, Arc<str>)>,
    pub add: Vec<(Arc<str>, Arc<str>)>,
}

impl Edits {
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}

impl Timeout {
    pub(crate) fn new(written: Option<Duration>) -> Self {
        match written {
            None => Self::Head(mesh::Rule::HEAD_TIMEOUT),
            Some(Duration::ZERO) => Self::Off,
            Some(total) => Self::Total(total),
        }
    }
}

impl Rule {
    /// The one upstream to which all requests go as they came.
    pub(crate) fn plain(&self) -> Option<UpstreamId> {
        let Action::Forward(split) = &self.action else { return None };
        let [only] = split.backends() else { return None };
        let as_it_came = self.path_rewrite.is_none() && self.mirror.is_none() && self.cors.is_none();
        as_it_came.then_some(only.upstream)
    }

    /// How many bytes this request's body may have: the tightest that a filter says. The head's `content-length` has
    /// been held against it by the filter itself; it is for bodies whose length shows only as they come.
    pub fn body_limit(&self, head: &RequestHead<'_>, facts: &Facts) -> Option<u64> {
        self.filters.iter().filter_map(|filter| filter.body_limit(head, facts)).min()
    }
}

/// One way to match a rule: an alternative as it is written, or without the version in its path.
#[derive(Debug)]
pub(crate) struct Form {
    pub rule: RuleId,
    /// The position of its alternative in the rule.
    pub alternative: usize,
    pub path: PathPattern,
    /// Where the path is a regex.
    pub regex: Option<RegexId>,
    pub methods: MethodSet,
    /// Its conditions in the table.
    pub conditions: Range<u32>,
    pub rank: Rank,
    pub own: Own,
}

/// How the path that a form was found at becomes the one that the rule is written for.
#[derive(Debug)]
pub(crate) enum Own {
    /// It is that path.
    Same,
    /// It is this path; the form is without its version.
    Whole(Arc<str>),
    /// With this in front, `/v1`.
    Behind(Arc<str>),
}

/// Which of two forms is chosen where both match at hosts of one rank: the lesser. The fields are the list of
/// precedence, in its order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// False, and so first, for an exact path.
    pub pattern: bool,
    /// In bytes; of a regex, its literal head's.
    pub path_length: Reverse<usize>,
    /// Of a prefix and a regex equally long the prefix is first.
    pub regex: bool,
    /// False, and so first, where methods are named.
    pub any_method: bool,
    pub headers: Reverse<usize>,
    pub query: Reverse<usize>,
    /// In the order of the routes' names, then of the rules in their route.
    pub rule: RuleId,
    pub alternative: usize,
    /// As written first.
    pub without_version: bool,
}

impl Form {
    pub(crate) fn is_as_written(&self) -> bool {
        matches!(self.own, Own::Same)
    }

    /// The path that the rule is written for.
    pub(crate) fn own_path<'a>(&'a self, path: &'a str) -> Cow<'a, str> {
        match &self.own {
            Own::Same => Cow::Borrowed(path),
            Own::Whole(whole) => Cow::Borrowed(whole),
            Own::Behind(version) => Cow::Owned(format!("{version}{path}")),
        }
    }

    /// How many bytes of the own path are the rule's prefix; 0 where it is none.
    pub(crate) fn own_prefix(&self) -> usize {
        let version = match &self.own {
            Own::Behind(version) => version.len(),
            Own::Same | Own::Whole(_) => 0,
        };
        match &self.path {
            PathPattern::Prefix(prefix) => version + prefix.len(),
            PathPattern::Exact(_) | PathPattern::Regex(_) => 0,
        }
    }
}
