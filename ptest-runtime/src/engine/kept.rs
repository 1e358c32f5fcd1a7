//! What is kept for the user: a folder with a file for each database, which goes after a day.
//!
//! A database that is a file is kept there itself; of one on a server there is a note that says how to open it. Whoever drops
//! those on servers is called as long as there are notes.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a database is kept.
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What became of a database that was to be kept.
#[derive(Debug)]
pub(crate) enum Kept {
    /// Under this name, or in this file.
    As(String),
    /// It could not be kept.
    Not(String),
}

/// How a note's file ends.
const NOTE: &str = "txt";

/// The folder of what is kept.
pub(crate) fn folder(target_dir: &Path) -> PathBuf {
    target_dir.join("kept")
}

/// Notes how to open a database on a server.
pub(crate) fn note(target_dir: &Path, name: &str, test: &str, open: &str) {
    let path = folder(target_dir).join(name).with_extension(NOTE);
    // The report says the same; the database is kept in any case.
    let _ =
        std::fs::create_dir_all(folder(target_dir)).and_then(|()| std::fs::write(path, format!("{test}\n{open}\n")));
}

/// Removes what was kept for long enough, and tells whether there are notes.
pub(crate) fn sweep(target_dir: &Path) -> bool {
    // Where nothing was ever kept, there is no such folder.
    let Ok(files) = folder(target_dir).read_dir() else { return false };
    let mut notes = false;
    for path in files.flatten().map(|file| file.path()) {
        notes |= path.extension().is_some_and(|end| end == NOTE);
        let modified = path.metadata().and_then(|file| file.modified());
        if modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > KEPT)) {
            let _ = std::fs::remove_file(path);
        }
    }
    notes
}

/// What is kept: since when, by which test, and the line that opens it.
pub(crate) fn all(target_dir: &Path) -> Vec<(Duration, Option<String>, String)> {
    let Ok(files) = folder(target_dir).read_dir() else { return Vec::new() };
    let files = files.flatten().map(|file| file.path());
    files
        .filter_map(|path| {
            let age = path.metadata().ok()?.modified().ok()?.elapsed().unwrap_or_default();
            if path.extension().is_some_and(|end| end == NOTE) {
                let text = std::fs::read_to_string(&path).ok()?;
                let (test, open) = text.trim_end().split_once('\n')?;
                return Some((age, Some(test.to_owned()), open.to_owned()));
            }
            Some((age, None, format!("sqlite3 {}", shell_word(path.to_str()?))))
        })
        .collect()
}

/// A word of a shell's command line, whatever is in it.
pub(crate) fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
