//! Where clients come in, and the sandboxes of a lease that serve there one after the other.

use std::rc::Rc;

use tokio::net::UnixListener;

use super::Keeper;
use crate::pg::sandbox::{self, Backend, Constraints, Options, Sandbox};
use crate::pg::slot::LeaseError;
use crate::pg::slot::backing::Backing;
use crate::pg::slot::held::Opened;
use crate::pg::slot::proof::{self, Proof};
use crate::pg::socket::Socket;
use crate::spec::Level;

/// A socket. Whoever connects between two sandboxes of a lease waits.
pub(super) struct Door {
    listener: Rc<UnixListener>,
    socket: Socket,
}

impl Door {
    /// A socket of its own.
    pub(super) fn bind() -> Result<Door, LeaseError> {
        let (listener, socket) = Socket::bind()?;
        Ok(Door { listener: Rc::new(listener), socket })
    }
}

impl<B: Backing> Keeper<B> {
    /// Opens a sandbox for a test, or once more for a lease.
    pub(super) async fn open(
        &mut self,
        options: Options,
        door: Result<Door, LeaseError>,
    ) -> Result<Opened, LeaseError> {
        let door = door?;
        self.sequences.leave_note();
        self.marks = 0;
        let mut backend = self.backend.take().ok_or(LeaseError::Gone)?;
        if options.level != Level::ReadCommitted {
            let rows = backend.query(&proof::reset_sql(options.level)).await.map_err(|_| LeaseError::Gone)?;
            self.proof = Proof::read(rows.last()).ok_or(LeaseError::Gone)?;
        }
        Ok(self.serve_at(door, backend, self.constraints.clone(), options))
    }

    pub(super) fn serve_at(
        &mut self,
        door: Door,
        backend: Backend,
        constraints: Constraints,
        options: Options,
    ) -> Opened {
        let Door { listener, socket } = &door;
        let mut sandbox = Sandbox::open(backend, &self.database, constraints, socket.secret(), options);
        sandbox.listen(Rc::clone(listener));
        let opened = Opened { folder: socket.folder().to_owned(), port: socket.port(), watch: sandbox.watch() };
        self.sandbox = Some((sandbox, door));
        opened
    }

    pub(super) async fn mark(&mut self) -> Option<u32> {
        let (sandbox, _) = self.sandbox.as_ref()?;
        sandbox.mark(self.marks + 1).await?;
        self.marks += 1;
        Some(self.marks)
    }

    pub(super) async fn return_to(&mut self, mark: u32, options: Options) -> Option<Opened> {
        if mark > self.marks {
            return None;
        }
        let (sandbox, door) = self.sandbox.take()?;
        let mut backend = sandbox.close().await.backend?;
        backend.query(&sandbox::return_sql(mark)).await.ok()?;
        self.marks = mark;
        // The test may have made some before the mark.
        Some(self.serve_at(door, backend, Constraints::Ask, options))
    }
}
