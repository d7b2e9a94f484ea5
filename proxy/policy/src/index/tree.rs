//! Radix trees over paths, in one arena.
//!
//! A node stands for the bytes on the way to it. On it hang the candidates whose path is exactly these bytes, those
//! whose prefix they are, and those whose regex begins with them literally. So one descent passes every candidate that
//! a path can have. On the way back up, longer prefixes come before shorter ones, and at one node prefixes before
//! regexes: that is the order of precedence.
//!
//! What a match costs is the cache lines that it reads. A node is one line, its label in it (a longer label is spread
//! over nodes that have one child). Children of a node stand side by side, and their first bytes do so in a list of
//! their own. Every node knows the nearest node above it on which something hangs, so that going up skips the rest, and
//! needs no stack.

use std::ops::Range;

/// A position in the arena.
pub(crate) type NodeId = u32;

/// There is no node.
const NONE: NodeId = NodeId::MAX;

/// A candidate's place in the trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hook<'a> {
    /// The number of its host.
    pub host: u32,
    /// The exact path, the prefix (without a slash at its end), or the regex's literal head.
    pub path: &'a [u8],
    pub kind: Kind,
}

/// In the order in which they hang on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Exact,
    Prefix,
    Regex,
}

#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// The first byte of each node's label; 0 where it is empty. At the end, [`PADDING`].
    first: Vec<u8>,
}

/// Zeros after the last first byte, so that eight can be read where one is left.
const PADDING: usize = 7;

/// Bytes of a label that one node holds.
const LABEL: usize = 32;

#[derive(Debug)]
#[repr(align(64))]
struct Node {
    /// The bytes between its parent and it; those from `label_length` on are zero.
    label: [u8; LABEL],
    label_length: u16,
    /// At most 256, one for each byte.
    children_count: u16,
    children: NodeId,
    /// How many bytes it stands for.
    depth: u32,
    /// The nearest node above it that has prefixes or regexes.
    above: NodeId,
    /// Its candidates: exact ones, prefixes and regexes, one after the other.
    exact: u32,
    prefix: u32,
    regex: u32,
    end: u32,
}

impl Tree {
    /// Adds the tree of one host. `hooks` are sorted by path and kind, and the candidate of the first of them is
    /// `first`. There is at least one.
    pub(crate) fn grow(&mut self, hooks: &[Hook<'_>], first: u32) -> NodeId {
        let root = self.nodes.len() as NodeId;
        self.push(hooks, 0, NONE);
        // Nodes whose hooks have still to be shared out among their children. Breadth first, so that children stand
        // side by side.
        let mut open = vec![(root, 0..hooks.len())];
        let mut next = 0;
        while let Some((id, Range { start, end })) = open.get(next).cloned() {
            next += 1;
            let depth = self.nodes[id as usize].depth as usize;
            let own = hooks[start..end].partition_point(|hook| hook.path.len() == depth);
            self.hang(id, &hooks[start..start + own], first + start as u32);

            let node = &self.nodes[id as usize];
            let above = if node.end > node.prefix { id } else { node.above };
            self.nodes[id as usize].children = self.nodes.len() as NodeId;
            let mut at = start + own;
            for child in hooks[at..end].chunk_by(|one, next| one.path[depth] == next.path[depth]) {
                open.push((self.nodes.len() as NodeId, at..at + child.len()));
                self.push(child, depth, above);
                self.nodes[id as usize].children_count += 1;
                at += child.len();
            }
        }
        root
    }

    /// To be called once all trees are grown, and before one is asked.
    pub(crate) fn finish(&mut self) {
        self.first.extend([0; PADDING]);
    }

    /// Adds a node for what all these hooks have in common after `depth` bytes, or as much of it as one node can hold.
    fn push(&mut self, hooks: &[Hook<'_>], depth: usize, above: NodeId) {
        // The list is sorted, so what the first and the last have in common is common to all.
        let (one, other) = (&hooks[0].path[depth..], &hooks[hooks.len() - 1].path[depth..]);
        let text = &one[..one.iter().zip(other).take(LABEL).take_while(|(a, b)| a == b).count()];
        let mut label = [0; LABEL];
        label[..text.len()].copy_from_slice(text);
        self.first.push(label[0]);
        self.nodes.push(Node {
            label,
            label_length: text.len() as u16,
            children_count: 0,
            children: 0,
            depth: (depth + text.len()) as u32,
            above,
            exact: 0,
            prefix: 0,
            regex: 0,
            end: 0,
        });
    }

    fn hang(&mut self, id: NodeId, hooks: &[Hook<'_>], first: u32) {
        let up_to = |kind| first + hooks.partition_point(|hook| hook.kind < kind) as u32;
        let node = &mut self.nodes[id as usize];
        node.exact = first;
        node.prefix = up_to(Kind::Prefix);
        node.regex = up_to(Kind::Regex);
        node.end = first + hooks.len() as u32;
    }

    /// Asks about the candidates that the path has in one tree, range by range and best first, until there is an answer.
    pub(crate) fn find<T>(
        &self,
        root: NodeId,
        path: &[u8],
        ask: &mut impl FnMut(Range<usize>) -> Option<T>,
    ) -> Option<T> {
        let mut node = self.nodes.get(self.descend(root, path) as usize)?;
        let mut ask = |from: u32, to: u32| if from < to { ask(from as usize..to as usize) } else { None };
        if node.depth as usize == path.len()
            && let Some(answer) = ask(node.exact, node.prefix)
        {
            return Some(answer);
        }
        loop {
            // A prefix ends where an element of the path ends.
            let whole_elements = matches!(path.get(node.depth as usize), None | Some(b'/'));
            if let Some(answer) = ask(if whole_elements { node.prefix } else { node.regex }, node.end) {
                return Some(answer);
            }
            node = self.nodes.get(node.above as usize)?;
        }
    }

    /// The deepest node whose bytes the path begins with; [`NONE`] if it does not begin with the root's.
    fn descend(&self, root: NodeId, path: &[u8]) -> NodeId {
        let node = &self.nodes[root as usize];
        let Some(mut rest) = path.strip_prefix(node.label()) else { return NONE };
        let (mut deepest, mut children) = (root, node.children());
        while let Some((byte, after)) = rest.split_first() {
            let Some(child) = position(*byte, &self.first, children) else { break };
            let node = &self.nodes[child];
            // The first byte of its label is the one that led here.
            if node.label_length == 1 {
                rest = after;
            } else {
                let Some(more) = rest.strip_prefix(node.label()) else { break };
                rest = more;
            }
            (deepest, children) = (child as NodeId, node.children());
        }
        deepest
    }
}

impl Node {
    fn label(&self) -> &[u8] {
        &self.label[..usize::from(self.label_length)]
    }

    fn children(&self) -> Range<usize> {
        self.children as usize..self.children as usize + usize::from(self.children_count)
    }
}

/// The position of a byte in a part of a list, eight at a time: which of few children is taken cannot be predicted, so
/// a branch for each would cost more than the comparison. The list goes on for [`PADDING`] bytes after the part.
fn position(byte: u8, list: &[u8], part: Range<usize>) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    for start in part.clone().step_by(8) {
        let eight: [u8; 8] = list.get(start..start + 8)?.try_into().ok()?;
        let differs = u64::from_le_bytes(eight) ^ (ONES * u64::from(byte));
        // The lowest byte that is zero shows in the lowest bit set ("Bit Twiddling Hacks", haszero).
        let zeros = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        if zeros != 0 {
            let at = start + zeros.trailing_zeros() as usize / 8;
            return (at < part.end).then_some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hooks that `path` has, best first, of a tree that is grown from them.
    fn found<'a>(hooks: &[(&'a str, Kind)], path: &str) -> Vec<(&'a str, Kind)> {
        let mut sorted = hooks.to_vec();
        sorted.sort();
        let hooks: Vec<_> =
            sorted.iter().map(|(path, kind)| Hook { host: 0, path: path.as_bytes(), kind: *kind }).collect();
        let mut tree = Tree::default();
        let root = tree.grow(&hooks, 0);
        tree.finish();
        let mut found = Vec::new();
        let none: Option<()> = tree.find(root, path.as_bytes(), &mut |range| {
            found.extend_from_slice(&sorted[range]);
            None
        });
        assert_eq!(none, None);
        found
    }

    #[test]
    fn candidates_come_best_first() {
        use Kind::*;
        let hooks = [
            ("", Prefix),
            ("", Regex),
            ("/a", Exact),
            ("/a", Prefix),
            ("/a", Regex),
            ("/a/", Regex),
            ("/a/b", Prefix),
            ("/ab", Exact),
            ("/ab/c", Prefix),
            ("/b", Prefix),
        ];
        assert_eq!(found(&hooks, "/a"), [("/a", Exact), ("/a", Prefix), ("/a", Regex), ("", Prefix), ("", Regex)]);
        assert_eq!(
            found(&hooks, "/a/b/c"),
            [("/a/b", Prefix), ("/a/", Regex), ("/a", Prefix), ("/a", Regex), ("", Prefix), ("", Regex)]
        );
        assert_eq!(found(&hooks, "/ab"), [("/ab", Exact), ("/a", Regex), ("", Prefix), ("", Regex)]);
        assert_eq!(found(&hooks, "/b/x"), [("/b", Prefix), ("", Prefix), ("", Regex)]);
        assert_eq!(found(&hooks, "/"), [("", Prefix), ("", Regex)]);
        assert_eq!(found(&hooks, "/c"), [("", Prefix), ("", Regex)]);
    }

    #[test]
    fn a_prefix_ends_with_an_element() {
        let hooks = [("/a", Kind::Prefix)];
        assert_eq!(found(&hooks, "/a").len(), 1);
        assert_eq!(found(&hooks, "/a/").len(), 1);
        assert_eq!(found(&hooks, "/a/b").len(), 1);
        assert_eq!(found(&hooks, "/ab").len(), 0);
        assert_eq!(found(&hooks, "/").len(), 0);
    }

    #[test]
    fn long_labels_are_spread_over_nodes() {
        let (long, longer) = ("/a".repeat(100), "/a".repeat(200));
        let hooks = [(long.as_str(), Kind::Prefix), (longer.as_str(), Kind::Exact), ("/a", Kind::Regex)];
        assert_eq!(found(&hooks, &longer).len(), 3);
        assert_eq!(found(&hooks, &long).len(), 2);
        assert_eq!(found(&hooks, &longer[..longer.len() - 1]).len(), 2);
        assert_eq!(found(&hooks, &long[..long.len() - 1]), [("/a", Kind::Regex)]);
        assert_eq!(found(&[(long.as_str(), Kind::Prefix)], "/a"), []);
    }

    #[test]
    fn a_byte_is_found_where_it_stands() {
        let all: Vec<u8> = (0..=255).rev().collect();
        let list = [&[7; 3], all.as_slice(), &[0; PADDING]].concat();
        for length in 0..=256 {
            for (at, byte) in all.iter().enumerate() {
                let part = 3..3 + length;
                assert_eq!(position(*byte, &list, part), (at < length).then_some(3 + at), "{byte} in {length}");
            }
        }
    }

    #[test]
    fn a_node_is_one_cache_line() {
        assert_eq!(size_of::<Node>(), 64);
    }

    #[test]
    fn hooks_of_one_path_share_a_node() {
        let hooks = [("/a", Kind::Prefix), ("/a", Kind::Prefix), ("/a/b", Kind::Exact), ("/a/b", Kind::Exact)];
        assert_eq!(found(&hooks, "/a/b").len(), 4);
        assert_eq!(found(&hooks, "/a/c").len(), 2);
    }
}
