//! The search for a free slot: connect, try the lock, else the next; clone the one that is missing.

use std::path::Path;
use std::time::{Duration, Instant};

use super::LeaseError;
use super::proof::{self, Proof};
use super::sequences::{Sequences, Which};
use crate::pg::sandbox::{self, Constraints};
use crate::pg::server::{Address, Admin, Connection, QueryError};
use crate::pg::template::facts::{self, Facts};
use crate::pg::template::{self, Standing, TemplateError, slot_name};
use crate::schema::Schema;
use crate::spec::Level;

/// The key of the lease. Advisory locks belong to one database, so the same key serves every slot.
pub(crate) const KEY: &str = "8100086310834958188";

/// The fence behind the sandbox's rules: if ptest's transaction were ever lost, the next write would fail. A start-up
/// setting survives `RESET ALL`. No server-side timer may kill the backend between two statements of a client.
pub(crate) const FENCE: [(&str, &str); 2] =
    [("default_transaction_read_only", "on"), ("idle_in_transaction_session_timeout", "0")];

/// How long a server may take to let clients in.
const STARTING: Duration = Duration::from_secs(30);

/// How long the backend of the test before may take to go, when it has given the lease up. Another slot takes no longer.
const LEAVING: Duration = Duration::from_millis(100);

/// How often a slot is made that is not there on connecting: others may drop what nobody leases.
const MAKES: u32 = 3;

/// What came of trying a slot.
pub(crate) enum Attempt<S> {
    Leased(S),
    /// Another test has it, or had until a moment ago.
    Held,
    /// There is no such slot yet.
    Missing,
    /// A database has its name that is not proven to be ptest's; whose it is, where that is known.
    Foreign {
        owner: Option<String>,
    },
}

impl<S> Attempt<S> {
    pub(super) fn map<T>(self, leased: impl FnOnce(S) -> T) -> Attempt<T> {
        match self {
            Attempt::Leased(slot) => Attempt::Leased(leased(slot)),
            Attempt::Held => Attempt::Held,
            Attempt::Missing => Attempt::Missing,
            Attempt::Foreign { owner } => Attempt::Foreign { owner },
        }
    }
}

/// A slot's connection: locked, its transaction open, its savepoint set.
pub(crate) struct Acquired {
    pub(super) connection: Connection,
    pub(super) database: String,
    pub(super) constraints: Constraints,
    pub(super) proof: Proof,
    pub(super) sequences: Sequences,
    /// What the server says of the template, for whoever has the backend next.
    pub(super) told: Option<String>,
}

/// Tries to lease the slot with this number; `make`: clones it if it is missing.
pub(super) async fn try_slot(
    server: &Address,
    schema: &Schema,
    slot: u32,
    make: bool,
    notes: &Path,
) -> crate::Result<Attempt<Acquired>> {
    let database = slot_name(&schema.fingerprint, slot);
    let started = Instant::now();
    let mut makes = 0;
    loop {
        match Connection::open(server, &database, &FENCE).await {
            Ok(connection) => {
                return match lock(server, connection, &schema.fingerprint, database.clone(), notes).await {
                    Ok(Attempt::Leased(acquired)) => match acquired.alone(server).await? {
                        Some(acquired) => Ok(Attempt::Leased(acquired.restored(server).await?)),
                        None => Ok(Attempt::Held),
                    },
                    Ok(other) => Ok(other),
                    Err(error) => foreign_or(server, &database, error.into()).await,
                };
            }
            Err(error) => match error.code() {
                Some("3D000" | "55000") if !make => return Ok(Attempt::Missing),
                // Missing, or another process is in the middle of cloning it (or died there: then it is finished here).
                Some("3D000" | "55000") if makes < MAKES => {
                    if let Some(owner) = make_slot(server, schema, slot).await? {
                        return Ok(Attempt::Foreign { owner: Some(owner) });
                    }
                    makes += 1;
                }
                // The server is starting up.
                _ if error.is_worth_waiting() && started.elapsed() < STARTING => {
                    tokio::time::sleep(Duration::from_millis(50)).await
                }
                _ => return foreign_or(server, &database, error.into()).await,
            },
        }
    }
}

/// Whether a database that cannot be leased is somebody else's, who may have given it any settings; if not, the error.
async fn foreign_or<S>(server: &Address, database: &str, error: crate::Error) -> crate::Result<Attempt<S>> {
    let Ok(mut admin) = Admin::open(server).await else { return Err(error) };
    let standing = Standing::of(&mut admin, database).await;
    admin.close().await;
    match standing {
        Ok(Standing::Foreign { owner }) => Ok(Attempt::Foreign { owner: Some(owner) }),
        _ => Err(error),
    }
}

/// Takes the lease of a database that is proven to be ptest's.
async fn lock(
    server: &Address,
    mut connection: Connection,
    fingerprint: &str,
    database: String,
    notes: &Path,
) -> Result<Attempt<Acquired>, LeaseError> {
    let proven = template::is_proven_sql(fingerprint, &server.user);
    let answer = async {
        // Both are under way at once: a lease costs one round trip.
        connection.send(&format!("SELECT pg_catalog.pg_try_advisory_lock({KEY}), {}, {proven}", facts::ASK)).await?;
        connection
            .send(&format!("{};SAVEPOINT {}", proof::begin_sql(Level::ReadCommitted), sandbox::SAVEPOINT))
            .await?;
        Ok::<_, QueryError>((connection.finish().await?, connection.finish().await?))
    };
    let (locked, begun) = answer.await.map_err(|source| LeaseError::Lock {
        database: database.clone(),
        address: Box::new(server.clone()),
        source,
    })?;
    let text = |rows: &[Vec<Option<String>>], column: usize| rows.first().and_then(|row| row[column].clone());
    if text(&locked, 2).as_deref() != Some("t") {
        return Ok(Attempt::Foreign { owner: None });
    }
    let Some(proof) = Proof::read(begun.first()).filter(|_| text(&locked, 0).as_deref() == Some("t")) else {
        return Ok(Attempt::Held);
    };
    let told = text(&locked, 1);
    let facts = told.as_deref().and_then(Facts::read);
    let note = notes.join(&database);
    let acquired = Acquired::new(connection, database, facts, &note, proof);
    Ok(Attempt::Leased(Acquired { told, ..acquired }))
}

/// Begins ptest's transaction on a connection that has taken the lease.
pub(crate) async fn begin(
    server: &Address,
    mut connection: Connection,
    database: String,
    facts: Option<Facts>,
    note: &Path,
) -> Result<Acquired, LeaseError> {
    let sql = format!("{};SAVEPOINT {}", proof::begin_sql(Level::ReadCommitted), sandbox::SAVEPOINT);
    let rows = connection.query(&sql).await.map_err(|source| LeaseError::Lock {
        database: database.clone(),
        address: Box::new(server.clone()),
        source,
    })?;
    let proof = Proof::read(rows.first()).ok_or(LeaseError::Gone)?;
    Acquired::new(connection, database, facts, note, proof).restored(server).await
}

impl Acquired {
    pub(super) fn new(
        connection: Connection,
        database: String,
        facts: Option<Facts>,
        note: &Path,
        proof: Proof,
    ) -> Acquired {
        let sequences = Sequences::new(facts.as_ref(), note);
        let constraints = match facts {
            None => Constraints::Ask,
            Some(Facts { deferrable: None, .. }) => Constraints::None,
            Some(Facts { deferrable: Some(immediate), .. }) => Constraints::Known(immediate),
        };
        Acquired { connection, database, constraints, proof, sequences, told: None }
    }

    /// Waits until nobody is connected who could report yet what he has written: it would be taken for this test's time. `None`:
    /// somebody stays.
    async fn alone(mut self, server: &Address) -> Result<Option<Acquired>, LeaseError> {
        let failed = |database: &str, source| LeaseError::Lock {
            database: database.to_owned(),
            address: Box::new(server.clone()),
            source,
        };
        let started = Instant::now();
        while self.proof.may_be_early() {
            let company = self.connection.query(&proof::company_sql()).await.map_err(|e| failed(&self.database, e))?;
            if company.is_empty() {
                let begin = proof::reset_sql(Level::ReadCommitted);
                let rows = self.connection.query(&begin).await.map_err(|e| failed(&self.database, e))?;
                self.proof = Proof::read(rows.last()).ok_or(LeaseError::Gone)?;
                break;
            }
            if started.elapsed() > LEAVING {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(Some(self))
    }

    /// Restores the sequences after a test that was killed.
    async fn restored(mut self, server: &Address) -> Result<Acquired, LeaseError> {
        let which = match self.sequences.were_left() {
            true => Which::All,
            false if server.is_own() => return Ok(self),
            false => Which::Ahead,
        };
        let Some(restore) = self.sequences.restore(which) else { return Ok(self) };
        let rows = self
            .connection
            .query(&format!("{};{}", proof::restore_sql(&restore), proof::ready_sql(Level::ReadCommitted)))
            .await
            .map_err(|source| LeaseError::Lock {
                database: self.database.clone(),
                address: Box::new(server.clone()),
                source,
            })?;
        self.proof = Proof::read(rows.last()).ok_or(LeaseError::Gone)?;
        Ok(self)
    }
}

/// Clones the template; gives the owner of the slot's name if that is somebody else.
async fn make_slot(server: &Address, schema: &Schema, slot: u32) -> crate::Result<Option<String>> {
    let mut admin = match Admin::open(server).await {
        // The server is starting up; the caller tries again.
        Err(e) if e.is_worth_waiting() => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Ok(None);
        }
        other => other?,
    };
    template::ensure(&mut admin, schema).await?;
    let slot = slot_name(&schema.fingerprint, slot);
    let cloned = template::clone_into(&mut admin, schema, &slot).await;
    admin.close().await;
    match cloned {
        Err(TemplateError::Foreign { name, owner, .. }) if name == slot => Ok(Some(owner)),
        other => Ok(other.map(|()| None)?),
    }
}
