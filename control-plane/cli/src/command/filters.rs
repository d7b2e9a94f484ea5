//! `weir filters`: the catalogue of filters, as the proxy has it.

use std::io::{self, Write};

use serde_json::{Value, json};
use weir_policy::filters::{CATALOGUE, Kind};

use crate::args::FiltersArgs;
use crate::failure::Result;
use crate::output::{BOLD, DIM, Format, NOTE, Output};
use crate::verdict::Verdict;

pub fn run(args: &FiltersArgs, out: &mut Output) -> Result<Verdict> {
    // Whoever gives a kind gives one of the catalogue: the arguments' parser saw to it.
    let asked = args.kind.as_deref().and_then(Kind::named);
    match (asked, out.format) {
        (Some(kind), Format::Json) => out.json(&as_json(kind))?,
        (Some(kind), Format::Text) => write_kind(out, kind)?,
        (None, Format::Json) => out.json(&CATALOGUE.iter().map(as_json).collect::<Vec<_>>())?,
        (None, Format::Text) => {
            let width = CATALOGUE.iter().map(|kind| kind.name.len()).max().unwrap_or_default();
            for Kind { name, help, .. } in CATALOGUE {
                writeln!(out, "{BOLD}{name:<width$}{BOLD:#}  {help}")?;
            }
            writeln!(out, "\n`weir filters KIND` shows one in full.")?;
        }
    }
    Ok(Verdict::Done)
}

fn as_json(kind: &Kind) -> Value {
    json!({
        "kind": kind.name,
        "help": kind.help,
        "description": kind.description,
        "settings": (kind.schema)(),
        "example": kind.example,
    })
}

fn write_kind(out: &mut impl Write, kind: &Kind) -> io::Result<()> {
    writeln!(out, "{BOLD}{}{BOLD:#}: {}\n", kind.name, kind.help)?;
    for line in kind.description.trim().lines().flat_map(wrapped) {
        writeln!(out, "{line}")?;
    }
    let schema = (kind.schema)();
    let settings = schema["properties"].as_object().into_iter().flatten().filter(|(name, _)| *name != "kind");
    writeln!(out, "\n{BOLD}Settings:{BOLD:#}")?;
    for (name, setting) in settings {
        let required = schema["required"].as_array().is_some_and(|names| names.iter().any(|known| known == name));
        let need = if required { "required" } else { "optional" };
        writeln!(out, "  {NOTE}{name}{NOTE:#} {DIM}({need}){DIM:#}")?;
        for line in setting["description"].as_str().unwrap_or_default().lines() {
            writeln!(out, "      {line}")?;
        }
    }
    writeln!(out, "\n{BOLD}Example:{BOLD:#}")?;
    for line in kind.example.trim().lines() {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

/// As wide as help texts are.
const WIDTH: usize = 100;

/// One long line in lines that end between words. An empty one stays.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_end_between_words_and_nothing_is_lost() {
        let text = "word ".repeat(50);
        let lines = wrapped(&text);
        assert!(lines.len() == 3 && lines.iter().all(|line| line.len() <= WIDTH), "{lines:?}");
        assert_eq!(lines.join(" "), text.trim());
        assert_eq!(wrapped(""), [""]);
    }
}
