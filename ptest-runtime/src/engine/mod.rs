//! The seam between the life of a test and the kinds of databases that it can have: all that one knows of the other.
//!
//! ```text
//!           open, load          (the body runs)            settle              close
//!  (nothing) ─────────► leased ─────────────────► leased ─────────► as it was ──────► given back
//!                          └─ handle: looked at, interrupted, asked for its activity, from any thread
//! ```
//!
//! A kind of database is one folder with one type that implements [`Engine`]; nothing here names one.

pub(crate) mod kept;
mod section;

pub(crate) use section::{Section, Shown};

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::audit::Finding;
use crate::spec::{Script, TestSpec};
use crate::sys::BoxFuture;

/// One kind of database that a test can have.
pub(crate) trait Engine: fmt::Debug + Sized + Send + 'static {
    /// What messages call it.
    const NAME: &'static str;

    /// Leases the database that the test asks for.
    async fn open(test: &'static TestSpec) -> crate::Result<Self>;

    /// Runs fixtures in it. Where one fails, the database is closed with the test, and as clean as ever.
    async fn load(&mut self, fixtures: &'static [Script]) -> crate::Result<()>;

    /// What other threads may do to it while the body runs; `None`: nothing.
    fn handle(&self) -> Option<Arc<dyn Handle>>;

    /// Called when the body of a test that has passed has returned, while its runtime still runs: what is left to say to
    /// the database, such as the rollback of a transaction that was dropped, is said now.
    fn settle(&mut self, runtime: Option<&Runtime>);

    /// Takes the database back to its start, but for the fixtures, where clients find it at the same address; gives what was
    /// left. `None`: there is no such way, and nothing was done.
    fn restart(&mut self) -> BoxFuture<'_, crate::Result<Option<Vec<Finding>>>> {
        Box::pin(async { Ok(None) })
    }

    /// Notes where the transaction is; `None`: there is none, or a session stays in one of its own.
    fn mark(&self) -> BoxFuture<'_, Option<u32>> {
        Box::pin(async { None })
    }

    /// Goes back to a mark; whether there is such a mark.
    fn return_to(&mut self, _mark: u32) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    /// What helps a test whose body has panicked with this message.
    fn hint(&self, _message: &str) -> Option<&'static str> {
        None
    }

    /// Looks at what the test left, and gives the database back; `failed`: the runner will call it a failure. Blocks the
    /// thread of the test, whose runtime is gone.
    fn close(self, failed: bool) -> Closed;
}

/// Reaches a database from any thread.
pub(crate) trait Handle: fmt::Debug + Send + Sync {
    /// Notes what the test is at there, for the report of one that fails, unless that is noted already; `timed_out`: its
    /// time is up.
    fn look(&self, timed_out: bool);

    /// Ends what the test has running there: its time is up.
    fn interrupt(&self);

    /// What the database is at, once it has read all that its clients have sent; `None`: that cannot be seen, or it is gone.
    fn activity(&self) -> Option<Activity> {
        None
    }

    /// Whether the database is a library, whose work nobody sees. A paused clock waits for quiet then.
    fn works_unseen(&self) -> bool {
        false
    }
}

/// What a database is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Activity {
    /// It works on a message of a client.
    pub(crate) busy: bool,
    /// How many messages have been taken from clients.
    pub(crate) count: u64,
}

/// What came of giving a database back.
pub(crate) struct Closed {
    pub(crate) findings: Vec<Finding>,
    /// What fails a test that has passed, whatever the severities of findings are.
    pub(crate) failure: Option<crate::Error>,
    pub(crate) section: Box<dyn Section>,
    /// What is to be done now and then, for which no test waits: it is called when all databases have been given back.
    pub(crate) housekeeping: Option<Box<dyn FnOnce()>>,
}

/// An engine whose kind is forgotten.
pub(crate) trait AnyEngine: Any + fmt::Debug + Send {
    fn load(&mut self, fixtures: &'static [Script]) -> BoxFuture<'_, crate::Result<()>>;
    fn restart(&mut self) -> BoxFuture<'_, crate::Result<Option<Vec<Finding>>>>;
    fn mark(&self) -> BoxFuture<'_, Option<u32>>;
    fn return_to(&mut self, mark: u32) -> BoxFuture<'_, bool>;
    fn settle(&mut self, runtime: Option<&Runtime>);
    fn hint(&self, message: &str) -> Option<&'static str>;
    fn close(self: Box<Self>, failed: bool) -> Closed;
}

impl<E: Engine> AnyEngine for E {
    fn load(&mut self, fixtures: &'static [Script]) -> BoxFuture<'_, crate::Result<()>> {
        Box::pin(Engine::load(self, fixtures))
    }

    fn restart(&mut self) -> BoxFuture<'_, crate::Result<Option<Vec<Finding>>>> {
        Engine::restart(self)
    }

    fn mark(&self) -> BoxFuture<'_, Option<u32>> {
        Engine::mark(self)
    }

    fn return_to(&mut self, mark: u32) -> BoxFuture<'_, bool> {
        Engine::return_to(self, mark)
    }

    fn settle(&mut self, runtime: Option<&Runtime>) {
        Engine::settle(self, runtime);
    }

    fn hint(&self, message: &str) -> Option<&'static str> {
        Engine::hint(self, message)
    }

    fn close(self: Box<Self>, failed: bool) -> Closed {
        Engine::close(*self, failed)
    }
}

impl dyn AnyEngine {
    /// The engine, if it is of this kind.
    pub(crate) fn downcast_mut<E: Engine>(&mut self) -> Option<&mut E> {
        (self as &mut dyn Any).downcast_mut()
    }
}
