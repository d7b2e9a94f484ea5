//! Where a request's candidates are found: the host by hash, the path by one descent through a radix tree.
//!
//! Each host pattern that a document names has a tree of its own; the trees share one arena, and what they hold is
//! ranges of one list of candidates. Each range is sorted best first, and the ranges come best first, so whoever asks
//! takes the first candidate whose remaining conditions hold.

mod hosts;
mod tree;

use std::ops::Range;

use weir_config::names::Host;

use hosts::HostMap;
pub(crate) use tree::{Hook, Kind};
use tree::{NodeId, Tree};

/// The hosts and paths of a table.
#[derive(Debug)]
pub(crate) struct Index {
    exact: HostMap,
    /// By suffix, with its dot.
    wildcard: HostMap,
    any: Option<NodeId>,
    tree: Tree,
}

impl Index {
    /// `hosts` are the distinct hosts in the order of their numbers, `None` for any host; `hooks` are sorted by number
    /// of the host, path and kind, and the candidate at each position is that of the hook at the same position.
    pub(crate) fn build(hosts: &[Option<&Host>], hooks: &[Hook<'_>]) -> Self {
        let mut tree = Tree::default();
        let (mut exact, mut wildcard, mut any) = (Vec::new(), Vec::new(), None);
        let mut first = 0;
        for group in hooks.chunk_by(|one, next| one.host == next.host) {
            let root = tree.grow(group, first);
            first += group.len() as u32;
            match hosts[group[0].host as usize] {
                Some(Host::Exact(host)) => exact.push((&**host, root)),
                Some(Host::Wildcard(suffix)) => wildcard.push((&**suffix, root)),
                None => any = Some(root),
            }
        }
        Self { exact: HostMap::new(&exact), wildcard: HostMap::new(&wildcard), any, tree }
    }

    /// Candidates whose host matches and whose path may (a prefix or an exact path does, a regex must still be asked),
    /// best first: the exact host's, then those of each wildcard from the longest, then those of any host.
    pub(crate) fn candidates<'t>(&'t self, host: &'t str, path: &'t str) -> impl Iterator<Item = Range<usize>> + 't {
        let wildcards = self.wildcard.longest_key();
        let suffixes = host.match_indices('.').map(move |(dot, _)| &host[dot..]);
        self.exact
            .get(host)
            .into_iter()
            .chain(
                suffixes.filter(move |suffix| suffix.len() <= wildcards).filter_map(|suffix| self.wildcard.get(suffix)),
            )
            .chain(self.any)
            .flat_map(move |root| self.tree.candidates(root, path.as_bytes()))
    }
}
