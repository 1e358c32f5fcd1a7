//! The schema of a test: where its migrations are, and the fingerprint that names its template.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::SqliteError;
use crate::test::{Migrations, Test};

#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) fingerprint: String,
    pub(crate) source: SchemaSource,
    /// The folder of all that ptest keeps: `target/ptest`.
    pub(crate) target_dir: PathBuf,
}

#[derive(Debug, Clone)]
pub(crate) enum SchemaSource {
    Dir(PathBuf),
    Migrator(&'static sqlx::migrate::Migrator),
    Empty,
}

impl Schema {
    pub(crate) fn of(test: &Test, target_dir: &Path) -> Result<Schema, SqliteError> {
        let manifest_dir = Path::new(test.manifest_dir);
        let source = match test.migrations {
            Migrations::Default => match manifest_dir.join("migrations") {
                folder if folder.is_dir() => SchemaSource::Dir(folder),
                _ => SchemaSource::Empty,
            },
            Migrations::Dir(folder) => SchemaSource::Dir(manifest_dir.join(folder)),
            Migrations::None => SchemaSource::Empty,
            Migrations::Migrator(migrator) => SchemaSource::Migrator(migrator),
        };
        Ok(Schema { fingerprint: fingerprint(&source)?, source, target_dir: target_dir.to_owned() })
    }
}

pub(crate) fn fingerprint(source: &SchemaSource) -> Result<String, SqliteError> {
    let mut hash = Sha256::new();
    match source {
        SchemaSource::Empty => {}
        SchemaSource::Migrator(migrator) => {
            for migration in migrator.iter() {
                hash.update(migration.version.to_le_bytes());
                hash.update(&migration.checksum);
            }
        }
        SchemaSource::Dir(folder) => {
            let failed = |source| SqliteError::File { action: "read", path: folder.clone(), source };
            let mut files: Vec<PathBuf> =
                folder.read_dir().and_then(|d| d.map(|e| Ok(e?.path())).collect()).map_err(failed)?;
            files.sort();
            for file in files.iter().filter(|file| file.is_file()) {
                let content = std::fs::read(file).map_err(failed)?;
                hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
                hash.update([0]);
                hash.update(content.len().to_le_bytes());
                hash.update(content);
            }
        }
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}
