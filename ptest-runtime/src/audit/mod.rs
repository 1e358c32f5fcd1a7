//! The audit: what is found when a test is over, and what becomes of it.
//!
//! | finding | what was found | by default |
//! |---|---|---|
//! | (an escape) | Something of the test was committed, or may have been. Of every test; its database is given up. | always an error |
//! | `turn` | A session was refused its turn (PT001), and the test passed all the same. | an error |
//! | `sandbox` | A client got an answer that a server would not have given. | an error |
//! | `deferred_constraint` | A deferred constraint was violated: a commit would have failed. | an error |
//! | `open_transaction` | A transaction was neither committed nor rolled back. | a warning |
//! | `leaked_session` | A thread, a process or a task still used the database. | a warning |
//! | `advisory_lock` | A session still held an advisory lock. | a warning |
//! | `other_connection` | Somebody else was connected to the leased database. Of every test; it is given up. | a warning |
//!
//! An error fails a test that has passed; a test that failed by itself keeps its own message, and of it only what its
//! database's future depends on is looked at. All texts are in [`finding`]. What is looked at, and how, is part of what
//! ends a test: [`Sandbox::close`](crate::pg::sandbox::Sandbox::close), the keepers of `lease` and `database`, and `sqlite`.

mod finding;
mod severities;

pub(crate) use finding::{AuditError, Deviation, Finding, Straggler, one_line};
pub(crate) use severities::Misspelled;
pub use severities::{Kind, Severities, Severity};

/// Warns of what was found, or fails the test for it, as the severities of the test and of the run have it.
///
/// # Errors
///
/// What was found is an error at this severity.
pub(crate) fn judge(findings: Vec<Finding>, of_test: &Severities, of_run: &Severities) -> Result<(), AuditError> {
    let mut errors = Vec::new();
    for finding in findings {
        let severity = finding
            .kind()
            .map_or(Severity::Error, |kind| of_test.of(kind).or(of_run.of(kind)).unwrap_or(kind.default()));
        match severity {
            Severity::Error => errors.push(finding),
            Severity::Warning => eprintln!("ptest: warning: {:?}", AuditError(vec![finding])),
            Severity::Off => {}
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(AuditError(errors)) }
}

#[cfg(test)]
mod tests;
