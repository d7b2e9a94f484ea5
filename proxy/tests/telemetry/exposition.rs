//! Reads Prometheus' text format, as far as the tests need it.

use std::collections::BTreeMap;

/// Values by series, as written: `name{label="value"}`.
pub struct Exposition(pub BTreeMap<String, f64>);

impl Exposition {
    pub fn read(text: &str) -> Self {
        let mut series = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let known = series.insert(name.to_owned(), value.parse().unwrap());
            assert!(known.is_none(), "{name} is there twice");
        }
        Self(series)
    }

    /// The value of a series; 0 where there is none.
    pub fn value(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or_default()
    }

    /// The series that have this name and these labels, whatever others.
    pub fn select<'a>(&'a self, name: &'a str, labels: &'a [&str]) -> impl Iterator<Item = (&'a str, f64)> {
        let selected = move |series: &str| {
            let (own, rest) = series.split_once('{').unwrap_or((series, ""));
            own == name && labels.iter().all(|label| rest.contains(label))
        };
        self.0.iter().filter(move |(series, _)| selected(series)).map(|(series, &value)| (series.as_str(), value))
    }

    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.select(name, labels).map(|(_, value)| value).sum()
    }
}
