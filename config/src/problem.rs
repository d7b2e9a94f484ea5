//! What is wrong with a document: where, what, and what to do about it.

mod path;
mod report;

use std::fmt;
use std::ops::Range;

use serde::Serialize;

pub use path::{Path, Segment};
pub use report::{Paint, Part, Plain, Problems};

use crate::text::Fault;

/// One thing that is wrong, or worth a look, in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub path: Path,
    /// One line, without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Bytes of the document's text. [`locate`](crate::node::locate) finds it for a path.
    pub span: Option<Range<usize>>,
    pub severity: Severity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The document is refused.
    Error,
    /// The document is taken.
    Warning,
}

impl Problem {
    pub fn error(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.clone(), message: message.into(), hint: None, span: None, severity: Severity::Error }
    }

    pub fn warning(path: &Path, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, message) }
    }

    pub fn fault(path: &Path, fault: Fault) -> Self {
        Self { hint: fault.hint, ..Self::error(path, fault.message) }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With ``did you mean `x`?`` where `word` is close to one of `known`, else with what `or` says.
    pub fn did_you_mean<'a>(
        self,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
        or: impl FnOnce() -> Option<String>,
    ) -> Self {
        let hint = did_you_mean(word, known).map(|known| format!("did you mean `{known}`?")).or_else(or);
        Self { hint, ..self }
    }

    pub fn span(mut self, span: Option<Range<usize>>) -> Self {
        self.span = span;
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// `path: message (hint)` on one line, for logs; a whole document's problems are shown by [`Problems`].
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_root() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// The one of `known` that is nearest to `word`, if it is near: a third of its letters may differ, and one in any case.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bearable = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .filter(|known| known.len().abs_diff(word.len()) <= bearable * 4)
        .map(|known| ((strsim::osa_distance(word, known), known.len().abs_diff(word.len())), known))
        .filter(|((distance, _), known)| *distance <= bearable && *distance < known.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
