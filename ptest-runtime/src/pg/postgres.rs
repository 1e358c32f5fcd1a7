//! The test's PostgreSQL database, wherever it comes from.

use std::sync::{Arc, OnceLock};

use super::draft::Draft;
use super::report::Snapshot;
use super::server::Address;
use super::source::Held;
use crate::spec::TestSpec;
use crate::test::context::DRAFT;

/// The test's PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Postgres {
    pub(super) test: &'static TestSpec,
    pub(super) held: Box<dyn Held>,
    /// What the test was at, where somebody has looked.
    pub(super) seen: Arc<OnceLock<Snapshot>>,
}

impl Postgres {
    pub(super) fn new(test: &'static TestSpec, held: Box<dyn Held>) -> Self {
        Postgres { test, held, seen: Arc::default() }
    }

    /// A template under construction, for code of the user's that makes it.
    pub(crate) fn of_draft(address: Address) -> Self {
        Postgres::new(&DRAFT, Box::new(Draft(address)))
    }

    /// Where clients of the test find its database: in the sandbox, or on the server.
    pub(crate) fn address(&self) -> Address {
        self.held.address()
    }

    pub(crate) fn name(&self) -> &str {
        self.held.name()
    }

    /// A small number of the test's own.
    pub(crate) async fn number(&self) -> crate::Result<u32> {
        self.held.number().await
    }
}
