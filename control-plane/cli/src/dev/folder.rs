//! The state folder: everything that `weir dev` and its children write lives here, and one `weir dev` at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, OrFail, Result};

/// A state folder that is ours until this value is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Holds the lock; the kernel takes it back with the last descriptor.
    _lock: File,
}

impl Folder {
    /// Makes the folder where it is missing, readable for its owner only, and locks it.
    pub fn open(path: &Path) -> Result<Self> {
        make(path)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .or_fail(format_args!("{} could not be opened", path.join("lock").display()), CHOOSE)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(path, &mut lock)),
            Err(TryLockError::Error(error)) => {
                return Err(error).or_fail(format_args!("{} could not be locked", path.display()), CHOOSE);
            }
        }
        let written =
            lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| write!(lock, "{}", std::process::id()));
        written.or_fail(format_args!("{} could not be written", path.join("lock").display()), CHOOSE)?;

        let folder = Self { path: path.to_owned(), _lock: lock };
        make(&folder.logs())?;
        // A private key lies here, so the folder keeps itself out of version control.
        folder.write(".gitignore", "*\n", Access::Everyone)?;
        Ok(folder)
    }

    /// A file in it, by the folder's path as it was given: what is printed can be pasted.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The log of the child of this name.
    pub fn log(&self, child: &str) -> PathBuf {
        self.logs().join(format!("{child}.log"))
    }

    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// The contents of a file of ours; None where there is none.
    pub fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.file(name)).ok()
    }

    /// Writes a file whole or not at all.
    pub fn write(&self, name: &str, text: &str, access: Access) -> Result<()> {
        let (path, unfinished) = (self.file(name), self.file(&format!("{name}.new")));
        let write = || {
            let mode = match access {
                Access::Everyone => 0o644,
                Access::Owner => 0o600,
            };
            // A leftover of an earlier run would keep its own mode.
            let _ = fs::remove_file(&unfinished);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished)?;
            file.write_all(text.as_bytes())?;
            fs::rename(&unfinished, &path)
        };
        write().or_fail(format_args!("{} could not be written", path.display()), CHOOSE)
    }
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Everyone,
    /// For secrets.
    Owner,
}

const CHOOSE: &str = "choose a folder that you may write to with --dir";

fn make(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .or_fail(format_args!("the folder {} could not be made", path.display()), CHOOSE)
}

fn taken(path: &Path, lock: &mut File) -> Failure {
    let mut pid = String::new();
    let who = match lock.read_to_string(&mut pid) {
        Ok(_) if !pid.trim().is_empty() => format!("another `weir dev` (process {})", pid.trim()),
        _ => "another `weir dev`".to_owned(),
    };
    Failure::new(
        format!("{who} already works in {}", path.display()),
        "end that one first, or give this one its own folder with --dir and its own ports",
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it exists").permissions().mode() & 0o777
    }

    #[test]
    fn a_new_folder_is_for_its_owner_only() {
        let world = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(&world.path().join("deep/state")).expect("opens");
        assert_eq!(mode(&folder.path), 0o700);
        folder.write("key.pem", "secret", Access::Owner).expect("writes");
        assert_eq!(mode(&folder.file("key.pem")), 0o600);
        assert_eq!(folder.read("key.pem").as_deref(), Some("secret"));
    }

    #[test]
    fn a_second_user_of_a_folder_is_told_who_has_it() {
        let world = tempfile::tempdir().expect("a folder");
        let first = Folder::open(world.path()).expect("opens");
        let Err(Failure::Told(told)) = Folder::open(world.path()) else { panic!("it opened twice") };
        assert!(told.error.contains(&format!("process {}", std::process::id())), "{}", told.error);
        assert!(told.hint.contains("--dir"));
        drop(first);
        Folder::open(world.path()).expect("free again");
    }

    #[test]
    fn a_rewritten_secret_stays_a_secret() {
        let world = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(world.path()).expect("opens");
        folder.write("key.pem", "old", Access::Everyone).expect("writes");
        folder.write("key.pem", "new", Access::Owner).expect("writes");
        assert_eq!((mode(&folder.file("key.pem")), folder.read("key.pem").as_deref()), (0o600, Some("new")));
    }
}
