//! Where the binaries under test are: beside the test binary, in the target folder of the same build.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, bail};

/// The path of a binary of this workspace. `tests/run` builds them first, with the features that tests need.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let folder = match env::var_os("WEIR_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let this = env::current_exe().context("the path of this test")?;
            let deps = this.parent().context("the folder of this test")?;
            deps.parent().context("the target folder")?.to_path_buf()
        }
    };
    let path = folder.join(name);
    if !path.is_file() {
        bail!(
            "{} is not there; build it: cargo build --workspace --bins --features weir-proxy/test-hooks",
            path.display()
        );
    }
    Ok(path)
}
