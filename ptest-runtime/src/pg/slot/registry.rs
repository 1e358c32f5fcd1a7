//! The slots of this process: those that are idle, and the numbers of all of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::backing::Clone;
use super::search::{MOST_SLOTS, search};
use super::{LeaseError, Slot, lend};
use crate::error::Class;
use crate::helper;
use crate::pg::server::{self, Address};
use crate::pg::template::slot_name;
use crate::schema::Schema;

/// How often it is looked whether the server ends. It costs a read of a small file.
const LOOK: Duration = Duration::from_millis(200);

/// How long a server may take to end connections that are closed.
const RELEASED: Duration = Duration::from_millis(100);

/// A server and the fingerprint of a schema on it.
pub(super) type Key = (Address, String);

#[derive(Default)]
struct Registry {
    idle: HashMap<Key, Vec<Slot>>,
    /// Slots that this process has, or tries to have: no thread of it need ask the server about them.
    numbers: HashSet<(Key, u32)>,
    /// When it was last looked whether the server ends.
    looked: Option<Instant>,
}

static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);

/// Leases a slot: an idle one of this process, else the first free one on the server, from `first` on.
pub(super) async fn lease(server: &Address, schema: &Schema, first: u32) -> crate::Result<Slot> {
    let key = (server.clone(), schema.fingerprint.clone());
    if is_seen_to_end(server) {
        forget(server);
    }
    if let Some(slot) = with(|r| r.idle.get_mut(&key)?.pop()) {
        return Ok(slot);
    }
    if let Some(slot) = Slot::borrow(server, schema, &key)? {
        return Ok(slot);
    }
    match find(server, schema, &key, first).await {
        // What the helper keeps there nobody uses. The server takes a moment to see that it is gone.
        Err(error) if error.class() == Class::Crowded && lend::release(server) => {
            tokio::time::sleep(RELEASED).await;
            find(server, schema, &key, first).await
        }
        other => other,
    }
}

/// Looks for the first free slot on the server, from `first` on.
async fn find(server: &Address, schema: &Schema, key: &Key, first: u32) -> crate::Result<Slot> {
    let found = search(first, async |number, make| {
        let Some(reserved) = Reserved::take(key, number) else { return Ok(None) };
        let clone = Clone { reserved: Some(reserved), number, make };
        Slot::acquire(server, schema, number, clone).await.map(Some)
    });
    Ok(found.await?.map_err(|given_up| match given_up.foreign.into_iter().next() {
        None => LeaseError::Exhausted { tried: MOST_SLOTS },
        Some((number, owner)) => LeaseError::Foreign {
            tried: MOST_SLOTS,
            name: slot_name(&schema.fingerprint, number),
            owner: owner.unwrap_or_else(|| "another user".to_owned()),
        },
    })?)
}

/// Takes a clean slot back for the next test, of this process or of another.
pub(super) fn release(slot: Slot) {
    if is_seen_to_end(slot.server()) {
        return;
    }
    if helper::takes_back() {
        return slot.give_back();
    }
    let key = (slot.server().clone(), slot.fingerprint().to_owned());
    with(|r| r.idle.entry(key).or_default().push(slot));
}

/// Gives up the idle slots of a server that ends: it would wait for their connections.
pub(crate) fn forget(server: &Address) {
    let idle = with(|r| r.idle.extract_if(|(its, _), _| its == server).collect::<Vec<_>>());
    drop(idle);
    lend::release(server);
}

/// Whether ptest's own server has been told to end, which is looked for now and then.
fn is_seen_to_end(server: &Address) -> bool {
    let due = with(|r| {
        let due = r.looked.is_none_or(|at| at.elapsed() > LOOK);
        r.looked = if due { Some(Instant::now()) } else { r.looked };
        due
    });
    due && server::is_ending(server)
}

/// A number that no other thread of this process tries; free again when the slot is gone.
#[derive(Debug)]
pub(super) struct Reserved {
    key: Key,
    number: u32,
}

impl Reserved {
    pub(super) fn take(key: &Key, number: u32) -> Option<Reserved> {
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
