//! The one line that moves while something is awaited.

use std::io::{self, IsTerminal, Write};

/// One line on a terminal that moves while something is awaited.
#[derive(Debug, Default)]
pub struct Spinner {
    turns: usize,
    shown: bool,
}

impl Spinner {
    /// For frames that come slower than the looks, and fast enough to live.
    const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    const LOOKS_A_FRAME: usize = 4;

    /// None where stderr is no terminal, or one that cannot go back in a line.
    pub fn where_watched() -> Option<Self> {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        (io::stderr().is_terminal() && !dumb).then(Self::default)
    }

    /// Shows who is awaited, and that we are.
    pub fn turn(&mut self, names: &[&str]) -> io::Result<()> {
        let frame = Self::FRAMES[self.turns / Self::LOOKS_A_FRAME % Self::FRAMES.len()];
        self.turns += 1;
        self.shown = true;
        let mut stderr = io::stderr();
        write!(stderr, "\r\x1b[2K{frame} {}", names.join(", "))?;
        stderr.flush()
    }

    /// Makes room for a line that stays.
    pub fn clear(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.shown) {
            let mut stderr = io::stderr();
            write!(stderr, "\r\x1b[2K")?;
            stderr.flush()?;
        }
        Ok(())
    }
}
