//! What `weir dev` says while it runs: lines for people, or one JSON object a line for scripts.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;
use weir_config::diff::Change;
use weir_config::problem::Problem;

use super::children::{Addresses, Progress};
use super::mesh::Good;
use super::proxy::{Refused, Served};
use super::spinner::Spinner;
use crate::command::diff::write_changes;
use crate::document::{Refusal, Source, problems_json, write_problems};
use crate::output::{BAD, BOLD, DIM, Format, GOOD, NOTE, Output, WARN, stderr};

/// Everything that a newcomer may want to know about the edge that runs now.
#[derive(Debug, Serialize)]
pub struct Overview {
    pub edge: SocketAddr,
    pub plain: SocketAddr,
    pub egress: SocketAddr,
    pub admin: SocketAddr,
    pub metrics: SocketAddr,
    pub health: SocketAddr,
    /// The certificate to trust.
    pub ca: PathBuf,
    pub mesh: PathBuf,
    pub access_log: PathBuf,
    pub logs: PathBuf,
    /// Commands that work as they stand.
    pub commands: Vec<String>,
}

/// Something that happened.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// A new development CA: clients that trusted an earlier one must trust this one.
    NewAuthority {
        ca: &'a Path,
    },
    /// The children were started.
    Starting {
        children: Vec<&'a str>,
    },
    /// A child serves.
    Serves {
        name: &'a str,
        addresses: &'a Addresses,
    },
    /// All children serve.
    Up(&'a Overview),
    /// The document has what is worth a look, but no error.
    Warned {
        mesh: &'a Path,
        problems: serde_json::Value,
    },
    /// A saved document was checked and is good; the proxy has not said yet that it serves it.
    Changed {
        mesh: &'a Path,
        digest: &'a str,
        changes: &'a [Change],
    },
    /// The proxy serves the document that was saved last.
    Live(&'a Served),
    /// The saved document means what it meant before.
    Same {
        mesh: &'a Path,
    },
    /// The saved document is refused.
    Refused {
        mesh: &'a Path,
        problems: serde_json::Value,
    },
    /// The proxy refuses a document that was good here, or has not taken it in the time that it should need.
    Untaken {
        mesh: &'a Path,
        /// Why it refuses; None when it says nothing.
        problems: Option<&'a serde_json::Value>,
        #[serde(skip)]
        report: Option<&'a str>,
        log: &'a Path,
    },
    /// The document is gone.
    Gone {
        mesh: &'a Path,
    },
    /// The children are being ended.
    Ending,
    Ended,
}

impl<'a> Event<'a> {
    /// `log` is the proxy's.
    pub fn untaken(mesh: &'a Path, refused: Option<&'a Refused>, log: &'a Path) -> Self {
        let (problems, report) = (refused.map(|refused| &refused.problems), refused.map(|refused| &*refused.report));
        Self::Untaken { mesh, problems, report, log }
    }
}

/// Says events as they happen.
pub struct Teller {
    output: Output,
    /// None where nobody looks at a screen.
    spinner: Option<Spinner>,
}

impl Teller {
    pub fn new(output: Output) -> Self {
        let spinner = if output.format == Format::Text { Spinner::where_watched() } else { None };
        Self { output, spinner }
    }

    /// Says what happened.
    pub fn tell(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.clear()?;
        match self.output.format {
            Format::Json => self.output.json_line(event),
            Format::Text => {
                self.text(event)?;
                self.output.flush()
            }
        }
    }

    /// Says how far the start has come.
    pub fn progress(&mut self, progress: Progress<'_>) -> io::Result<()> {
        match progress {
            Progress::Serves(name, addresses) => self.tell(&Event::Serves { name, addresses }),
            Progress::Awaits(names) => self.spinner.as_mut().map_or(Ok(()), |spinner| spinner.turn(names)),
        }
    }

    /// Says that a saved document is refused, and why.
    pub fn refused(&mut self, mesh: &Path, refusal: &Refusal) -> io::Result<()> {
        self.problems(&refusal.source, &refusal.problems)?;
        self.tell(&Event::Refused { mesh, problems: refusal.json() })
    }

    /// Says what is worth a look in a good document, if anything is.
    pub fn warned(&mut self, mesh: &Path, good: &Good) -> io::Result<()> {
        if good.warnings.is_empty() {
            return Ok(());
        }
        self.problems(&good.source, &good.warnings)?;
        self.tell(&Event::Warned { mesh, problems: problems_json(&good.source, &good.warnings) })
    }

    /// For people, in full; scripts have them in the event that follows.
    fn problems(&mut self, source: &Source, problems: &[Problem]) -> io::Result<()> {
        self.clear()?;
        match self.output.format {
            Format::Json => Ok(()),
            Format::Text => {
                writeln!(self.output)?;
                write_problems(&mut self.output, source, problems)
            }
        }
    }

    fn clear(&mut self) -> io::Result<()> {
        self.spinner.as_mut().map_or(Ok(()), Spinner::clear)
    }

    fn text(&mut self, event: &Event<'_>) -> io::Result<()> {
        let out = &mut self.output;
        match event {
            Event::NewAuthority { ca } => {
                writeln!(stderr(), "Made a development CA, {}: clients have to trust it.", ca.display())
            }
            Event::Starting { children } => writeln!(stderr(), "Starting {} …", children.join(", ")),
            Event::Serves { name, addresses } => {
                let addresses: Vec<_> = addresses.iter().map(|(name, address)| format!("{name} {address}")).collect();
                writeln!(stderr(), "  {GOOD}✓{GOOD:#} {name:<10} {DIM}{}{DIM:#}", addresses.join("  "))
            }
            Event::Up(overview) => write_overview(out, overview),
            Event::Warned { mesh, .. } => {
                writeln!(out, "{WARN}Worth a look{WARN:#}: {} is good, with the warnings above.", mesh.display())
            }
            Event::Changed { mesh, changes, .. } => {
                writeln!(out, "\n{BOLD}{}{BOLD:#} was saved:", mesh.display())?;
                write_changes(out, changes)
            }
            Event::Live(served) => writeln!(out, "{GOOD}Live{GOOD:#} as version {}.", served.version),
            Event::Same { mesh } => writeln!(out, "\n{} was saved; it means what it meant before.", mesh.display()),
            Event::Refused { mesh, .. } => {
                writeln!(out, "{BAD}Refused{BAD:#}: the last good {} serves on.", mesh.display())
            }
            Event::Untaken { mesh, report, log, .. } => {
                let mesh = mesh.display();
                match report {
                    Some(report) => {
                        writeln!(out, "\n{}\n", report.trim_end())?;
                        writeln!(out, "{BAD}Not live{BAD:#}: the proxy refuses {mesh}; the last good one serves on.")?;
                    }
                    None => {
                        let silent = format_args!("the proxy has not taken {mesh}; the last good one serves on.");
                        writeln!(out, "{BAD}Not live{BAD:#}: {silent}")?;
                    }
                }
                writeln!(
                    out,
                    "  {NOTE}hint:{NOTE:#} correct {mesh} and save it again; the proxy's log is {}",
                    log.display()
                )
            }
            Event::Gone { mesh } => {
                writeln!(out, "\n{WARN}{} is gone{WARN:#}; the last good one serves on.", mesh.display())
            }
            Event::Ending => writeln!(stderr(), "\nEnding …"),
            Event::Ended => writeln!(stderr(), "Ended. `weir dev` starts it again."),
        }
    }
}

fn write_overview(out: &mut impl Write, overview: &Overview) -> io::Result<()> {
    let Overview { edge, plain, egress, admin, metrics, health, ca, mesh, access_log, logs, commands } = overview;
    writeln!(out, "\n{GOOD}Weir is up{GOOD:#} at {BOLD}https://localhost:{}{BOLD:#}", edge.port())?;
    if !commands.is_empty() {
        writeln!(out, "\nTry:")?;
        for command in commands {
            writeln!(out, "  {NOTE}{command}{NOTE:#}")?;
        }
    }
    writeln!(out, "\nLook:")?;
    for (what, how) in [
        ("routes", format!("{}  (edit it: a good save is live at once)", mesh.display())),
        ("table", format!("curl http://{admin}/table")),
        ("metrics", format!("curl http://{metrics}/metrics")),
        ("health", format!("curl http://{health}/healthz")),
        ("access log", format!("tail -f {}", shell_quoted(access_log))),
        ("other logs", logs.display().to_string()),
        ("CA", ca.display().to_string()),
        ("plain HTTP", format!("http://localhost:{}  (redirects to TLS)", plain.port())),
        ("way out", format!("http://{egress}  (for routes that name the listener `egress`)")),
    ] {
        writeln!(out, "  {BOLD}{what:<10}{BOLD:#}  {how}")?;
    }
    writeln!(out, "\nCtrl-C ends all of it.")
}

/// A path as one word for a shell.
pub fn shell_quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_only_where_a_shell_would_split_it() {
        assert_eq!(shell_quoted(Path::new(".weir/ca.pem")), ".weir/ca.pem");
        assert_eq!(shell_quoted(Path::new("my dir/it's")), r"'my dir/it'\''s'");
    }
}
