//! A template: a migrated database file that slots are copied from.
//!
//! It is built under a private name by one process while the others wait, and renamed into place when it is complete: a
//! file with a template's name is a whole template.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::SqliteError;

/// A template that exists, and the folder that its slots live in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    folder: PathBuf,
}

impl Template {
    /// The template of `fingerprint` under `root`; `build` makes it where it does not exist yet.
    ///
    /// `build` gets a path where no file is and leaves a database there that is closed and complete without its journal.
    pub(crate) async fn get_or_build(
        root: &Path,
        fingerprint: &str,
        build: impl AsyncFnOnce(&Path) -> Result<(), SqliteError>,
    ) -> Result<Template, SqliteError> {
        let template = Template { folder: root.join(fingerprint) };
        if template.path().exists() {
            return Ok(template);
        }
        let _lock = lock_builds(root)?;
        // Whoever held the lock until now may have built it.
        if template.path().exists() {
            return Ok(template);
        }
        remove_unfinished(root);
        let unfinished = unfinished_name(root);
        match build(&unfinished).await.and_then(|()| template.publish(&unfinished)) {
            Ok(()) => Ok(template),
            Err(error) => {
                super::remove_database(&unfinished);
                Err(error)
            }
        }
    }

    fn publish(&self, built: &Path) -> Result<(), SqliteError> {
        let failed = |action, path: &Path, source| SqliteError::File { action, path: path.to_owned(), source };
        std::fs::create_dir_all(&self.folder).map_err(|e| failed("create", &self.folder, e))?;
        std::fs::rename(built, self.path()).map_err(|e| failed("rename the template to", &self.path(), e))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("template.sqlite")
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Waits until no process builds a template under `root`, and keeps it so until the file is dropped.
fn lock_builds(root: &Path) -> Result<File, SqliteError> {
    std::fs::create_dir_all(root).map_err(|source| SqliteError::File {
        action: "create",
        path: root.to_owned(),
        source,
    })?;
    let path = root.join("build.lock");
    File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|source| SqliteError::File { action: "lock", path, source })
}

const UNFINISHED: &str = "build-";

/// Unique, because a connection of an abandoned build of this process may still be about to close.
fn unfinished_name(root: &Path) -> PathBuf {
    static BUILDS: AtomicU32 = AtomicU32::new(0);
    let n = BUILDS.fetch_add(1, Ordering::Relaxed);
    root.join(format!("{UNFINISHED}{}-{n}.sqlite", std::process::id()))
}

/// Removes what killed builders left; called under the lock, so nobody else is building.
fn remove_unfinished(root: &Path) {
    for entry in root.read_dir().into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
