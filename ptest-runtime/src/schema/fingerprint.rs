//! The fingerprint: the name of what a template is made from. Equal parts have equal fingerprints, in every process
//! and on every host; other parts have another one.

use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::cache;
use super::migrations::{self, Folder, MigrationSet};
use crate::test::migrator::AnyMigrator;

/// Sixteen hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(String);

/// Raised when ptest makes another template of the same parts.
pub(super) const LAYOUT_VERSION: u32 = 3;

pub(super) const LENGTH: usize = 16;

impl Fingerprint {
    /// The fingerprint of byte strings in their order.
    pub(crate) fn of<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Fingerprint {
        let mut all = Parts::new("parts");
        parts.into_iter().for_each(|part| all.add(part));
        all.fingerprint()
    }

    /// The fingerprint of this and of more parts; this one where there are none.
    pub(crate) fn with<'p>(self, more: impl IntoIterator<Item = &'p [u8]>) -> Fingerprint {
        let mut more = more.into_iter().peekable();
        if more.peek().is_none() {
            return self;
        }
        let mut all = Parts::new("more");
        all.add(self.0.as_bytes());
        more.for_each(|part| all.add(part));
        all.fingerprint()
    }

    /// The fingerprint of a folder's migrations and of what `sqlx.toml` says of them.
    ///
    /// The files are read only if one of them changed since it was last asked for; ptest's folder keeps the answer.
    pub(crate) fn of_folder(folder: &Folder, target_dir: &Path) -> crate::Result<Fingerprint> {
        let compute = || migrations::read(&folder.path).map(|set| Fingerprint::of_files(&set, folder));
        let files = cache::fetch(&folder.path, &target_dir.join("fingerprints"), SystemTime::now(), compute)?;
        Ok(files.with_settings(folder))
    }

    /// The fingerprint of migrations that were read: that of their folder, unless it has changed in between.
    pub(crate) fn of_set(set: &MigrationSet, folder: &Folder) -> Fingerprint {
        Fingerprint::of_files(set, folder).with_settings(folder)
    }

    /// The fingerprint of a migrator, by what it tells of itself.
    pub(crate) fn of_migrator(migrator: &dyn AnyMigrator) -> Fingerprint {
        Fingerprint::of([b"migrator".as_slice(), migrator.type_name().as_bytes(), migrator.fingerprint().as_bytes()])
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The fingerprint that was written as `text`.
    pub(super) fn parse(text: &[u8]) -> Option<Fingerprint> {
        let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let text = (text.len() == LENGTH && text.iter().all(hex)).then_some(text)?;
        String::from_utf8(text.to_vec()).ok().map(Fingerprint)
    }

    fn of_files(set: &MigrationSet, folder: &Folder) -> Fingerprint {
        let mut all = Parts::new("folder");
        all.add(set.layout.tool().as_bytes());
        for migration in &set.migrations {
            let name = migration.path.strip_prefix(&folder.path).unwrap_or(&migration.path);
            all.add(name.as_os_str().as_encoded_bytes());
            all.add(&[u8::from(migration.in_transaction)]);
            all.add(migration.sql.as_bytes());
        }
        all.fingerprint()
    }

    fn with_settings(self, folder: &Folder) -> Fingerprint {
        self.with(folder.sqlx.parts().iter().map(String::as_bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Byte strings with their lengths, gathered so that an unoptimised build hashes in one call.
struct Parts(Vec<u8>);

impl Parts {
    fn new(kind: &str) -> Parts {
        let mut parts = Parts(LAYOUT_VERSION.to_le_bytes().to_vec());
        parts.add(kind.as_bytes());
        parts
    }

    fn add(&mut self, part: &[u8]) {
        self.0.extend_from_slice(&(part.len() as u64).to_le_bytes());
        self.0.extend_from_slice(part);
    }

    fn fingerprint(&self) -> Fingerprint {
        let digest = Sha256::digest(&self.0);
        Fingerprint(digest.iter().take(LENGTH / 2).map(|byte| format!("{byte:02x}")).collect())
    }
}

#[cfg(test)]
mod tests;
