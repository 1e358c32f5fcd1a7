//! The lease as a value: what a test has of its database, without the attribute.
//!
//! A lease holds a [`Context`] and does with it what `test/run` does, at the caller's word instead of around a body.

mod blocking;

use std::fmt;
use std::mem;

pub use blocking::BlockingLease;

use crate::error::Failure;
use crate::spec::TestSpec;
use crate::test::context::{Closed, Context};
use crate::test::param::FromContext;

/// A test's database without the attribute: for benchmarks, other harnesses, fixtures, doc tests, and end-to-end tests of an
/// application that runs.
///
/// `ptest::lease!` makes one, by the same arguments as `#[ptest::db_test]`. It leases a database when it is first asked for
/// something, and gives it back, rolled back, when it is closed:
///
/// ```
/// # #[cfg(feature = "sqlx-postgres")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use ptest_runtime as ptest;
/// use sqlx::PgPool;
///
/// # const _: &str = r#"
/// let mut lease = ptest::lease!(migrations = false);
/// # "#; let mut lease = ptest::Lease::without_migrations();
/// let pool: PgPool = lease.get().await?;
/// sqlx::query("create table visit (id int)").execute(&pool).await?;
///
/// // As if the test began anew; the address stays, connections do not.
/// lease.reset().await?;
/// assert!(sqlx::query("select from visit").execute(&pool).await.is_err());
///
/// drop(pool);
/// lease.close().await?;
/// # Ok(()) }
/// # #[cfg(not(feature = "sqlx-postgres"))] fn main() {}
/// ```
///
/// # Panics and drops
///
/// A lease that is dropped is rolled back too, but nobody hears what the audit would have found, so ptest warns. One that is
/// dropped by a panic says what its sessions did last, as a failing test does.
pub struct Lease {
    /// `None`: closed.
    cx: Option<Context>,
}

/// A point of a lease's transaction to return to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u32);

#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    #[error("`{test}` cannot mark a point of its transaction")]
    CannotMark { test: &'static str },
    #[error("`{test}` cannot return to that mark")]
    NoMark { test: &'static str },
    #[error("the thread that closes the database cannot be started")]
    Thread(#[source] std::io::Error),
}

impl Failure for LeaseError {
    fn help(&self) -> Option<String> {
        match self {
            LeaseError::CannotMark { .. } => Some(
                "ask the lease for a PostgreSQL parameter first, and finish the transactions of its sessions; with \
                 isolation = \"database\" and on SQLite there is `reset` alone, at the cost of another copy"
                    .to_owned(),
            ),
            LeaseError::NoMark { .. } => {
                Some("mark the point again: a reset, or a return to an earlier mark, has undone it".to_owned())
            }
            LeaseError::Thread(_) => None,
        }
    }
}

/// What `lease!` calls; follows no semver.
#[doc(hidden)]
impl Lease {
    pub fn of(test: &'static TestSpec) -> Lease {
        Lease { cx: Some(Context::new(test)) }
    }

    /// For the examples of this crate, which the macro's crate is above of.
    pub fn without_migrations() -> Lease {
        static TEST: TestSpec =
            TestSpec::new("ptest::lease", env!("CARGO_MANIFEST_DIR")).migrations(crate::spec::Migrations::None);
        Lease::of(&TEST)
    }
}

impl Lease {
    /// A value of any type that a test can have as a parameter, as often as one likes.
    ///
    /// # Errors
    ///
    /// Whatever would keep a test from having it.
    pub async fn get<T: FromContext>(&mut self) -> crate::Result<T> {
        T::from_context(self.cx()).await
    }

    /// Takes the database back to its start: everything is rolled back, sequences are set back, fixtures are loaded again.
    ///
    /// Connections are ended, as by a restart of the server; pools open new ones by themselves. With PostgreSQL and
    /// `isolation = "transaction"` the address stays, so that an application which runs may keep its pool. With
    /// `isolation = "database"`, and with SQLite, there is another copy: ask for the parameters again.
    ///
    /// # Errors
    ///
    /// What the audit finds, unless it is a connection that is still open; the lease can be used all the same. Or the
    /// database cannot be had again.
    pub async fn reset(&mut self) -> crate::Result<()> {
        self.settle().await?;
        match self.cx().restart().await? {
            Some(findings) => self.cx().judge(findings),
            None => {
                let new = Context::new(self.cx().test());
                let old = mem::replace(self.cx(), new);
                apart(move || give_back(old, false)).await?.0
            }
        }
    }

    /// Notes where the transaction is, to [`return_to`](Self::return_to) it. It waits for a session that is in a transaction,
    /// as long as a session would.
    ///
    /// # Errors
    ///
    /// No PostgreSQL database in a transaction was asked for yet, or a session stays in a transaction.
    pub async fn mark(&mut self) -> crate::Result<Mark> {
        match self.cx().mark().await {
            Some(number) => Ok(Mark(number)),
            None => Err(LeaseError::CannotMark { test: self.cx().test_name() }.into()),
        }
    }

    /// Rolls back to a mark, as often as one likes; what was marked later is forgotten. Connections are ended, as by
    /// [`reset`](Self::reset). Sequences go on, as in any rollback of PostgreSQL's.
    ///
    /// # Errors
    ///
    /// The mark is no more: the lease was reset, or taken back to an earlier one.
    pub async fn return_to(&mut self, mark: Mark) -> crate::Result<()> {
        self.settle().await?;
        match self.cx().return_to(mark.0).await {
            true => Ok(()),
            false => Err(LeaseError::NoMark { test: self.cx().test_name() }.into()),
        }
    }

    /// Gives the database back, as the end of a test does: audited, and rolled back. Drop pools and connections first, or
    /// the audit says that they were left.
    ///
    /// # Errors
    ///
    /// What the audit finds.
    pub async fn close(mut self) -> crate::Result<()> {
        self.settle().await?;
        match self.cx.take() {
            Some(cx) => {
                let (result, report) = apart(move || give_back(cx, false)).await?;
                eprint!("{report}");
                result
            }
            None => Ok(()),
        }
    }

    /// Lets tasks of the runtime say what they still have to say, such as the rollback of a transaction that was dropped.
    async fn settle(&mut self) -> crate::Result<()> {
        let standin = Context::new(self.cx().test());
        let mut cx = mem::replace(self.cx(), standin);
        cx = apart(move || {
            cx.settle(None);
            cx
        })
        .await?;
        *self.cx() = cx;
        Ok(())
    }

    fn cx(&mut self) -> &mut Context {
        self.cx.as_mut().expect("only `close` and `drop` take it")
    }
}

/// Gives the databases back, and tells what there is to say of them.
fn give_back(cx: Context, failed: bool) -> (crate::Result<()>, String) {
    let Closed { result, report, housekeeping } = cx.close(failed, None);
    housekeeping.into_iter().for_each(|chore| chore());
    (result, report.of(failed).to_string())
}

/// Runs what blocks on a thread of its own, for no thread of a runtime may.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> crate::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| LeaseError::Thread(e.into()).into())
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(cx) = self.cx.take().filter(Context::is_open) else { return };
        let failed = std::thread::panicking();
        if failed {
            cx.look();
        } else {
            eprintln!(
                "ptest: warning: the lease of `{}` was dropped, not closed: it is rolled back unseen",
                cx.test_name()
            );
        }
        let close = move || {
            let (_, report) = give_back(cx, true);
            if failed {
                eprint!("{report}");
            }
        };
        // It blocks, which no thread of a runtime may.
        let closer = std::thread::Builder::new().name("ptest close".to_owned()).spawn(close);
        let _ = closer.map(std::thread::JoinHandle::join);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.cx.as_ref().map(Context::test_name);
        f.debug_tuple("Lease").field(&name.unwrap_or("closed")).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_errors() {
        let errors = [
            LeaseError::CannotMark { test: "bench::lease" },
            LeaseError::NoMark { test: "bench::lease" },
            LeaseError::Thread(std::io::ErrorKind::WouldBlock.into()),
        ];
        insta::assert_snapshot!(errors.map(|error| format!("{:?}", crate::Error::from(error))).join("\n\n"));
    }
}
