//! Folders of this user's in folders that others use too.
//!
//! In a shared folder anybody may make anything of any name: a folder that is there already is not this user's until that is
//! looked at, without following a link, and before anything is made in it. A name that is taken leads to another name.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::random;

/// The user as whom this process runs.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether there is a folder, not a link to one, that belongs to this user and that no other can enter.
pub(crate) fn is_private(folder: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(folder)?;
    Ok(found.is_dir() && found.mode() & 0o077 == 0 && found.uid() == user())
}

/// A folder of this name that is private to this user; where the name is taken, one whose name nobody can guess.
pub(crate) fn private_folder(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let folder = parent.join(name);
    match make(&folder) {
        Ok(()) => Ok(folder),
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        Err(_) if is_private(&folder).unwrap_or(false) => Ok(folder),
        Err(_) => new_folder(parent, &format!("{name}-")),
    }
}

/// A new folder that is private to this user, whose name begins so and ends as nobody can guess.
pub(crate) fn new_folder(parent: &Path, prefix: &str) -> io::Result<PathBuf> {
    loop {
        let folder = parent.join(format!("{prefix}{:016x}", random()));
        match make(&folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|()| folder),
        }
    }
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_name_that_is_taken_leads_to_another() {
        let shared = tempfile::tempdir().unwrap();
        let mine = private_folder(shared.path(), "mine").unwrap();
        assert_eq!(mine, shared.path().join("mine"));
        assert_eq!(private_folder(shared.path(), "mine").unwrap(), mine, "it is this user's");

        // What another may have made: a file, a folder that others can enter, a link to where this user may write.
        let target = tempfile::tempdir().unwrap();
        fs::write(shared.path().join("file"), "").unwrap();
        fs::create_dir(shared.path().join("open")).unwrap();
        symlink(target.path(), shared.path().join("link")).unwrap();
        symlink("/nowhere", shared.path().join("dangling")).unwrap();
        for name in ["file", "open", "link", "dangling"] {
            let folder = private_folder(shared.path(), name).unwrap();
            assert_ne!(folder, shared.path().join(name));
            assert!(folder.starts_with(shared.path()) && is_private(&folder).unwrap(), "{name}");
        }
        assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0, "a link was followed");
    }

    #[test]
    fn a_private_folder_of_another_user_is_not_used() {
        if user() != 0 {
            println!("skipped: only root can make a folder of another user's");
            return;
        }
        let shared = tempfile::tempdir().unwrap();
        let theirs = shared.path().join("mine");
        make(&theirs).unwrap();
        std::os::unix::fs::chown(&theirs, Some(65_534), Some(65_534)).unwrap();
        assert!(!is_private(&theirs).unwrap());
        assert_ne!(private_folder(shared.path(), "mine").unwrap(), theirs);
    }
}
