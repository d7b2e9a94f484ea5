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
        tree.finish();
        Self { exact: HostMap::new(&exact), wildcard: HostMap::new(&wildcard), any, tree }
    }

    /// Asks about candidates whose host matches and whose path may (a prefix or an exact path does, a regex must still
    /// be asked), range by range and best first, until there is an answer: the exact host's, then those of each
    /// wildcard from the longest, then those of any host.
    pub(crate) fn find<T>(&self, host: &str, path: &str, mut ask: impl FnMut(Range<usize>) -> Option<T>) -> Option<T> {
        let path = path.as_bytes();
        if let Some(root) = self.exact.get(host)
            && let Some(answer) = self.tree.find(root, path, &mut ask)
        {
            return Some(answer);
        }
        let longest = self.wildcard.longest_key();
        if longest > 0 {
            for (dot, _) in host.match_indices('.').filter(|(dot, _)| host.len() - dot <= longest) {
                if let Some(root) = self.wildcard.get(&host[dot..])
                    && let Some(answer) = self.tree.find(root, path, &mut ask)
                {
                    return Some(answer);
                }
            }
        }
        self.tree.find(self.any?, path, &mut ask)
    }
}
