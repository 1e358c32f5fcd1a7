//! Which constraints can be deferred, and the commands at a commit that follow from it.

use super::commit::as_own_user;

/// The deferrable constraints of the database, as far as they matter at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Constraints {
    /// There are none: releasing a savepoint is as good as a commit.
    None,
    /// These are `INITIALLY IMMEDIATE` (a list for `SET CONSTRAINTS`, perhaps empty); all others are deferred at first.
    Known(String),
    /// The test may have made some: the server is asked at each commit.
    Ask,
    /// The same, until the server has answered which there are.
    Asked,
}

impl Constraints {
    /// The answer to [`WHICH`].
    pub(super) fn of_answer(mut rows: Vec<Vec<Option<String>>>) -> Self {
        let list = rows.pop().and_then(|mut row| row.pop()).flatten();
        list.map_or(Constraints::None, Constraints::Known)
    }
}

/// Checks what is deferred, as a commit does.
pub(super) const CHECK: &str = "SET CONSTRAINTS ALL IMMEDIATE";

/// Asks which there are: null if there are none, else those that are immediate at first.
pub(super) const WHICH: &str = "SELECT CASE WHEN pg_catalog.count(*) > 0 THEN coalesce(pg_catalog.string_agg(\
    pg_catalog.format('%I.%I', n.nspname, c.conname), ',') FILTER (WHERE NOT c.condeferred), '') END \
    FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace WHERE c.condeferrable";

/// Makes immediate what is so at first; by asking, if it is no longer what the template has.
pub(super) fn immediate_again(known: Option<&str>, user: &str) -> String {
    let ask = "EXECUTE coalesce((SELECT 'SET CONSTRAINTS ' || pg_catalog.string_agg(pg_catalog.format('%I.%I', n.nspname, \
        c.conname), ',') || ' IMMEDIATE' FROM pg_catalog.pg_constraint c \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace WHERE c.condeferrable AND NOT c.condeferred), 'RESET jit'); ";
    let known =
        known.map(|list| format!("BEGIN SET CONSTRAINTS {list} IMMEDIATE; EXCEPTION WHEN OTHERS THEN {ask}END; "));
    as_own_user(known.as_deref().unwrap_or(ask), user, [None; 2])
}
