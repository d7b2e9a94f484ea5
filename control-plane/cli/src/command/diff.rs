//! `weir diff`: what changes from one mesh document to another, as a person would say it.

use std::io::{self, Write};

use weir_config::diff::{Change, Kind, diff};

use crate::args::DiffArgs;
use crate::document::mesh_of;
use crate::failure::{Failure, Result};
use crate::output::{BAD, DIM, Format, GOOD, Output, WARN};
use crate::verdict::Verdict;

pub fn run(args: &DiffArgs, out: &mut Output) -> Result<Verdict> {
    if args.old.as_os_str() == "-" && args.new.as_os_str() == "-" {
        return Err(Failure::new("both documents are to come from stdin", "give a file for one of them"));
    }
    let (old, new) = (mesh_of(&args.old)?, mesh_of(&args.new)?);
    let changes = diff(&old.mesh, &new.mesh);
    match out.format {
        Format::Json => out.json(&changes)?,
        Format::Text if changes.is_empty() => writeln!(out, "Nothing changes.")?,
        Format::Text => write_changes(out, &changes)?,
    }
    Ok(if args.exit_code && !changes.is_empty() { Verdict::Refused } else { Verdict::Done })
}

/// A line a change: its sign, the sentence, the path.
pub fn write_changes(out: &mut impl Write, changes: &[Change]) -> io::Result<()> {
    for Change { path, kind, sentence, .. } in changes {
        let (style, sign) = match kind {
            Kind::Added => (GOOD, '+'),
            Kind::Removed => (BAD, '-'),
            Kind::Changed => (WARN, '~'),
        };
        writeln!(out, "{style}{sign}{style:#} {sentence}  {DIM}{path}{DIM:#}")?;
    }
    Ok(())
}
