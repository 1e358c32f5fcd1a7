//! The single database as a source: tests take turns on it, and each has it as slot 0.

use std::path::Path;

use tokio::runtime::Runtime;

use super::turns::{self, Turn};
use super::{SingleError, contents, lease};
use crate::audit::Finding;
use crate::config::{Config, Keep};
use crate::pg::sandbox::Backend;
use crate::pg::server::{Address, ServerError};
use crate::pg::slot::{Acquired, Attempt, Backing, HeldSlot, LeaseError, Loss, Slot};
use crate::pg::source::{GivenBack, Held, Reach, Source};
use crate::schema::Schema;
use crate::spec::{Isolation, TestSpec};
use crate::sys::BoxFuture;

/// The one database that the address of its server names.
pub(crate) struct Single;

/// The database, for as long as its turn lasts.
#[derive(Debug)]
pub(crate) struct HeldTurn {
    held: HeldSlot,
    turn: Turn,
}

impl Source for Single {
    type Held = HeldTurn;

    async fn lease(server: &Address, schema: &Schema, test: &TestSpec) -> crate::Result<HeldTurn> {
        let (database, user) = (|| server.database.clone(), || server.user.clone());
        if test.isolation == Isolation::Database {
            return Err(SingleError::Isolation { database: database(), user: user() }.into());
        }
        if Config::get()?.keep != Keep::None {
            return Err(SingleError::Keep { database: database() }.into());
        }
        let (turn, warm) = turns::take(server, &schema.fingerprint).await?;
        let same = |slot: &Slot| slot.fingerprint() == schema.fingerprint && slot.server() == server;
        let slot = match warm.filter(same) {
            Some(slot) => slot,
            None => match Slot::acquire(server, schema, 0, Single).await? {
                Attempt::Leased(slot) => slot,
                Attempt::Held | Attempt::Missing | Attempt::Foreign { .. } => return Err(LeaseError::Gone.into()),
            },
        };
        Ok(HeldTurn { held: HeldSlot::open(slot, test).await?, turn })
    }
}

impl Backing for Single {
    const IS_CLONE: bool = false;

    async fn acquire(&self, server: &Address, schema: &Schema, notes: &Path) -> crate::Result<Attempt<Acquired>> {
        lease::acquire(server, schema, notes).await.map(Attempt::Leased)
    }

    /// While its lock is still held.
    async fn take_out(&self, server: &Address, _: &str, _: &mut Option<Backend>, _: &Loss) -> Result<(), ServerError> {
        contents::spoil(server).await
    }
}

impl Held for HeldTurn {
    fn server(&self) -> &Address {
        self.held.server()
    }

    fn name(&self) -> &str {
        self.held.name()
    }

    fn address(&self) -> Address {
        self.held.address()
    }

    fn number(&self) -> BoxFuture<'_, crate::Result<u32>> {
        self.held.number()
    }

    fn is_made(&self) -> bool {
        false
    }

    fn slot(&self) -> Option<u32> {
        self.held.slot()
    }

    fn reach(&self) -> Option<Box<dyn Reach>> {
        self.held.reach()
    }

    fn settle(&mut self, runtime: Option<&Runtime>) {
        self.held.settle(runtime);
    }

    fn restart(&mut self) -> BoxFuture<'_, crate::Result<Option<Vec<Finding>>>> {
        self.held.restart()
    }

    fn mark(&self) -> BoxFuture<'_, Option<u32>> {
        self.held.mark()
    }

    fn return_to(&mut self, mark: u32) -> BoxFuture<'_, bool> {
        self.held.return_to(mark)
    }

    fn close(self: Box<Self>, failed: bool) -> GivenBack {
        let HeldTurn { held, turn } = *self;
        let (given, clean) = held.give_back(failed);
        if let Some(slot) = clean {
            turn.pass_on(slot);
        }
        given
    }
}
