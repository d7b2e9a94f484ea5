//! What a value is that stands in a document as one string: a duration, a host, a path. Each such type says how it is
//! read from text and shows itself in the form that reads back; the rest (JSON, schema, the reader) follows from that.

use std::fmt;

use crate::units::Date;

/// Why a text is not a value of its type, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub message: String,
    pub hint: Option<String>,
}

impl Fault {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

/// A type whose values stand in a document as one string.
pub trait Text: Sized {
    /// What it is, with an example: ``a duration such as `"30s"` ``.
    const WHAT: &'static str;

    fn from_text(text: &str) -> Result<Self, Fault>;

    /// From one of TOML's dates, for the type that dates are.
    fn from_date(_: Date) -> Option<Self> {
        None
    }

    /// What to say where a bare number stands.
    fn number_hint(number: &str) -> String {
        format!("write it in quotes: \"{number}\"")
    }
}

/// Any text at all, as the key of a table for instance.
impl Text for String {
    const WHAT: &'static str = "a string";

    fn from_text(text: &str) -> Result<Self, Fault> {
        Ok(text.to_owned())
    }
}

/// What follows from [`Text`] and `Display`: `parse`, `FromStr`, `Serialize`, `JsonSchema` with a pattern that takes
/// everything the reader takes (the reader is stricter), and [`Read`](crate::read::Read).
#[macro_export]
macro_rules! text_type {
    ($type:ident, $pattern:expr, $description:expr) => {
        impl $type {
            /// The value of a text, or what is wrong with it and what to write instead.
            pub fn parse(text: &str) -> Result<Self, String> {
                <Self as $crate::text::Text>::from_text(text).map_err(|fault| fault.to_string())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::text::Fault;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                <Self as $crate::text::Text>::from_text(text)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern, "description": $description })
            }
        }

        impl $crate::read::Read for $type {
            fn read(
                node: &$crate::node::Node,
                at: &$crate::problem::Path,
                problems: &mut Vec<$crate::problem::Problem>,
            ) -> Option<Self> {
                $crate::read::text(node, at, problems)
            }
        }
    };
}
