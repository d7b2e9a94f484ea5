//! The CLI: what an operator does with documents and proxies, by the same code that the proxy runs.
//!
//! [`args`] is what can be typed, [`command`] does it, [`dev`] runs a whole edge on this machine. A command prints its
//! result on stdout, as text or as JSON; a [`failure`] goes to stderr and says what to do next. Exit codes: 0 done, 1
//! refused or failed, 2 wrong usage.

mod args;
mod command;
mod dev;
mod document;
mod failure;
mod output;
mod verdict;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command};
use self::failure::{Failure, Result};
use self::output::Output;
use self::verdict::Verdict;

fn main() -> ExitCode {
    // Wrong usage ends here, with 2.
    let cli = Cli::parse();
    let format = cli.output;
    match run(cli.command, Output::new(format)) {
        Ok(Verdict::Done) => ExitCode::SUCCESS,
        Ok(Verdict::Refused) => ExitCode::FAILURE,
        // Whoever read us has seen enough, as in `weir schema | head`.
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            output::tell(&failure, format);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, mut out: Output) -> Result<Verdict> {
    let verdict = match &command {
        Command::Dev(args) => return dev::run(args, out).map(|()| Verdict::Done),
        Command::Check(args) => command::check::run(args, &mut out),
        Command::Diff(args) => command::diff::run(args, &mut out),
        Command::Explain(args) => command::explain::run(args, &mut out),
        Command::Filters(args) => command::filters::run(args, &mut out),
        Command::Schema(args) => command::schema::run(args, &mut out),
        Command::Completions(args) => command::completions::run(args, &mut out),
    }?;
    out.flush()?;
    Ok(verdict)
}
