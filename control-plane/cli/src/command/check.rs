//! `weir check`: what is wrong with a document, all of it at once.

use std::io::Write;

use weir_config::bootstrap::Bootstrap;
use weir_config::problem::Problem;

use crate::args::CheckArgs;
use crate::document::{self, Checked, CompiledMesh, Kind, Source, counted, problems_json, write_problems};
use crate::failure::Result;
use crate::output::{BAD, Format, GOOD, Output};
use crate::verdict::Verdict;

pub fn run(args: &CheckArgs, out: &mut Output) -> Result<Verdict> {
    let source = Source::read(&args.file)?;
    let (holds, problems) = match args.kind.unwrap_or_else(|| source.kind()) {
        Kind::Mesh => summed_up(document::check_mesh(&source), of_mesh),
        Kind::Bootstrap => summed_up(document::check_bootstrap(&source), of_bootstrap),
    };
    let refused = holds.is_none() || (args.deny_warnings && !problems.is_empty());
    match out.format {
        Format::Json => out.json(&problems_json(&source, &problems))?,
        Format::Text => {
            if !problems.is_empty() {
                write_problems(out, &source, &problems)?;
            }
            match holds {
                None => writeln!(out, "{BAD}refused{BAD:#}: {} has {}", source.name, counted(&problems))?,
                Some(_) if refused => {
                    writeln!(
                        out,
                        "{BAD}refused{BAD:#} by --deny-warnings: {} has {}",
                        source.name,
                        counted(&problems)
                    )?;
                }
                Some(holds) => writeln!(out, "{GOOD}good{GOOD:#}: {} is {holds}", source.name)?,
            }
        }
    }
    Ok(if refused { Verdict::Refused } else { Verdict::Done })
}

/// What a good document holds, in words.
fn summed_up<T>(checked: Checked<T>, words: fn(&T) -> String) -> (Option<String>, Vec<Problem>) {
    (checked.good.as_ref().map(words), checked.problems)
}

fn of_mesh(good: &CompiledMesh) -> String {
    let rules = good.mesh.routes.values().map(|route| route.rules.len()).sum();
    format!(
        "a mesh document with {}, {} and {}",
        count(good.mesh.routes.len(), "route"),
        count(rules, "rule"),
        count(good.mesh.upstreams.len(), "upstream")
    )
}

fn of_bootstrap(bootstrap: &Bootstrap) -> String {
    format!("a bootstrap document with {}", count(bootstrap.listeners.len(), "listener"))
}

fn count(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
