//! The database of a test with `isolation = "database"`: a slot whose real sessions are restored in place.
//!
//! ```text
//!              locked, proven clean            marked            test closes
//!  (missing) ──clone──► clean ──────► idle ──────────► in use ─────────────────┐
//!                         ▲            ▲                                       │
//!                         │            └──put back, proven, marked as clean ◄──┤
//!                         └──dropped and cloned again ◄──cannot be put back ◄──┘
//! ```
//!
//! A slot is a clone, a session of ptest's own in it (the *restorer*, which holds the lease: the same advisory lock as in the
//! slots of the sandbox), and the sessions of clients that were reset. The database's comment says whether it is clean. It
//! changes to `in use` before any client is let in, and back in the transaction that puts back what the test has written: so
//! whoever finds a database without its lock knows what it is, however its last holder ended.
//!
//! What moved, the server counts: rows inserted, updated and deleted of each table, catalogues included, and blocks read of
//! each sequence (PostgreSQL manual, section 28.2). Where anything has moved that is not provably put back, the database is
//! dropped. The blind spot: a superuser's session that sets `track_counts` off, by a name that no text of a client shows.

mod acquire;
mod copies;
mod held;
mod image;
mod keeper;
mod plan;
mod registry;
mod replace;
mod restorer;

pub(crate) use registry::lease;
