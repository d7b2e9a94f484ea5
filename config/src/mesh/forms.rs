//! What may be written in more than one form: a match as a string or a table, a backend or a split, a value or a regex.
//! Each reads all of its forms, shows itself in the shortest, and has its schema written by hand.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::*;
use crate::node::Value;
use crate::read::{Keys, Read, text};
use crate::text::{Fault, Text};
use crate::{read_table, text_type};

// ---- Match: "GET,POST /v1/*" or { methods, path, headers, query }

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

/// A match's table. `path` is required in neither form of thought: absent, it is any path.
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

// ---- ValuePattern: "v" or { regex = "^v" }

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

// ---- Backends: "name" or { one = 95, other = 5 }

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

// ---- Sticky: { cookie = "name" }, { header = "x-user" } or { address = true }

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
            (Some(name), None, None) if crate::names::is_token(&name) => return Some(Self::Cookie(name)),
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

// ---- Filter: { kind = "…", … }

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

// ---- Ca: "system" or "file:ca.pem"

text_type!(Ca, "^(system|file:.+)$", "Trusted authorities: \"system\", or a PEM file, \"file:ca.pem\".");

impl Text for Ca {
    const WHAT: &'static str = "\"system\" or \"file:ca.pem\"";

    fn from_text(text: &str) -> Result<Self, Fault> {
        match text.strip_prefix("file:") {
            _ if text == "system" => Ok(Self::System),
            Some(file) if !file.is_empty() => Ok(Self::File(file.to_owned())),
            _ => {
                let fault = Fault::new(format!("unknown authorities \"{}\"", text.escape_debug()));
                Err(match text.contains(['.', '/']) && !text.starts_with("file:") {
                    true => fault.hint(format!("for a file write \"file:{}\"", text.escape_debug())),
                    false => fault.hint("\"system\", or a PEM file: \"file:ca.pem\""),
                })
            }
        }
    }
}

impl fmt::Display for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::File(file) => write!(f, "file:{file}"),
        }
    }
}
