//! Where something stands in a document.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// A way from the document's root to a value: `routes.papers.rules[2].retry`. Cheap to clone and to lengthen, since the
/// reader makes one for every value.
#[derive(Clone, Debug, Default)]
pub struct Path(Option<Arc<Step>>);

#[derive(Debug)]
struct Step {
    parent: Path,
    segment: Segment,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    Key(Cow<'static, str>),
    Index(usize),
}

impl Path {
    pub fn root() -> Self {
        Self(None)
    }

    pub fn is_root(&self) -> bool {
        self.0.is_none()
    }

    /// The value of `key` in the table at this path.
    pub fn key(&self, key: impl Into<Cow<'static, str>>) -> Self {
        self.then(Segment::Key(key.into()))
    }

    /// The value at `index`, from 0, in the list at this path.
    pub fn index(&self, index: usize) -> Self {
        self.then(Segment::Index(index))
    }

    pub fn parent(&self) -> Option<&Self> {
        self.0.as_deref().map(|step| &step.parent)
    }

    /// The last segment. None at the root.
    pub fn last(&self) -> Option<&Segment> {
        self.0.as_deref().map(|step| &step.segment)
    }

    /// From the root.
    pub fn segments(&self) -> Vec<&Segment> {
        let mut segments = Vec::new();
        let mut path = self;
        while let Some(step) = &path.0 {
            segments.push(&step.segment);
            path = &step.parent;
        }
        segments.reverse();
        segments
    }

    fn then(&self, segment: Segment) -> Self {
        Self(Some(Arc::new(Step { parent: self.clone(), segment })))
    }
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        self.segments() == other.segments()
    }
}

impl Eq for Path {}

/// `routes.papers.rules[2].retry`. Keys that TOML would have in quotes are in quotes: `headers."a b"`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.segments().into_iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    if position > 0 {
                        f.write_str(".")?;
                    }
                    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
                    match !key.is_empty() && key.bytes().all(bare) {
                        true => f.write_str(key)?,
                        false => write!(f, "\"{}\"", key.escape_debug())?,
                    }
                }
            }
        }
        Ok(())
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_an_operator_would_write_them() {
        let rule = Path::root().key("routes").key("papers").key("rules").index(2);
        assert_eq!(rule.key("retry").key("retries").to_string(), "routes.papers.rules[2].retry.retries");
        assert_eq!(rule.key("headers").key("x y").to_string(), "routes.papers.rules[2].headers.\"x y\"");
        assert_eq!(Path::root().key("a.b").to_string(), "\"a.b\"");
        assert_eq!(Path::root().key("").key("a\"b").to_string(), r#"""."a\"b""#);
        assert_eq!(Path::root().to_string(), "");
    }
}
