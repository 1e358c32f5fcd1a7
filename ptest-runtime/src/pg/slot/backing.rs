//! What is behind a slot: one of any number of clones, or whatever else can be leased by the lock of a slot.

use std::path::Path;

use super::acquire::{self, Acquired, Attempt};
use super::detach;
use super::held::Loss;
use super::registry::Reserved;
use crate::pg::sandbox::Backend;
use crate::pg::server::{Address, ServerError};
use crate::schema::Schema;

/// The database behind a slot.
pub(crate) trait Backing: Send + 'static {
    /// Whether a new one can take its place when it has grown.
    const IS_CLONE: bool;

    /// Tries to lease it. Notes of tests that run are in the folder `notes`.
    async fn acquire(&self, server: &Address, schema: &Schema, notes: &Path) -> crate::Result<Attempt<Acquired>>;

    /// Has nobody lease it any more, for it can no longer be trusted. The lock is held as long as there is a backend.
    async fn take_out(
        &self,
        server: &Address,
        database: &str,
        backend: &mut Option<Backend>,
        loss: &Loss,
    ) -> Result<(), ServerError>;
}

/// A numbered clone of a template.
pub(super) struct Clone {
    /// What keeps other threads of this process from trying it.
    #[expect(dead_code, reason = "held, never read")]
    pub(super) reserved: Option<Reserved>,
    pub(super) number: u32,
    /// Whether it is made if it is missing.
    pub(super) make: bool,
}

impl Backing for Clone {
    const IS_CLONE: bool = true;

    async fn acquire(&self, server: &Address, schema: &Schema, notes: &Path) -> crate::Result<Attempt<Acquired>> {
        acquire::try_slot(server, schema, self.number, self.make, notes).await
    }

    async fn take_out(
        &self,
        server: &Address,
        database: &str,
        backend: &mut Option<Backend>,
        loss: &Loss,
    ) -> Result<(), ServerError> {
        let mut admin = detach::close(server, database).await?;
        drop(backend.take());
        let name = detach::detached_name(database);
        detach::rename(&mut admin, database, &name).await?;
        match loss {
            // Large, and nothing else is wrong with it: it need not wait for the reaper.
            Loss::Worn => detach::drop_on_its_own(admin, &name).await,
            _ => Ok(()),
        }
    }
}
