//! A map from hosts to trees that is built once and asked by every request.
//!
//! The hash is fast and has a fixed seed, since a compiled table must be a function of its document. That is safe here:
//! what clients send is only looked up and never inserted, so no client can make a bucket longer. Whoever writes
//! documents could choose hosts that share a bucket; so the builder tries seeds until no bucket has more than
//! [`MAX_BUCKET`] hosts, and someone who wanted to slow it down would need hosts that collide under all of them. Buckets
//! lie side by side in one list, with the beginnings of the names in it: a miss mostly reads one pair of offsets, a hit
//! one entry more.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;

use super::tree::NodeId;

/// With as many buckets as hosts or more, the longest of 100,000 fair buckets has 8 or 9 hosts.
const MAX_BUCKET: usize = 12;
/// Seeds that are tried before the best that was seen is taken.
const MAX_SEEDS: u64 = 16;

/// An immutable map from names to roots of trees.
#[derive(Debug, Default)]
pub(crate) struct HostMap {
    hasher: FixedState,
    /// One less than the number of buckets, a power of two; empty maps have no buckets.
    mask: usize,
    /// The entries of bucket `b` are `starts[b]..starts[b + 1]`.
    starts: Box<[u32]>,
    entries: Box<[Entry]>,
    /// What names have beyond [`INLINE`] bytes.
    rest: Box<[u8]>,
    longest: usize,
}

/// Bytes of a name that its entry holds.
const INLINE: usize = 34;

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The upper half of the hash, so that nearly every other host is passed without a look at its name.
    tag: u32,
    root: NodeId,
    /// Where the rest of the name begins.
    rest: u32,
    length: u16,
    /// The beginning of the name; what is beyond its length is zero.
    name: [u8; INLINE],
}

impl HostMap {
    /// The names must be distinct.
    pub(crate) fn new(names: &[(&str, NodeId)]) -> Self {
        let Some(longest) = names.iter().map(|(name, _)| name.len()).max() else { return Self::default() };
        let mask = names.len().next_power_of_two() - 1;
        let crowd = |seed: u64| {
            let hasher = FixedState::with_seed(seed);
            let mut counts = vec![0usize; mask + 1];
            names.iter().for_each(|(name, _)| counts[hash(&hasher, name) as usize & mask] += 1);
            counts.into_iter().max().unwrap_or(0)
        };
        let mut best = (usize::MAX, 0);
        for seed in 0..MAX_SEEDS {
            best = best.min((crowd(seed), seed));
            if best.0 <= MAX_BUCKET {
                break;
            }
        }
        let hasher = FixedState::with_seed(best.1);

        let mut order: Vec<(usize, u32, usize)> = Vec::with_capacity(names.len());
        for (position, (name, _)) in names.iter().enumerate() {
            let hash = hash(&hasher, name);
            order.push((hash as usize & mask, (hash >> 32) as u32, position));
        }
        order.sort_unstable();
        let mut rest = Vec::new();
        let mut starts = vec![0; mask + 2];
        let mut entries = Vec::with_capacity(names.len());
        for (bucket, tag, position) in order {
            let (name, root) = names[position];
            let (start, more) = name.as_bytes().split_at(name.len().min(INLINE));
            let mut inline = [0; INLINE];
            inline[..start.len()].copy_from_slice(start);
            // A host has at most 253 bytes.
            entries.push(Entry { tag, root, rest: rest.len() as u32, length: name.len() as u16, name: inline });
            rest.extend_from_slice(more);
            starts[bucket + 1] = entries.len() as u32;
        }
        // Empty buckets end where those before them end.
        for bucket in 1..starts.len() {
            starts[bucket] = starts[bucket].max(starts[bucket - 1]);
        }
        Self { hasher, mask, starts: starts.into(), entries: entries.into(), rest: rest.into(), longest }
    }

    pub(crate) fn get(&self, name: &str) -> Option<NodeId> {
        if name.len() > self.longest || self.entries.is_empty() {
            return None;
        }
        let hash = hash(&self.hasher, name);
        let (bucket, tag) = (hash as usize & self.mask, (hash >> 32) as u32);
        let bucket = &self.entries[self.starts[bucket] as usize..self.starts[bucket + 1] as usize];
        let found = bucket.iter().find(|entry| entry.tag == tag && self.is(entry, name.as_bytes()))?;
        Some(found.root)
    }

    fn is(&self, entry: &Entry, name: &[u8]) -> bool {
        if usize::from(entry.length) != name.len() {
            return false;
        }
        let (start, more) = name.split_at(name.len().min(INLINE));
        // Comparing nothing through an empty list's pointer, which leads nowhere, costs a page walk: five times the rest.
        entry.name[..start.len()] == *start
            && (more.is_empty() || self.rest[entry.rest as usize..][..more.len()] == *more)
    }

    /// The length of the longest name, in bytes; 0 where there is none.
    pub(crate) fn longest_key(&self) -> usize {
        self.longest
    }
}

fn hash(hasher: &FixedState, name: &str) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(name.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 100, 5000] {
            let names: Vec<String> = (0..count).map(|number| format!("host-{number}.example.com")).collect();
            let map: Vec<_> = names.iter().zip(0..).map(|(name, root)| (name.as_str(), root)).collect();
            let map = HostMap::new(&map);
            for (name, root) in names.iter().zip(0..) {
                assert_eq!(map.get(name), Some(root));
            }
            assert_eq!(map.get(""), None);
            assert_eq!(map.get("host-1.example.co"), None);
            assert_eq!(map.get(&format!("host-{count}.example.com")), None);
        }
    }

    #[test]
    fn long_names_are_compared_to_their_end() {
        let names: Vec<String> = (0..100).map(|number| format!("{}{number}.example.com", "long.".repeat(20))).collect();
        let map: Vec<_> = names.iter().zip(0..).map(|(name, root)| (name.as_str(), root)).collect();
        let map = HostMap::new(&map);
        for (name, root) in names.iter().zip(0..) {
            assert_eq!(map.get(name), Some(root));
            assert_eq!(map.get(&name.replace("com", "con")), None);
        }
    }

    #[test]
    fn no_bucket_is_long() {
        let names: Vec<String> = (0..100_000).map(|number| format!("host-{number}.example.com")).collect();
        let map: Vec<_> = names.iter().map(|name| (name.as_str(), 0)).collect();
        let map = HostMap::new(&map);
        let longest = map.starts.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(longest <= Some(MAX_BUCKET as u32), "{longest:?}");
    }
}
