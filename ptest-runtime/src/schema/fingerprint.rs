//! The fingerprint: the name of what a template is made from. Equal parts have equal fingerprints, in every process
//! and on every host; other parts have another one.

use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::cache;
use super::migrations::{self, Folder, MigrationSet};
use super::step::Step;

/// Sixteen hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(String);

/// Raised when ptest makes another template of the same parts.
pub(super) const LAYOUT_VERSION: u32 = 4;

pub(super) const LENGTH: usize = 16;

impl Fingerprint {
    /// The fingerprint of what a step makes of what is beneath it.
    pub(super) fn of_step(beneath: Option<&Fingerprint>, step: &dyn Step) -> Fingerprint {
        let mut all = Parts::new("step");
        all.add(beneath.map_or("", Fingerprint::as_str).as_bytes());
        step.identity(&mut all);
        all.fingerprint()
    }

    /// This for another user, whose databases are not the superuser's.
    pub(super) fn for_user(&self, user: &str) -> Fingerprint {
        let mut all = Parts::new("user");
        all.add(self.0.as_bytes());
        all.add(user.as_bytes());
        all.fingerprint()
    }

    /// The fingerprint of a folder's migrations and of what `sqlx.toml` says of them.
    ///
    /// The files are read only if one of them changed since it was last asked for; ptest's folder keeps the answer.
    pub(super) fn of_folder(folder: &Folder, target_dir: &Path) -> Result<Fingerprint, migrations::MigrationsError> {
        let compute = || migrations::read(folder).map(|set| Fingerprint::of_files(&set, folder));
        let files = cache::fetch(folder, &target_dir.join("fingerprints"), SystemTime::now(), compute)?;
        Ok(files.with_settings(folder))
    }

    /// The fingerprint of migrations that were read: that of their folder, unless it has changed in between.
    pub(super) fn of_set(set: &MigrationSet, folder: &Folder) -> Fingerprint {
        Fingerprint::of_files(set, folder).with_settings(folder)
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

    /// This and the settings of sqlx, where they are not the defaults.
    fn with_settings(self, folder: &Folder) -> Fingerprint {
        let settings = folder.sqlx.parts();
        if settings.is_empty() {
            return self;
        }
        let mut all = Parts::new("settings");
        all.add(self.0.as_bytes());
        settings.iter().for_each(|setting| all.add(setting.as_bytes()));
        all.fingerprint()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Byte strings with their lengths, gathered so that an unoptimised build hashes in one call.
pub(crate) struct Parts(Vec<u8>);

impl Parts {
    pub(super) fn new(kind: &str) -> Parts {
        let mut parts = Parts(LAYOUT_VERSION.to_le_bytes().to_vec());
        parts.add(kind.as_bytes());
        parts
    }

    pub(crate) fn add(&mut self, part: &[u8]) {
        self.0.extend_from_slice(&(part.len() as u64).to_le_bytes());
        self.0.extend_from_slice(part);
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        let digest = Sha256::digest(&self.0);
        Fingerprint(digest.iter().take(LENGTH / 2).map(|byte| format!("{byte:02x}")).collect())
    }
}

#[cfg(test)]
mod tests;
