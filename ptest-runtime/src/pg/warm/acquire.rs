//! The search for a slot: connect, try the lock, see that it is clean; clone what is missing or is not.

use std::time::{Duration, Instant};

use super::image::{ASK, CLEAN, Image, PREPARE};
use super::replace;
use super::restorer::{Restorer, SETTINGS};
use crate::pg::server::{Address, Admin, Connection, QueryError};
use crate::pg::slot::{KEY, LeaseError};
use crate::pg::template::facts::{self, Facts};
use crate::pg::template::{self, TemplateError, warm_name};
use crate::schema::Schema;

/// From this version on the counters are in shared memory, and a backend can be told to report what it has counted.
pub(super) const COUNTS: u32 = 150_000;

/// How long a server may take to let clients in.
const STARTING: Duration = Duration::from_secs(30);

/// How long others may take to leave a slot whose lock is free.
const LEAVING: Duration = Duration::from_millis(100);

/// How often a slot is made again.
const MAKES: u32 = 3;

/// What came of trying a slot.
pub(super) enum Attempt<S> {
    Leased(S),
    /// Another test has it, or had until a moment ago.
    Held,
    /// There is no such slot yet.
    Missing,
    /// A database has its name that is not proven to be ptest's, or that cannot be made again.
    Foreign,
    /// The server is too old for such slots, or ptest's user may not do there what they need.
    Unable,
}

impl<S> Attempt<S> {
    pub(super) fn map<T>(self, leased: impl FnOnce(S) -> T) -> Attempt<T> {
        match self {
            Attempt::Leased(slot) => Attempt::Leased(leased(slot)),
            Attempt::Held => Attempt::Held,
            Attempt::Missing => Attempt::Missing,
            Attempt::Foreign => Attempt::Foreign,
            Attempt::Unable => Attempt::Unable,
        }
    }
}

/// Tries to lease the slot with this number; `make`: clones it if it is missing.
pub(super) async fn try_slot(
    server: &Address,
    schema: &Schema,
    slot: u32,
    make: bool,
) -> crate::Result<Attempt<Restorer>> {
    let database = warm_name(&schema.fingerprint, slot);
    let started = Instant::now();
    let mut makes = 0;
    loop {
        let dirty = match Connection::open(server, &database, &SETTINGS).await {
            Ok(connection) if connection.major_version() < COUNTS / 10_000 || !connection.is_superuser() => {
                return Ok(Attempt::Unable);
            }
            Ok(connection) => match lock(server, connection, &schema.fingerprint, &database).await? {
                Found::Clean(restorer) => return Ok(Attempt::Leased(*restorer)),
                Found::Held => return Ok(Attempt::Held),
                Found::Foreign => return Ok(Attempt::Foreign),
                // Connecting again tells which.
                Found::Dropped if started.elapsed() < STARTING => {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    continue;
                }
                Found::Dropped => return Ok(Attempt::Held),
                Found::Dirty(oid) => Some(oid),
            },
            Err(error) => match error.code() {
                Some("3D000" | "55000") if !make => return Ok(Attempt::Missing),
                Some("3D000" | "55000") => None,
                // It is being dropped; or the server is starting up.
                Some("57P01" | "57P03") if started.elapsed() < STARTING => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
                // One of the settings is not known there, or not allowed.
                Some("42501" | "42704") => return Ok(Attempt::Unable),
                _ => return Err(error.into()),
            },
        };
        if makes == MAKES {
            return Ok(Attempt::Held);
        }
        makes += 1;
        let Some(mut admin) = open_admin(server, started).await? else { return Ok(Attempt::Unable) };
        match replace::make(&mut admin, schema, &database, dirty).await {
            // Another number has no such past.
            Err(TemplateError::Clone { source, .. }) if source.state() == Some("55006") => return Ok(Attempt::Foreign),
            Err(TemplateError::Foreign { name, .. }) if name == database => return Ok(Attempt::Foreign),
            made => made?,
        }
        admin.close().await;
    }
}

/// An administrative connection; `None`: the server has no such slots.
async fn open_admin(server: &Address, started: Instant) -> crate::Result<Option<Admin>> {
    loop {
        match Admin::open(server).await {
            Err(e) if e.code() == Some("57P03") && started.elapsed() < STARTING => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error.into()),
            Ok(mut admin) => {
                if admin.version() < COUNTS || !admin.connection().is_superuser() {
                    return Ok(None);
                }
                admin.outlive_client().await?;
                return Ok(Some(admin));
            }
        }
    }
}

enum Found {
    Clean(Box<Restorer>),
    Held,
    Foreign,
    /// The connection broke: somebody drops it, or the server is gone.
    Dropped,
    /// A test has had it that did not put it back; the number of the database.
    Dirty(u32),
}

async fn lock(
    server: &Address,
    mut connection: Connection,
    fingerprint: &str,
    database: &str,
) -> Result<Found, LeaseError> {
    let proven = template::is_proven_sql(fingerprint, &server.user);
    let answer = async {
        // Both are under way at once. What the second says is of later than the lock.
        connection.send(&format!("SELECT pg_catalog.pg_try_advisory_lock({KEY}), {}, {proven}", facts::ASK)).await?;
        connection.send(&format!("{PREPARE};{ASK}")).await?;
        Ok::<_, QueryError>((connection.finish().await?, connection.finish().await?))
    };
    let failed = |source| LeaseError::Lock { database: database.to_owned(), address: Box::new(server.clone()), source };
    let (locked, rows) = match answer.await {
        // Whoever drops it ends all sessions in it.
        Err(QueryError::Io(_)) => return Ok(Found::Dropped),
        Err(QueryError::Db(error)) if error.code == "57P01" => return Ok(Found::Dropped),
        answer => answer.map_err(failed)?,
    };
    let text = |column: usize| locked.first().and_then(|row| row[column].clone());
    if text(2).as_deref() != Some("t") {
        return Ok(Found::Foreign);
    }
    if text(0).as_deref() != Some("t") {
        return Ok(Found::Held);
    }
    let Some(mut image) = Image::read(rows) else { return Ok(Found::Held) };
    let facts = text(1).as_deref().and_then(Facts::read);
    let Some(facts) = facts.filter(|_| image.comment.as_deref() == Some(CLEAN) && image.is_sound()) else {
        let _ = replace::release(&mut connection).await;
        return Ok(Found::Dirty(image.oid));
    };
    let started = Instant::now();
    while image.backends > 1 {
        if started.elapsed() > LEAVING {
            return Ok(Found::Held);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        match Image::read(connection.query(ASK).await.map_err(failed)?) {
            Some(later) => image = later,
            None => return Ok(Found::Held),
        }
    }
    Ok(Found::Clean(Box::new(Restorer::new(connection, database.to_owned(), facts, image))))
}
