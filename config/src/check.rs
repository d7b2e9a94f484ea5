//! What holds between the parts of a document.

use crate::bootstrap::Bootstrap;
use crate::mesh::Mesh;
use crate::node::Node;
use crate::problem::Problem;

/// What is wrong with a mesh document that was read whole.
pub fn mesh(_mesh: &Mesh) -> Vec<Problem> {
    Vec::new()
}

/// What is wrong with those parts of a mesh document that could be read.
pub fn mesh_in_part(_node: &Node) -> Vec<Problem> {
    Vec::new()
}

/// What is wrong with a bootstrap document that was read whole.
pub fn bootstrap(_bootstrap: &Bootstrap) -> Vec<Problem> {
    Vec::new()
}

/// What is wrong with those parts of a bootstrap document that could be read.
pub fn bootstrap_in_part(_node: &Node) -> Vec<Problem> {
    Vec::new()
}
