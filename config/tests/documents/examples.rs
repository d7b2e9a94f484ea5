//! The documents in `config/examples`.

#![expect(clippy::disallowed_methods, reason = "the crate opens no file, but its tests read the examples")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use weir_config::bootstrap::Bootstrap;
use weir_config::diff::diff;
use weir_config::mesh::Mesh;
use weir_config::problem::Problems;
use weir_config::schema::{bootstrap_schema, mesh_schema};

struct Example {
    name: String,
    text: String,
}

impl Example {
    fn is_bootstrap(&self) -> bool {
        self.name.ends_with(".bootstrap.toml")
    }
}

fn examples() -> Vec<Example> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut examples: Vec<Example> = std::fs::read_dir(folder)
        .expect("the examples")
        .map(|entry| entry.expect("an example").path())
        .map(|path| Example {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            text: std::fs::read_to_string(&path).expect("a text"),
        })
        .collect();
    examples.sort_by(|a, b| a.name.cmp(&b.name));
    examples
}

#[test]
fn every_example_is_there() {
    let names: Vec<String> = examples().into_iter().map(|example| example.name).collect();
    let kinds = ["edge", "everything", "minimal", "research"];
    let expected: Vec<String> =
        kinds.iter().flat_map(|kind| [format!("{kind}.bootstrap.toml"), format!("{kind}.toml")]).collect();
    assert_eq!(names, expected);
}

#[test]
fn every_example_is_taken_without_a_word() {
    for example in examples() {
        let problems = match example.is_bootstrap() {
            true => Bootstrap::parse(&example.name, &example.text).problems,
            false => Mesh::parse(&example.name, &example.text).problems,
        };
        assert!(problems.is_empty(), "{}", Problems::new(&example.name, &example.text, &problems));
    }
}

#[test]
fn every_example_fits_its_schema() {
    let mesh = jsonschema::validator_for(&mesh_schema()).expect("a schema");
    let bootstrap = jsonschema::validator_for(&bootstrap_schema()).expect("a schema");
    for example in examples() {
        let schema = if example.is_bootstrap() { &bootstrap } else { &mesh };
        let json = serde_json::to_value(&Mesh::parse_toml(&example.text).node).expect("JSON");
        let errors: Vec<String> =
            schema.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", example.name);
    }
}

#[test]
fn every_bootstrap_reads_back_from_its_json() {
    for example in examples().iter().filter(|example| example.is_bootstrap()) {
        let bootstrap = Bootstrap::parse_toml(&example.text).value.expect("a bootstrap");
        let json = serde_json::to_string(&bootstrap).expect("JSON");
        assert_eq!(Bootstrap::parse("bootstrap.json", &json).value, Some(bootstrap));
    }
}

#[test]
fn every_example_reads_back_from_its_canonical_forms() {
    for example in examples().iter().filter(|example| !example.is_bootstrap()) {
        let mesh = Mesh::parse_toml(&example.text).value.expect("a mesh");
        let json = serde_json::to_string_pretty(&mesh).expect("JSON");
        let from_json = Mesh::parse("mesh.json", &json).value.expect("a mesh");
        assert_eq!(diff(&mesh, &from_json), []);
        let from_toml = Mesh::parse("mesh.toml", &mesh.to_toml().expect("TOML")).value.expect("a mesh");
        assert_eq!(mesh, from_toml);
    }
}

/// Keys by their place in the schema, `Rule.timeout`, as far as the document uses them.
fn used(schema: &Value, root: &Value, place: &str, document: &Value, keys: &mut BTreeSet<String>) {
    if let Some(target) = schema["$ref"].as_str() {
        let name = target.trim_start_matches("#/$defs/");
        return used(&root["$defs"][name], root, name, document, keys);
    }
    let choices = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
    choices.for_each(|choice| used(choice, root, place, document, keys));
    match document {
        Value::Array(items) => items.iter().for_each(|item| used(&schema["items"], root, place, item, keys)),
        Value::Object(entries) => {
            for (key, value) in entries {
                if let Some(part) = schema["properties"].get(key) {
                    keys.insert(format!("{place}.{key}"));
                    used(part, root, place, value, keys);
                }
                let any_key =
                    schema["patternProperties"].as_object().into_iter().flat_map(|patterns| patterns.values());
                for part in any_key.chain(schema.get("additionalProperties")) {
                    used(part, root, place, value, keys);
                }
            }
        }
        _ => {}
    }
}

/// All keys of a schema by their place.
fn all(schema: &Value, place: &str, keys: &mut BTreeSet<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        keys.extend(properties.keys().map(|key| format!("{place}.{key}")));
    }
    let choices = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
    choices.for_each(|choice| all(choice, place, keys));
}

#[test]
fn everything_uses_every_key() {
    for (file, schema, root) in
        [("everything.toml", mesh_schema(), "Mesh"), ("everything.bootstrap.toml", bootstrap_schema(), "Bootstrap")]
    {
        let example = examples().into_iter().find(|example| example.name == file).expect("the example");
        let document = serde_json::to_value(&Mesh::parse_toml(&example.text).node).expect("JSON");
        let mut there = BTreeSet::new();
        used(&schema, &schema, root, &document, &mut there);
        let mut known = BTreeSet::new();
        all(&schema, root, &mut known);
        let definitions = schema["$defs"].as_object().expect("definitions");
        definitions.iter().for_each(|(name, schema)| all(schema, name, &mut known));
        // One sticky has one key; the comment beside it names the others.
        known.retain(|key| !["Sticky.header", "Sticky.address"].contains(&key.as_str()));
        let missing: Vec<_> = known.difference(&there).collect();
        assert!(missing.is_empty(), "{file} lacks {missing:?}");
    }
}
