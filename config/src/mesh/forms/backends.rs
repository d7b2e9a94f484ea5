//! Backends: `"name"` or `{ one = 95, other = 5 }`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Serialize, Serializer};

use crate::mesh::Backends;
use crate::names::Name;
use crate::node::{Node, Value};
use crate::problem::{Path, Problem};
use crate::read::Read;

impl Backends {
    /// Each upstream with its weight; a single one has the weight 1.
    pub fn weights(&self) -> impl Iterator<Item = (&Name, u32)> {
        let (one, split) = match self {
            Self::One(name) => (Some((name, 1)), None),
            Self::Split(weights) => (None, Some(weights.iter().map(|(name, weight)| (name, *weight)))),
        };
        one.into_iter().chain(split.into_iter().flatten())
    }
}

impl Read for Backends {
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        match &node.value {
            Value::String(_) => Name::read(node, at, problems).map(Self::One),
            Value::Table(entries) if entries.is_empty() => {
                let problem = Problem::error(at, "the split is empty").hint("name upstreams: { blue = 95, green = 5 }");
                problems.push(problem.span(node.span.clone()));
                None
            }
            Value::Table(_) => Read::read(node, at, problems).map(Self::Split),
            _ => {
                let message = format!("expected an upstream's name or a split, found {}", node.describe());
                let problem = Problem::error(at, message).hint("\"blue\", or { blue = 95, green = 5 }");
                problems.push(problem.span(node.span.clone()));
                None
            }
        }
    }
}

impl Serialize for Backends {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(name) => name.serialize(serializer),
            Self::Split(weights) => weights.serialize(serializer),
        }
    }
}

impl JsonSchema for Backends {
    fn schema_name() -> Cow<'static, str> {
        "Backends".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<Name>();
        json_schema!({
            "description": "An upstream's name, or a split by weight: { one = 95, other = 5 }. A weight of 0 gets no \
                traffic at all.",
            "anyOf": [
                name,
                {
                    "type": "object",
                    "propertyNames": name,
                    "additionalProperties": { "type": "integer", "minimum": 0, "maximum": u32::MAX },
                    "minProperties": 1,
                },
            ],
        })
    }
}
