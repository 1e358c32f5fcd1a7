//! The slots of this process: those that are idle, and the numbers of all of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::acquire::Attempt;
use super::{LeaseError, Slot, lend};
use crate::error::Class;
use crate::helper;
use crate::pg::server::{self, Address};
use crate::pg::single;
use crate::pg::template::slot_name;
use crate::schema::Schema;

/// Slots beyond this number mean that something else is wrong.
const MOST_SLOTS: u32 = 1000;

/// How often it is looked whether the server ends. It costs a read of a small file.
const LOOK: Duration = Duration::from_millis(200);

/// How long to wait, each time, before slots that are held are asked once more.
const NOTICE: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(20), Duration::from_millis(40)];

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

/// Leases a slot: an idle one of this process, else the first free one on the server, from `first` on; where there is a
/// single database, that one, when its turn has come.
pub(crate) async fn lease(server: &Address, schema: &Schema, first: u32) -> crate::Result<Slot> {
    if let Some(database) = &server.single {
        return single::lease(server, schema, database).await;
    }
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
    match search(server, schema, &key, first).await {
        // What the helper keeps there nobody uses. The server takes a moment to see that it is gone.
        Err(error) if error.class() == Class::Crowded && lend::release(server) => {
            tokio::time::sleep(RELEASED).await;
            search(server, schema, &key, first).await
        }
        other => other,
    }
}

/// Looks for the first free slot on the server, from `first` on.
async fn search(server: &Address, schema: &Schema, key: &Key, first: u32) -> crate::Result<Slot> {
    let mut held = Vec::new();
    let mut foreign = Vec::new();
    for number in (first..MOST_SLOTS).chain(0..first) {
        match attempt(server, schema, key, number, false).await? {
            None => {}
            Some(Attempt::Leased(slot)) => return Ok(slot),
            Some(Attempt::Held) => held.push(number),
            Some(Attempt::Foreign { owner }) => foreign.push((number, owner)),
            // One database more is the last resort.
            Some(Attempt::Missing) => {
                if let Some(slot) = ask_again(server, schema, key, &held).await? {
                    return Ok(slot);
                }
                held.clear();
                if let Some(Attempt::Leased(slot)) = attempt(server, schema, key, number, true).await? {
                    return Ok(slot);
                }
            }
        }
    }
    Err(match foreign.into_iter().next() {
        None => LeaseError::Exhausted { tried: MOST_SLOTS },
        Some((number, owner)) => LeaseError::Foreign {
            tried: MOST_SLOTS,
            name: slot_name(&schema.fingerprint, number),
            owner: owner.unwrap_or_else(|| "another user".to_owned()),
        },
    }
    .into())
}

/// Asks once more for slots that were held. The backend of a process that has just ended takes a moment to notice, and a
/// clone would take longer.
async fn ask_again(server: &Address, schema: &Schema, key: &Key, held: &[u32]) -> crate::Result<Option<Slot>> {
    for pause in NOTICE {
        if held.is_empty() {
            return Ok(None);
        }
        tokio::time::sleep(pause).await;
        for number in held {
            if let Some(Attempt::Leased(slot)) = attempt(server, schema, key, *number, false).await? {
                return Ok(Some(slot));
            }
        }
    }
    Ok(None)
}

/// Tries one slot; `None`: another thread of this process has the number.
async fn attempt(
    server: &Address,
    schema: &Schema,
    key: &Key,
    number: u32,
    make: bool,
) -> crate::Result<Option<Attempt<Slot>>> {
    let Some(reserved) = Reserved::take(key, number) else { return Ok(None) };
    Slot::acquire(server, schema, Some(reserved), make).await.map(Some)
}

/// Takes a clean slot back for the next test, of this process or of another.
pub(crate) fn release(mut slot: Slot) {
    if let Some(turn) = slot.take_turn() {
        return turn.pass_on(slot);
    }
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
    pub(super) fn number(&self) -> u32 {
        self.number
    }

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
