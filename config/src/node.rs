//! A document as a tree in which every value knows where it stood: what TOML and JSON have in common.

mod json;
mod toml;

use std::fmt;
use std::ops::Range;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::problem::{Path, Problem, Segment};
use crate::units::Date;

/// A value, and the bytes of the text that it stood in. Two nodes are equal when their values are.
#[derive(Clone, Debug)]
pub struct Node {
    pub value: Value,
    /// None where the text is not known: a value from JSON, or one made by a program.
    pub span: Option<Range<usize>>,
}

#[derive(Clone, Debug)]
pub enum Value {
    /// JSON's only.
    Null,
    Bool(bool),
    Integer(i64),
    /// Finite.
    Float(f64),
    String(String),
    /// TOML's only.
    Date(Date),
    Array(Vec<Node>),
    /// In the order of the text, each key once. Equality ignores the order.
    Table(Vec<(Key, Node)>),
}

/// A table's key. Two are equal when their names are.
#[derive(Clone, Debug)]
pub struct Key {
    pub name: String,
    pub span: Option<Range<usize>>,
}

/// What a text was read into.
#[derive(Clone, Debug)]
pub struct Tree {
    pub node: Node,
    pub problems: Vec<Problem>,
    /// Whether the tree has all that the text says, but for what it says twice. Of another one nothing more can be
    /// told than its problems.
    pub readable: bool,
}

impl Node {
    pub fn new(value: Value) -> Self {
        Self { value, span: None }
    }

    /// Reads TOML. All syntax errors are reported at once.
    pub fn from_toml(text: &str) -> Tree {
        toml::read(text)
    }

    /// Reads JSON. A key that stands twice in an object is an error.
    pub fn from_json(text: &str) -> Tree {
        json::read(text)
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.table()?.iter().find(|(known, _)| known.name == key).map(|(_, node)| node)
    }

    pub fn table(&self) -> Option<&[(Key, Node)]> {
        match &self.value {
            Value::Table(entries) => Some(entries),
            _ => None,
        }
    }

    pub fn array(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value in words for a message: ``the number 5``, `a list`.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Integer(value) => format!("the number {value}"),
            Value::Float(value) => format!("the number {value}"),
            Value::String(text) => {
                let short: String = text.chars().take(60).collect();
                let dots = if short.len() < text.len() { "…" } else { "" };
                format!("\"{}{dots}\"", short.escape_debug())
            }
            Value::Date(date) => format!("the date {date}"),
            Value::Array(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }
}

/// Where the value at `path` stood; where it does not exist, the nearest value around it. None at the root, and where
/// the text is not known.
pub fn locate(root: &Node, path: &Path) -> Option<Range<usize>> {
    let mut node = root;
    let mut span = None;
    for segment in path.segments() {
        let next = match segment {
            Segment::Key(key) => node.get(key),
            Segment::Index(index) => node.array().and_then(|items| items.get(*index)),
        };
        let Some(next) = next else { break };
        node = next;
        span = node.span.clone().or(span);
    }
    span
}

impl Key {
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), span: None }
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            // JSON has no dates: there they are strings.
            (Self::Date(a), Self::Date(b)) => a == b,
            (Self::Date(date), Self::String(text)) | (Self::String(text), Self::Date(date)) => {
                date.to_string() == *text
            }
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Table(a), Self::Table(b)) => sorted(a) == sorted(b),
            _ => false,
        }
    }
}

fn sorted(entries: &[(Key, Node)]) -> Vec<&(Key, Node)> {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    entries
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Integer(value) => serializer.serialize_i64(*value),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::String(text) => serializer.serialize_str(text),
            Value::Date(date) => serializer.collect_str(date),
            Value::Array(items) => serializer.collect_seq(items),
            Value::Table(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, node) in entries {
                    map.serialize_entry(&key.name, node)?;
                }
                map.end()
            }
        }
    }
}

/// As JSON.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}
