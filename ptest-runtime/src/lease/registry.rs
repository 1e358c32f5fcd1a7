//! The slots of this process: those that are idle, and the numbers of all of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{LeaseError, Slot};
use crate::server::Address;
use crate::template::Schema;

/// Slots beyond this number mean that something else is wrong.
const MOST_SLOTS: u32 = 1000;

/// A server and the fingerprint of a schema on it.
type Key = (Address, String);

#[derive(Default)]
struct Registry {
    idle: HashMap<Key, Vec<Slot>>,
    /// Slots that this process has, or tries to have: no thread of it need ask the server about them.
    numbers: HashSet<(Key, u32)>,
}

static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);

/// Leases a slot: an idle one of this process, else the first free one on the server, from `first` on.
pub(crate) async fn lease(server: &Address, schema: &Schema, first: u32) -> crate::Result<Slot> {
    let key = (server.clone(), schema.fingerprint.clone());
    if let Some(slot) = with(|r| r.idle.get_mut(&key)?.pop()) {
        return Ok(slot);
    }
    for number in (first..MOST_SLOTS).chain(0..first) {
        let Some(reserved) = Reserved::take(&key, number) else { continue };
        if let Some(slot) = Slot::acquire(server, schema, number, reserved).await? {
            return Ok(slot);
        }
    }
    Err(LeaseError::Exhausted { tried: MOST_SLOTS }.into())
}

/// Takes a clean slot back for the next test of this process.
pub(crate) fn release(slot: Slot) {
    let key = (slot.server().clone(), slot.fingerprint().to_owned());
    with(|r| r.idle.entry(key).or_default().push(slot));
}

/// A number that no other thread of this process tries; free again when the slot is gone.
#[derive(Debug)]
pub(super) struct Reserved {
    key: Key,
    number: u32,
}

impl Reserved {
    fn take(key: &Key, number: u32) -> Option<Reserved> {
        with(|r| r.numbers.insert((key.clone(), number))).then(|| Reserved { key: key.clone(), number })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        with(|r| r.numbers.remove(&(self.key.clone(), self.number)));
    }
}

fn with<T>(action: impl FnOnce(&mut Registry) -> T) -> T {
    let mut guard: MutexGuard<'_, Option<Registry>> = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    action(guard.get_or_insert_default())
}
