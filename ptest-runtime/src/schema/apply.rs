//! What makes a template, applied to the database under construction: migrations, seeds, and code of the user's.

use std::path::PathBuf;

use super::apart::apart;
use super::history::{self, Dialect};
use super::migrations::{Migration, MigrationSet, MigrationsError};
use super::{Schema, Source};
use crate::error::{Cause, Failure};
use crate::pg::postgres::Postgres;
use crate::pg::sandbox;
use crate::pg::server::{self, Address, Connection, DbError, QueryError, ServerError};
use crate::test::context::Context;
use crate::test::migrator::AnyMigrator;
use crate::test::setup::Setup;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error("{} fails at line {line}", path.display())]
    Script { path: PathBuf, line: usize, source: DbError },
    #[error("the migrations of {tool} cannot be applied")]
    Migrator { tool: String, source: Cause },
    #[error("the setup function `{path}` failed")]
    Setup { path: &'static str, source: Cause },
    #[error(transparent)]
    Migrations(#[from] MigrationsError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("the connection to the server broke")]
    Io(#[from] std::io::Error),
}

impl Failure for ApplyError {
    fn help(&self) -> Option<String> {
        match self {
            ApplyError::Server(e) => e.help(),
            ApplyError::Migrations(e) => e.help(),
            ApplyError::Script { source, .. } => match source.code.as_str() {
                "42710" => Some(
                    "roles and tablespaces belong to the whole server and outlive a template: create them with a guard \
                     (DO $$ BEGIN … EXCEPTION WHEN duplicate_object THEN END $$)"
                        .to_owned(),
                ),
                "42704" => Some(
                    "roles, tablespaces and extensions' files belong to the whole server: create the role in a migration, \
                     with a guard, or install the extension on the server"
                        .to_owned(),
                ),
                "53100" => Some(server::DISK_FULL.to_owned()),
                _ => None,
            },
            ApplyError::Migrator { .. } | ApplyError::Setup { .. } | ApplyError::Io(_) => None,
        }
    }
}

/// Brings the schema into a database that has what is beneath it.
pub(crate) async fn migrate(address: &Address, database: &str, schema: &Schema) -> Result<(), ApplyError> {
    match &schema.source {
        Source::Empty => Ok(()),
        Source::Folder(folder) => {
            let set = schema.read(folder)?;
            #[cfg(feature = "sqlx-postgres")]
            if set.layout == super::layout::Layout::Sqlx {
                use crate::pg::drivers::{sqlx_migrator, sqlx_postgres};
                let migrator = sqlx_migrator::migrator(&set, &folder.sqlx);
                return match sqlx_migrator::migrate(sqlx_postgres::connect_options(address, database), &migrator).await
                {
                    Err((error, Some(version))) => Err(locate(address, database, &set, &version, error).await),
                    other => other.map_err(|(error, _)| of_sqlx(error)),
                };
            }
            run_all(address, database, &set).await
        }
        Source::Seed(scripts) => {
            let mut connection = Connection::open(address, database, &[]).await?;
            for script in *scripts {
                run_script(&mut connection, script.path.into(), script.sql).await?;
            }
            connection.close().await;
            Ok(())
        }
        Source::Migrator(migrator) => {
            let migrator: &'static dyn AnyMigrator = *migrator;
            let url = server::url(&under_construction(address, database));
            let done = apart(async move || migrator.migrate(&url).await).await;
            done.map_err(|source| ApplyError::Migrator { tool: migrator.name().to_owned(), source })
        }
        Source::Setup(setup) => {
            let setup: &'static Setup = setup;
            let address = under_construction(address, database);
            let done =
                apart(async move || (setup.run)(&mut Context::of_draft(Postgres::of_draft(address))).await).await;
            done.map_err(|source| ApplyError::Setup { path: setup.path, source })
        }
    }
}

/// Where clients find a template that is not closed yet.
fn under_construction(address: &Address, database: &str) -> Address {
    Address { database: database.to_owned(), ..address.clone() }
}

#[cfg(feature = "sqlx-postgres")]
fn of_sqlx(source: Cause) -> ApplyError {
    ApplyError::Migrator { tool: "sqlx".to_owned(), source }
}

/// Runs the migrations of any layout, each as one simple query, and notes them as their tool does.
async fn run_all(address: &Address, database: &str, set: &MigrationSet) -> Result<(), ApplyError> {
    let mut connection = Connection::open(address, database, &[]).await?;
    if let Some(sql) = history::table_sql(set) {
        run_script(&mut connection, PathBuf::new(), sql).await?;
    }
    for migration in &set.migrations {
        run_migration(&mut connection, migration).await?;
        if let Some(sql) = history::note_sql(set, migration, Dialect::Postgres) {
            run_script(&mut connection, migration.path.clone(), &sql).await?;
        }
    }
    connection.close().await;
    Ok(())
}

async fn run_migration(connection: &mut Connection, migration: &Migration) -> Result<(), ApplyError> {
    if !migration.in_transaction {
        // One statement at a time: a string of several is a transaction.
        for statement in sandbox::ranges(migration.sql.as_bytes()) {
            run_script(connection, migration.path.clone(), &migration.sql[statement]).await?;
        }
        return Ok(());
    }
    run_script(connection, migration.path.clone(), &migration.sql).await
}

/// Finds the line at which a migration fails, by running it once more in the database that is given up anyway: the
/// driver's migrator has rolled it back, and does not say.
#[cfg(feature = "sqlx-postgres")]
async fn locate(address: &Address, database: &str, set: &MigrationSet, version: &str, error: Cause) -> ApplyError {
    // sqlx tells the number; a file may pad it with zeros.
    let number = |text: &str| text.parse::<i64>().ok();
    let Some(migration) = set.migrations.iter().find(|m| number(&m.version) == number(version)) else {
        return of_sqlx(error);
    };
    let found = match Connection::open(address, database, &[]).await {
        Ok(mut connection) => run_script(&mut connection, migration.path.clone(), &migration.sql).await.err(),
        Err(_) => None,
    };
    found.unwrap_or(of_sqlx(error))
}

/// Runs a script as one simple query. An error names the line of its position, else of the statement that failed.
pub(crate) async fn run_script(connection: &mut Connection, path: PathBuf, sql: &str) -> Result<(), ApplyError> {
    let source = match connection.query(sql).await {
        Ok(_) => return Ok(()),
        Err(QueryError::Io(error)) => return Err(error.into()),
        Err(QueryError::Db(source)) => source,
    };
    let offset = match source.position {
        Some(position) => sql.char_indices().nth(position.saturating_sub(1)).map_or(sql.len(), |(at, _)| at),
        None => sandbox::ranges(sql.as_bytes()).nth(connection.completed()).map_or(0, |range| range.start),
    };
    let line = 1 + sql[..offset].matches('\n').count();
    Err(ApplyError::Script { path, line, source })
}
