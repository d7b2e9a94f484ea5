//! Problems as a person reads them: place, source line, underline, hint. And as a script reads them.

use std::fmt::{self, Write};
use std::ops::Range;

use serde_json::{Value, json};

use super::{Problem, Severity};

/// What a piece of a report is, for whoever gives it a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The word `error` or `warning`.
    Severity(Severity),
    /// `mesh.toml:12:3`
    Place,
    Message,
    /// `routes.papers.rules[0].timout`
    Path,
    /// Line numbers and their bars.
    Margin,
    Source,
    Underline(Severity),
    Hint,
}

/// Gives the parts of a report their colours.
pub trait Paint {
    fn paint(&self, f: &mut fmt::Formatter<'_>, part: Part, text: &str) -> fmt::Result;
}

/// No colours.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Paint for Plain {
    fn paint(&self, f: &mut fmt::Formatter<'_>, _: Part, text: &str) -> fmt::Result {
        f.write_str(text)
    }
}

/// The problems of one document, to be shown: `to_string` without colours, [`painted`](Self::painted) with the
/// caller's, [`json`](Self::json) for scripts.
#[derive(Clone, Copy, Debug)]
pub struct Problems<'a> {
    /// The document's name as the operator wrote it.
    pub file: &'a str,
    /// The text that the spans count in.
    pub text: &'a str,
    pub problems: &'a [Problem],
}

impl<'a> Problems<'a> {
    pub fn new(file: &'a str, text: &'a str, problems: &'a [Problem]) -> Self {
        Self { file, text, problems }
    }

    pub fn painted<P: Paint>(self, paint: &'a P) -> impl fmt::Display + 'a {
        Painted { problems: self, paint }
    }

    /// One object a problem: `severity`, `path`, `message`, and where known `hint`, `line` and `column`, from 1.
    pub fn json(&self) -> Value {
        let lines = Lines::of(self.text);
        let one = |problem: &Problem| {
            let mut object = json!({
                "severity": problem.severity,
                "path": problem.path.to_string(),
                "message": problem.message,
            });
            if let Some(hint) = &problem.hint {
                object["hint"] = json!(hint);
            }
            if let Some(place) = problem.span.as_ref().map(|span| lines.place(span)) {
                object["line"] = json!(place.line);
                object["column"] = json!(place.column);
            }
            object
        };
        self.problems.iter().map(one).collect()
    }
}

impl fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.painted(&Plain).fmt(f)
    }
}

struct Painted<'a, P> {
    problems: Problems<'a>,
    paint: &'a P,
}

impl<P: Paint> fmt::Display for Painted<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = Lines::of(self.problems.text);
        for (position, problem) in self.problems.problems.iter().enumerate() {
            if position > 0 {
                f.write_char('\n')?;
            }
            self.one(f, problem, problem.span.as_ref().map(|span| lines.place(span)))?;
        }
        Ok(())
    }
}

impl<P: Paint> Painted<'_, P> {
    fn one(&self, f: &mut fmt::Formatter<'_>, problem: &Problem, place: Option<Place>) -> fmt::Result {
        let file = self.problems.file;
        let at = match &place {
            Some(place) => format!("{file}:{}:{}", place.line, place.column),
            None => file.to_owned(),
        };
        self.paint.paint(f, Part::Place, &at)?;
        f.write_str(": ")?;
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        self.paint.paint(f, Part::Severity(problem.severity), severity)?;
        f.write_str(": ")?;
        self.paint.paint(f, Part::Message, &problem.message)?;
        f.write_char('\n')?;
        if !problem.path.is_root() {
            f.write_str("  at ")?;
            self.paint.paint(f, Part::Path, &problem.path.to_string())?;
            f.write_char('\n')?;
        }
        if let Some(place) = place {
            let number = place.line.to_string();
            let blank = " ".repeat(number.len());
            self.paint.paint(f, Part::Margin, &format!("  {number} | "))?;
            self.paint.paint(f, Part::Source, &place.source)?;
            f.write_char('\n')?;
            self.paint.paint(f, Part::Margin, &format!("  {blank} | "))?;
            f.write_str(&place.indent)?;
            self.paint.paint(f, Part::Underline(problem.severity), &"^".repeat(place.width))?;
            f.write_char('\n')?;
        }
        if let Some(hint) = &problem.hint {
            f.write_str("  hint: ")?;
            self.paint.paint(f, Part::Hint, hint)?;
            f.write_char('\n')?;
        }
        Ok(())
    }
}

/// A span's first line, ready to be shown.
struct Place {
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
    /// The line, or of a long one a window.
    source: String,
    /// Blanks as wide as what stands before the span in `source`.
    indent: String,
    /// How many characters to underline, at least one.
    width: usize,
}

/// Characters of a line that are shown. JSON may come as one line of a megabyte.
const WIDEST: usize = 160;

/// A text whose lines are counted once for all of its problems.
struct Lines<'a> {
    text: &'a str,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let starts = text.match_indices('\n').map(|(newline, _)| newline + 1);
        Self { text, starts: std::iter::once(0).chain(starts).collect() }
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let start = floor(self.text, span.start);
        let line = self.starts.partition_point(|begin| *begin <= start);
        let begin = self.starts[line - 1];
        let end = self.starts.get(line).map_or(self.text.len(), |next| next - 1);
        let whole = self.text[begin..end].trim_end_matches('\r');
        let column = self.text[begin..start].chars().count();
        let last = floor(self.text, span.end).min(begin + whole.len()).max(start);
        let width = self.text[start..last].chars().count().max(1);

        // Of a long line, a window that begins a little before the span.
        let from = if whole.chars().count() > WIDEST { column.saturating_sub(WIDEST / 4) } else { 0 };
        let source: String = whole.chars().skip(from).take(WIDEST).map(visible).collect();
        let indent = source.chars().take(column - from).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        Place {
            line,
            column: column + 1,
            source,
            indent,
            width: width.min(WIDEST.saturating_sub(column - from).max(1)),
        }
    }
}

/// The nearest border between characters at or before `index`.
fn floor(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

/// A document may come from anywhere; what it holds must not steer the terminal.
fn visible(c: char) -> char {
    if c.is_control() && c != '\t' { '\u{fffd}' } else { c }
}
