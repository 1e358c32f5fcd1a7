//! What the helper keeps, and for how long. Nothing here reads a socket or a clock.
//!
//! Something that is lent belongs to the borrower: nothing of it stays here. So what a test process held when it died is
//! closed by the kernel, whatever the helper is at.

use std::time::{Duration, Instant};

/// So long without a word from a test, and the run of tests is over.
const PAUSE: Duration = Duration::from_secs(3);

/// Things to lend, the last one that was given first.
#[derive(Debug)]
pub(super) struct Stock<T> {
    items: Vec<Item<T>>,
    /// When the run of tests began, and when a test last spoke.
    run: Option<(Instant, Instant)>,
}

#[derive(Debug)]
struct Item<T> {
    key: Vec<u8>,
    given: Instant,
    /// How long it is kept while nobody asks for it; `None`: as long as its server keeps it.
    keep: Option<Duration>,
    what: T,
}

impl<T> Default for Stock<T> {
    fn default() -> Self {
        Stock { items: Vec::new(), run: None }
    }
}

impl<T> Stock<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().map(|item| &item.what)
    }

    /// A test has spoken.
    pub(super) fn hear(&mut self, now: Instant) {
        self.run = match self.run {
            Some((began, last)) if now - last < PAUSE => Some((began, now)),
            _ => Some((now, now)),
        };
    }

    pub(super) fn give(&mut self, key: Vec<u8>, keep: Option<Duration>, what: T, now: Instant) {
        self.items.push(Item { key, given: now, keep, what });
    }

    /// Takes what was given last under a key: it is the warmest, and what is not needed stays below.
    pub(super) fn lend(&mut self, key: &[u8]) -> Option<T> {
        let at = self.items.iter().rposition(|item| item.key == key)?;
        Some(self.items.remove(at).what)
    }

    /// Takes everything whose key begins so.
    pub(super) fn release(&mut self, prefix: &[u8]) {
        self.items.retain(|item| !item.key.starts_with(prefix));
    }

    pub(super) fn retain(&mut self, mut stays: impl FnMut(&T) -> bool) {
        self.items.retain(|item| stays(&item.what));
    }

    /// Closes what nobody has asked for in its time, and, when a run is over, what that run did not need: so there is never
    /// more than the last run had tests at once.
    pub(super) fn sweep(&mut self, now: Instant) {
        let over = self.run.filter(|(_, last)| now - *last >= PAUSE);
        self.items.retain(|item| {
            item.keep.is_none_or(|keep| now - item.given < keep) && over.is_none_or(|(began, _)| item.given >= began)
        });
        if over.is_some() {
            self.run = None;
        }
    }

    /// When the next sweep has something to do.
    pub(super) fn next_sweep(&self) -> Option<Instant> {
        let over = self.run.map(|(_, last)| last + PAUSE);
        self.items.iter().filter_map(|item| Some(item.given + item.keep?)).chain(over).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_was_given_last_is_lent_first_and_only_under_its_key() {
        let (mut stock, now) = (Stock::default(), Instant::now());
        for what in ["a1", "b1", "a2", "b2"] {
            stock.give(what.as_bytes()[..1].to_vec(), None, what, now);
        }
        assert_eq!(stock.lend(b"a"), Some("a2"));
        assert_eq!(stock.lend(b"a"), Some("a1"));
        assert_eq!(stock.lend(b"a"), None);
        stock.release(b"b");
        assert!(stock.is_empty());
    }

    #[test]
    fn a_run_that_needs_fewer_leaves_fewer() {
        let (mut stock, start) = (Stock::default(), Instant::now());
        let run = |stock: &mut Stock<u32>, begin: Instant, at_once: u32| {
            stock.hear(begin);
            let lent: Vec<u32> = (0..at_once).map(|n| stock.lend(b"k").unwrap_or(n)).collect();
            for what in lent {
                stock.hear(begin + SECOND);
                stock.give(b"k".to_vec(), None, what, begin + SECOND);
            }
        };
        run(&mut stock, start, 16);
        assert_eq!(stock.next_sweep(), Some(start + 4 * SECOND));
        stock.sweep(start + 4 * SECOND);
        assert_eq!(stock.iter().count(), 16);
        run(&mut stock, start + 60 * SECOND, 2);
        stock.sweep(start + 62 * SECOND);
        assert_eq!(stock.iter().count(), 16, "the run may not be over");
        stock.sweep(start + 64 * SECOND);
        assert_eq!(stock.iter().count(), 2);
        assert_eq!(stock.next_sweep(), None, "these go with their server");
    }

    #[test]
    fn on_a_server_of_the_users_nothing_stays() {
        let (mut stock, start) = (Stock::default(), Instant::now());
        stock.give(b"own".to_vec(), None, 1, start);
        stock.give(b"users".to_vec(), Some(5 * SECOND), 2, start + SECOND);
        stock.sweep(start + 5 * SECOND);
        assert_eq!(stock.iter().count(), 2);
        assert_eq!(stock.next_sweep(), Some(start + 6 * SECOND));
        stock.sweep(start + 6 * SECOND);
        assert_eq!(stock.iter().collect::<Vec<_>>(), [&1]);
    }
}
