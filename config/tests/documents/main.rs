//! Documents as operators meet them: examples, messages, checks, differences, schemas.

mod checks;
mod defaults;
mod differences;
mod examples;
mod generate;
mod messages;
mod properties;
mod schemas;

use weir_config::bootstrap::Bootstrap;
use weir_config::mesh::Mesh;
use weir_config::problem::Problems;

/// A mesh document that has no errors.
fn mesh(text: &str) -> Mesh {
    let parsed = Mesh::parse_toml(text);
    let report = Problems::new("mesh.toml", text, &parsed.problems).to_string();
    parsed.value.unwrap_or_else(|| panic!("{report}"))
}

/// The problems of a mesh document, one a line: `path: message (hint)`.
fn problems_of_mesh(text: &str) -> Vec<String> {
    Mesh::parse_toml(text).problems.iter().map(ToString::to_string).collect()
}

/// The problems of a bootstrap document, one a line.
fn problems_of_bootstrap(text: &str) -> Vec<String> {
    Bootstrap::parse_toml(text).problems.iter().map(ToString::to_string).collect()
}
