//! The JSON Schemas of the documents (draft 2020-12), generated from the types, for editors to complete and for scripts
//! to check. A document that the reader takes always fits its schema; the reader sees more than a schema can say.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::bootstrap::Bootstrap;
use crate::mesh::Mesh;

/// The schema of the mesh document, with filters of any kind.
pub fn mesh_schema() -> Value {
    schema_of::<Mesh>()
}

/// The schema of the mesh document with a catalogue of filters: each kind, and the schema of its settings, with or
/// without `kind` among its properties.
pub fn mesh_schema_with_filters(filters: &[(&str, Value)]) -> Value {
    let mut schema = mesh_schema();
    let mut kinds = Vec::new();
    for (kind, settings) in filters {
        let name = format!("filter.{kind}");
        kinds.push(json!({ "$ref": format!("#/$defs/{name}") }));
        let (settings, parts) = settings_of(kind, settings.clone());
        if let Some(definitions) = schema["$defs"].as_object_mut() {
            definitions.extend(parts);
            definitions.insert(name, settings);
        }
    }
    schema["$defs"]["Filter"] = json!({
        "description": "A filter: its kind, and that kind's settings.",
        "type": "object",
        "properties": { "kind": { "enum": filters.iter().map(|(kind, _)| *kind).collect::<Vec<_>>() } },
        "required": ["kind"],
        "oneOf": kinds,
    });
    schema
}

/// The schema of the bootstrap document.
pub fn bootstrap_schema() -> Value {
    schema_of::<Bootstrap>()
}

/// The schema of what is read for a type: strict as the reader is.
pub fn schema_of<T: JsonSchema>() -> Value {
    // "For serialize": what is left out when empty is not required.
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    tidy(&mut schema);
    schema
}

/// One filter's settings as a definition with `kind` in it, and the definitions that it needs, under names that no other
/// type has.
fn settings_of(kind: &str, mut settings: Value) -> (Value, Map<String, Value>) {
    tidy(&mut settings);
    rename(&mut settings, kind);
    let Some(object) = settings.as_object_mut() else { return (settings, Map::new()) };
    let parts = match object.remove("$defs") {
        Some(Value::Object(parts)) => parts,
        _ => Map::new(),
    };
    object.retain(|key, _| key != "$schema" && key != "title");
    if let Some(properties) = object.entry("properties").or_insert_with(|| json!({})).as_object_mut() {
        properties.insert("kind".to_owned(), json!({ "const": kind }));
    }
    if let Some(required) = object.entry("required").or_insert_with(|| json!([])).as_array_mut() {
        required.retain(|key| key != "kind");
        required.push(json!("kind"));
    }
    object.entry("additionalProperties").or_insert(json!(false));
    (settings, parts.into_iter().map(|(name, part)| (format!("filter.{kind}.{name}"), part)).collect())
}

/// Makes every reference name the definition that [`settings_of`] makes of its target.
fn rename(schema: &mut Value, kind: &str) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, kind)),
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(target) if key == "$ref" => {
                        *target = target.replace("#/$defs/", &format!("#/$defs/filter.{kind}."));
                    }
                    value => rename(value, kind),
                }
            }
        }
        _ => {}
    }
}

/// What schemars leaves open and the reader does not: unknown keys, null, empty lists.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(object) => {
            object.values_mut().for_each(tidy);
            without_null(object);
            if object.contains_key("properties") && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".to_owned(), json!(false));
            }
            if object.contains_key("items") && !object.contains_key("minItems") {
                object.insert("minItems".to_owned(), json!(1));
            }
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = text.replace('\n', " ");
            }
        }
        _ => {}
    }
}

fn without_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = &types[..] {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else { return };
    choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(one)] = &choices[..] {
        let one = one.clone();
        object.retain(|key, _| key != "anyOf");
        // What is said here, the description of the key, goes before what is said of the type.
        for (key, value) in one {
            object.entry(key).or_insert(value);
        }
    }
}
