//! What a split sticks to: `{ cookie = "name" }`, `{ header = "x-user" }` or `{ address = true }`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Serialize, Serializer};

use crate::mesh::Sticky;
use crate::names::{HeaderName, is_token};
use crate::node::Node;
use crate::problem::{Path, Problem};
use crate::read::{Keys, Read};
use crate::read_table;

struct StickyTable {
    cookie: Option<String>,
    header: Option<HeaderName>,
    address: Option<bool>,
}

read_table!(StickyTable { cookie, header, address });

impl Keys for Sticky {
    const KEYS: &'static [&'static str] = StickyTable::KEYS;
}

impl Read for Sticky {
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let table = StickyTable::read(node, at, problems)?;
        let sticky = match (table.cookie, table.header, table.address) {
            (Some(name), None, None) if is_token(&name) => return Some(Self::Cookie(name)),
            (Some(name), None, None) => {
                Problem::error(&at.key("cookie"), format!("`{}` is not a cookie's name", name.escape_debug()))
                    .hint("letters, digits and !#$%&'*+-.^_`|~ only")
            }
            (None, Some(name), None) => return Some(Self::Header(name)),
            (None, None, Some(true)) => return Some(Self::Address),
            (None, None, Some(false)) => {
                Problem::error(&at.key("address"), "`address = false` says nothing").hint("leave `sticky` out")
            }
            _ => Problem::error(at, "expected exactly one of `cookie`, `header` and `address`")
                .hint("{ cookie = \"weir-split\" }, { header = \"x-user\" } or { address = true }"),
        };
        // An unknown key in an otherwise empty table is one mistake, not two.
        if problems.len() == before {
            problems.push(sticky.span(node.span.clone()));
        }
        None
    }
}

impl Serialize for Sticky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Cookie(name) => serializer.collect_map([("cookie", name)]),
            Self::Header(name) => serializer.collect_map([("header", name)]),
            Self::Address => serializer.collect_map([("address", true)]),
        }
    }
}

impl JsonSchema for Sticky {
    fn schema_name() -> Cow<'static, str> {
        "Sticky".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What keeps a client on one side of a split. As a weight grows, clients only move towards it.",
            "type": "object",
            "properties": {
                "cookie": {
                    "description": "The proxy sets it where it is missing.",
                    "type": "string",
                    "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
                },
                "header": {
                    "description": "A request without it is split by chance.",
                    "allOf": [generator.subschema_for::<HeaderName>()],
                },
                "address": { "description": "The client's address.", "const": true },
            },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        })
    }
}
