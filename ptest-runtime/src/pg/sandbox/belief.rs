//! What a client believes of its session where the backend cannot be asked: its transaction block, the modes of its
//! transactions, and what the end of a transaction or savepoint brings back.
//!
//! Isolation levels cannot change inside a subtransaction, and need not: transactions of a test take turns, so every
//! level's promise holds.

use std::collections::BTreeMap;

use super::control::Block;
use super::defaults::{Defaults, Mode, isolation_name, show_milliseconds};
use super::list::List;
use super::settings::is_role;
use super::sql::Modes;

/// A session's belief; the sandbox keeps it true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Belief {
    pub(super) block: Block,
    /// The modes of the transaction, outside of one those of the next.
    pub(super) mode: Mode,
    pub(super) defaults: Defaults,
    /// The defaults that a commit leaves: those without what is `SET LOCAL`.
    lasting: Defaults,
    /// The defaults that a rollback brings back.
    committed: Defaults,
    /// The modes that the transaction began with.
    first_mode: Mode,
    /// The transaction has run a query: its modes are settled.
    pub(super) queried: bool,
    /// A statement has been run in the batch.
    pub(super) piped: bool,
    /// The backend's transaction is read-only.
    pub(super) fenced: bool,
    /// What has been changed of the backend's settings since they were read.
    pub(super) changes: List<Change>,
    /// The session's temporary tables that a commit drops or empties.
    pub(super) temporary: Temporary,
    /// Those that a rollback brings back.
    committed_temporary: Temporary,
    savepoints: List<Savepoint>,
}

/// What a commit does to temporary tables, by their names as a client spells them.
pub(super) type Temporary = BTreeMap<String, OnCommit>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnCommit {
    Drop,
    DeleteRows,
}

/// A savepoint of the client, and what going back to it restores.
#[derive(Debug, PartialEq, Eq)]
struct Savepoint {
    name: Vec<u8>,
    read_only: bool,
    fenced: bool,
    defaults: Defaults,
    lasting: Defaults,
    changes: List<Change>,
    temporary: Temporary,
}

/// A change of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) of: Setting,
    /// Until the end of the transaction only.
    pub(super) local: bool,
    /// The statements that make it, if they are known.
    pub(super) sql: Vec<String>,
    /// A transaction before this one has made it.
    pub(super) committed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    Named(String),
    /// A call that may not have been made: the server need not even know the setting.
    Called(String),
    All,
    /// It cannot be told which.
    Unknown,
    /// When constraints are checked: no setting, but changed and undone like one.
    Constraints,
}

impl Change {
    /// Whether it changes who the client is.
    pub(super) fn is_of_role(&self) -> bool {
        matches!(&self.of, Setting::Named(name) | Setting::Called(name) if is_role(name))
    }
}

impl Belief {
    pub(super) fn new(defaults: Defaults) -> Self {
        Belief {
            block: Block::Idle,
            mode: defaults.mode,
            defaults,
            lasting: defaults,
            committed: defaults,
            first_mode: defaults.mode,
            queried: false,
            piped: false,
            fenced: false,
            changes: List::default(),
            temporary: Temporary::new(),
            committed_temporary: Temporary::new(),
            savepoints: List::default(),
        }
    }

    /// Outside of a transaction, after a commit (`kept`) or a rollback.
    pub(super) fn ended(&self, kept: bool) -> Self {
        let lasts = |change: &Change| kept && !change.local && change.of != Setting::Constraints;
        let left = |change: &&Change| change.committed || lasts(change);
        let left: Vec<_> = self.changes.iter().map(|(change, _)| change).filter(left).cloned().collect();
        let left = left.into_iter().rev().map(|change| Change { committed: true, ..change });
        let changes = left.fold(List::default(), |list, change| list.with(change));
        let mut temporary = if kept { &self.temporary } else { &self.committed_temporary }.clone();
        temporary.retain(|_, clause| *clause != OnCommit::Drop);
        let (committed_temporary, defaults) = (temporary.clone(), if kept { self.lasting } else { self.committed });
        Belief { changes, temporary, committed_temporary, ..Belief::new(defaults) }
    }

    /// In the next transaction of a chain.
    pub(super) fn chained(&self, kept: bool) -> Self {
        Belief { block: Block::Open, mode: self.mode, first_mode: self.mode, ..self.ended(kept) }
    }

    /// In another block.
    pub(super) fn at(&self, block: Block) -> Self {
        match block {
            Block::Idle => self.ended(false),
            Block::Open => Belief { block, ..self.clone() },
            // What the innermost subtransaction has set is undone at once.
            Block::Failed => match self.savepoints.first() {
                Some(savepoint) => Belief { block, ..self.restored(savepoint) },
                None => {
                    let (mode, first_mode) = (self.first_mode, self.first_mode);
                    Belief { block, mode, first_mode, queried: self.queried, ..self.ended(false) }
                }
            },
        }
    }

    /// After an error.
    pub(super) fn failed(&self) -> Self {
        self.at(self.block.after_error())
    }

    /// With these settings, until the end of the transaction (`local`) or longer.
    pub(super) fn with_defaults(&self, change: impl Fn(&mut Defaults), local: bool) -> Self {
        let mut after = self.clone();
        change(&mut after.defaults);
        if !local {
            change(&mut after.lasting);
        }
        after
    }

    /// With another change of a setting.
    pub(super) fn with_change(&self, change: Change) -> Self {
        Belief { changes: self.changes.with(change), ..self.clone() }
    }

    /// With another temporary table, of which a commit makes this.
    pub(super) fn with_temporary(&self, name: String, clause: Option<OnCommit>) -> Self {
        let mut after = self.clone();
        match clause {
            Some(clause) => drop(after.temporary.insert(name, clause)),
            None => drop(after.temporary.remove(&name)),
        }
        after
    }

    /// With these modes of the transaction.
    pub(super) fn in_mode(&self, modes: &Modes) -> Self {
        Belief { mode: self.mode.with(modes), ..self.clone() }
    }

    /// After a query.
    pub(super) fn after_query(&self) -> Self {
        Belief { queried: true, ..self.clone() }
    }

    /// Inside a savepoint of the client.
    pub(super) fn in_savepoint(&self) -> bool {
        self.savepoints.first().is_some()
    }

    /// Behind `SAVEPOINT name`.
    pub(super) fn with_savepoint(&self, name: Vec<u8>) -> Self {
        let Belief { fenced, defaults, lasting, .. } = *self;
        let (read_only, changes, temporary) = (self.mode.read_only, self.changes.clone(), self.temporary.clone());
        let savepoint = Savepoint { name, read_only, fenced, defaults, lasting, changes, temporary };
        Belief { savepoints: self.savepoints.with(savepoint), ..self.clone() }
    }

    /// Behind `ROLLBACK TO name`, as far as there is such a savepoint.
    pub(super) fn back_to(&self, name: &[u8]) -> Self {
        match self.savepoints.iter().find(|(savepoint, _)| savepoint.name == name) {
            Some((savepoint, outer)) => {
                let back = self.restored(savepoint);
                Belief { block: Block::Open, savepoints: outer.clone(), ..back }.with_savepoint(name.to_vec())
            }
            None => self.clone(),
        }
    }

    /// Behind `RELEASE name`, as far as there is such a savepoint.
    pub(super) fn released(&self, name: &[u8]) -> Self {
        let mut after = self.clone();
        if let Some((savepoint, outer)) = self.savepoints.iter().find(|(savepoint, _)| savepoint.name == name) {
            // The end of a subtransaction, even a good one, restores this.
            (after.mode.read_only, after.fenced) = (savepoint.read_only, savepoint.fenced);
            after.savepoints = outer.clone();
        }
        after
    }

    fn restored(&self, savepoint: &Savepoint) -> Self {
        let Savepoint { read_only, fenced, defaults, lasting, ref changes, ref temporary, .. } = *savepoint;
        let (mode, changes, temporary) = (Mode { read_only, ..self.mode }, changes.clone(), temporary.clone());
        Belief { mode, fenced, defaults, lasting, changes, temporary, ..self.clone() }
    }

    /// What `SHOW` answers; `None`: the backend knows.
    pub(super) fn show(&self, name: &str) -> Option<String> {
        let on_off = |on: bool| Some(if on { "on" } else { "off" }.to_owned());
        match name {
            "transaction_isolation" => Some(isolation_name(self.mode.isolation).to_owned()),
            "transaction_read_only" => on_off(self.mode.read_only),
            "transaction_deferrable" => on_off(self.mode.deferrable),
            "default_transaction_read_only" => on_off(self.defaults.mode.read_only),
            "idle_in_transaction_session_timeout" => Some(show_milliseconds(self.defaults.idle_timeout)),
            "transaction_timeout" => self.defaults.transaction_timeout.map(show_milliseconds),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::sandbox::sql::Isolation;

    #[test]
    fn a_rollback_brings_the_defaults_back() {
        let belief = Belief::new(Defaults::of_server(17));
        let serializable = Modes { isolation: Some(Isolation::Serializable), ..Modes::default() };
        let open = Belief { block: Block::Open, mode: belief.mode.with(&serializable), ..belief.clone() };
        assert_eq!(open.show("transaction_isolation").unwrap(), "serializable");
        let open = open.with_defaults(|d| d.set("transaction_timeout", "3s").unwrap(), false);
        assert_eq!(open.ended(false), belief);
        assert_eq!(open.ended(true).show("transaction_timeout").unwrap(), "3s");
        assert_eq!(open.chained(true).show("transaction_isolation").unwrap(), "serializable");
    }

    #[test]
    fn savepoints_bring_their_own_defaults_back() {
        let timeout = |belief: &Belief| belief.show("transaction_timeout").unwrap();
        let set = |belief: &Belief, value: &str, local| {
            belief.with_defaults(|d| d.set("transaction_timeout", value).unwrap(), local)
        };
        let open = Belief { block: Block::Open, ..Belief::new(Defaults::of_server(17)) };
        let inner = set(&set(&open, "1s", false).with_savepoint(b"a".to_vec()), "2s", true);
        assert_eq!(timeout(&inner), "2s");
        assert_eq!(timeout(&inner.at(Block::Failed)), "1s");
        assert_eq!(timeout(&inner.back_to(b"a")), "1s");
        let released = inner.released(b"a");
        assert_eq!((timeout(&released), timeout(&released.ended(true))), ("2s".to_owned(), "1s".to_owned()));
        assert!(!released.in_savepoint() && inner.back_to(b"b").in_savepoint());
        let deep = (0..100_000).fold(open, |belief, _| belief.with_savepoint(b"s".to_vec()));
        assert!(!deep.ended(false).in_savepoint());
    }
}
