//! Header names and methods (RFC 9110 §5.1, §9.1).

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::text::{Fault, Text};
use crate::text_type;

/// A header's name, lower-case as HTTP/2 has it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeaderName(Arc<str>);

/// A request method, upper-case. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method(Arc<str>);

text_type!(
    HeaderName,
    "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
    "A header's name, in any case. Pseudo headers such as `:path` are none."
);
text_type!(Method, "^[!#$%&'*+.^_`|~0-9A-Z-]+$", "A request method in capitals: \"GET\".");

impl Text for HeaderName {
    const WHAT: &'static str = "a header's name";

    fn from_text(text: &str) -> Result<Self, Fault> {
        if is_token(text) {
            return Ok(Self(text.to_ascii_lowercase().into()));
        }
        let fault = Fault::new(format!("`{}` is not a header's name", text.escape_debug()));
        Err(match text {
            ":authority" => fault.hint("pseudo headers are no headers; a route's `hosts` says which hosts it takes"),
            ":path" | ":method" => {
                fault.hint("pseudo headers are no headers; a rule's `match` takes methods and paths")
            }
            _ if text.starts_with(':') => fault.hint("pseudo headers are no headers"),
            _ if text.ends_with(':') => fault.hint("leave the colon out"),
            _ => fault.hint("letters, digits and !#$%&'*+-.^_`|~ only"),
        })
    }
}

impl Text for Method {
    const WHAT: &'static str = "a method such as \"GET\"";

    fn from_text(text: &str) -> Result<Self, Fault> {
        if text != "*" && is_token(text) && !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Ok(Self(text.into()));
        }
        let fault = Fault::new(format!("`{}` is not a method", text.escape_debug()));
        Err(match text {
            "*" => fault.hint("leave the method out for any method"),
            _ if is_token(text) => {
                fault.hint(format!("methods are written in capitals: `{}`", text.to_ascii_uppercase()))
            }
            _ => fault.hint("write it as in \"GET /path\" or \"GET,POST /path\""),
        })
    }
}

/// RFC 9110 §5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

macro_rules! reads_as_str {
    ($($type:ident)+) => {$(
        impl $type {
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The same text, shared.
            pub fn as_arc(&self) -> &Arc<str> {
                &self.0
            }
        }

        impl Deref for $type {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $type {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $type {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )+};
}

reads_as_str!(HeaderName Method);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_are_lower_case_tokens() {
        assert_eq!(HeaderName::parse("X-API-Key").as_deref(), Ok("x-api-key"));
        for text in ["", ":path", "a:", "a b", "ä", "a\n"] {
            assert!(HeaderName::parse(text).is_err(), "{text:?}");
        }
        assert!(HeaderName::parse(":authority").is_err_and(|fault| fault.contains("`hosts`")));
    }

    #[test]
    fn methods_are_in_capitals() {
        assert_eq!(Method::parse("GET").as_deref(), Ok("GET"));
        assert_eq!(
            Method::parse("get"),
            Err("`get` is not a method; methods are written in capitals: `GET`".to_owned())
        );
        for text in ["", "GET ", "G/T", "*"] {
            assert!(Method::parse(text).is_err(), "{text:?}");
        }
    }
}
