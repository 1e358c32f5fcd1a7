//! Keeping: what a test did is committed, and its database gets a name of its own, so that no test leases it again.
//!
//! Before the commit the database is closed and marked. Whoever finds a slot so, because the process that meant to keep it
//! has died, drops it (see [`clone_into`](crate::pg::template::clone_into)).

use super::detach;
use crate::engine::kept::Kept;
use crate::pg::sandbox::{Backend, Lost};
use crate::pg::server::{Address, Admin, ServerError, quote_ident};
use crate::pg::template::{KEPT_MARK, kept_name};

#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("{0}")]
    Lost(Lost),
}

/// Keeps a slot's database with all that the test saw: also what lies in a transaction that is still open, unless it has
/// failed or a deferred constraint forbids it.
pub(super) async fn keep(server: &Address, database: &str, backend: Backend) -> Kept {
    match commit_and_rename(server, database, backend).await {
        Ok(name) => Kept::As(name),
        Err(error) => Kept::Not(error.to_string()),
    }
}

async fn commit_and_rename(server: &Address, database: &str, backend: Backend) -> Result<String, KeepError> {
    let mut admin = detach::close(server, database).await?;
    mark(&mut admin, database).await?;
    backend.commit().await.map_err(KeepError::Lost)?;
    let family = database.rsplit_once('_').map_or(database, |(family, _)| family);
    let name = kept_name(family, admin.now().await?);
    detach::rename(&mut admin, database, &name).await?;
    admin.run(&format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", quote_ident(&name))).await?;
    admin.close().await;
    Ok(name)
}

/// Marks a database as one that is kept.
pub(crate) async fn mark(admin: &mut Admin, database: &str) -> Result<(), ServerError> {
    admin.run(&format!("COMMENT ON DATABASE {} IS '{KEPT_MARK}'", quote_ident(database))).await.map(drop)
}
