//! Where the database of a test comes from. A source leases it, and what it gives is held by the test until it is closed.
//!
//! | source | when | what a test has |
//! |---|---|---|
//! | [`Slots`](super::slot::Slots) | `isolation = "transaction"` | a sandbox in a numbered clone |
//! | [`warm`](super::warm) | `isolation = "database"` | sessions of the server's own in a numbered clone |
//! | [`Clones`](super::clone::Clones) | the same, where the server cannot tell what was written | a clone of its own |
//! | [`Single`](super::single::Single) | `PTEST_SINGLE_DATABASE` | a sandbox in the one database that there is |

use std::fmt;

use tokio::runtime::Runtime;

use crate::audit::Finding;
use crate::engine::Activity;
use crate::engine::kept::Kept;
use crate::pg::report::Snapshot;
use crate::pg::server::Address;
use crate::schema::Schema;
use crate::spec::TestSpec;
use crate::sys::BoxFuture;

/// Where databases of tests come from.
pub(crate) trait Source {
    type Held: Held + 'static;

    /// Leases a database of this schema that no other test has.
    async fn lease(server: &Address, schema: &Schema, test: &TestSpec) -> crate::Result<Self::Held>;
}

/// The database that one test has. Dropping it gives it up: no other test sees it.
pub(crate) trait Held: fmt::Debug + Send {
    fn server(&self) -> &Address;

    /// The database's name on the server.
    fn name(&self) -> &str;

    /// Where clients of the test find it.
    fn address(&self) -> Address;

    /// A small number that no other running test of this isolation has.
    fn number(&self) -> BoxFuture<'_, crate::Result<u32>>;

    /// Whether its source has made it, on a server where it makes any number of them: then it can be kept, and what such
    /// databases leave behind is looked after.
    fn is_made(&self) -> bool;

    /// The number of its slot, where it is one: then its clients are in a sandbox.
    fn slot(&self) -> Option<u32>;

    /// What reaches it from any thread.
    fn reach(&self) -> Option<Box<dyn Reach>>;

    /// See [`Engine::settle`](crate::engine::Engine::settle).
    fn settle(&mut self, runtime: Option<&Runtime>);

    /// See [`Engine::restart`](crate::engine::Engine::restart).
    fn restart(&mut self) -> BoxFuture<'_, crate::Result<Option<Vec<Finding>>>> {
        Box::pin(async { Ok(None) })
    }

    /// See [`Engine::mark`](crate::engine::Engine::mark).
    fn mark(&self) -> BoxFuture<'_, Option<u32>> {
        Box::pin(async { None })
    }

    /// See [`Engine::return_to`](crate::engine::Engine::return_to).
    fn return_to(&mut self, _mark: u32) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    /// Looks at what the test left, and gives the database back, or up. Blocks the thread of the test, whose runtime is gone.
    fn close(self: Box<Self>, failed: bool) -> GivenBack;
}

/// Reaches a database from any thread.
pub(crate) trait Reach: fmt::Debug + Send + Sync {
    /// What the test is at; `None`: the database is gone.
    fn look(&self, timed_out: bool) -> Option<Snapshot>;

    /// Ends the test's sessions.
    fn interrupt(&self);

    /// See [`Handle::activity`](crate::engine::Handle::activity).
    fn activity(&self) -> Option<Activity>;
}

/// What is known of a database when its test has given it back.
#[derive(Debug, Default)]
pub(crate) struct GivenBack {
    pub(crate) findings: Vec<Finding>,
    /// What its sessions had said.
    pub(crate) snapshot: Option<Snapshot>,
    /// It was to be kept for the user.
    pub(crate) kept: Option<Kept>,
    /// The fingerprint of which killed tests have left too many databases.
    pub(crate) piled_up: Option<String>,
}
