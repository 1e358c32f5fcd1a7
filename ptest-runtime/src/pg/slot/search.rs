//! The search for a free slot: the first that nobody has, and a new one only where all others are held.

use std::time::Duration;

use super::acquire::Attempt;

/// Slots beyond this number mean that something else is wrong.
pub(super) const MOST_SLOTS: u32 = 1000;

/// How long to wait, each time, before slots that are held are asked once more.
const NOTICE: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(20), Duration::from_millis(40)];

/// Every slot is another's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GivenUp {
    /// Those that are not ptest's, with their owners where they are known.
    pub(super) foreign: Vec<(u32, Option<String>)>,
}

/// Searches from the number `first` on. `attempt` tries one slot, and makes it if it is missing and told to; it gives `None`
/// where another thread of this process has the number.
pub(super) async fn search<S>(
    first: u32,
    attempt: impl AsyncFn(u32, bool) -> crate::Result<Option<Attempt<S>>>,
) -> crate::Result<Result<S, GivenUp>> {
    let mut held = Vec::new();
    let mut foreign = Vec::new();
    for number in (first..MOST_SLOTS).chain(0..first) {
        match attempt(number, false).await? {
            None => {}
            Some(Attempt::Leased(slot)) => return Ok(Ok(slot)),
            Some(Attempt::Held) => held.push(number),
            Some(Attempt::Foreign { owner }) => foreign.push((number, owner)),
            // One database more is the last resort.
            Some(Attempt::Missing) => {
                if let Some(slot) = ask_again(&held, &attempt).await? {
                    return Ok(Ok(slot));
                }
                held.clear();
                if let Some(Attempt::Leased(slot)) = attempt(number, true).await? {
                    return Ok(Ok(slot));
                }
            }
        }
    }
    Ok(Err(GivenUp { foreign }))
}

/// Asks once more for slots that were held. The backend of a process that has just ended takes a moment to notice, and a
/// clone would take longer.
async fn ask_again<S>(
    held: &[u32],
    attempt: &impl AsyncFn(u32, bool) -> crate::Result<Option<Attempt<S>>>,
) -> crate::Result<Option<S>> {
    for pause in NOTICE {
        if held.is_empty() {
            return Ok(None);
        }
        tokio::time::sleep(pause).await;
        for number in held {
            if let Some(Attempt::Leased(slot)) = attempt(*number, false).await? {
                return Ok(Some(slot));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::Instant;

    use super::*;

    /// Slots that are none: what each answers, and what was asked.
    struct Fakes {
        /// Those that there are; whatever is behind them is missing.
        slots: RefCell<Vec<Slot>>,
        asked: RefCell<Vec<String>>,
        started: Instant,
    }

    #[derive(Debug, Clone, Copy)]
    enum Slot {
        Free,
        /// Until so many milliseconds have passed.
        HeldFor(u64),
        Held,
        OfAnotherThread,
        Foreign,
        Broken,
    }

    impl Fakes {
        fn new(slots: &[Slot]) -> Fakes {
            let (slots, asked) = (RefCell::new(slots.to_vec()), RefCell::default());
            Fakes { slots, asked, started: Instant::now() }
        }

        async fn search(&self, first: u32) -> crate::Result<Result<u32, GivenUp>> {
            search(first, async |number, make| self.attempt(number, make)).await
        }

        fn attempt(&self, number: u32, make: bool) -> crate::Result<Option<Attempt<u32>>> {
            let waited = self.started.elapsed().as_millis() as u64;
            self.asked.borrow_mut().push(format!("{}{number} after {waited}", if make { "make " } else { "" }));
            let slot = self.slots.borrow().get(number as usize).copied();
            Ok(Some(match slot {
                Some(Slot::Free) => Attempt::Leased(number),
                Some(Slot::HeldFor(millis)) if waited >= millis => Attempt::Leased(number),
                Some(Slot::HeldFor(_) | Slot::Held) => Attempt::Held,
                Some(Slot::OfAnotherThread) => return Ok(None),
                Some(Slot::Foreign) => Attempt::Foreign { owner: Some("eve".to_owned()) },
                Some(Slot::Broken) => return Err(crate::Error::other("the server is gone")),
                None if make => Attempt::Leased(number),
                None => Attempt::Missing,
            }))
        }

        fn asked(&self) -> Vec<String> {
            self.asked.borrow().clone()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_that_is_free_is_leased_from_the_hint_on() {
        let fakes = Fakes::new(&[Slot::Free, Slot::Held, Slot::OfAnotherThread, Slot::Foreign, Slot::Free]);
        assert_eq!(fakes.search(1).await.unwrap(), Ok(4));
        assert_eq!(fakes.asked(), ["1 after 0", "2 after 0", "3 after 0", "4 after 0"]);
    }

    #[tokio::test(start_paused = true)]
    async fn where_none_is_held_the_missing_one_is_made_at_once() {
        let fakes = Fakes::new(&[]);
        assert_eq!(fakes.search(0).await.unwrap(), Ok(0));
        assert_eq!(fakes.asked(), ["0 after 0", "make 0 after 0"]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_held_is_asked_for_again_before_another_is_made() {
        let fakes = Fakes::new(&[Slot::Held, Slot::HeldFor(25)]);
        assert_eq!(fakes.search(0).await.unwrap(), Ok(1));
        let again = ["0 after 10", "1 after 10", "0 after 30", "1 after 30"];
        assert_eq!(fakes.asked()[3..], again);
        let fakes = Fakes::new(&[Slot::Held, Slot::HeldFor(71)]);
        assert_eq!(fakes.search(0).await.unwrap(), Ok(2), "in the end it is made");
        assert_eq!(fakes.asked()[7..], ["0 after 70", "1 after 70", "make 2 after 70"]);
    }

    #[tokio::test(start_paused = true)]
    async fn where_every_slot_is_held_it_gives_up() {
        let fakes = Fakes::new(&[Slot::Held; MOST_SLOTS as usize]);
        assert_eq!(fakes.search(7).await.unwrap(), Err(GivenUp { foreign: Vec::new() }));
        let asked = fakes.asked();
        assert_eq!((asked.len(), &*asked[0], &*asked[999]), (1000, "7 after 0", "6 after 0"));
        let mut slots = [Slot::Held; MOST_SLOTS as usize];
        slots[5] = Slot::Foreign;
        let foreign = vec![(5, Some("eve".to_owned()))];
        assert_eq!(Fakes::new(&slots).search(0).await.unwrap(), Err(GivenUp { foreign }));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_ends_the_search() {
        let fakes = Fakes::new(&[Slot::Held, Slot::Broken, Slot::Free]);
        assert!(fakes.search(0).await.is_err());
        assert_eq!(fakes.asked().len(), 2);
    }
}
