//! The lease of the single database: the lock of every slot, waited for, and a look at what the database holds.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{SingleError, contents};
use crate::pg::server::{Address, Connection, QueryError, Rows};
use crate::pg::slot::{Acquired, FENCE, KEY, begin};
use crate::pg::template::slot_name;
use crate::schema::Schema;

/// How often the lock is asked for. Nobody waits in a statement: `CREATE INDEX CONCURRENTLY` would wait for that one.
const PAUSE: Duration = Duration::from_millis(3);

/// After how long the user is told.
const LONG: Duration = Duration::from_secs(30);

/// After how long a lease fails.
const TOO_LONG: Duration = Duration::from_secs(60 * 60);

/// How long the backends of the test before may take to go. What they wrote counts only then, and would be taken for
/// that of somebody else.
const LEAVING: Duration = Duration::from_millis(200);

/// Connects, waits for the lock, has the database built where it is not what it should be, and begins ptest's transaction.
pub(super) async fn acquire(server: &Address, schema: &Schema, notes: &Path) -> crate::Result<Acquired> {
    let database = &*server.database;
    let mut connection = match Connection::open(server, database, &FENCE).await {
        Err(source) if source.code() == Some("3D000") => {
            let (database, user) = (database.to_owned(), server.user.clone());
            return Err(SingleError::Missing { database, user, source }.into());
        }
        opened => opened?,
    };
    lock(&mut connection, server, database).await?;
    let facts = contents::ensure(&mut connection, server, database, schema).await?;
    wait_for_others(&mut connection).await.map_err(|e| contents::failed(server, "the question who is connected", e))?;
    // The database's own name may be anything.
    let note = format!("single_{}", slot_name(&schema.fingerprint, 0));
    Ok(begin(server, connection, database.to_owned(), Some(facts), &notes.join(note)).await?)
}

/// What a process that waits has run last.
fn try_lock_sql() -> String {
    format!("SELECT pg_catalog.pg_try_advisory_lock({KEY}) AS waits")
}

async fn lock(connection: &mut Connection, server: &Address, database: &str) -> crate::Result<()> {
    let failed = |source| contents::failed(server, "the lease", source);
    let started = Instant::now();
    let mut told = false;
    while text(&connection.query(&try_lock_sql()).await.map_err(failed)?).as_deref() != Some("t") {
        let waited = started.elapsed();
        if waited > TOO_LONG || (waited > LONG && !told) {
            let holder = holder(connection).await.map_err(failed)?;
            if waited > TOO_LONG {
                return Err(SingleError::Held { database: database.to_owned(), holder }.into());
            }
            crate::sys::progress(&format!(
                "waits for the single database `{database}`, which {holder} has\n  help: a run of `cargo test` has it until \
                 it ends; if a test of that run has started this one, neither ends: name another database for this one in \
                 PTEST_SINGLE_DATABASE"
            ));
            told = true;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Who has the lock, as the server knows it.
async fn holder(connection: &mut Connection) -> Result<String, QueryError> {
    let sql = format!(
        "SELECT 'process ' || l.pid || ' of the server' FROM pg_catalog.pg_locks l \
         JOIN pg_catalog.pg_database d ON d.oid = l.database \
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND d.datname = pg_catalog.current_database() \
           AND (l.classid::bigint << 32 | l.objid::bigint) = {KEY}"
    );
    Ok(text(&connection.query(&sql).await?).unwrap_or_else(|| "nobody".to_owned()))
}

/// Waits until all who are connected only wait for the lease; somebody else's business is found by the audit.
async fn wait_for_others(connection: &mut Connection) -> Result<(), QueryError> {
    let sql = format!(
        "SELECT pid FROM pg_catalog.pg_stat_get_activity(NULL) WHERE pid <> pg_catalog.pg_backend_pid() \
           AND datid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
           AND coalesce(backend_type, 'client backend') = 'client backend' AND query <> '' AND query <> '{}' LIMIT 1",
        try_lock_sql()
    );
    let started = Instant::now();
    while !connection.query(&sql).await?.is_empty() && started.elapsed() < LEAVING {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

fn text(rows: &Rows) -> Option<String> {
    rows.first()?.first()?.clone()
}
