//! TOML into nodes.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::{Key, Node, Tree, Value};
use crate::problem::{Path, Problem};
use crate::units::Date;

pub(super) fn read(text: &str) -> Tree {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = errors
        .into_iter()
        .map(|error| Problem::error(&Path::root(), error.message().replace('\n', "; ")).span(error.span()))
        .collect();
    // The root has no span: to underline all of a document tells nothing.
    let node = Node::new(table(root.get_ref(), &Path::root(), &mut problems));
    Tree { node, problems }
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
