//! `panic`: panics when a request says so. For tests of what a panic in a filter ends: that request, and nothing else.

use schemars::JsonSchema;
use serde::Serialize;
use weir_config::node::Node;
use weir_config::problem::{Path, Problem};
use weir_config::read::{Read, TableReader};
use weir_config::schema::schema_of;

use super::{Filter, FilterContext, Kind, Next, compile};

pub(super) const KIND: Kind = Kind {
    name: "panic",
    help: "Panics on requests with the header x-panic. Only in builds for tests.",
    description: "Panics on requests with the header `x-panic`. It is there only in builds with the feature `test-hooks`.",
    schema: schema_of::<Settings>,
    compile: |node, at, problems| compile(node, at, problems, |_: Settings, _, _| Some(Panic)),
    example: r#"filters = [{ kind = "panic" }]"#,
};

/// None.
#[derive(Serialize, JsonSchema)]
struct Settings {}

impl Read for Settings {
    fn read(node: &Node, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        TableReader::new(node, at, problems, &["kind"]).map(|_| Self {})
    }
}

struct Panic;

impl Filter for Panic {
    fn request(&self, cx: &mut FilterContext<'_>) -> Next {
        if cx.head.headers.get("x-panic").is_some() {
            panic!("the request asked for a panic");
        }
        Next::Continue
    }
}
