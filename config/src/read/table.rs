//! Tables into structs.

use crate::node::{Key, Node};
use crate::problem::{Path, Problem, did_you_mean};
use crate::read::Read;

/// A type that is read from a table with these keys and no others.
pub trait Keys {
    const KEYS: &'static [&'static str];
}

/// A type of which a part can be read where the whole cannot.
pub trait Partly: Sized {
    /// What could be read; a key that is wrong counts as absent. Whether it is the whole shows by `problems`.
    fn read_partly(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self>;
}

/// A table that is being read, field by field.
pub struct TableReader<'a> {
    node: &'a Node,
    entries: &'a [(Key, Node)],
    at: &'a Path,
    problems: &'a mut Vec<Problem>,
    /// Keys that an unknown one was probably meant for: they are not missing too.
    meant: Vec<&'static str>,
}

impl<'a> TableReader<'a> {
    /// None when `node` is no table. Keys that are not among `known` are reported.
    pub fn new(node: &'a Node, at: &'a Path, problems: &'a mut Vec<Problem>, known: &[&'static str]) -> Option<Self> {
        let Some(entries) = node.table() else {
            problems.push(
                Problem::error(at, format!("expected a table, found {}", node.describe()))
                    .hint(format!("a table has the keys {}", list(known)))
                    .span(node.span.clone()),
            );
            return None;
        };
        let mut meant = Vec::new();
        for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
            let suggestion = did_you_mean(&key.name, known.iter().copied());
            meant.extend(known.iter().copied().filter(|known| suggestion == Some(*known)));
            let hint = match suggestion {
                Some(suggestion) => format!("did you mean `{suggestion}`?"),
                None => format!("known keys: {}", list(known)),
            };
            let problem =
                Problem::error(&at.key(key.name.clone()), format!("unknown key `{}`", key.name.escape_debug()));
            problems.push(problem.hint(hint).span(key.span.clone()));
        }
        Some(Self { node, entries, at, problems, meant })
    }

    /// The value of `key`, or what its type says of absence.
    pub fn field<T: Read>(&mut self, key: &'static str) -> Option<T> {
        if let Some((_, node)) = self.entries.iter().find(|(known, _)| known.name == key) {
            return T::read(node, &self.at.key(key), self.problems);
        }
        let absent = T::absent();
        if absent.is_none() && !self.meant.contains(&key) {
            let problem = Problem::error(&self.at.key(key), format!("`{key}` is missing"));
            self.problems.push(problem.span(self.node.span.clone()));
        }
        absent
    }
}

/// `a`, `b`, `c`
fn list(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

/// `match` for `r#match`.
#[doc(hidden)]
pub const fn key_of(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', key @ ..] => match str::from_utf8(key) {
            Ok(key) => key,
            Err(_) => field,
        },
        _ => field,
    }
}

/// Implements [`Read`](crate::read::Read) for a struct with named fields, each of which is the key of the same name.
/// Keys that are none of them are refused. `besides key, …` names keys that somebody else reads. `partly` in front
/// implements [`Partly`](crate::read::Partly) too, for structs whose fields all may be absent.
#[macro_export]
macro_rules! read_table {
    (partly $type:ident { $($field:ident),+ $(,)? }) => {
        $crate::read_table!($type { $($field),+ });

        impl $crate::read::Partly for $type {
            fn read_partly(
                node: &$crate::node::Node,
                at: &$crate::problem::Path,
                problems: &mut Vec<$crate::problem::Problem>,
            ) -> Option<Self> {
                let mut table = $crate::read::TableReader::new(node, at, problems, <Self as $crate::read::Keys>::KEYS)?;
                $(let $field = table.field($crate::read::key_of(stringify!($field)));)+
                Some(Self { $($field: $field.or_else($crate::read::Read::absent)?),+ })
            }
        }
    };
    ($type:ident { $($field:ident),+ $(,)? } $(besides $($other:ident),+)?) => {
        impl $crate::read::Keys for $type {
            const KEYS: &'static [&'static str] = &[
                $($crate::read::key_of(stringify!($field)),)+
                $($($crate::read::key_of(stringify!($other)),)+)?
            ];
        }

        impl $crate::read::Read for $type {
            fn read(
                node: &$crate::node::Node,
                at: &$crate::problem::Path,
                problems: &mut Vec<$crate::problem::Problem>,
            ) -> Option<Self> {
                let mut table = $crate::read::TableReader::new(node, at, problems, <Self as $crate::read::Keys>::KEYS)?;
                // All of them first, so that each is reported.
                $(let $field = table.field($crate::read::key_of(stringify!($field)));)+
                Some(Self { $($field: $field?),+ })
            }
        }
    };
}
