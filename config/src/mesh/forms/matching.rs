//! A match: `"GET,POST /v1/*"` or `{ methods, path, headers, query }`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::mesh::{Match, ValuePattern};
use crate::names::{HeaderName, Method, PathPattern};
use crate::node::Node;
use crate::problem::{Path, Problem};
use crate::read::{Keys, Read, text};
use crate::read_table;
use crate::text::{Fault, Text};

impl Match {
    /// Whether the string form can say it all.
    fn is_plain(&self) -> bool {
        self.headers.is_empty() && self.query.is_empty()
    }
}

impl Text for Match {
    const WHAT: &'static str = "a match such as \"GET /v1/*\" or a table";

    fn from_text(text: &str) -> Result<Self, Fault> {
        if text.starts_with(['/', '~']) {
            return Ok(Self { path: PathPattern::from_text(text)?, ..Self::default() });
        }
        let Some((methods, path)) = text.split_once(' ') else {
            let is_method = Method::from_text(text).is_ok() && !text.contains('/');
            return match PathPattern::from_text(text) {
                Err(_) if is_method => Err(Fault::new(format!("the match \"{text}\" has no path"))
                    .hint(format!("write \"{text} /*\" for any path"))),
                path => path.map(|path| Self { path, ..Self::default() }),
            };
        };
        let methods = methods.split(',').map(Method::from_text).collect::<Result<_, _>>()?;
        Ok(Self { methods, path: PathPattern::from_text(path.trim_start())?, ..Self::default() })
    }
}

/// The string form. Headers and query conditions, which have none, follow in braces, for messages.
impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, method) in self.methods.iter().enumerate() {
            write!(f, "{}{method}", if position > 0 { "," } else { "" })?;
        }
        write!(f, "{}{}", if self.methods.is_empty() { "" } else { " " }, self.path)?;
        if self.is_plain() {
            return Ok(());
        }
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        let query = self.query.iter().map(|(name, value)| format!("?{name}={value}"));
        write!(f, " {{{}}}", headers.chain(query).collect::<Vec<_>>().join(", "))
    }
}

/// A match's table. `path` absent: any path.
struct MatchTable {
    methods: Vec<Method>,
    path: Option<PathPattern>,
    headers: BTreeMap<HeaderName, ValuePattern>,
    query: BTreeMap<String, ValuePattern>,
}

read_table!(MatchTable { methods, path, headers, query });

impl Keys for Match {
    const KEYS: &'static [&'static str] = MatchTable::KEYS;
}

impl Read for Match {
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        if node.table().is_none() {
            return text(node, at, problems);
        }
        let MatchTable { methods, path, headers, query } = Read::read(node, at, problems)?;
        Some(Self { methods, path: path.unwrap_or_default(), headers, query })
    }
}

impl Serialize for Match {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_plain() {
            return serializer.collect_str(self);
        }
        let mut map = serializer.serialize_map(None)?;
        if !self.methods.is_empty() {
            map.serialize_entry("methods", &self.methods)?;
        }
        map.serialize_entry("path", &self.path)?;
        if !self.headers.is_empty() {
            map.serialize_entry("headers", &self.headers)?;
        }
        if !self.query.is_empty() {
            map.serialize_entry("query", &self.query)?;
        }
        map.end()
    }
}

impl JsonSchema for Match {
    fn schema_name() -> Cow<'static, str> {
        "Match".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One alternative: \"[METHOD[,METHOD] ]PATH\", or a table whose keys hold together.",
            "anyOf": [
                { "type": "string", "pattern": "^([!#$%&'*+.^_`|~0-9A-Z,-]+ +)?(/[^?#]*|~(.|\\n)+)$" },
                {
                    "type": "object",
                    "properties": {
                        "methods": {
                            "description": "Any of these. Absent: any method.",
                            "type": "array",
                            "items": generator.subschema_for::<Method>(),
                        },
                        "path": {
                            "description": "Absent: any path.",
                            "allOf": [generator.subschema_for::<PathPattern>()],
                        },
                        "headers": {
                            "description": "Every one must match at least one line of that header.",
                            "type": "object",
                            "propertyNames": generator.subschema_for::<HeaderName>(),
                            "additionalProperties": generator.subschema_for::<ValuePattern>(),
                        },
                        "query": {
                            "description": "Every one must match the first parameter of that name, percent-decoded.",
                            "type": "object",
                            "additionalProperties": generator.subschema_for::<ValuePattern>(),
                        },
                    },
                    "additionalProperties": false,
                },
            ],
        })
    }
}
