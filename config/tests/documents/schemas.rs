//! The schemas say what the reader does.

use serde_json::{Value, json};
use weir_config::bootstrap::*;
use weir_config::mesh::*;
use weir_config::node::Node;
use weir_config::read::Keys;
use weir_config::schema::{bootstrap_schema, mesh_schema, mesh_schema_with_filters};

fn sorted<'a>(keys: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut keys: Vec<&str> = keys.into_iter().collect();
    keys.sort_unstable();
    keys
}

/// The keys of a type in a schema; of those with several forms, its table's.
fn properties<'a>(schema: &'a Value, name: &str) -> Vec<&'a str> {
    let definition = if schema["title"] == name { schema } else { &schema["$defs"][name] };
    let forms = definition["anyOf"].as_array().into_iter().flatten().chain([definition]);
    let tables = forms.filter_map(|form| form["properties"].as_object());
    sorted(tables.flat_map(|properties| properties.keys().map(String::as_str)))
}

#[test]
fn the_schema_has_the_readers_keys() {
    macro_rules! same_keys {
        ($schema:expr, $($type:ident)+) => {
            $(assert_eq!(properties(&$schema, stringify!($type)), sorted($type::KEYS.iter().copied()), stringify!($type));)+
        };
    }
    let (mesh, bootstrap) = (mesh_schema(), bootstrap_schema());
    same_keys!(mesh, Mesh Route Rule Match Redirect Reply Sticky Rewrite HeaderEdits Mirror Cors Version Upstream UpstreamTls);
    same_keys!(bootstrap, Bootstrap Admin Telemetry Drain Listener ListenerTls CertificateFiles Limits);
}

/// Every object in a schema, with its place.
fn objects<'a>(schema: &'a Value, place: String, found: &mut Vec<(String, &'a Value)>) {
    if let Some(entries) = schema.as_object() {
        found.push((place.clone(), schema));
        entries.iter().for_each(|(key, value)| objects(value, format!("{place}/{key}"), found));
    }
    schema
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .for_each(|(index, item)| objects(item, format!("{place}/{index}"), found));
}

#[test]
fn no_unknown_key_fits() {
    for schema in [mesh_schema(), bootstrap_schema()] {
        let mut found = Vec::new();
        objects(&schema, String::new(), &mut found);
        for (place, object) in found.into_iter().filter(|(_, object)| object["type"] == "object") {
            let expected = if place == "/$defs/Filter" { json!(true) } else { json!(false) };
            let names_are_free = object.get("properties").is_none() && object["additionalProperties"].is_object();
            assert!(names_are_free || object["additionalProperties"] == expected, "{place}: {object}");
        }
    }
}

#[test]
fn null_fits_nowhere() {
    for schema in [mesh_schema(), bootstrap_schema()] {
        assert!(!schema.to_string().contains("null"), "{schema:#}");
    }
}

#[test]
fn the_schemas_are_valid() {
    for schema in [mesh_schema(), bootstrap_schema(), mesh_schema_with_filters(&catalogue())] {
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        jsonschema::draft202012::meta::validate(&schema).expect("a schema");
    }
}

#[test]
fn what_a_schema_refuses_the_reader_refuses_too() {
    let schema = jsonschema::validator_for(&mesh_schema()).expect("a schema");
    for rule in [
        r#"{ "to": 5 }"#,
        r#"{ "to": {} }"#,
        r#"{ "to": "A B" }"#,
        r#"{ "to": "a", "timout": "1s" }"#,
        r#"{ "to": "a", "timeout": 30 }"#,
        r#"{ "to": "a", "timeout": "30" }"#,
        r#"{ "to": "a", "timeout": null }"#,
        r#"{ "to": "a", "match": [] }"#,
        r#"{ "to": "a", "match": "/a" }"#,
        r#"{ "to": "a", "match": ["get /a"] }"#,
        r#"{ "to": "a", "match": [{ "path": "/a", "method": "GET" }] }"#,
        r#"{ "to": "a", "match": [{ "headers": { "x": { "regexp": "a" } } }] }"#,
        r#"{ "to": "a", "match": [{ "headers": { "a b": "x" } }] }"#,
        r#"{ "to": "a", "filters": [{ "rate": "100/s" }] }"#,
        r#"{ "to": { "a": 1 }, "sticky": { "cookie": "a", "address": true } }"#,
        r#"{ "to": "a", "mirror": { "to": "a", "share": "5" } }"#,
        r#"{ "to": "a", "version": { "deprecated": "2026-12-01" } }"#,
        r#"{ "to": "a", "version": { "name": "v1", "sunset": "soon" } }"#,
        r#"{ "to": "a", "request_headers": { "set": { "x": 1 } } }"#,
        r#"{ "reply": { "status": "200" } }"#,
        r#"{ "reply": { "body": "x" } }"#,
    ] {
        let text = format!(
            r#"{{ "routes": {{ "r": {{ "rules": [{rule}] }} }}, "upstreams": {{ "a": {{ "endpoints": ["127.0.0.1:1"] }} }} }}"#
        );
        assert_eq!(Mesh::parse_json(&text).value, None, "{text}");
        let json: Value = serde_json::from_str(&text).expect("JSON");
        assert!(!schema.is_valid(&json), "{text}");
    }
}

fn catalogue() -> Vec<(&'static str, Value)> {
    let rate_limit = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "RateLimit",
        "type": "object",
        "properties": { "rate": { "$ref": "#/$defs/Rate" }, "burst": { "type": ["integer", "null"] } },
        "required": ["rate"],
        "$defs": { "Rate": { "type": "string", "pattern": "^[0-9]+/s$" } },
    });
    vec![("rate_limit", rate_limit), ("nothing", json!({ "type": "object" }))]
}

#[test]
fn the_catalogue_of_filters_can_be_put_in() {
    let schema = mesh_schema_with_filters(&catalogue());
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for (filter, fits) in [
        (r#"{ kind = "rate_limit", rate = "100/s", burst = 5 }"#, true),
        (r#"{ kind = "nothing" }"#, true),
        (r#"{ kind = "rate_limit", rate = "100" }"#, false),
        (r#"{ kind = "rate_limit" }"#, false),
        (r#"{ kind = "rate_limit", rate = "100/s", burts = 5 }"#, false),
        (r#"{ kind = "nothing", at = "all" }"#, false),
        (r#"{ kind = "unknown" }"#, false),
        (r#"{ rate = "100/s" }"#, false),
    ] {
        let node = Node::from_toml(&format!("routes.r.rules = [{{ to = \"a\", filters = [{filter}] }}]")).node;
        let json = serde_json::to_value(&node).expect("JSON");
        assert_eq!(validator.is_valid(&json), fits, "{filter}");
    }
}
