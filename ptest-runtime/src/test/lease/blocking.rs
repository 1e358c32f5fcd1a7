//! A lease for code that blocks: the same, with a runtime of its own on a thread of its own.

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::{Lease, LeaseError, Mark};
use crate::test::param::FromContext;

/// A [`Lease`] for code that blocks: benchmarks, harnesses, and clients such as diesel, postgres and rusqlite.
///
/// Values that need a runtime, such as a pool of sqlx, live on the lease's own; [`block_on`](Self::block_on) runs what is
/// done with them.
///
/// ```
/// # #[cfg(feature = "postgres")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use ptest_runtime as ptest;
/// # const _: &str = r#"
/// let mut lease = ptest::lease!(migrations = false).blocking()?;
/// # "#; let mut lease = ptest::Lease::without_migrations().blocking()?;
/// let mut client: postgres::Client = lease.get()?;
/// client.batch_execute("create table visit (id int)")?;
/// let empty = lease.mark()?;
/// client.batch_execute("insert into visit values (1)")?;
/// lease.return_to(empty)?;
/// let mut client: postgres::Client = lease.get()?;
/// assert!(client.query("select from visit", &[])?.is_empty());
/// drop(client);
/// lease.close()?;
/// # Ok(()) }
/// # #[cfg(not(feature = "postgres"))] fn main() {}
/// ```
#[derive(Debug)]
pub struct BlockingLease {
    /// Before the runtime.
    lease: Lease,
    runtime: Handle,
    /// Dropped, the runtime ends.
    _running: oneshot::Sender<()>,
}

impl Lease {
    /// The same for code that blocks.
    ///
    /// # Errors
    ///
    /// The runtime's thread cannot be started.
    pub fn blocking(self) -> crate::Result<BlockingLease> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(LeaseError::Thread)?;
        let (running, ended) = oneshot::channel::<()>();
        let handle = runtime.handle().clone();
        let driver = std::thread::Builder::new().name("ptest runtime".to_owned());
        // It ends there as well: no runtime may be dropped on a thread of another.
        driver.spawn(move || runtime.block_on(ended)).map_err(LeaseError::Thread)?;
        Ok(BlockingLease { lease: self, runtime: handle, _running: running })
    }
}

impl BlockingLease {
    /// As [`Lease::get`].
    ///
    /// # Errors
    ///
    /// Whatever would keep a test from having it.
    pub fn get<T: FromContext>(&mut self) -> crate::Result<T> {
        self.runtime.block_on(self.lease.get())
    }

    /// As [`Lease::reset`].
    ///
    /// # Errors
    ///
    /// What the audit finds, or the database cannot be had again.
    pub fn reset(&mut self) -> crate::Result<()> {
        self.runtime.block_on(self.lease.reset())
    }

    /// As [`Lease::mark`].
    ///
    /// # Errors
    ///
    /// There is nothing to mark, or a session stays in a transaction.
    pub fn mark(&mut self) -> crate::Result<Mark> {
        self.runtime.block_on(self.lease.mark())
    }

    /// As [`Lease::return_to`].
    ///
    /// # Errors
    ///
    /// The mark is no more.
    pub fn return_to(&mut self, mark: Mark) -> crate::Result<()> {
        self.runtime.block_on(self.lease.return_to(mark))
    }

    /// Runs a future on the lease's runtime, where its values live.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// As [`Lease::close`].
    ///
    /// # Errors
    ///
    /// What the audit finds.
    pub fn close(self) -> crate::Result<()> {
        let BlockingLease { lease, runtime, _running } = self;
        runtime.block_on(lease.close())
    }
}
