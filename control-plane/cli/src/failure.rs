//! An error that says what to do next. Every failure of a command has both halves, and the type asks for them.

use std::fmt::Display;
use std::io;

use crate::document::Refusal;

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    Told(Told),
    /// A document has errors.
    Refused(Box<Refusal>),
    /// What the command prints could not be written: its reader is gone, or the disk is full.
    Output(io::Error),
}

/// A failure as the operator reads it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Told {
    /// What failed, in one sentence without a full stop.
    pub error: String,
    /// What to do next.
    pub hint: String,
    /// The last lines of a log that show the cause; empty where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Told(Told { error: error.into(), hint: hint.into(), log: Vec::new() })
    }

    /// The same failure with the end of a log as its evidence.
    pub fn with_log(self, lines: Vec<String>) -> Self {
        match self {
            Self::Told(told) => Self::Told(Told { log: lines, ..told }),
            other => other,
        }
    }
}

/// Failures of the printing itself need no hint of ours: `?` on a `write!` gives this.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Gives the errors of others our two halves.
pub trait OrFail<T> {
    /// `what` failed, because of the error; `next` is what to do about it.
    fn or_fail(self, what: impl Display, next: impl Into<String>) -> Result<T>;
}

impl<T, E: Display> OrFail<T> for std::result::Result<T, E> {
    fn or_fail(self, what: impl Display, next: impl Into<String>) -> Result<T> {
        self.map_err(|error| Failure::new(format!("{what}: {error}"), next))
    }
}
