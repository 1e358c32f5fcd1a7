//! A template: a migrated database file that slots are copied from.
//!
//! It is built under a private name by one process while the others wait, and renamed into place when it is complete: a
//! file with a template's name is a whole template. Who uses it shares a lock on its folder; what nobody has used for a week
//! is removed by whoever builds another.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::error::SqliteError;

/// What has not been used for so long is removed.
const UNUSED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A template that exists, and the folder that its slots live in.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    folder: PathBuf,
    #[expect(dead_code, reason = "held, never read")]
    in_use: Arc<File>,
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.folder == other.folder
    }
}

impl Template {
    /// The template of `fingerprint` under `root`, if there is one. As long as it is held, it is not removed.
    pub(crate) fn get(root: &Path, fingerprint: &str) -> Option<Template> {
        let folder = root.join(fingerprint);
        let in_use = File::open(&folder).ok()?;
        // Where no folder can be locked, none is removed either.
        let _ = in_use.lock_shared();
        let is_at = |found: fs::Metadata| in_use.metadata().is_ok_and(|own| own.ino() == found.ino());
        let stands = fs::metadata(&folder).is_ok_and(is_at) && template_in(&folder).exists();
        stands.then(|| Template { folder, in_use: Arc::new(in_use) })
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
        remove_unfinished(root);
        remove_unused(root, UNUSED);
        let unfinished = unfinished_name(root);
        let built = build(&unfinished).await.and_then(|()| Template::publish(&unfinished, root, fingerprint));
        if built.is_err() {
            super::remove_database(&unfinished);
        }
        built
    }

    fn publish(built: &Path, root: &Path, fingerprint: &str) -> Result<Template, SqliteError> {
        let failed = |action, path: &Path, source| SqliteError::File { action, path: path.to_owned(), source };
        let folder = root.join(fingerprint);
        fs::create_dir_all(&folder).map_err(|e| failed("create", &folder, e))?;
        let path = template_in(&folder);
        fs::rename(built, &path).map_err(|e| failed("rename the template to", &path, e))?;
        Template::get(root, fingerprint).ok_or_else(|| failed("find", &path, io::ErrorKind::NotFound.into()))
    }

    /// Makes a database at `path` that is the same.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<(), SqliteError> {
        let failed = |source| SqliteError::File { action: "copy the template to", path: path.to_owned(), source };
        fs::copy(self.path(), path).map(drop).map_err(failed)
    }

    pub(crate) fn path(&self) -> PathBuf {
        template_in(&self.folder)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

fn template_in(folder: &Path) -> PathBuf {
    folder.join("template.sqlite")
}

/// Waits until no process builds a template under `root`, and keeps it so until the file is dropped.
fn lock_builds(root: &Path) -> Result<File, SqliteError> {
    fs::create_dir_all(root).map_err(|source| SqliteError::File { action: "create", path: root.to_owned(), source })?;
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
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Removes the templates, with their slots, that nobody uses and nobody has used for so long; called under the lock.
fn remove_unused(root: &Path, unused: Duration) {
    for folder in root.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()) {
        let is_old = |file: PathBuf| {
            let modified = file.metadata().and_then(|file| file.modified());
            modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > unused))
        };
        // A slot's lock is written to whenever its copy is made. The times of copies mean nothing.
        let files = || folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
        let dated = || files().filter(|file| file.extension().is_some_and(|end| end == "lock"));
        if template_in(&folder).exists()
            && dated().chain([template_in(&folder)]).all(is_old)
            && let Ok(lock) = File::open(&folder)
            && lock.try_lock().is_ok()
        {
            // The template last: it says what the rest is.
            files().filter(|file| *file != template_in(&folder)).for_each(|file| drop(fs::remove_file(file)));
            let _ = fs::remove_file(template_in(&folder)).and_then(|()| fs::remove_dir(&folder));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::SystemTime;

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
    fn what_nobody_has_used_for_a_week_goes() {
        let root = tempfile::tempdir().unwrap();
        let week = Duration::from_secs(7 * 24 * 60 * 60 + 60);
        let build = |name: &str| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let write = async |path: &Path| std::fs::write(path, "").map_err(|_| unreachable!());
            runtime.block_on(Template::get_or_build(root.path(), name, write)).unwrap()
        };
        let age = |file: &str| {
            let file = File::options().write(true).create(true).truncate(false).open(root.path().join(file)).unwrap();
            file.set_modified(SystemTime::now() - week).unwrap();
        };
        let names = ["old", "held", "fresh", "leased"];
        names.iter().for_each(|name| drop(build(name)));
        for name in names {
            age(&format!("{name}/template.sqlite"));
            age(&format!("{name}/0.lock"));
            age(&format!("{name}/0-1.sqlite"));
        }
        std::fs::write(root.path().join("leased/1.lock"), "2").unwrap();
        std::fs::write(root.path().join("fresh/template.sqlite"), "").unwrap();
        let held = Template::get(root.path(), "held").unwrap();
        build("another");
        assert_eq!(entries(root.path()), ["another", "build.lock", "fresh", "held", "leased"]);
        drop(held);
        build("the next");
        assert_eq!(entries(root.path()), ["another", "build.lock", "fresh", "leased", "the next"]);
        drop(build("old"));
        assert!(root.path().join("old/template.sqlite").exists(), "it is built again");
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
