//! TOML into nodes.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Error};

use super::{Key, Node, Tree, Value};
use crate::problem::{Path, Problem};
use crate::units::Date;

pub(super) fn read(text: &str) -> Tree {
    let (root, errors) = DeTable::parse_recoverable(text);
    // The parser keeps the first of two, so nothing else is missing from the tree.
    let sound = errors.iter().all(|error| error.message() == TWICE);
    let mut problems: Vec<Problem> = telling(errors).iter().map(|error| syntax(text, error)).collect();
    problems.dedup();
    // The root has no span: to underline all of a document tells nothing.
    let mut unfit = Vec::new();
    let node = Node::new(table(root.get_ref(), &Path::root(), &mut unfit));
    if !sound {
        // The parser's guesses at what was meant are no values.
        return Tree { node, problems, readable: false };
    }
    let readable = unfit.is_empty();
    problems.extend(unfit);
    Tree { node, problems, readable }
}

/// What the parser says of a key that is there already.
const TWICE: &str = "duplicate key";

/// The syntax errors that tell something. Behind a bracket that is never closed the parser takes the rest of the
/// document for a list, so once it complains of that, only the missing bracket is worth a word more.
fn telling(mut errors: Vec<Error>) -> Vec<Error> {
    const UNCLOSED: [&str; 2] = ["unclosed array,", "unclosed inline table,"];
    const ASTRAY: [&str; 4] = ["between array elements", "in array", "in inline table", "inline table element"];
    let says = |error: &Error, words: &[&str]| words.iter().any(|word| error.message().contains(word));
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    if errors.iter().any(|error| says(error, &UNCLOSED)) {
        let first = errors.iter().position(|error| says(error, &ASTRAY)).unwrap_or(errors.len());
        let mut position = 0..;
        errors.retain(|error| position.next().is_some_and(|position| position <= first) || says(error, &UNCLOSED));
    }
    errors
}

fn syntax(text: &str, error: &Error) -> Problem {
    let word = error.span().and_then(|span| text.get(span)).unwrap_or_default().trim();
    let is_bare = word.starts_with(|c: char| c.is_ascii_alphabetic()) && !word.contains(['"', '\'']);
    let at = Path::root();
    let problem = match error.message() {
        TWICE => Problem::error(&at, format!("`{}` is here for the second time", word.escape_debug()))
            .hint("a key stands once in its table, and a table has one header"),
        // What the parser takes a bare word for depends on its first letter: `nonsense` is an invalid `nan` to it.
        message
            if is_bare && (message.starts_with("invalid ") || message.starts_with("string values must be quoted")) =>
        {
            let word = word.escape_debug();
            Problem::error(&at, format!("`{word}` is not a value")).hint(format!("strings are in quotes: \"{word}\""))
        }
        message if message.starts_with("missing comma") => {
            Problem::error(&at, message).hint("or a bracket before it is not closed")
        }
        message => Problem::error(&at, message.replace('\n', "; ")),
    };
    problem.span(error.span())
}

fn table(entries: &DeTable<'_>, at: &Path, problems: &mut Vec<Problem>) -> Value {
    let mut entries: Vec<(Key, Node)> = entries
        .iter()
        .map(|(key, value)| {
            let name = key.get_ref().to_string();
            let node = node(value, &at.key(name.clone()), problems);
            (Key { name, span: Some(key.span()) }, node)
        })
        .collect();
    // The parser sorts by name; people read from top to bottom.
    entries.sort_by_key(|(key, _)| key.span.as_ref().map(|span| span.start));
    Value::Table(entries)
}

fn array(items: &DeArray<'_>, at: &Path, problems: &mut Vec<Problem>) -> Value {
    Value::Array(items.iter().enumerate().map(|(index, item)| node(item, &at.index(index), problems)).collect())
}

fn node(value: &Spanned<DeValue<'_>>, at: &Path, problems: &mut Vec<Problem>) -> Node {
    let span = Some(value.span());
    let mut refuse = |message: String, hint: &str| {
        problems.push(Problem::error(at, message).hint(hint).span(span.clone()));
        Value::Null
    };
    let value = match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Value::Integer(integer),
            Err(_) => refuse(format!("{integer} is out of range"), "a number has at most 64 bits"),
        },
        DeValue::Float(float) => match float.as_str().parse::<f64>() {
            Ok(float) if float.is_finite() => Value::Float(float),
            _ => refuse(format!("{float} is no usable number"), "JSON has no such number, so neither have we"),
        },
        DeValue::Datetime(datetime) => match (datetime.date, datetime.time) {
            (Some(date), None) => match jiff::civil::Date::new(date.year as i16, date.month as i8, date.day as i8) {
                Ok(date) => Value::Date(Date(date)),
                Err(_) => refuse(format!("there is no {datetime} in the calendar"), "year-month-day: 2026-12-01"),
            },
            _ => refuse(format!("{datetime} has a time of day"), "only dates are used here: 2026-12-01"),
        },
        DeValue::Array(items) => array(items, at, problems),
        DeValue::Table(entries) => table(entries, at, problems),
    };
    Node { value, span }
}
