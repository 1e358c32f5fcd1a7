//! The slots of this process: those that are idle, those that are being put back, and the numbers of all of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::acquire::Attempt;
use super::copies::Copies;
use super::held::{Slot, Warm};
use crate::config::Config;
use crate::pg::server::Address;
use crate::pg::slot::LeaseError;
use crate::schema::Schema;
use crate::spec::TestSpec;

/// Slots beyond this number mean that something else is wrong.
const MOST_SLOTS: u32 = 1000;

/// How long to wait, each time, before slots that are held are asked once more.
const NOTICE: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(20), Duration::from_millis(40)];

/// A server and the fingerprint of a schema on it.
type Key = (Address, String);

#[derive(Default)]
struct Registry {
    pools: HashMap<Key, Pool>,
    /// Servers that cannot have such slots.
    unable: HashSet<Address>,
    /// Slots that this process has, or tries to have: no thread of it need ask the server about them.
    numbers: HashSet<(Key, u32)>,
}

/// The slots of one schema.
#[derive(Default)]
struct Pool {
    idle: Vec<Slot>,
    /// How many are being put back.
    returning: usize,
    waiting: Vec<oneshot::Sender<Slot>>,
    copies: Copies,
}

static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);

/// Leases a slot: an idle one of this process, one that is about to be, else the first free one on the server, from `first` on.
/// `None`: the server cannot have such slots.
pub(crate) async fn lease(server: &Address, schema: &Schema, test: &TestSpec) -> crate::Result<Option<Warm>> {
    let first = Config::get()?.slot_hint;
    let place = Place((server.clone(), schema.fingerprint.clone()));
    loop {
        if with(|r| r.unable.contains(server)) {
            return Ok(None);
        }
        let slot = match place.next_of_process() {
            Next::Idle(slot) => Some(*slot),
            // One that cannot be put back gives none.
            Next::Returning(slot) => match slot.await {
                Ok(slot) => Some(slot),
                Err(_) => continue,
            },
            Next::None => place.acquire(server, schema, first).await?,
        };
        let Some(slot) = slot else {
            with(|r| r.unable.insert(server.clone()));
            return Ok(None);
        };
        // One that lost its server while it was idle, or that somebody has written to, is gone.
        match slot.open(place.clone(), test.level).await {
            Ok(warm) => return Ok(Some(warm)),
            Err(LeaseError::Gone) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

enum Next {
    Idle(Box<Slot>),
    Returning(oneshot::Receiver<Slot>),
    None,
}

/// Where the slots of a schema on a server are kept.
#[derive(Debug, Clone)]
pub(crate) struct Place(Key);

impl Place {
    fn next_of_process(&self) -> Next {
        self.with(|pool| {
            if let Some(slot) = pool.idle.pop() {
                return Next::Idle(Box::new(slot));
            }
            if pool.returning > pool.waiting.len() {
                let (sender, slot) = oneshot::channel();
                pool.waiting.push(sender);
                return Next::Returning(slot);
            }
            Next::None
        })
    }

    /// Finds a slot on the server; `None`: the server cannot have such slots.
    async fn acquire(&self, server: &Address, schema: &Schema, first: u32) -> crate::Result<Option<Slot>> {
        let mut held = Vec::new();
        for number in (first..MOST_SLOTS).chain(0..first) {
            match self.attempt(server, schema, number, false).await? {
                None | Some(Attempt::Foreign) => {}
                Some(Attempt::Leased(slot)) => return Ok(Some(slot)),
                Some(Attempt::Unable) => return Ok(None),
                Some(Attempt::Held) => held.push(number),
                // One database more is the last resort.
                Some(Attempt::Missing) => {
                    if let Some(slot) = self.ask_again(server, schema, &held).await? {
                        return Ok(Some(slot));
                    }
                    held.clear();
                    match self.attempt(server, schema, number, true).await? {
                        Some(Attempt::Leased(slot)) => return Ok(Some(slot)),
                        Some(Attempt::Unable) => return Ok(None),
                        _ => {}
                    }
                }
            }
        }
        Err(LeaseError::Exhausted { tried: MOST_SLOTS }.into())
    }

    /// Asks once more for slots that were held. The backend of a process that has just ended takes a moment to notice, and a
    /// clone would take longer.
    async fn ask_again(&self, server: &Address, schema: &Schema, held: &[u32]) -> crate::Result<Option<Slot>> {
        for pause in NOTICE {
            if held.is_empty() {
                return Ok(None);
            }
            tokio::time::sleep(pause).await;
            for number in held {
                if let Some(Attempt::Leased(slot)) = self.attempt(server, schema, *number, false).await? {
                    return Ok(Some(slot));
                }
            }
        }
        Ok(None)
    }

    /// Tries one slot; `None`: another thread of this process has the number.
    async fn attempt(
        &self,
        server: &Address,
        schema: &Schema,
        number: u32,
        make: bool,
    ) -> crate::Result<Option<Attempt<Slot>>> {
        let Some(reserved) = Reserved::take(&self.0, number) else { return Ok(None) };
        Slot::acquire(server, schema, reserved, make).await.map(Some)
    }

    /// Notes that a slot is being put back.
    pub(super) fn expect(&self) -> Expected {
        self.with(|pool| pool.returning += 1);
        Expected { place: self.clone(), slot: None }
    }

    fn with<T>(&self, action: impl FnOnce(&mut Pool) -> T) -> T {
        with(|r| action(r.pools.entry(self.0.clone()).or_default()))
    }
}

/// A slot that is being put back. Dropped without one, it is not waited for any longer.
pub(super) struct Expected {
    place: Place,
    slot: Option<Slot>,
}

impl Expected {
    /// The slot is clean: the next test of this process may have it.
    pub(super) fn arrive(mut self, slot: Slot) {
        self.slot = Some(slot);
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        let mut slot = self.slot.take();
        self.place.with(|pool| {
            pool.returning -= 1;
            while let Some(some) = slot.take() {
                match pool.waiting.pop() {
                    // Who waited may be gone.
                    Some(waiting) => slot = waiting.send(some).err(),
                    None => pool.idle.push(some),
                }
            }
            // Those who wait for one that does not come look elsewhere.
            pool.waiting.retain(|waiting| !waiting.is_closed());
            pool.waiting.truncate(pool.returning);
        });
    }
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

    /// The copies that the slots of its schema share.
    pub(super) fn copies(&self) -> Copies {
        Place(self.key.clone()).with(|pool| pool.copies.clone())
    }

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
    action(REGISTRY.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}
