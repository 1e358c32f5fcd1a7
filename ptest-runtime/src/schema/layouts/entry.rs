//! What a folder of migrations holds: names, and the texts that tell whose a file is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::MigrationsError;

/// A file or folder in a folder of migrations.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(super) name: String,
    pub(super) path: PathBuf,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// What is in it.
    Folder(Vec<String>),
    /// The text of SQL; `None`: it is something else, or cannot be read.
    File(Option<String>),
}

/// What is in a folder, sorted by name.
pub(super) fn list(dir: &Path) -> Result<Vec<Entry>, MigrationsError> {
    let unreadable = |source| MigrationsError::Read { path: dir.to_owned(), source };
    let entries = fs::read_dir(dir).map_err(unreadable)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
    paths.sort();
    Ok(paths.into_iter().map(Entry::of).collect())
}

/// The text of a file.
pub(super) fn read_text(path: &Path) -> Result<String, MigrationsError> {
    match fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(MigrationsError::NotUtf8 { path: path.to_owned(), line })
        }
        Err(source) => Err(MigrationsError::Read { path: path.to_owned(), source }),
    }
}

impl Entry {
    fn of(path: PathBuf) -> Entry {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Following links, as all the tools do. One that leads nowhere is read as a file, to name it if it matters.
        let content = match path.is_dir() && !name.starts_with('.') {
            true => Content::Folder(inner(&path)),
            false => Content::File(name.ends_with(".sql").then(|| read_text(&path).ok()).flatten()),
        };
        Entry { name, path, content }
    }

    /// The name of a file that is not hidden.
    pub(super) fn file(&self) -> Option<&str> {
        (matches!(self.content, Content::File(_)) && !self.name.starts_with('.')).then_some(&self.name)
    }

    /// The name of a file of SQL, without `.sql`.
    pub(super) fn sql_file(&self) -> Option<&str> {
        self.file()?.strip_suffix(".sql")
    }

    /// The text of a file of SQL.
    pub(super) fn text(&self) -> &str {
        match &self.content {
            Content::File(Some(text)) => text,
            _ => "",
        }
    }

    pub(super) fn take_text(&mut self) -> Option<String> {
        match &mut self.content {
            Content::File(text) => text.take(),
            Content::Folder(_) => None,
        }
    }

    /// The names in a folder that is not hidden.
    pub(super) fn folder(&self) -> Option<&[String]> {
        match &self.content {
            Content::Folder(names) if !self.name.starts_with('.') => Some(names),
            _ => None,
        }
    }

    #[cfg(test)]
    pub(super) fn new_file(name: &str, text: &str) -> Entry {
        Entry { name: name.to_owned(), path: name.into(), content: Content::File(Some(text.to_owned())) }
    }

    #[cfg(test)]
    pub(super) fn new_folder(name: &str, names: &[&str]) -> Entry {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Entry { name: name.to_owned(), path: name.into(), content: Content::Folder(names) }
    }
}

fn inner(path: &Path) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| Some(entry.ok()?.file_name().to_string_lossy().into_owned());
    fs::read_dir(path).into_iter().flatten().filter_map(name).collect()
}
