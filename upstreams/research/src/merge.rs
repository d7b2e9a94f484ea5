//! The merge: items that share a DOI, an arXiv id or an address are one finding, however long the chain.
//!
//! A repository may share an arXiv id with a preprint, the preprint a DOI with a journal's record, and the record an
//! address with a web page: a union-find over the identities brings all four together in one pass.

use std::collections::{BTreeMap, HashMap};

use crate::identifiers::{Identity, identities};
use crate::model::{Finding, Item, Placed, Sighting};

/// Groups items into findings, unranked. What a finding says does not depend on the order of `placed`.
pub fn merge(placed: Vec<Placed>) -> Vec<Finding> {
    let mut sets = Sets::new(placed.len());
    let mut first_with: HashMap<Identity, usize> = HashMap::new();
    for (index, Placed { item, .. }) in placed.iter().enumerate() {
        for identity in identities(item.doi.as_deref(), item.arxiv_id.as_deref(), &item.url) {
            match first_with.get(&identity) {
                Some(other) => sets.union(index, *other),
                None => _ = first_with.insert(identity, index),
            }
        }
    }
    let mut groups: BTreeMap<usize, Vec<Placed>> = BTreeMap::new();
    for (index, placed) in placed.into_iter().enumerate() {
        groups.entry(sets.root(index)).or_default().push(placed);
    }
    groups.into_values().filter_map(tell_as_one).collect()
}

/// One finding of the items of a group: named after the best of them, completed by the rest.
fn tell_as_one(mut group: Vec<Placed>) -> Option<Finding> {
    group.sort_by(|a, b| preference(a).cmp(&preference(b)));
    let mut rest = group.into_iter();
    let mut finding = Finding::single(rest.next()?);
    for Placed { item, position } in rest {
        finding.seen.push(Sighting { source: item.source, id: item.id.clone(), url: item.url.clone(), position });
        complete(&mut finding.item, item);
    }
    Some(finding)
}

/// Papers before repositories before pages, then by source and place.
fn preference(placed: &Placed) -> impl Ord + '_ {
    (placed.item.kind, placed.item.source, placed.position, &placed.item.id)
}

/// Fills what `item` lacks from `other`, which is the same thing elsewhere.
fn complete(item: &mut Item, other: Item) {
    if item.authors.is_empty() {
        item.authors = other.authors;
    }
    item.summary = item.summary.take().or(other.summary);
    item.doi = item.doi.take().or(other.doi);
    item.arxiv_id = item.arxiv_id.take().or(other.arxiv_id);
    item.published = item.published.or(other.published);
    item.venue = item.venue.take().or(other.venue);
    item.stars = item.stars.or(other.stars);
    for subject in other.subjects {
        if !item.subjects.contains(&subject) {
            item.subjects.push(subject);
        }
    }
    for link in std::iter::once(other.url).chain(other.links) {
        if link != item.url && !item.links.contains(&link) {
            item.links.push(link);
        }
    }
}

/// Disjoint sets with path halving and union by size (Tarjan and van Leeuwen, JACM 31(2), 1984).
struct Sets {
    parent: Vec<usize>,
    size: Vec<usize>,
}

impl Sets {
    fn new(len: usize) -> Self {
        Sets { parent: (0..len).collect(), size: vec![1; len] }
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }

    fn union(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        let (small, large) = if self.size[a] < self.size[b] { (a, b) } else { (b, a) };
        self.parent[small] = large;
        self.size[large] += self.size[small];
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::model::Source;
    use crate::model::samples::item;

    fn placed(source: Source, id: &str, with: impl FnOnce(&mut Item)) -> Placed {
        let mut item = item(source, id, id);
        with(&mut item);
        Placed { item, position: 0 }
    }

    #[test]
    fn a_chain_of_shared_names_is_one_finding() {
        let findings = merge(vec![
            placed(Source::Firecrawl, "page", |item| item.url = "https://www.pubmed.example/7/".into()),
            placed(Source::Github, "a/b", |item| item.arxiv_id = Some("1901.08746".into())),
            placed(Source::Pubmed, "7", |item| {
                item.doi = Some("10.1/x".into());
                item.url = "http://pubmed.example/7#top".into();
            }),
            placed(Source::Arxiv, "1901.08746", |item| {
                item.arxiv_id = Some("1901.08746".into());
                item.doi = Some("10.1/X".into());
            }),
            placed(Source::Arxiv, "other", |_| {}),
        ]);
        assert_eq!(findings.len(), 2);
        let merged = findings.iter().find(|finding| finding.seen.len() == 4).expect("the four are one");
        assert_eq!(merged.item.id, "1901.08746", "named after the paper");
        assert_eq!(merged.seen[0].source, Source::Arxiv);
    }

    #[test]
    fn a_finding_is_completed_from_every_item() {
        let findings = merge(vec![
            placed(Source::Pubmed, "7", |item| {
                item.doi = Some("10.1/x".into());
                item.venue = Some("Nature".into());
                item.links = vec!["https://pmc.example/7".into()];
            }),
            placed(Source::Arxiv, "1", |item| {
                item.doi = Some("10.1/x".into());
                item.summary = Some("An abstract".into());
            }),
        ]);
        let item = &findings[0].item;
        assert_eq!(item.venue.as_deref(), Some("Nature"));
        assert_eq!(item.summary.as_deref(), Some("An abstract"));
        assert_eq!(item.links, ["https://pubmed.example/7", "https://pmc.example/7"]);
    }

    #[test]
    fn nothing_shared_is_nothing_merged() {
        let same_home = |item: &mut Item| item.links = vec!["http://htslib.org/".into()];
        let findings = merge(vec![
            placed(Source::Github, "samtools/samtools", same_home),
            placed(Source::Github, "samtools/bcftools", same_home),
        ]);
        assert_eq!(findings.len(), 2, "two repositories with one home page are two");
        assert!(merge(Vec::new()).is_empty());
    }

    /// Items whose names are drawn from few, so that many are shared.
    fn any_item() -> impl Strategy<Value = Placed> {
        let source = prop::sample::select(Source::ALL.to_vec());
        (source, 0..6usize, prop::option::of(0..4u8), prop::option::of(0..4u8), 0..8u8).prop_map(
            |(source, position, doi, arxiv, url)| {
                let mut item = item(source, &format!("{position}-{doi:?}-{arxiv:?}-{url}"), "title");
                item.doi = doi.map(|n| format!("10.1/{n}"));
                item.arxiv_id = arxiv.map(|n| format!("1706.0000{n}"));
                item.url = format!("https://example.org/{url}");
                Placed { item, position }
            },
        )
    }

    proptest! {
        #[test]
        fn every_item_is_in_one_finding_and_findings_share_no_name(items in prop::collection::vec(any_item(), 0..24)) {
            let count = items.len();
            let names: Vec<(String, Vec<Identity>)> = items.iter().map(|placed| {
                let item = &placed.item;
                (item.id.clone(), identities(item.doi.as_deref(), item.arxiv_id.as_deref(), &item.url))
            }).collect();
            let findings = merge(items);
            prop_assert_eq!(findings.iter().map(|finding| finding.seen.len()).sum::<usize>(), count);
            let mut owner: HashMap<Identity, usize> = HashMap::new();
            for (index, finding) in findings.iter().enumerate() {
                let members: BTreeSet<&str> = finding.seen.iter().map(|seen| seen.id.as_str()).collect();
                for (_, identities) in names.iter().filter(|(id, _)| members.contains(id.as_str())) {
                    for identity in identities {
                        let same = *owner.entry(identity.clone()).or_insert(index);
                        prop_assert_eq!(same, index, "{:?} is in two findings", identity);
                    }
                }
            }
        }

        #[test]
        fn the_order_of_arrival_changes_nothing(
            (items, shuffled) in prop::collection::vec(any_item(), 0..16)
                .prop_flat_map(|items| (Just(items.clone()), Just(items).prop_shuffle()))
        ) {
            let told = |items: Vec<Placed>| {
                let mut findings = merge(items);
                findings.sort_by_key(|finding| format!("{:?}", finding.seen));
                findings
            };
            prop_assert_eq!(told(items), told(shuffled));
        }
    }
}
