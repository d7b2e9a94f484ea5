//! A scrape, read by name and labels.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, ensure};

use crate::client::H1;
use crate::message::Request;

/// The series of one scrape.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub text: String,
    series: Vec<Series>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Metrics {
    pub async fn scrape(address: SocketAddr) -> anyhow::Result<Self> {
        let response = H1::connect(address).await?.send(&Request::get("/metrics")).await?;
        ensure!(response.status == 200, "/metrics: {}", response.status);
        Self::parse(response.text())
    }

    /// Reads the text format 0.0.4, strictly enough for what a scrape holds.
    pub fn parse(text: String) -> anyhow::Result<Self> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let series = lines.map(|line| series(line).with_context(|| line.to_owned())).collect::<Result<_, _>>()?;
        Ok(Self { text, series })
    }

    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The sum over all series of this name that bear these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|series| series.value).sum()
    }

    /// Whether there is any such series.
    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.matching(name, labels).next().is_some()
    }

    pub fn matching<'a>(&'a self, name: &'a str, labels: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = &'a Series> {
        self.series.iter().filter(move |series| {
            series.name == name && labels.iter().all(|(key, value)| series.labels.get(*key).is_some_and(|v| v == value))
        })
    }
}

fn series(line: &str) -> anyhow::Result<Series> {
    let (left, value) = line.rsplit_once(' ').context("no value")?;
    let (name, labels) = match left.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').context("no }")?),
        None => (left, ""),
    };
    let mut rest = labels;
    let mut labels = BTreeMap::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once("=\"").context("no =\"")?;
        let end = end_of_value(after).context("no closing quote")?;
        labels.insert(key.to_owned(), after[..end].replace("\\\"", "\"").replace("\\\\", "\\"));
        rest = after[end + 1..].trim_start_matches(',');
    }
    let value = if value == "+Inf" { f64::INFINITY } else { value.parse()? };
    Ok(Series { name: name.to_owned(), labels, value })
}

fn end_of_value(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}
