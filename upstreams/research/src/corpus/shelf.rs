//! How a stand-in finds records: by the words that a query and a record share.

use std::cmp::Reverse;
use std::collections::HashSet;

use crate::text;

/// The records of one API, by position.
pub struct Shelf(Vec<Words>);

struct Words {
    title: HashSet<String>,
    all: HashSet<String>,
}

impl Shelf {
    /// Each record as its title and the rest of what its API searches in.
    pub fn new(records: impl IntoIterator<Item = (String, String)>) -> Self {
        let words = records.into_iter().map(|(title, rest)| {
            let title: HashSet<String> = text::tokens(&title).into_iter().collect();
            let all = title.iter().cloned().chain(text::tokens(&rest)).collect();
            Words { title, all }
        });
        Shelf(words.collect())
    }

    /// The positions of the records that have at least half of the query's words; those with the most come first, then
    /// those with the most in the title, then in the order of the shelf.
    pub fn find(&self, query: &str) -> Vec<usize> {
        let wanted: HashSet<String> = text::tokens(query).into_iter().collect();
        let shared = |words: &HashSet<String>| wanted.iter().filter(|word| words.contains(*word)).count();
        let mut found: Vec<(usize, usize, usize)> = self
            .0
            .iter()
            .enumerate()
            .map(|(position, words)| (shared(&words.all), shared(&words.title), position))
            .filter(|(all, _, _)| *all > 0 && 2 * all >= wanted.len())
            .collect();
        found.sort_by_key(|(all, title, position)| (Reverse(*all), Reverse(*title), *position));
        found.into_iter().map(|(_, _, position)| position).collect()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(records: &[(&str, &str)]) -> Shelf {
        Shelf::new(records.iter().map(|(title, rest)| ((*title).to_owned(), (*rest).to_owned())))
    }

    #[test]
    fn more_shared_words_come_first_and_titles_break_ties() {
        let shelf = shelf(&[("Deep nets", "image"), ("Deep image nets", ""), ("Chess", "deep"), ("Opera", "")]);
        assert_eq!(shelf.find("deep image net"), [1, 0]);
        assert_eq!(shelf.find("deep chess"), [2, 0, 1]);
    }

    #[test]
    fn no_shared_word_is_no_result() {
        assert!(shelf(&[("Deep nets", "")]).find("opera").is_empty());
        assert!(shelf(&[("Deep nets", "")]).find("!").is_empty());
    }
}
