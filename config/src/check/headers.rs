//! Edits of headers: what they must not touch.

use crate::mesh::HeaderEdits;
use crate::names::HeaderName;
use crate::problem::{Path, Problem};

/// Which way the edited head goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Request,
    Response,
}

/// What belongs to one connection or frames a message (RFC 9110 §7.6.1, RFC 9112 §6): the proxy's own.
const FRAMING: [&str; 8] =
    ["connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

pub(super) fn edits(edits: &HeaderEdits, way: Way, at: &Path, problems: &mut Vec<Problem>) {
    if edits.set.is_empty() && edits.add.is_empty() && edits.remove.is_empty() {
        problems
            .push(Problem::error(at, "no edit is given").hint("one of `set`, `add`, `remove`, or leave the key out"));
    }
    let removed = edits.remove.iter().enumerate().map(|(index, header)| (header, at.key("remove").index(index)));
    let set = edits.set.iter().map(|(header, value)| (header, value, at.key("set").key(header.to_string())));
    let added = edits.add.iter().map(|(header, value)| (header, value, at.key("add").key(header.to_string())));
    for (header, value, at) in set.chain(added) {
        editable(header, way, &at, problems);
        self::value(value, &at, problems);
    }
    for (header, at) in removed {
        editable(header, way, &at, problems);
    }
}

fn editable(header: &HeaderName, way: Way, at: &Path, problems: &mut Vec<Problem>) {
    let message = format!("`{header}` cannot be edited");
    if FRAMING.contains(&header.as_str()) {
        let hint = "it belongs to one connection or frames the message, so the proxy writes it";
        problems.push(Problem::error(at, message).hint(hint));
    } else if way == Way::Request && header == "host" {
        problems.push(Problem::error(at, message).hint("use the rule's `rewrite = { host = \"…\" }`"));
    }
}

/// RFC 9110 §5.5: no control characters, nothing blank around.
pub(super) fn value(value: &str, at: &Path, problems: &mut Vec<Problem>) {
    if let Some(control) = value.chars().find(|c| c.is_ascii_control() && *c != '\t') {
        let message = format!("the value has the control character {}", control.escape_default());
        problems.push(Problem::error(at, message).hint("a header's value is one line of text"));
    } else if value.trim_matches([' ', '\t']) != value {
        problems.push(Problem::error(at, "the value begins or ends with a blank").hint("blanks around it get lost"));
    }
}
