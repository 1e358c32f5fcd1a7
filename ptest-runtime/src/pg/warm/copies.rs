//! Copies of small tables that the template fills, to put them back from. A copy is taken from a clone that no test has had,
//! once a test has written to the table.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

use crate::pg::server::{Connection, QueryError};

/// A larger table, in bytes, costs as much to fill as a clone.
const LARGEST: u64 = 256 << 10;

/// The copies of one template's tables.
#[derive(Debug, Clone, Default)]
pub(super) struct Copies(Arc<Mutex<BTreeMap<u32, Copy>>>);

#[derive(Debug)]
enum Copy {
    Wanted,
    Taken(Copied),
    /// It cannot be filled again, or is too large.
    Never,
}

/// A table's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copied {
    /// As SQL writes it.
    pub(super) table: String,
    pub(super) rows: Bytes,
}

impl Copies {
    pub(super) fn of(&self, oid: u32) -> Option<Copied> {
        match self.lock().get(&oid) {
            Some(Copy::Taken(copied)) => Some(copied.clone()),
            _ => None,
        }
    }

    /// Has these taken from the next clean slot.
    pub(super) fn want(&self, oids: &[u32]) {
        for oid in oids {
            self.lock().entry(*oid).or_insert(Copy::Wanted);
        }
    }

    /// Takes what is wanted, in a slot that is clean.
    pub(super) async fn take(&self, restorer: &mut Connection) -> Result<(), QueryError> {
        let wanted: Vec<u32> = self.wanted();
        for oid in wanted {
            let copy = match copyable(restorer, oid).await? {
                Some(table) => {
                    let rows: BytesMut = restorer.copy_out(&format!("COPY {table} TO STDOUT")).await?;
                    Copy::Taken(Copied { table, rows: rows.freeze() })
                }
                None => Copy::Never,
            };
            self.lock().insert(oid, copy);
        }
        Ok(())
    }

    fn wanted(&self) -> Vec<u32> {
        self.lock().iter().filter(|(_, copy)| matches!(copy, Copy::Wanted)).map(|(oid, _)| *oid).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Copy>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a table that can be emptied and filled again; `None`: it cannot be.
///
/// Rules and triggers that fire for a replica would do something else, and only a heap's rows are counted.
async fn copyable(restorer: &mut Connection, oid: u32) -> Result<Option<String>, QueryError> {
    let sql = format!(
        "SELECT oid::regclass FROM pg_catalog.pg_class t WHERE oid = {oid} AND relkind = 'r' AND NOT relhasrules \
           AND pg_catalog.pg_relation_size(oid) <= {LARGEST} \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = t.oid AND tgenabled IN ('A', 'R'))"
    );
    Ok(restorer.query(&sql).await?.into_iter().flatten().flatten().next())
}
