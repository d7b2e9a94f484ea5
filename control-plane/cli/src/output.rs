//! What commands print: text for people, JSON for scripts. Results go to stdout, failures and progress to stderr.
//! Colour only on a terminal; `NO_COLOR` and `CLICOLOR_FORCE` are honoured by [`anstream`].

use std::borrow::Cow;
use std::io::{self, Stderr, Stdout, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::document::write_problems;
use crate::failure::{Failure, Told};

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

pub const BOLD: Style = Style::new().bold();
pub const DIM: Style = Style::new().dimmed();
pub const GOOD: Style = AnsiColor::Green.on_default();
pub const BAD: Style = AnsiColor::Red.on_default().bold();
pub const WARN: Style = AnsiColor::Yellow.on_default().bold();
pub const NOTE: Style = AnsiColor::Cyan.on_default();

/// A command's stdout.
pub struct Output {
    pub format: Format,
    stdout: AutoStream<Stdout>,
}

impl Output {
    pub fn new(format: Format) -> Self {
        Self { format, stdout: anstream::stdout() }
    }

    /// One JSON value over several lines, as the whole result of a command.
    pub fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.stdout, value)?;
        writeln!(self.stdout)
    }

    /// One JSON value in one line, for commands that go on.
    pub fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.stdout, value)?;
        writeln!(self.stdout)?;
        self.stdout.flush()
    }
}

/// Text goes straight to stdout, styles included: they vanish where nobody sees colours.
impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stdout.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

/// A stderr that shows styles only where somebody sees them.
pub fn stderr() -> AutoStream<Stderr> {
    anstream::stderr()
}

/// Tells on stderr why a command failed. Nothing is left to tell when stderr itself is gone.
pub fn tell(failure: &Failure, format: Format) {
    let mut stderr = stderr();
    let _ = match format {
        Format::Json => writeln!(stderr, "{}", json_of(failure)),
        Format::Text => match failure {
            Failure::Refused(refusal) => write_problems(&mut stderr, &refusal.source, &refusal.problems)
                .and_then(|()| write_told(&mut stderr, &told_of(failure))),
            _ => write_told(&mut stderr, &told_of(failure)),
        },
    };
}

/// `error` and `hint`; beside them `log` or `problems` where there are some.
fn json_of(failure: &Failure) -> serde_json::Value {
    let mut told = serde_json::json!(&*told_of(failure));
    if let Failure::Refused(refusal) = failure {
        told["problems"] = refusal.json();
    }
    told
}

fn told_of(failure: &Failure) -> Cow<'_, Told> {
    let told = |error: String, hint: &str| Cow::Owned(Told { error, hint: hint.to_owned(), log: Vec::new() });
    match failure {
        Failure::Told(told) => Cow::Borrowed(told),
        Failure::Refused(refusal) => told(refusal.sentence(), "correct what is underlined above"),
        Failure::Output(error) => told(format!("the output cannot be written: {error}"), "look where it is sent to"),
    }
}

fn write_told(out: &mut impl Write, told: &Told) -> io::Result<()> {
    writeln!(out, "{BAD}error:{BAD:#} {}", told.error)?;
    for line in &told.log {
        writeln!(out, "  {DIM}|{DIM:#} {line}")?;
    }
    writeln!(out, "{NOTE}hint:{NOTE:#} {}", told.hint)
}
