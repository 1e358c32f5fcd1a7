//! The inventory of a server: what databases ptest has there, and the dropping of all that are not in use.
//!
//! It lists and drops only what the [reaper] would.

use std::collections::BTreeSet;

use super::reaper;
use super::server::{Address, Admin, ServerError};

/// A database of ptest's.
#[derive(Debug, PartialEq, Eq)]
pub struct DatabaseStatus {
    /// Its name.
    pub name: String,
    /// `template`, `slot`, `spare`, `used`, `kept` and the like.
    pub kind: &'static str,
    /// Its size, in bytes.
    pub bytes: u64,
    /// How many connections it has.
    pub connections: u64,
}

/// A server, and what ptest has on it.
#[derive(Debug)]
pub struct ServerStatus {
    /// Where it is, and as whom ptest connects; without a password.
    pub address: String,
    /// What named it: a variable, or `ptest's own server`.
    pub origin: String,
    /// Its version, as in `15.18`.
    pub version: String,
    /// How many connections it takes, and how many it has, of whomever.
    pub connections: (u64, u64),
    /// Whether ptest's user may create databases there.
    pub may_create: bool,
    /// ptest's databases, by name.
    pub databases: Vec<DatabaseStatus>,
}

/// Looks at a server that runs.
pub(crate) async fn status(server: &Address) -> Result<ServerStatus, ServerError> {
    let mut admin = Admin::open(server).await?;
    let facts = "SELECT current_setting('server_version'), current_setting('max_connections'), \
         (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'), \
         (SELECT rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)";
    let facts = admin.run(facts).await?.into_iter().next().unwrap_or_default();
    let fact = |i: usize| facts.get(i).cloned().flatten().unwrap_or_default();
    let databases = databases(&mut admin).await?;
    admin.close().await;
    Ok(ServerStatus {
        address: server.to_string(),
        origin: server.origin.clone(),
        version: fact(0),
        connections: (fact(1).parse().unwrap_or_default(), fact(2).parse().unwrap_or_default()),
        may_create: fact(3) == "t",
        databases,
    })
}

/// Drops all of ptest's databases that are not in use, and names them.
pub(crate) async fn clean(server: &Address) -> Result<Vec<String>, ServerError> {
    let mut admin = Admin::open(server).await?;
    let names = |databases: Vec<DatabaseStatus>| databases.into_iter().map(|d| d.name).collect::<BTreeSet<_>>();
    let before = names(databases(&mut admin).await?);
    reaper::sweep_all(&mut admin).await?;
    let after = names(databases(&mut admin).await?);
    admin.close().await;
    Ok(before.difference(&after).cloned().collect())
}

async fn databases(admin: &mut Admin) -> Result<Vec<DatabaseStatus>, ServerError> {
    let mut found = Vec::new();
    for (name, kind) in reaper::own_databases(admin).await? {
        let sql = format!(
            "SELECT pg_catalog.pg_database_size(oid), pg_catalog.pg_stat_get_db_numbackends(oid) \
             FROM pg_catalog.pg_database WHERE datname = {}",
            super::server::quote_literal(&name)
        );
        // It may have gone meanwhile.
        let Some(row) = admin.run(&sql).await?.into_iter().next() else { continue };
        let number = |i: usize| row.get(i).and_then(|value| value.as_deref()?.parse().ok()).unwrap_or_default();
        found.push(DatabaseStatus { name, kind, bytes: number(0), connections: number(1) });
    }
    Ok(found)
}
