//! A text on its way to a document, or to the list of what is wrong with it.

use crate::bootstrap::Bootstrap;
use crate::check;
use crate::mesh::Mesh;
use crate::node::{Node, Tree, locate};
use crate::problem::{Path, Problem};
use crate::read::Read;

/// What came of reading a text.
#[derive(Clone, Debug)]
pub struct Parsed<T> {
    /// There when `problems` holds no error.
    pub value: Option<T>,
    /// The text as a tree, to [`locate`] problems that are found later.
    pub node: Node,
    /// In the order of the text. Warnings too.
    pub problems: Vec<Problem>,
}

impl Mesh {
    pub fn parse_toml(text: &str) -> Parsed<Self> {
        parse(Node::from_toml(text), Self::read, check::mesh, check::mesh_in_part)
    }

    pub fn parse_json(text: &str) -> Parsed<Self> {
        parse(Node::from_json(text), Self::read, check::mesh, check::mesh_in_part)
    }

    /// As JSON when `name` ends in `.json`, else as TOML.
    pub fn parse(name: &str, text: &str) -> Parsed<Self> {
        if is_json(name) { Self::parse_json(text) } else { Self::parse_toml(text) }
    }

    /// The document as TOML, all of it in its shortest forms. Fails only for what no text reads into: a null among a
    /// filter's settings.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }
}

impl Bootstrap {
    pub fn parse_toml(text: &str) -> Parsed<Self> {
        parse(Node::from_toml(text), Self::read, check::bootstrap, check::bootstrap_in_part)
    }

    pub fn parse_json(text: &str) -> Parsed<Self> {
        parse(Node::from_json(text), Self::read, check::bootstrap, check::bootstrap_in_part)
    }

    /// As JSON when `name` ends in `.json`, else as TOML.
    pub fn parse(name: &str, text: &str) -> Parsed<Self> {
        if is_json(name) { Self::parse_json(text) } else { Self::parse_toml(text) }
    }
}

fn is_json(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("json"))
}

fn parse<T>(
    tree: Tree,
    read: fn(&Node, &Path, &mut Vec<Problem>) -> Option<T>,
    check: fn(&T) -> Vec<Problem>,
    check_in_part: fn(&Node) -> Vec<Problem>,
) -> Parsed<T> {
    let Tree { node, mut problems, readable } = tree;
    if !readable {
        return Parsed { value: None, problems: placed(problems, &node), node };
    }
    let value = read(&node, &Path::root(), &mut problems);
    let whole = value.filter(|_| !problems.iter().any(Problem::is_error));
    problems.extend(match &whole {
        Some(value) => check(value),
        None => check_in_part(&node),
    });
    let problems = placed(problems, &node);
    let value = whole.filter(|_| !problems.iter().any(Problem::is_error));
    Parsed { value, node, problems }
}

/// With spans, in the order of the text.
pub fn placed(mut problems: Vec<Problem>, node: &Node) -> Vec<Problem> {
    for problem in &mut problems {
        problem.span = problem.span.take().or_else(|| locate(node, &problem.path));
    }
    problems.sort_by_key(|problem| problem.span.as_ref().map(|span| (span.start, span.end)));
    problems
}
