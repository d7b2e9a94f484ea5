//! Counts over the findings of an answer: how many of each year, kind and source.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Finding, Kind, Source};

/// Over everything that was found for the query, not only the page that is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facets {
    /// Newest first; what has no date is in none.
    pub years: Vec<Count<i16>>,
    pub kinds: Vec<Count<Kind>>,
    /// A finding counts for each source that knows it.
    pub sources: Vec<Count<Source>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count<T> {
    pub value: T,
    pub count: usize,
}

impl Facets {
    pub fn of(findings: &[Finding]) -> Self {
        let years = findings.iter().filter_map(|finding| Some(finding.item.published?.year()));
        let mut years = counts(years);
        years.sort_by_key(|count| Reverse(count.value));
        let sources = findings.iter().flat_map(|finding| {
            Source::ALL.into_iter().filter(|source| finding.seen.iter().any(|seen| seen.source == *source))
        });
        Facets { years, kinds: counts(findings.iter().map(|finding| finding.item.kind)), sources: counts(sources) }
    }
}

fn counts<T: Ord>(values: impl Iterator<Item = T>) -> Vec<Count<T>> {
    let mut counted: BTreeMap<T, usize> = BTreeMap::new();
    for value in values {
        *counted.entry(value).or_default() += 1;
    }
    counted.into_iter().map(|(value, count)| Count { value, count }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples::item;
    use crate::model::{Placed, Sighting};

    #[test]
    fn a_finding_counts_once_for_each_source_and_year() {
        let finding = |source, year: Option<i16>| {
            let mut item = item(source, "x", "X");
            item.published = year.map(|year| jiff::civil::date(year, 1, 1));
            Finding::single(Placed { item, position: 0 })
        };
        let mut shared = finding(Source::Arxiv, Some(2017));
        for id in ["7", "8"] {
            shared.seen.push(Sighting { source: Source::Pubmed, id: id.into(), url: id.into(), position: 0 });
        }
        let facets = Facets::of(&[shared, finding(Source::Github, Some(2020)), finding(Source::Arxiv, None)]);
        let pair = |value, count| Count { value, count };
        assert_eq!(facets.years, [pair(2020, 1), pair(2017, 1)]);
        let sources = [(Source::Arxiv, 2), (Source::Pubmed, 1), (Source::Github, 1)];
        assert_eq!(facets.sources, sources.map(|(value, count)| Count { value, count }));
        assert_eq!(facets.kinds.len(), 2);
    }
}
