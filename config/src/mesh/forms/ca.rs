//! Trusted authorities: `"system"` or `"file:ca.pem"`.

use std::fmt;

use crate::mesh::Ca;
use crate::text::{Fault, Text};
use crate::text_type;

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
