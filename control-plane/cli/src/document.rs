//! Documents from files: read, checked as a proxy would check them, and their problems shown.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;

use anstyle::Style;
use clap::ValueEnum;
use weir_config::bootstrap::Bootstrap;
use weir_config::mesh::Mesh;
use weir_config::node::Node;
use weir_config::problem::{Paint, Part, Problem, Problems, Severity};
use weir_config::{Parsed, placed};
use weir_policy::{Compiled, Table, compile};

use crate::failure::{Failure, OrFail, Result};
use crate::output::{BAD, BOLD, DIM, NOTE, WARN};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// What is served: routes and upstreams
    Mesh,
    /// What a proxy is started with: listeners, certificates, logs
    Bootstrap,
}

/// A text, and what it is called in messages.
#[derive(Clone, Debug)]
pub struct Source {
    pub name: String,
    pub text: String,
}

/// What came of checking a document.
#[derive(Debug)]
pub struct Checked<T> {
    /// There when no problem is an error.
    pub good: Option<T>,
    /// In the order of the text. Warnings too.
    pub problems: Vec<Problem>,
    /// The text as a tree, in which more problems may be [`placed`].
    pub node: Node,
}

/// A mesh document as written, and as a proxy would run it.
#[derive(Debug)]
pub struct CompiledMesh {
    pub mesh: Mesh,
    pub table: Table,
}

/// A document that has errors.
#[derive(Debug)]
pub struct Refusal {
    pub source: Source,
    pub problems: Vec<Problem>,
}

impl Source {
    /// Reads a file; `-` is stdin.
    pub fn read(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            let mut text = String::new();
            io::stdin()
                .read_to_string(&mut text)
                .or_fail("stdin could not be read", "pipe a document as UTF-8 into it")?;
            return Ok(Self { name: "<stdin>".to_owned(), text });
        }
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .or_fail(format_args!("{name} could not be read"), "give the path of a document, or - for stdin")?;
        Ok(Self { name, text })
    }

    /// By its name; without a telling one, by its first character: no TOML document begins with a brace.
    fn is_json(&self) -> bool {
        let extension = Path::new(&self.name).extension();
        match extension.and_then(|extension| extension.to_str()) {
            Some("json") => true,
            Some("toml") => false,
            _ => self.text.trim_start().starts_with('{'),
        }
    }

    /// What the document is, by the keys at its root. One that tells nothing is taken for a mesh document.
    pub fn kind(&self) -> Kind {
        let tree = if self.is_json() { Node::from_json(&self.text) } else { Node::from_toml(&self.text) };
        let count = |keys: &[&str]| keys.iter().filter(|key| tree.node.get(key).is_some()).count();
        let bootstrap = count(&["listeners", "state_dir", "admin", "telemetry", "drain", "mode", "workers"]);
        if bootstrap > count(&["routes", "upstreams"]) { Kind::Bootstrap } else { Kind::Mesh }
    }
}

/// Everything that a proxy would refuse a mesh document for, and everything it would warn of.
pub fn check_mesh(source: &Source) -> Checked<CompiledMesh> {
    let Parsed { value, node, mut problems } =
        if source.is_json() { Mesh::parse_json(&source.text) } else { Mesh::parse_toml(&source.text) };
    let good = value.and_then(|mesh| match compile(&mesh) {
        Ok(Compiled { table, warnings }) => {
            problems.extend(warnings);
            Some(CompiledMesh { mesh, table })
        }
        Err(errors) => {
            problems.extend(errors);
            None
        }
    });
    Checked { good, problems: placed(problems, &node), node }
}

/// Everything that is wrong with a bootstrap document as a text. What only the machine knows (files, ports) is not
/// looked at.
pub fn check_bootstrap(source: &Source) -> Checked<Bootstrap> {
    let Parsed { value, node, problems } =
        if source.is_json() { Bootstrap::parse_json(&source.text) } else { Bootstrap::parse_toml(&source.text) };
    Checked { good: value, problems, node }
}

impl<T> Checked<T> {
    /// The document, or why it is refused.
    pub fn or_refuse(self, source: Source) -> Result<T> {
        self.good.ok_or_else(|| Failure::Refused(Refusal::new(source, self.problems)))
    }
}

/// The mesh document of a file. Its warnings are not shown: `weir check` does that.
pub fn mesh_of(path: &Path) -> Result<CompiledMesh> {
    let source = Source::read(path)?;
    check_mesh(&source).or_refuse(source)
}

impl Refusal {
    pub fn new(source: Source, problems: Vec<Problem>) -> Box<Self> {
        Box::new(Self { source, problems })
    }

    /// ``mesh.toml is refused: 2 errors``
    pub fn sentence(&self) -> String {
        format!("{} is refused: {}", self.source.name, counted(&self.problems))
    }

    pub fn json(&self) -> serde_json::Value {
        problems_json(&self.source, &self.problems)
    }
}

/// ``2 errors, 1 warning``
pub fn counted(problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let count = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        many => Some(format!("{many} {word}s")),
    };
    let parts: Vec<_> =
        [count(errors, "error"), count(problems.len() - errors, "warning")].into_iter().flatten().collect();
    parts.join(", ")
}

/// Each problem with its place, its source line underlined, and its hint. Followed by an empty line.
pub fn write_problems(out: &mut impl Write, source: &Source, problems: &[Problem]) -> io::Result<()> {
    writeln!(out, "{}", Problems::new(&source.name, &source.text, problems).painted(&Colours))
}

pub fn problems_json(source: &Source, problems: &[Problem]) -> serde_json::Value {
    Problems::new(&source.name, &source.text, problems).json()
}

/// The colours of a report.
struct Colours;

impl Paint for Colours {
    fn paint(&self, f: &mut fmt::Formatter<'_>, part: Part, text: &str) -> fmt::Result {
        let style = match part {
            Part::Severity(Severity::Error) | Part::Underline(Severity::Error) => BAD,
            Part::Severity(Severity::Warning) | Part::Underline(Severity::Warning) => WARN,
            Part::Place | Part::Message => BOLD,
            Part::Margin => DIM,
            Part::Hint => NOTE,
            Part::Path | Part::Source => Style::new(),
        };
        write!(f, "{style}{text}{style:#}")
    }
}
