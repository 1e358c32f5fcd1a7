//! The helper: a process that outlives those of the tests, and lends them what the tests before have made warm.
//!
//! ```text
//!   test's process                       helper                         test's process
//!   lease, BEGIN … rollback, BEGIN ──give──► stock ──lend──► … rollback, BEGIN ──give──► …
//!                                     (descriptors over a Unix socket)
//! ```
//!
//! It opens no connection and runs no statement. What is given to it, or lent by it, changes hands as an open descriptor,
//! and whoever has sent one keeps no copy: the lease of a lent backend is held by a lock of its session, which ends when the
//! process that has it dies, whatever the helper is at. So a helper that is missing, wedged or killed costs a test at most
//! [`PATIENCE`], and then the way without it.
//!
//! The helper is the test binary, run again with the name of the running test and a variable of ptest's own, which
//! [`serve_if_called`] sees before anything else happens.

mod message;
mod place;
mod serve;
mod start;
mod stock;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

pub(crate) use message::{Fields, put, put_nullable};
pub(crate) use serve::serve_if_called;

use crate::config::{self, Config, UseOfHelper};
use message::{Inbox, Kind};
use place::Place;

/// How long a test waits for the helper's answer. It takes 0.1 ms where nothing is wrong.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long it keeps what nobody asks for on a server that is not ptest's own: so that it is in nobody's way there.
const ON_A_USERS_SERVER: Duration = Duration::from_secs(5);

/// What can be lent in place of what: the server and the user, the kind, and the template.
#[derive(Debug)]
pub(crate) struct Key {
    bytes: Vec<u8>,
    /// So much of it stands for the server.
    server: usize,
    keep: Option<Duration>,
}

impl Key {
    /// A kind of thing on a server, of a template. `server`: all that one must know to connect there, written by [`put`];
    /// nobody is lent what he could not have opened himself. `is_own`: the server is ptest's.
    pub(crate) fn new(server: Vec<u8>, is_own: bool, kind: &str, fingerprint: &str) -> Key {
        let (length, mut bytes) = (server.len(), server);
        put(&mut bytes, kind);
        put(&mut bytes, fingerprint);
        Key { bytes, server: length, keep: (!is_own).then_some(ON_A_USERS_SERVER) }
    }
}

/// What the helper has lent.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) description: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Whether none of these has anything to say: between two tests, a server speaks only to say that it is going.
fn are_quiet(descriptors: &[OwnedFd]) -> bool {
    let mut polled: Vec<_> = descriptors.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    rustix::event::poll(&mut polled, Some(&Timespec::default())).is_ok_and(|said| said == 0)
}

/// Borrows something; `None`: there is no helper, or it has nothing of the kind.
pub(crate) fn borrow(key: &Key) -> Option<Lent> {
    let config = Config::get().ok().filter(|config| config.helper != UseOfHelper::Off)?;
    let mut message = Place::of(config).converse(Kind::Ask, &key.bytes)?;
    let description = message.fields.pop().filter(|_| message.kind == Kind::Lend)?;
    let lent = Lent { description, descriptors: message.descriptors };
    are_quiet(&lent.descriptors).then_some(lent)
}

/// Whether this process gives back what it is done with: it runs one test, and ends.
pub(crate) fn takes_back() -> bool {
    let gives_back = |config: &Config| config.helper == UseOfHelper::GiveBack;
    Config::get().is_ok_and(gives_back) && config::this_test_again().is_some()
}

/// Gives something to the helper, which is started if there is none, for the next tests. The caller closes its own copies of the descriptors.
pub(crate) fn give(key: &Key, description: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let Ok(config) = Config::get() else { return };
    let place = Place::of(config);
    let Some(helper) = place.connect() else {
        // What there is to give is closed: while the helper starts, the slot is better free.
        let _ = start::start(&place, config);
        return;
    };
    let keep = key.keep.map(|keep| keep.as_millis().to_string()).unwrap_or_default();
    // What does not arrive is closed, and opened anew by the next test.
    let _ = message::send(&helper, Kind::Give, &[&key.bytes, keep.as_bytes(), description], descriptors);
}

/// Has the helper close all that it keeps on the key's server, whose connections are needed; whether there is a helper.
pub(crate) fn release(key: &Key) -> bool {
    let Some(config) = Config::get().ok().filter(|config| config.helper != UseOfHelper::Off) else { return false };
    Place::of(config).converse(Kind::Release, &key.bytes[..key.server]).is_some()
}

impl Place {
    /// Sends a message and receives the answer. A helper that does not answer is abandoned: the next test starts another.
    fn converse(&self, kind: Kind, field: &[u8]) -> Option<message::Message> {
        let helper = self.connect()?;
        let answer = message::send(&helper, kind, &[field], &[]).and_then(|()| Inbox::default().message(&helper));
        if answer.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
            self.abandon(&helper);
        }
        answer.ok()
    }
}
