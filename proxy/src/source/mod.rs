//! Where documents come from: the file that is watched, and the last good one that was kept.

pub mod file;
pub mod last_good;
mod refusals;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use weir_config::mesh::Mesh;
use weir_config::problem::{Problem, Problems};
use weir_config::{diff, placed};

pub use self::refusals::{Refusals, Refused};
use crate::node::Node;

/// A document that cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("cannot read the mesh document {file}: {source}; give the path of one with --mesh")]
    Unreadable { file: String, source: std::io::Error },
    #[error("the mesh document {file} is empty; to serve nothing on purpose, write `routes = {{}}`")]
    Empty { file: String },
    /// The whole report, each problem with its line, for people and as JSON; and the digest, where it is a document.
    #[error("{report}")]
    Refused { report: String, digest: Option<String>, problems: Value },
}

/// Reads a document and lets it take over. On an error the one that serves serves on.
pub async fn apply(node: &Arc<Node>, file: &Path, state: &Path) -> Result<(), SourceError> {
    let applied = read_and_apply(node, file, state).await;
    match &applied {
        Ok(()) => node.refusals.clear(),
        Err(error) => node.refusals.note(file.display().to_string(), error),
    }
    applied
}

async fn read_and_apply(node: &Arc<Node>, file: &Path, state: &Path) -> Result<(), SourceError> {
    let since = Instant::now();
    let name = file.display().to_string();
    let text = tokio::fs::read_to_string(file)
        .await
        .map_err(|source| SourceError::Unreadable { file: name.clone(), source })?;
    if text.trim_ascii().is_empty() {
        // Far more often a file on its way to be written than somebody's wish to serve nothing.
        node.metrics.config_rejected();
        return Err(SourceError::Empty { file: name });
    }
    let before = node.current.load();
    let parsed = Mesh::parse(&name, &text);
    let refused = |digest: Option<String>, problems: Vec<Problem>| {
        let problems = Problems::new(&name, &text, &problems);
        SourceError::Refused { report: problems.to_string(), digest, problems: problems.json() }
    };
    let Some(mesh) = parsed.value else {
        node.metrics.config_rejected();
        return Err(refused(None, parsed.problems));
    };
    let digest = mesh.digest();
    let applied = match node.current.apply(mesh, since).await {
        Ok(applied) => applied,
        Err(problems) => return Err(refused(Some(digest), placed(problems, &parsed.node))),
    };
    if applied.unchanged {
        tracing::debug!(document = %name, version = before.version, "document unchanged");
        return Ok(());
    }
    let next = &applied.generation;
    for warning in parsed.problems.iter().chain(&applied.warnings) {
        tracing::warn!(document = %name, path = %warning.path, "{}", warning.message);
    }
    let changes: Vec<String> =
        diff::diff(&before.mesh, &next.mesh).into_iter().take(20).map(|change| change.sentence).collect();
    tracing::info!(version = next.version, digest = %next.digest, ?changes, ms = since.elapsed().as_millis() as u64, "document live");
    if let Err(error) = last_good::keep(state, next) {
        tracing::warn!(%error, version = next.version, durable = false, "the document serves, but would not survive a restart");
    }
    Ok(())
}

/// The start: the document in the file, or, where that is bad, the last good one.
pub async fn start(node: &Arc<Node>, file: &Path, state: &Path) -> Result<(), SourceError> {
    let Err(error) = apply(node, file, state).await else { return Ok(()) };
    let since = Instant::now();
    match last_good::load(state) {
        Ok(mesh) => match node.current.apply(mesh, since).await {
            Ok(applied) => {
                tracing::error!(document = %file.display(), version = applied.generation.version, "the document is bad; the last good one serves: {error}");
                Ok(())
            }
            Err(problems) => {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                tracing::error!(?problems, "the last good document does not serve here either");
                Err(error)
            }
        },
        Err(reason) => {
            tracing::error!(%reason, "no last good document to start from");
            Err(error)
        }
    }
}
