//! What a command that ran to its end came to.

/// The exit code of a command that did its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 0
    Done,
    /// 1: the answer is no.
    Refused,
}
