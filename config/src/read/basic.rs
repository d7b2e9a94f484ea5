//! What every document is made of: strings, numbers, lists, tables of one kind, words of a closed set.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::node::{Node, Value};
use crate::problem::{Path, Problem};
use crate::read::Read;
use crate::text::Text;

/// Reads a type that stands as one string.
pub fn text<T: Text>(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<T> {
    let problem = match &node.value {
        Value::String(text) => match T::from_text(text) {
            Ok(value) => return Some(value),
            Err(fault) => Problem::fault(at, fault),
        },
        Value::Date(date) => match T::from_date(*date) {
            Some(value) => return Some(value),
            None if T::from_text(&date.to_string()).is_ok() => {
                expected(T::WHAT, node, at).hint(format!("write it in quotes: \"{date}\""))
            }
            None => expected(T::WHAT, node, at),
        },
        Value::Integer(number) => expected(T::WHAT, node, at).hint(T::number_hint(&number.to_string())),
        Value::Float(number) => expected(T::WHAT, node, at).hint(T::number_hint(&number.to_string())),
        _ => expected(T::WHAT, node, at),
    };
    problems.push(problem.span(node.span.clone()));
    None
}

fn expected(what: &str, node: &Node, at: &Path) -> Problem {
    Problem::error(at, format!("expected {what}, found {}", node.describe()))
}

/// A closed set of words: an enum without data.
pub trait Word: Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

/// Reads one of a closed set of words.
pub fn word<T: Word>(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<T> {
    let words = || T::WORDS.iter().map(|(word, _)| *word);
    let all = || format!("one of {}", words().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "));
    let problem = match node.as_str() {
        Some(text) => match T::WORDS.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => return Some(*value),
            None => {
                Problem::error(at, format!("unknown value {}", node.describe()))
                    .did_you_mean(text, words(), || Some(all()))
            }
        },
        None => expected("a word", node, at).hint(all()),
    };
    problems.push(problem.span(node.span.clone()));
    None
}

impl Read for String {
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        text(node, at, problems)
    }
}

impl Read for bool {
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        let mut problem = expected("true or false", node, at);
        if let Some(word @ ("true" | "false")) = node.as_str() {
            problem = problem.hint(format!("write it without quotes: {word}"));
        }
        problems.push(problem.span(node.span.clone()));
        None
    }
}

macro_rules! read_whole_number {
    ($($type:ident)+) => {$(
        impl Read for $type {
            fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
                let range = || format!("a whole number from {} to {}", Self::MIN, Self::MAX);
                let problem = match &node.value {
                    Value::Integer(number) => match Self::try_from(*number) {
                        Ok(number) => return Some(number),
                        Err(_) => Problem::error(at, format!("{number} is out of range")).hint(range()),
                    },
                    Value::String(text) if text.parse::<Self>().is_ok() => {
                        expected("a whole number", node, at).hint(format!("write it without quotes: {text}"))
                    }
                    _ => expected("a whole number", node, at),
                };
                problems.push(problem.span(node.span.clone()));
                None
            }
        }
    )+};
}

read_whole_number!(u8 u16 u32 u64);

impl Text for SocketAddr {
    const WHAT: &'static str = "an address such as \"127.0.0.1:8080\"";

    fn from_text(text: &str) -> Result<Self, crate::text::Fault> {
        use crate::text::Fault;
        if let Ok(address) = text.parse() {
            return Ok(address);
        }
        let shown = text.escape_debug();
        let fault = Fault::new(format!("\"{shown}\" is not an address"));
        Err(if text.parse::<std::net::Ipv6Addr>().is_ok() {
            fault.hint(format!("write the port: \"[{shown}]:8080\""))
        } else if text.parse::<IpAddr>().is_ok() {
            fault.hint(format!("write the port: \"{shown}:8080\""))
        } else if text.starts_with(':') {
            fault.hint(format!("write the address too: \"127.0.0.1{shown}\", or \"0.0.0.0{shown}\" for all"))
        } else if let Some(port) = text.strip_prefix("localhost:") {
            fault.hint(format!("names are not addresses: \"127.0.0.1:{}\"", port.escape_debug()))
        } else {
            fault.hint(
                "an IP address and a port: \"127.0.0.1:8080\", \"[::1]:8080\"; a name goes into an upstream's `dns`",
            )
        })
    }
}

impl Read for SocketAddr {
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        text(node, at, problems)
    }
}

impl<T: Read> Read for Option<T> {
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        if matches!(node.value, Value::Null) {
            let problem = Problem::error(at, "null is not a value").hint("leave the key out");
            problems.push(problem.span(node.span.clone()));
            return None;
        }
        T::read(node, at, problems).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// Reads a list whose items `item` reads. An empty one is refused: it would say either nothing or something that
/// nobody means (`hosts = []` is not "no host").
pub fn list<T>(
    node: &Node,
    at: &Path,
    problems: &mut Vec<Problem>,
    mut item: impl FnMut(&Node, &Path, &mut Vec<Problem>) -> Option<T>,
) -> Option<Vec<T>> {
    let Some(items) = node.array() else {
        let mut problem = expected("a list", node, at);
        if node.as_str().is_some() {
            problem = problem.hint(format!("write it in brackets: [{}]", node.describe()));
        }
        problems.push(problem.span(node.span.clone()));
        return None;
    };
    if items.is_empty() {
        let problem = Problem::error(at, "the list is empty").hint("leave the key out, or say what is in the list");
        problems.push(problem.span(node.span.clone()));
        return None;
    }
    // All of them first, so that each is reported.
    let read: Vec<Option<T>> =
        items.iter().enumerate().map(|(index, node)| item(node, &at.index(index), problems)).collect();
    read.into_iter().collect()
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        list(node, at, problems, T::read)
    }

    fn absent() -> Option<Self> {
        Some(Vec::new())
    }
}

/// A table whose keys are names that the operator chose.
impl<K: Text + Ord, V: Read> Read for BTreeMap<K, V> {
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        let Some(entries) = node.table() else {
            problems.push(expected("a table", node, at).span(node.span.clone()));
            return None;
        };
        let mut map = Self::new();
        let mut whole = true;
        for (key, node) in entries {
            let at = at.key(key.name.clone());
            let value = V::read(node, &at, problems);
            let name = K::from_text(&key.name)
                .map_err(|fault| problems.push(Problem::fault(&at, fault).span(key.span.clone())))
                .ok();
            match (name, value) {
                (Some(name), Some(value)) => {
                    if map.insert(name, value).is_some() {
                        let message = format!("`{}` is here twice, in different spellings", key.name.escape_debug());
                        problems.push(Problem::error(&at, message).span(key.span.clone()));
                        whole = false;
                    }
                }
                _ => whole = false,
            }
        }
        whole.then_some(map)
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}
