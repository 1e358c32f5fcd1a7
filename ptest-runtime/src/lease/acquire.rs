//! The search for a free slot: connect, try the lock, else the next; clone the one that is missing.

use std::time::{Duration, Instant};

use super::LeaseError;
use crate::sandbox::{self, Constraints};
use crate::server::{Address, Admin, Connection, QueryError};
use crate::template::{self, Schema, slot_name};

/// The key of the lease. Advisory locks belong to one database, so the same key serves every slot.
const KEY: &str = "8100086310834958188";

/// The fence behind the sandbox's rules: if ptest's transaction were ever lost, the next write would fail. A start-up
/// setting survives `RESET ALL`. No server-side timer may kill the backend between two statements of a client.
const FENCE: [(&str, &str); 2] =
    [("default_transaction_read_only", "on"), ("idle_in_transaction_session_timeout", "0")];

/// How long a server may take to let clients in.
const STARTING: Duration = Duration::from_secs(30);

/// How often a slot is made that is not there on connecting: others may drop what nobody leases.
const MAKES: u32 = 3;

/// What came of trying a slot.
pub(super) enum Attempt<S> {
    Leased(S),
    /// Another test has it, or had until a moment ago.
    Held,
    /// There is no such slot yet.
    Missing,
}

impl<S> Attempt<S> {
    pub(super) fn map<T>(self, leased: impl FnOnce(S) -> T) -> Attempt<T> {
        match self {
            Attempt::Leased(slot) => Attempt::Leased(leased(slot)),
            Attempt::Held => Attempt::Held,
            Attempt::Missing => Attempt::Missing,
        }
    }
}

/// A slot's connection: locked, its transaction open, its savepoint set.
pub(super) struct Acquired {
    pub(super) connection: Connection,
    pub(super) database: String,
    pub(super) constraints: Constraints,
    /// When ptest's transaction began: another transaction has another.
    pub(super) began: String,
}

/// What the server gets between two tests: `BEGIN READ WRITE` must follow `ROLLBACK` directly (else 25001).
pub(super) fn reset_sql() -> String {
    format!("ROLLBACK;{};DEALLOCATE ALL;DISCARD SEQUENCES;SAVEPOINT {}", begin_sql(), sandbox::SAVEPOINT)
}

fn begin_sql() -> String {
    format!("BEGIN READ WRITE;SELECT pg_catalog.pg_try_advisory_xact_lock({KEY}), pg_catalog.transaction_timestamp()")
}

/// Releases the session locks that a body took, and retakes the lease's: the transaction lock holds the key meanwhile.
pub(super) fn retake_sql() -> String {
    format!(
        "SELECT pg_catalog.pg_advisory_unlock_all(), pg_catalog.pg_advisory_lock({KEY}), pg_catalog.transaction_timestamp()"
    )
}

/// Tries to lease the slot with this number; `make`: clones it if it is missing.
pub(super) async fn try_slot(
    server: &Address,
    schema: &Schema,
    slot: u32,
    make: bool,
) -> crate::Result<Attempt<Acquired>> {
    let database = slot_name(&schema.fingerprint, slot);
    let started = Instant::now();
    let mut makes = 0;
    loop {
        match Connection::open(server, &database, &FENCE).await {
            Ok(connection) => return Ok(lock(server, connection, database).await?),
            Err(error) => match error.code() {
                Some("3D000" | "55000") if !make => return Ok(Attempt::Missing),
                // Missing, or another process is in the middle of cloning it (or died there: then it is finished here).
                Some("3D000" | "55000") if makes < MAKES => {
                    make_slot(server, schema, slot).await?;
                    makes += 1;
                }
                // The server is starting up.
                Some("57P03") if started.elapsed() < STARTING => tokio::time::sleep(Duration::from_millis(50)).await,
                _ => return Err(error.into()),
            },
        }
    }
}

async fn lock(server: &Address, mut connection: Connection, database: String) -> Result<Attempt<Acquired>, LeaseError> {
    let answer = async {
        // Both are under way at once: a lease costs one round trip.
        connection
            .send(&format!(
                "SELECT pg_catalog.pg_try_advisory_lock({KEY}), pg_catalog.current_setting('ptest.template', true)"
            ))
            .await?;
        connection.send(&format!("{};SAVEPOINT {}", begin_sql(), sandbox::SAVEPOINT)).await?;
        Ok::<_, QueryError>((connection.finish().await?, connection.finish().await?))
    };
    let (locked, begun) = answer.await.map_err(|source| LeaseError::Lock {
        database: database.clone(),
        address: Box::new(server.clone()),
        source,
    })?;
    let text = |rows: &[Vec<Option<String>>], column: usize| rows.first().and_then(|row| row[column].clone());
    if text(&locked, 0).as_deref() != Some("t") || text(&begun, 0).as_deref() != Some("t") {
        return Ok(Attempt::Held);
    }
    let constraints = text(&locked, 1).as_deref().map_or(Constraints::Ask, constraints);
    Ok(Attempt::Leased(Acquired { connection, database, constraints, began: text(&begun, 1).unwrap_or_default() }))
}

/// The facts of the template, as its clones carry them.
fn constraints(facts: &str) -> Constraints {
    match facts.split_once(';') {
        Some(("deferrable", deferred)) => Constraints::Known(deferred.to_owned()),
        _ if facts == "plain" => Constraints::None,
        _ => Constraints::Ask,
    }
}

async fn make_slot(server: &Address, schema: &Schema, slot: u32) -> crate::Result<()> {
    let mut admin = match Admin::open(server).await {
        // The server is starting up; the caller tries again.
        Err(e) if e.code() == Some("57P03") => return Ok(tokio::time::sleep(Duration::from_millis(50)).await),
        other => other?,
    };
    template::ensure(&mut admin, schema).await?;
    template::clone_slot(&mut admin, schema, slot).await?;
    admin.close().await;
    Ok(())
}
