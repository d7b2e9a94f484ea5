//! The reasons in words.

use std::fmt;

use super::{Lost, Precedence};

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener => f.write_str("listener: its route is not served there"),
            Self::Host => f.write_str("host: none of its route's matches"),
            Self::Path => f.write_str("path: none of its matches has it"),
            Self::Method => f.write_str("method: not where the path matches"),
            Self::Header(name) => write!(f, "header {name}: not what the rule asks for"),
            Self::Query(name) => write!(f, "query {name}: not what the rule asks for"),
            Self::Outranked(point) => write!(f, "outranked: it matches, but {point} goes first"),
        }
    }
}

impl fmt::Display for Precedence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "the more specific host",
            Self::ExactPath => "an exact path",
            Self::LongestPath => "the longest path",
            Self::PrefixBeforeRegex => "a prefix before a regex of the same length",
            Self::Method => "a rule that names methods",
            Self::MostHeaders => "the rule with most headers",
            Self::MostQuery => "the rule with most query parameters",
            Self::RouteName => "the route whose name sorts first",
            Self::FirstRule => "the first rule in the route",
        })
    }
}
