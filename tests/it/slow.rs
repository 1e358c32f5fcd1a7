//! The suites that start servers, kill processes, fill disks and wait: a binary of their own, which `cargo test` leaves out.
//! `cargo test -p ptest --test slow` runs it, and so does `./test all`.
//!
//! It shares its helpers with `main.rs`, and the suites that `servers` runs again on servers of other kinds.

#![allow(dead_code, reason = "what both binaries share is used by one or the other")]

mod disk;
mod isolation;
mod package;
mod parameters;
mod rerun;
mod scratch_server;
mod sequences;
mod servers;
mod single;
mod target;
mod wire;

/// `isolation = "database"`.
mod database {
    mod killed;
    mod restored;
}

mod proof {
    pub(crate) mod digest;
}
