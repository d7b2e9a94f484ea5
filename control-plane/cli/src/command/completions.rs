//! `weir completions`: a shell's completion script.

use std::io::Write;

use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs};
use crate::failure::Result;
use crate::output::Output;
use crate::verdict::Verdict;

pub fn run(args: &CompletionsArgs, out: &mut Output) -> Result<Verdict> {
    // Into memory first: the generator panics when its output is closed under it.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "weir", &mut script);
    out.write_all(&script)?;
    Ok(Verdict::Done)
}
