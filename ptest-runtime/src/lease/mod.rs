//! The lease: a slot database that no other running test has, held by a lock that dies with its holder.
//!
//! ```text
//!                 connect, lock, BEGIN           test opens                 test closes
//!   (missing) ──clone──► free ──────────► leased ─────────► in a sandbox ───────────────┐
//!                          ▲                ▲                                           │
//!                          │ process ends   └──────── audited, rolled back, reset ◄─────┤
//!                          └────────────────                                           │
//!                                             lost or escaped: detached, never reused ◄─┘
//! ```
//!
//! The lock is a session advisory lock in the slot database itself, on the connection that runs the test: the server
//! releases it, and rolls back, when the process dies. It is held as a transaction lock too, for a body may say
//! `pg_advisory_unlock_all()`. A process keeps its leases, each with its warm backend, for its next tests.

mod acquire;
mod detach;
mod keep;
mod keeper;
mod registry;
mod sequences;
mod slot;

pub(crate) use detach::rename;
pub(crate) use keep::mark as mark_kept;
pub(crate) use registry::{lease, release};
pub(crate) use slot::{Loss, Opened, Prober, Slot};

use crate::sandbox::Undone;
use crate::server::{Address, QueryError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    #[error("cannot lease a test database: all {tried} slots are held by running tests")]
    Exhausted { tried: u32 },
    #[error("cannot lock the test database `{database}` at {address}")]
    Lock { database: String, address: Box<Address>, source: QueryError },
    #[error("cannot open a socket for the test's connections in {}", folder.display())]
    Socket { folder: std::path::PathBuf, source: std::io::Error },
    #[error("the test ended the transaction of ptest in database `{database}`")]
    Escaped { database: String },
    #[error(
        "a statement of session {} ran inside the transaction of session {}, which was then rolled back: {}",
        undone.visitor, undone.holder, undone.sql
    )]
    Undone { undone: Undone },
    #[error("the thread that holds the test's database has ended")]
    Gone,
}

impl LeaseError {
    pub(crate) fn help(&self) -> Option<String> {
        match self {
            LeaseError::Exhausted { .. } => Some("run fewer tests at once".to_owned()),
            LeaseError::Socket { .. } => Some("make the folder for temporary files writable (TMPDIR)".to_owned()),
            LeaseError::Escaped { .. } => Some(
                "nothing of the test can be rolled back now, so its database is given up and no other test sees it. This \
                 should be impossible through the sandbox: please report what the test did"
                    .to_owned(),
            ),
            LeaseError::Undone { .. } => Some(
                "with `sessions = \"shared\"` a statement outside of a transaction joins the one that is open; on a server it \
                 would have stayed. Pass the transaction on to the code that runs it, or run it when the transaction has \
                 ended. Where it is meant to stay, write #[ptest::db_test(isolation = \"database\")]; it costs a clone"
                    .to_owned(),
            ),
            LeaseError::Lock { .. } | LeaseError::Gone => None,
        }
    }
}
