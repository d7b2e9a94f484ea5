//! What changed between two mesh documents, as a person would say it.

use serde::Serialize;
use serde_json::Value;

use crate::mesh::Mesh;
use crate::problem::Path;

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub path: Path,
    pub kind: Kind,
    /// `route papers: rule search now sends 10% (was 5%) to search-green`
    pub sentence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Added,
    Removed,
    Changed,
}

/// What changed from `old` to `new`. Empty exactly when the two are equal.
pub fn diff(_old: &Mesh, _new: &Mesh) -> Vec<Change> {
    Vec::new()
}
