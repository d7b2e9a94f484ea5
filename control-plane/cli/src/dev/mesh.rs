//! The mesh document that `weir dev` serves: which file, and whether the proxy will take it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use weir_config::mesh::Mesh;
use weir_config::names::Host;
use weir_config::placed;
use weir_config::problem::{Path as At, Problem};
use weir_policy::Table;

use super::bootstrap::LISTENERS;
use super::folder::{Access, Folder};
use crate::document::{self, Refusal, Source};
use crate::failure::{Failure, Result};

/// Where the repository has it, from its root.
const IN_REPOSITORY: &str = "config/examples/research.toml";
/// A copy for everywhere else.
const RESEARCH: &str = include_str!("../../../../config/examples/research.toml");
const COPY: &str = "research.toml";

/// The file of the document.
#[derive(Clone, Debug)]
pub struct MeshFile {
    pub path: PathBuf,
}

/// A document that the proxy of `weir dev` can serve.
#[derive(Debug)]
pub struct Good {
    pub source: Source,
    pub mesh: Mesh,
    pub table: Table,
    pub warnings: Vec<Problem>,
}

impl Good {
    /// The hosts in it that resolve to this machine everywhere (RFC 6761 §6.3).
    pub fn local_hosts(&self) -> Vec<String> {
        let hosts = self.mesh.routes.values().flat_map(|route| &route.hosts);
        let local = hosts.filter_map(|host| match host {
            Host::Exact(name) if name.ends_with(".localhost") => Some(name.to_string()),
            _ => None,
        });
        local.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

impl MeshFile {
    /// The one that was asked for; else the repository's; else a copy in the state folder, which is made once and then
    /// belongs to the operator.
    pub fn choose(asked: Option<&Path>, folder: &Folder) -> Result<Self> {
        if let Some(path) = asked {
            return Ok(Self { path: path.to_owned() });
        }
        if Path::new(IN_REPOSITORY).is_file() {
            return Ok(Self { path: IN_REPOSITORY.into() });
        }
        if folder.read(COPY).is_none() {
            folder.write(COPY, RESEARCH, Access::Everyone)?;
        }
        Ok(Self { path: folder.file(COPY) })
    }

    /// The document to start with.
    pub fn first(&self) -> Result<Good> {
        let source = Source::read(&self.path)?;
        self.check(source).map_err(Failure::Refused)
    }

    /// The document in a text that was saved.
    pub fn saved(&self, text: String) -> std::result::Result<Good, Box<Refusal>> {
        self.check(Source { name: self.path.display().to_string(), text })
    }

    fn check(&self, source: Source) -> std::result::Result<Good, Box<Refusal>> {
        let mut checked = document::check_mesh(&source);
        if let Some(good) = &checked.good {
            checked.problems.extend(unknown_listeners(&good.mesh));
            checked.problems = placed(checked.problems, &checked.node);
        }
        match checked.good {
            Some(good) if !checked.problems.iter().any(Problem::is_error) => {
                Ok(Good { source, mesh: good.mesh, table: good.table, warnings: checked.problems })
            }
            _ => Err(Refusal::new(source, checked.problems)),
        }
    }
}

/// The proxy would refuse a route whose listener it does not have.
fn unknown_listeners(mesh: &Mesh) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, route) in &mesh.routes {
        let at = At::root().key("routes").key(name.to_string()).key("listeners");
        for (index, listener) in route.listeners.iter().flatten().enumerate() {
            if !LISTENERS.contains(&listener.as_str()) {
                let message = format!("there is no listener `{listener}` here");
                let known = || Some(format!("`weir dev` has {}", LISTENERS.map(|name| format!("`{name}`")).join(", ")));
                problems.push(Problem::error(&at.index(index), message).did_you_mean(listener, LISTENERS, known));
            }
        }
    }
    problems
}
