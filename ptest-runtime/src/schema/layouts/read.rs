//! The reading of a folder: its tool, what that runs of it, and in which order.

use std::path::{Path, PathBuf};

use super::entry::{self, Entry};
use super::{Claim, KnownBy, LAYOUTS, Layout, MigrationsError, Name, Up, Wrong, dump};
use crate::schema::migrations::{Folder, Migration, MigrationSet};

/// A migration that is found, not read.
pub(crate) struct Found {
    pub(super) name: Name,
    pub(super) entry: String,
    pub(super) path: PathBuf,
    pub(super) text: Option<String>,
}

/// Reads a folder of migrations, or a file that is all of the schema, in the order to run them in.
pub(in crate::schema) fn read(folder: &Folder) -> Result<MigrationSet, MigrationsError> {
    let dir = &folder.path;
    if dir.is_file() {
        let found = Found { name: dump::name_of(""), entry: String::new(), path: dir.clone(), text: None };
        return Ok(MigrationSet { layout: &dump::Dump, migrations: vec![found.read(&dump::Dump)?] });
    }
    let mut entries = entry::list(dir)?;
    let named = folder.tool.as_deref().map(named).transpose()?;
    let layout = match named {
        Some(layout) => layout,
        None => owner(dir, &entries)?,
    };
    for entry in &entries {
        match layout.claim(entry) {
            Claim::Migration(_) | Claim::Ignored => {}
            // Whoever names the tool knows what else is there.
            Claim::NotMine if named.is_some() => {}
            Claim::NotMine | Claim::Wrong(Wrong::Unmarked(_)) if other_owner(layout, entry).is_some() => {
                return Err(mixed(dir, layout, &entries, entry));
            }
            Claim::Wrong(wrong) => return Err(MigrationsError::wrong(wrong, entry.path.clone(), layout)),
            Claim::NotMine => {}
        }
    }
    let mut found: Vec<Found> = entries.iter_mut().filter_map(|entry| Found::of(layout, entry)).collect();
    if found.is_empty() {
        return Err(nothing(dir, &entries));
    }
    layout.choose(&mut found);
    found.sort_by(|a, b| a.name.order.cmp(&b.name.order));
    if let Some([a, b]) = found.array_windows().find(|[a, b]| a.name.order == b.name.order) {
        let (first, second) = (a.entry.clone(), b.entry.clone());
        return Err(MigrationsError::Twice { dir: dir.clone(), version: a.name.version.clone(), first, second });
    }
    let migrations = found.into_iter().map(|found| found.read(layout)).collect::<Result<_, _>>()?;
    Ok(MigrationSet { layout, migrations })
}

/// The tool that a folder belongs to.
fn owner(dir: &Path, entries: &[Entry]) -> Result<&'static dyn Layout, MigrationsError> {
    let owner = LAYOUTS.into_iter().find(|layout| layout.owns(entries));
    owner.ok_or_else(|| nothing(dir, entries))
}

/// Why a folder has no migration: one that is all but named as it should be, or nothing at all.
fn nothing(dir: &Path, entries: &[Entry]) -> MigrationsError {
    let by_name = || LAYOUTS.into_iter().filter(|layout| layout.known_by() == KnownBy::Name);
    let wrong = |layout: &'static dyn Layout| {
        entries.iter().filter_map(move |entry| match layout.claim(entry) {
            Claim::Wrong(wrong @ (Wrong::Misnamed | Wrong::Code(_))) => Some((wrong, entry.path.clone(), layout)),
            _ => None,
        })
    };
    match by_name().flat_map(wrong).min_by_key(|(wrong, ..)| matches!(wrong, Wrong::Code(_))) {
        Some((wrong, path, layout)) => MigrationsError::wrong(wrong, path, layout),
        None => MigrationsError::Empty {
            dir: dir.to_owned(),
            found: entries.iter().map(|entry| entry.name.clone()).collect(),
        },
    }
}

/// Another tool that would run an entry, if the folder were its own. A name tells nothing of a file where files are known by
/// what stands in them.
fn other_owner(layout: &dyn Layout, entry: &Entry) -> Option<&'static dyn Layout> {
    let by_text = matches!(layout.claim(entry), Claim::Wrong(Wrong::Unmarked(_)));
    let is_told = |known: KnownBy| known == KnownBy::Text || (known == KnownBy::Name && !by_text);
    let runs = |other: &&'static dyn Layout| {
        other.tool() != layout.tool() && is_told(other.known_by()) && matches!(other.claim(entry), Claim::Migration(_))
    };
    LAYOUTS.into_iter().find(runs)
}

fn mixed(dir: &Path, layout: &'static dyn Layout, entries: &[Entry], other: &Entry) -> MigrationsError {
    let own = entries.iter().find(|entry| matches!(layout.claim(entry), Claim::Migration(_)));
    let second = other_owner(layout, other).unwrap_or(layout);
    let mut both = [(layout.tool(), own.unwrap_or(other).name.clone()), (second.tool(), other.name.clone())];
    both.sort_by(|(_, a), (_, b)| a.cmp(b));
    let [first, second] = both;
    MigrationsError::Mixed { dir: dir.to_owned(), tool: layout.tool(), first, second }
}

impl Found {
    fn of(layout: &dyn Layout, entry: &mut Entry) -> Option<Found> {
        let Claim::Migration(name) = layout.claim(entry) else { return None };
        let path = match layout.inner_file() {
            Some(file) => entry.path.join(file),
            None => entry.path.clone(),
        };
        Some(Found { name, entry: entry.name.clone(), path, text: entry.take_text() })
    }

    fn read(self, layout: &dyn Layout) -> Result<Migration, MigrationsError> {
        let text = self.text.map_or_else(|| entry::read_text(&self.path), Ok)?;
        let Up { sql, in_transaction, cut } = layout.up(&self.path, text)?;
        let Name { version, name, .. } = self.name;
        Ok(Migration { version, name, path: self.path, sql, in_transaction, cut })
    }
}

/// The tool of a name.
fn named(tool: &str) -> Result<&'static dyn Layout, MigrationsError> {
    let found = LAYOUTS.into_iter().find(|layout| layout.tool().eq_ignore_ascii_case(tool));
    found.ok_or_else(|| MigrationsError::Tool {
        tool: tool.to_owned(),
        known: LAYOUTS.map(|layout| layout.tool()).join("`, `"),
    })
}
