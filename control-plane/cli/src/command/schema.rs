//! `weir schema`: the JSON Schema of a document, for editors.

use weir_config::schema::{bootstrap_schema, mesh_schema_with_filters};
use weir_policy::filters::CATALOGUE;

use crate::args::SchemaArgs;
use crate::document::Kind;
use crate::failure::Result;
use crate::output::Output;
use crate::verdict::Verdict;

/// A schema is JSON whichever output is asked for.
pub fn run(args: &SchemaArgs, out: &mut Output) -> Result<Verdict> {
    let schema = match args.kind {
        Kind::Mesh => {
            let filters: Vec<_> = CATALOGUE.iter().map(|kind| (kind.name, (kind.schema)())).collect();
            mesh_schema_with_filters(&filters)
        }
        Kind::Bootstrap => bootstrap_schema(),
    };
    out.json(&schema)?;
    Ok(Verdict::Done)
}
