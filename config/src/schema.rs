//! The JSON Schemas of the documents, generated from the types, for editors to complete and for scripts to check.

use serde_json::{Value, json};

use crate::bootstrap::Bootstrap;
use crate::mesh::Mesh;

/// The schema (draft 2020-12) of the mesh document, with filters of any kind.
pub fn mesh_schema() -> Value {
    schemars::schema_for!(Mesh).to_value()
}

/// The schema of the mesh document with the catalogue of filters: each kind with the schema of its settings, `kind`
/// left out.
pub fn mesh_schema_with_filters(filters: &[(&str, Value)]) -> Value {
    let mut schema = mesh_schema();
    let kinds: Vec<Value> = filters.iter().map(|(_, schema)| schema.clone()).collect();
    schema["$defs"]["Filter"] = json!({ "oneOf": kinds });
    schema
}

/// The schema of the bootstrap document.
pub fn bootstrap_schema() -> Value {
    schemars::schema_for!(Bootstrap).to_value()
}
