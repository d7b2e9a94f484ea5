//! A filter: `{ kind = "…", … }`, kept as it is written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Serialize, Serializer};

use crate::mesh::Filter;
use crate::node::Node;
use crate::problem::{Path, Problem};
use crate::read::Read;

impl Read for Filter {
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        let problem = match (node.table(), node.get("kind")) {
            (None, _) => Problem::error(at, format!("expected a filter, found {}", node.describe()))
                .hint("a table with its kind: { kind = \"rate_limit\", rate = \"100/s\" }")
                .span(node.span.clone()),
            (Some(_), None) => Problem::error(&at.key("kind"), "`kind` is missing")
                .hint("`weir filters` lists them")
                .span(node.span.clone()),
            (Some(_), Some(kind)) => {
                return String::read(kind, &at.key("kind"), problems).map(|kind| Self { kind, settings: node.clone() });
            }
        };
        problems.push(problem);
        None
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.settings.serialize(serializer)
    }
}

impl JsonSchema for Filter {
    fn schema_name() -> Cow<'static, str> {
        "Filter".into()
    }

    /// Without the catalogue: [`mesh_schema_with_filters`](crate::schema::mesh_schema_with_filters) puts it in.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A filter: its kind, and that kind's settings.",
            "type": "object",
            "properties": { "kind": { "type": "string" } },
            "required": ["kind"],
            "additionalProperties": true,
        })
    }
}
