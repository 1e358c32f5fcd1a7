//! The migrations, applied to a template under construction.

use std::path::PathBuf;

use super::{Schema, Source};
use crate::server::{Address, Connection, DbError, QueryError, ServerError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error("{}{} failed", path.display(), line.map(|l| format!(":{l}")).unwrap_or_default())]
    Migration { path: PathBuf, line: Option<usize>, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the migrations cannot be applied")]
    Migrator(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Server(#[from] ServerError),
}

impl ApplyError {
    pub(crate) fn help(&self) -> Option<String> {
        match self {
            ApplyError::Server(e) => e.help(),
            ApplyError::Migration { source, .. } => match source.downcast_ref::<DbError>().map(|e| e.code.as_str()) {
                Some("42710") => Some(
                    "roles and tablespaces belong to the whole server and outlive a template: create them with a guard \
                     (DO $$ BEGIN … EXCEPTION WHEN duplicate_object THEN END $$)"
                        .to_owned(),
                ),
                _ => None,
            },
            ApplyError::Migrator(_) => None,
        }
    }

    /// The failure of a migration at a character of its file (from 1), as the server counts.
    pub(crate) fn at(path: PathBuf, sql: &str, source: DbError) -> Self {
        let line = source.position.map(|p| 1 + sql.chars().take(p.saturating_sub(1)).filter(|c| *c == '\n').count());
        ApplyError::Migration { path, line, source: Box::new(source) }
    }
}

/// Brings the schema into an empty database.
pub(super) async fn migrate(address: &Address, database: &str, schema: &Schema) -> Result<(), ApplyError> {
    match &schema.source {
        Source::Empty => Ok(()),
        #[cfg(feature = "sqlx-postgres")]
        Source::Folder(folder) => crate::drivers::sqlx_postgres::migrate_folder(address, database, folder).await,
        #[cfg(not(feature = "sqlx-postgres"))]
        Source::Folder(_) => Ok(()),
        #[cfg(feature = "sqlx-postgres")]
        Source::Migrator(migrator) => crate::drivers::sqlx_postgres::migrate(address, database, migrator).await,
        #[cfg(all(feature = "sqlx-sqlite", not(feature = "sqlx-postgres")))]
        Source::Migrator(_) => Ok(()),
    }
}

/// Runs the text of one migration file, as one simple query.
pub(crate) async fn run_file(connection: &mut Connection, path: PathBuf, sql: &str) -> Result<(), ApplyError> {
    match connection.query(sql).await {
        Ok(_) => Ok(()),
        Err(QueryError::Db(error)) => Err(ApplyError::at(path, sql, error)),
        Err(QueryError::Io(error)) => Err(ApplyError::Migration { path, line: None, source: Box::new(error) }),
    }
}
