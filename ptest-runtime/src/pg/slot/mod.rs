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
mod backing;
mod bloat;
mod detach;
mod held;
mod keep;
mod keeper;
mod lend;
mod locks;
mod proof;
mod registry;
mod search;
mod sequences;
mod source;

pub(crate) use acquire::{Acquired, Attempt, FENCE, KEY, begin};
pub(crate) use backing::Backing;
pub(crate) use detach::rename;
pub(crate) use held::{Loss, Slot};
pub(crate) use keep::mark as mark_kept;
pub(crate) use registry::forget;
pub(crate) use sequences::{restore_fetched_sql, restore_sequences_sql};
pub(crate) use source::{HeldSlot, Slots};

use crate::error::{Class, Failure};
use crate::pg::server::{Address, QueryError};
use crate::pg::socket::SocketError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    #[error("cannot lease a test database: all {tried} slots are held by running tests")]
    Exhausted { tried: u32 },
    #[error(
        "cannot lease a test database: all {tried} slots are held by running tests or are not ptest's, as `{name}` of {owner}"
    )]
    Foreign { tried: u32, name: String, owner: String },
    #[error("cannot lock the test database `{database}` at {address}")]
    Lock { database: String, address: Box<Address>, source: QueryError },
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("cannot lease a database by its file in {}", folder.display())]
    Claim { folder: std::path::PathBuf, source: std::io::Error },
    #[error("the thread that holds the test's database has ended")]
    Gone,
}

impl Failure for LeaseError {
    fn help(&self) -> Option<String> {
        match self {
            LeaseError::Exhausted { .. } => Some("run fewer tests at once".to_owned()),
            LeaseError::Foreign { owner, .. } => Some(format!(
                "a name proves nothing, so ptest leases no database that another user has made: let {owner} or a superuser \
                 drop them; or set PTEST_DATABASE_URL=own and ptest starts a server of its own"
            )),
            LeaseError::Socket(error) => error.help(),
            LeaseError::Claim { .. } => Some("run all tests of this target folder as the same user".to_owned()),
            LeaseError::Lock { .. } | LeaseError::Gone => None,
        }
    }

    fn class(&self) -> Class {
        match self {
            LeaseError::Gone => Class::Gone,
            LeaseError::Lock { address, source, .. } if address.is_own() && source.is_end_of_server() => {
                Class::NoServer
            }
            _ => Class::Other,
        }
    }
}
