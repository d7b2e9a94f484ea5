//! The labelled queries, asked of the search over the offline corpus.
//!
//! The labels were written by what a person would want first, not by what came out.

mod world;

use serde::Deserialize;
use serde_json::Value;

/// How many results count as the top.
const TOP: usize = 4;

#[derive(Deserialize)]
struct Labelled {
    query: String,
    /// What comes first, as `source:id`.
    first: Option<String>,
    /// The sources that the first is merged from.
    #[serde(default)]
    known_to: Vec<String>,
    /// What else is among the first four.
    #[serde(default)]
    top: Vec<String>,
}

fn name(result: &Value) -> String {
    format!("{}:{}", result["source"].as_str().unwrap_or("?"), result["id"].as_str().unwrap_or("?"))
}

#[tokio::test]
async fn each_labelled_query_ranks_as_expected() {
    let labelled: Vec<Labelled> = serde_json::from_str(include_str!("labelled_queries.json")).expect("the labels");
    assert_eq!(labelled.len(), 20);
    let (_sources, search) = world::offline_world().await;
    let mut wrong = Vec::new();
    for Labelled { query, first, known_to, top } in labelled {
        let (status, answer) = search.search("v1", &query, "").await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["missing"], serde_json::json!([]), "{query}");
        let results = answer["results"].as_array().expect("results");
        let names: Vec<String> = results.iter().take(TOP).map(name).collect();
        if first.as_ref().is_some_and(|first| names.first() != Some(first)) {
            wrong.push(format!("`{query}`: {} is not first in {names:?}", first.unwrap_or_default()));
        }
        if !known_to.is_empty()
            && results.first().map(|first| &first["sources"]) != Some(&Value::from(known_to.clone()))
        {
            wrong.push(format!("`{query}`: the first is not known to {known_to:?}"));
        }
        for name in top.iter().filter(|name| !names.contains(name)) {
            wrong.push(format!("`{query}`: {name} is not in {names:?}"));
        }
        let scores: Vec<f64> = results.iter().filter_map(|result| result["score"].as_f64()).collect();
        if !scores.is_sorted_by(|a, b| a >= b) {
            wrong.push(format!("`{query}`: scores do not fall: {scores:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_best_of_one_is_the_best_of_ten() {
    let (_sources, search) = world::offline_world().await;
    for query in ["deep learning", "language model", "python", "black hole"] {
        let (_, ten) = search.search("v1", query, "&limit=10").await;
        let (_, one) = search.search("v1", query, "&limit=1").await;
        assert_eq!(one["count"], 1);
        assert_eq!(one["results"][0], ten["results"][0], "{query}");
    }
}
