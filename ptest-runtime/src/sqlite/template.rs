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
    /// The template of `fingerprint` under `root`, if there is one.
    pub(crate) fn get(root: &Path, fingerprint: &str) -> Option<Template> {
        let template = Template { folder: root.join(fingerprint) };
        template.path().exists().then_some(template)
    }

    /// The template of `fingerprint` under `root`; `build` makes it where it does not exist yet.
    ///
    /// `build` gets a path where no file is and leaves a database there that is closed and complete without its journal.
    pub(crate) async fn get_or_build(
        root: &Path,
        fingerprint: &str,
        build: impl AsyncFnOnce(&Path) -> Result<(), SqliteError>,
    ) -> Result<Template, SqliteError> {
        if let Some(template) = Template::get(root, fingerprint) {
            return Ok(template);
        }
        let _lock = lock_builds(root)?;
        // Whoever held the lock until now may have built it.
        if let Some(template) = Template::get(root, fingerprint) {
            return Ok(template);
        }
        let template = Template { folder: root.join(fingerprint) };
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

    /// Makes a database at `path` that is the same.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<(), SqliteError> {
        let failed = |source| SqliteError::File { action: "copy the template to", path: path.to_owned(), source };
        std::fs::copy(self.path(), path).map(drop).map_err(failed)
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;
    use crate::sqlite::child::Child;

    fn get_or_build(root: &Path, build: impl Fn(&Path) -> Result<(), SqliteError>) -> Result<Template, SqliteError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(Template::get_or_build(root, "fingerprint", async |path| build(path)))
    }

    fn entries(root: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            root.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn racing_threads_and_processes_build_once() {
        let root = tempfile::tempdir().unwrap();
        let children: Vec<Child> =
            (0..4).map(|_| Child::run(module_path!(), "builds_twice_at_once", root.path())).collect();
        children.into_iter().for_each(Child::passes);
        assert_eq!(std::fs::read_to_string(root.path().join("builds")).unwrap(), "built\n");
        assert_eq!(entries(root.path()), ["build.lock", "builds", "fingerprint"]);
    }

    #[test]
    #[ignore = "run by `racing_threads_and_processes_build_once`"]
    fn builds_twice_at_once() {
        let build = |path: &Path| {
            std::fs::write(path, "half").unwrap();
            std::thread::sleep(Duration::from_millis(30));
            std::fs::write(path, "the whole template").unwrap();
            let mut builds = File::options().append(true).create(true).open("builds").unwrap();
            builds.write_all(b"built\n").unwrap();
            Ok(())
        };
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let template = get_or_build(&std::env::current_dir().unwrap(), build).unwrap();
                    assert_eq!(std::fs::read_to_string(template.path()).unwrap(), "the whole template");
                });
            }
        });
    }

    #[test]
    fn a_killed_build_is_no_template() {
        let root = tempfile::tempdir().unwrap();
        let mut child = Child::run(module_path!(), "builds_for_ever", root.path());
        child.says("half built");
        child.kill();
        assert_eq!(entries(root.path()).len(), 2, "the lock and the unfinished file");

        let template = get_or_build(root.path(), |path| {
            std::fs::write(path, "whole").unwrap();
            Ok(())
        });
        assert_eq!(std::fs::read_to_string(template.unwrap().path()).unwrap(), "whole");
        assert_eq!(entries(root.path()), ["build.lock", "fingerprint"]);
    }

    #[test]
    #[ignore = "run by `a_killed_build_is_no_template`"]
    fn builds_for_ever() {
        get_or_build(&std::env::current_dir().unwrap(), |path| {
            std::fs::write(path, "half").unwrap();
            println!("half built");
            loop {
                std::thread::park();
            }
        })
        .unwrap();
    }
}
