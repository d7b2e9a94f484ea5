//! Settings whose values are told as they are: what was a value, what is one now.

use serde::Serialize;
use serde_json::Value;

use super::{Changes, json};
use crate::problem::Path;

/// How a setting's absence is told: by the value that then holds, if one does.
pub(super) type Default<'a> = Option<&'a str>;

/// One setting. `who` is whose: `route papers: rule search`.
pub(super) fn setting<T: Serialize + PartialEq>(
    who: &str,
    key: &'static str,
    old: &Option<T>,
    new: &Option<T>,
    default: Default<'_>,
    at: &Path,
    changes: &mut Changes,
) {
    if old != new {
        values(who, key, old.as_ref().map(json), new.as_ref().map(json), default, &at.key(key), changes);
    }
}

/// What of a value changed: within tables key by key, else as a whole. `key` is empty for the whole of `who`.
pub(super) fn values(
    who: &str,
    key: &str,
    old: Option<Value>,
    new: Option<Value>,
    default: Default<'_>,
    at: &Path,
    changes: &mut Changes,
) {
    match (old, new) {
        (None, None) => {}
        (None, Some(new)) => {
            let was = default.map_or("not set".to_owned(), |default| format!("{default} by default"));
            changes.added(at, format!("{who}: `{key}` is now {} (was {was})", shown(&new)), new);
        }
        (Some(old), None) => {
            let now = default.map_or("no longer set".to_owned(), |default| format!("now {default} by default"));
            changes.removed(at, format!("{who}: `{key}` is {now} (was {})", shown(&old)), old);
        }
        (Some(Value::Object(mut old)), Some(Value::Object(new))) => {
            for (part, new) in new {
                let name = within(key, &part);
                values(who, &name, old.remove(&part), Some(new), None, &at.key(part), changes);
            }
            for (part, old) in old {
                let name = within(key, &part);
                values(who, &name, Some(old), None, None, &at.key(part), changes);
            }
        }
        (Some(old), Some(new)) if old == new => {}
        (Some(old), Some(new)) => {
            let sentence = format!("{who}: `{key}` is now {} (was {})", shown(&new), shown(&old));
            changes.changed(at, sentence, old, new);
        }
    }
}

fn within(key: &str, part: &str) -> String {
    if key.is_empty() { part.to_owned() } else { format!("{key}.{part}") }
}

/// Lists whose order has no meaning: what came, what went. `says` tells each item.
pub(super) fn members<T: Serialize + PartialEq>(
    old: &[T],
    new: &[T],
    at: &Path,
    changes: &mut Changes,
    says: impl Fn(&T, &str) -> String,
) -> Same {
    let before = changes.0.len();
    for (index, item) in new.iter().enumerate().filter(|(_, item)| !old.contains(item)) {
        changes.added(&at.index(index), says(item, "added"), item);
    }
    for (index, item) in old.iter().enumerate().filter(|(_, item)| !new.contains(item)) {
        changes.removed(&at.index(index), says(item, "removed"), item);
    }
    if changes.0.len() > before || old == new { Same::Settled } else { Same::Reordered }
}

/// Whether two lists with the same members are in the same order.
#[derive(PartialEq, Eq)]
pub(super) enum Same {
    /// They are, or their members differ and that was said.
    Settled,
    Reordered,
}

/// A value for a sentence: short, and strings without quotes.
pub(super) fn shown(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = match value {
        Value::String(text) => text.escape_debug().to_string(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Object(_) => format!("{{ {} }}", settings(value)),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None if text.is_empty() => "\"\"".to_owned(),
        None => text,
    }
}

/// `a = 1, b = 2`
pub(super) fn settings(table: &Value) -> String {
    listed(table.as_object().into_iter().flatten().map(|(key, value)| format!("{key} = {}", shown(value))))
}

/// `a, b, c`
pub(super) fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// `1 rule`, `3 rules`
pub(super) fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}
