//! What a value must be: `"v"` or `{ regex = "^v" }`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Serialize, Serializer};

use crate::mesh::ValuePattern;
use crate::node::{Node, Value};
use crate::problem::{Path, Problem};
use crate::read::Read;
use crate::read_table;
use crate::text::Text;

struct RegexTable {
    regex: String,
}

read_table!(RegexTable { regex });

impl fmt::Display for ValuePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(value) => f.write_str(value),
            Self::Regex(regex) => write!(f, "~{regex}"),
        }
    }
}

impl Read for ValuePattern {
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        match &node.value {
            Value::String(value) => Some(Self::Exact(value.clone())),
            Value::Table(_) => RegexTable::read(node, at, problems).map(|table| Self::Regex(table.regex)),
            _ => {
                let message = format!("expected a string or {{ regex = \"…\" }}, found {}", node.describe());
                let mut problem = Problem::error(at, message).span(node.span.clone());
                if let Value::Integer(number) = node.value {
                    problem = problem.hint(String::number_hint(&number.to_string()));
                }
                problems.push(problem);
                None
            }
        }
    }
}

impl Serialize for ValuePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exact(value) => serializer.serialize_str(value),
            Self::Regex(regex) => serializer.collect_map([("regex", regex)]),
        }
    }
}

impl JsonSchema for ValuePattern {
    fn schema_name() -> Cow<'static, str> {
        "ValuePattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What a value must be: \"v\", or { regex = \"^v\" } (a search, so anchor it).",
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "regex": { "type": "string" } },
                    "required": ["regex"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
