//! The turns of this process: one of its tests at a time has the single database, and passes its warm slot on.
//!
//! A test of the same schema comes first, for any other has the database built anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};

use tokio::sync::oneshot;

use super::SingleError;
use crate::pg::server::{Address, Endpoint};
use crate::pg::slot::{LeaseError, Slot};

/// Where the database is.
type Place = (Endpoint, String);

#[derive(Debug, Default)]
struct Turns {
    /// The thread of the test whose turn it is: all parameters of a test are made there.
    holder: Option<ThreadId>,
    warm: Option<Slot>,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    thread: ThreadId,
    fingerprint: String,
    reply: oneshot::Sender<(Turn, Option<Slot>)>,
}

/// A test's turn; dropped, it is the next one's.
#[derive(Debug)]
pub(crate) struct Turn(Option<Place>);

static TURNS: Mutex<Option<HashMap<Place, Turns>>> = Mutex::new(None);

/// Waits for the turn, and takes the slot that the test before has left, of whatever schema.
pub(super) async fn take(server: &Address, fingerprint: &str) -> crate::Result<(Turn, Option<Slot>)> {
    let place = (server.endpoint.clone(), server.database.clone());
    let thread = thread::current().id();
    let waiting = with(&place, |turns| match turns.holder {
        None => {
            turns.holder = Some(thread);
            Ok(Err((Turn(Some(place.clone())), turns.warm.take())))
        }
        Some(holder) if holder == thread => Err(()),
        Some(_) => {
            let (reply, turn) = oneshot::channel();
            turns.waiting.push(Waiting { thread, fingerprint: fingerprint.to_owned(), reply });
            Ok(Ok(turn))
        }
    });
    match waiting {
        Ok(Err(taken)) => Ok(taken),
        Ok(Ok(turn)) => turn.await.map_err(|_| LeaseError::Gone.into()),
        Err(()) => Err(SingleError::Twice { database: place.1, user: server.user.clone() }.into()),
    }
}

impl Turn {
    /// Ends the turn, and leaves the slot to the next test.
    pub(crate) fn pass_on(mut self, slot: Slot) {
        if let Some(place) = self.0.take() {
            pass_on(place, Some(slot));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            pass_on(place, None);
        }
    }
}

fn pass_on(place: Place, warm: Option<Slot>) {
    let next = with(&place, |turns| {
        turns.holder = None;
        if turns.waiting.is_empty() {
            turns.warm = warm;
            return None;
        }
        let is_alike = |next: &Waiting| warm.as_ref().is_some_and(|slot| slot.fingerprint() == next.fingerprint);
        let next = turns.waiting.remove(turns.waiting.iter().position(is_alike).unwrap_or(0));
        turns.holder = Some(next.thread);
        Some((next.reply, warm))
    });
    // Where nobody waits any more, the turn comes back, and is dropped here: the next one's.
    if let Some((reply, warm)) = next {
        let _ = reply.send((Turn(Some(place)), warm));
    }
}

fn with<T>(place: &Place, action: impl FnOnce(&mut Turns) -> T) -> T {
    let mut all = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    action(all.get_or_insert_default().entry(place.clone()).or_default())
}
