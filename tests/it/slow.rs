//! The suites that start servers, kill processes, fill disks and wait: a binary of their own, which `cargo test` leaves out.
//! `cargo test -p ptest --test slow` runs it, and so does `./test all`.
//!
//! It shares its helpers with `main.rs`, and the suites that `servers` runs again on servers of other kinds.

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

    /// The names of the spares: as their names say on a server of the user's, as ptest's files say on its own.
    const SPARES: &str = "select datname from pg_database where datname ~ '_spare_[0-9a-f]{16}$' \
        union all select format('ptest_%s_claimed_%s', split_part(file, '_', 1), split_part(says, ' ', 2)) \
        from pg_ls_dir('ptest_claims', true, false) as file, pg_read_file('ptest_claims/' || file, 0, 100, true) as says \
        where says like 'spare %'";
}

mod proof {
    pub(crate) mod digest;
}
