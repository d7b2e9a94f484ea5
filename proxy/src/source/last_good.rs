//! The last document that took over, kept for a start at which there is no better one.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use weir_config::mesh::Mesh;

use crate::generation::Generation;

const FILE: &str = "last-good.json";

/// Why there is nothing to start from.
#[derive(Debug, thiserror::Error)]
pub enum LastGoodError {
    #[error("cannot read {path}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} is damaged: {problem}; it is not used. Remove it to stop this message")]
    Damaged { path: PathBuf, problem: String },
}

/// Writes it beside the old one, makes it durable, and puts it in the old one's place: there is always a whole one.
pub fn keep(state: &Path, generation: &Generation) -> io::Result<()> {
    let text = json!({ "digest": generation.digest, "document": generation.mesh }).to_string();
    write_atomically(&state.join(FILE), text.as_bytes())
}

/// Reads it back; what does not fit its digest is refused.
pub fn load(state: &Path) -> Result<Mesh, LastGoodError> {
    let path = state.join(FILE);
    let text = fs::read_to_string(&path).map_err(|source| LastGoodError::Unreadable { path: path.clone(), source })?;
    let damaged = |problem: String| LastGoodError::Damaged { path: path.clone(), problem };
    let kept: Value = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    let parsed = Mesh::parse_json(&kept["document"].to_string());
    let problems = || parsed.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let mesh = parsed.value.as_ref().ok_or_else(|| damaged(problems()))?;
    if kept["digest"].as_str() != Some(&*mesh.digest()) {
        return Err(damaged("its digest does not fit its document".into()));
    }
    Ok(mesh.clone())
}

/// Readers see the old content or the new one, never a part; after a crash too.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = folder.join(name);
    let written = (|| {
        let mut file = fs::File::create(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        fs::File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_refused_with_its_name() {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join(FILE);
        for text in ["", "{", "{}", r#"{"digest":"x","document":{}}"#, r#"{"digest":"x","document":{"routez":{}}}"#] {
            fs::write(&file, text).unwrap();
            let error = load(state.path()).unwrap_err().to_string();
            assert!(error.contains(FILE) && error.contains("damaged"), "{text}: {error}");
        }
        fs::remove_file(&file).unwrap();
        assert!(matches!(load(state.path()), Err(LastGoodError::Unreadable { .. })));
    }

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("x.json");
        write_atomically(&file, b"one").unwrap();
        write_atomically(&file, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1);
    }
}
