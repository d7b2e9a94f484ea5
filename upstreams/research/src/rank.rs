//! The ranking: BM25F over the findings of one answer, then what a word count cannot see.
//!
//! BM25F (Robertson, Zaragoza, Taylor, "Simple BM25 extension to multiple weighted fields", CIKM 2004) adds up a
//! term's occurrences over the fields, each weighted and normalised by length, before it saturates them; so a word in
//! title and abstract counts more than in either, and less than twice. The collection is the pool that came back, so
//! a word that every finding has weighs next to nothing, whatever it weighs in the world.
//!
//! On top of it, in points of the same scale:
//! - what was asked for by its identifier stands above everything;
//! - the query as a phrase in the title;
//! - how highly the sources themselves placed it, summed over them: reciprocal ranks (Cormack, Clarke, Büttcher,
//!   "Reciprocal rank fusion", SIGIR 2009), so agreement of sources lifts, and an order survives where words tie.

use std::collections::{BTreeSet, HashMap};

use crate::identifiers;
use crate::model::Finding;
use crate::text;

/// Term saturation and length normalisation, at their customary values.
const K1: f64 = 1.2;
const B: f64 = 0.75;

const TITLE: f64 = 3.0;
const SUMMARY: f64 = 1.0;
const SUBJECTS: f64 = 1.0;
const AUTHORS: f64 = 1.0;
const FIELDS: usize = 4;

const IDENTIFIER_POINTS: f64 = 100.0;
const PHRASE_POINTS: f64 = 2.0;
/// What a source's first place is worth; the tenth is worth 0.87 of it.
const PLACE_POINTS: f64 = 0.5;
/// Cormack's constant, so that no single first place decides.
const PLACE_OFFSET: f64 = 60.0;

/// The terms of one field with their number, and the field's length in terms.
struct Field {
    weight: f64,
    terms: HashMap<String, f64>,
    length: f64,
}

/// Scores the findings for `query` and puts the best first. Equal scores are ordered by identity, so that the order
/// never depends on who answered first.
pub fn rank(query: &str, findings: &mut [Finding]) {
    let documents: Vec<[Field; FIELDS]> = findings.iter().map(fields).collect();
    let averages = average_lengths(&documents);
    // Ordered, because floating-point sums depend on the order.
    let terms: BTreeSet<String> = text::tokens(query).into_iter().collect();
    let terms: Vec<(&String, f64)> = terms.iter().map(|term| (term, idf(term, &documents))).collect();
    let phrase = phrase_of(query);
    for (finding, document) in findings.iter_mut().zip(&documents) {
        let words: f64 =
            terms.iter().map(|(term, idf)| idf * saturated(weighted_count(term, document, &averages))).sum();
        finding.score = words + beyond_words(query, &phrase, finding);
    }
    findings.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then_with(|| (a.item.source, &a.item.id).cmp(&(b.item.source, &b.item.id)))
    });
}

fn fields(finding: &Finding) -> [Field; FIELDS] {
    let item = &finding.item;
    let authors: Vec<&str> = item.authors.iter().map(|author| author.name.as_str()).collect();
    let subjects = format!("{} {}", item.subjects.join(" "), item.venue.as_deref().unwrap_or_default());
    [
        Field::of(TITLE, &item.title),
        Field::of(SUMMARY, item.summary.as_deref().unwrap_or_default()),
        Field::of(SUBJECTS, &subjects),
        Field::of(AUTHORS, &authors.join(" ")),
    ]
}

impl Field {
    fn of(weight: f64, content: &str) -> Self {
        let mut terms: HashMap<String, f64> = HashMap::new();
        let mut length = 0.0;
        for term in text::tokens(content) {
            *terms.entry(term).or_default() += 1.0;
            length += 1.0;
        }
        Field { weight, terms, length }
    }
}

/// The mean length of each field; never 0, so that it can divide.
fn average_lengths(documents: &[[Field; FIELDS]]) -> [f64; FIELDS] {
    let count = documents.len().max(1) as f64;
    std::array::from_fn(|field| {
        let total: f64 = documents.iter().map(|document| document[field].length).sum();
        (total / count).max(1.0)
    })
}

/// Lucene's form, which is positive also for a term that most documents have.
fn idf(term: &str, documents: &[[Field; FIELDS]]) -> f64 {
    let has_it = |document: &&[Field; FIELDS]| document.iter().any(|field| field.terms.contains_key(term));
    let (all, with) = (documents.len() as f64, documents.iter().filter(has_it).count() as f64);
    (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
}

fn weighted_count(term: &str, document: &[Field; FIELDS], averages: &[f64; FIELDS]) -> f64 {
    let counted = document.iter().zip(averages).map(|(field, average)| {
        let count = field.terms.get(term).copied().unwrap_or(0.0);
        field.weight * count / (1.0 - B + B * field.length / average)
    });
    counted.sum()
}

fn saturated(count: f64) -> f64 {
    count * (K1 + 1.0) / (K1 + count)
}

fn beyond_words(query: &str, phrase: &str, finding: &Finding) -> f64 {
    let item = &finding.item;
    let asked_by_name = (item.doi.is_some() && identifiers::doi(query) == item.doi)
        || (item.arxiv_id.is_some() && identifiers::arxiv_id(query) == item.arxiv_id);
    let identifier = if asked_by_name { IDENTIFIER_POINTS } else { 0.0 };
    let phrase = if phrase_of(&item.title).contains(phrase) { PHRASE_POINTS } else { 0.0 };
    let places: f64 = finding.seen.iter().map(|seen| PLACE_OFFSET / (PLACE_OFFSET + seen.position as f64)).sum();
    identifier + phrase + PLACE_POINTS * places
}

/// The words in order, each between spaces, so that a phrase is found only at word borders.
fn phrase_of(content: &str) -> String {
    format!(" {} ", text::all_words(content).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples::item;
    use crate::model::{Placed, Sighting, Source};

    fn finding(id: &str, title: &str, summary: &str) -> Finding {
        let mut item = item(Source::Arxiv, id, title);
        item.summary = Some(summary.to_owned());
        Finding::single(Placed { item, position: 0 })
    }

    fn order(query: &str, findings: &mut [Finding]) -> Vec<String> {
        rank(query, findings);
        findings.iter().map(|finding| finding.item.id.clone()).collect()
    }

    #[test]
    fn a_word_in_the_title_weighs_more_than_in_the_summary() {
        let mut pool = [finding("a", "Cats", "all about dogs"), finding("b", "Dogs", "all about cats")];
        assert_eq!(order("dog", &mut pool), ["b", "a"]);
    }

    #[test]
    fn a_rare_word_decides_over_a_common_one() {
        let mut pool = [
            finding("a", "Learning with kernels", ""),
            finding("b", "Learning with trees", ""),
            finding("c", "Learning protein folds", ""),
        ];
        assert_eq!(order("protein learning", &mut pool)[0], "c");
    }

    #[test]
    fn repetition_saturates() {
        let repeated = finding("a", "Gene", &"gene ".repeat(200));
        let mut pool = [repeated, finding("b", "Gene editing", "crispr"), finding("c", "Opera", "")];
        assert_eq!(order("gene crispr editing", &mut pool)[0], "b");
    }

    #[test]
    fn the_query_as_a_phrase_comes_before_its_words_scattered() {
        let mut pool = [finding("a", "Need you attention is all", ""), finding("b", "Attention is all you need", "")];
        assert_eq!(order("attention is all you need", &mut pool), ["b", "a"]);
        assert!(!phrase_of("scattered words").contains(&phrase_of("word")), "a phrase ends where its word ends");
    }

    #[test]
    fn what_is_asked_for_by_name_comes_first() {
        let mut named = finding("b", "Something else", "");
        named.item.doi = Some("10.1038/nature14539".into());
        let mut pool = [finding("a", "nature14539 10.1038 nature14539", ""), named];
        assert_eq!(order("https://doi.org/10.1038/Nature14539", &mut pool)[0], "b");
    }

    #[test]
    fn agreement_of_sources_lifts() {
        let mut agreed = finding("b", "Same words", "");
        agreed.seen.push(Sighting { source: Source::Pubmed, id: "1".into(), url: "x".into(), position: 3 });
        let mut pool = [finding("a", "Same words", ""), agreed];
        assert_eq!(order("same words", &mut pool), ["b", "a"]);
    }

    #[test]
    fn the_order_does_not_depend_on_who_came_first() {
        let make = || vec![finding("b", "Same", ""), finding("a", "Same", ""), finding("c", "Other", "same")];
        let (mut forth, mut back) = (make(), make());
        back.reverse();
        assert_eq!(order("same", &mut forth), order("same", &mut back));
        assert_eq!(forth, back);
        rank("same", &mut []);
    }
}
