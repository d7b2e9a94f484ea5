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
        let one = |problem: &Problem| {
            let mut object = json!({
                "severity": problem.severity,
                "path": problem.path.to_string(),
                "message": problem.message,
            });
            if let Some(hint) = &problem.hint {
                object["hint"] = json!(hint);
            }
            if let Some(place) = self.place(problem) {
                object["line"] = json!(place.line);
                object["column"] = json!(place.column);
            }
            object
        };
        self.problems.iter().map(one).collect()
    }

    fn place(&self, problem: &Problem) -> Option<Place<'a>> {
        problem.span.as_ref().map(|span| Place::of(self.text, span))
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
        for (position, problem) in self.problems.problems.iter().enumerate() {
            if position > 0 {
                f.write_char('\n')?;
            }
            self.one(f, problem)?;
        }
        Ok(())
    }
}

impl<P: Paint> Painted<'_, P> {
    fn one(&self, f: &mut fmt::Formatter<'_>, problem: &Problem) -> fmt::Result {
        let place = self.problems.place(problem);
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
struct Place<'a> {
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
    source: std::borrow::Cow<'a, str>,
    /// Blanks as wide as what stands before the span in `source`.
    indent: String,
    /// How many characters to underline, at least one.
    width: usize,
}

/// Characters of a line that are shown. JSON may come as one line of a megabyte.
const WIDEST: usize = 160;

impl<'a> Place<'a> {
    fn of(text: &'a str, span: &Range<usize>) -> Self {
        let start = floor(text, span.start);
        let end = floor(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let column = text[line_start..start].chars().count();
        let width = text[start..end.min(line_start + line.len()).max(start)].chars().count().max(1);
        let number = text[..line_start].matches('\n').count() + 1;

        // Of a long line, a window that begins a little before the span.
        let from = if line.chars().count() > WIDEST { column.saturating_sub(WIDEST / 4) } else { 0 };
        let window: String = line.chars().skip(from).take(WIDEST).map(visible).collect();
        let indent = window.chars().take(column - from).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let width = width.min(WIDEST - (column - from));
        Self { line: number, column: column + 1, source: window.into(), indent, width }
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
