//! A statement of a query string, as data.

use std::ops::{BitOr, BitOrAssign, Range};

use super::name::Ident;

/// One statement of a query string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// From its first to its last token, without the `;`.
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind,
    pub(crate) hints: Hints,
}

/// What a statement asks of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `BEGIN` and `START TRANSACTION`.
    Begin {
        modes: Modes,
    },
    /// `COMMIT` and `END`.
    Commit {
        chain: bool,
    },
    /// `ROLLBACK` and `ABORT`.
    Rollback {
        chain: bool,
    },
    Savepoint {
        name: Ident,
    },
    RollbackTo {
        name: Ident,
    },
    Release {
        name: Ident,
    },
    PrepareTransaction,
    CommitPrepared,
    RollbackPrepared,
    /// `SET [LOCAL|SESSION] TRANSACTION …`
    SetTransaction {
        modes: Modes,
    },
    /// `SET TRANSACTION SNAPSHOT …`
    SetTransactionSnapshot,
    /// `SET [LOCAL|SESSION] SESSION CHARACTERISTICS AS TRANSACTION …`
    SetSessionCharacteristics {
        local: bool,
        modes: Modes,
    },
    SetConstraints,
    /// Any other `SET`. `name` is the setting's, in lower case, also for the forms that have words of their own
    /// (`SET TIME ZONE`: `timezone`); `value` is the text behind `=`, `TO` or these words: it may be `DEFAULT`, may be
    /// `FROM CURRENT`, and is empty in `SET NAMES`.
    Set {
        local: bool,
        name: String,
        value: Range<usize>,
    },
    /// `None` is `RESET ALL`.
    Reset {
        name: Option<String>,
    },
    /// `None` is `SHOW ALL`.
    Show {
        name: Option<String>,
    },
    DiscardAll,
    /// `DISCARD PLANS`, `SEQUENCES`, `TEMP`.
    DiscardOther,
    Prepare {
        name: Ident,
    },
    /// `EXECUTE`, also inside of `EXPLAIN` and of `CREATE TABLE … AS`.
    Execute {
        name: Ident,
    },
    /// `None` is `DEALLOCATE ALL`.
    Deallocate {
        name: Option<Ident>,
    },
    Declare {
        name: Ident,
        hold: bool,
    },
    /// `FETCH` and `MOVE`.
    Fetch,
    /// `None` is `CLOSE ALL`.
    Close {
        name: Option<Ident>,
    },
    /// `from_stdin`: the server may answer the string with a request for copy data.
    Copy {
        from_stdin: bool,
        to_stdout: bool,
    },
    Listen,
    Unlisten,
    Notify,
    Lock,
    Checkpoint,
    Call,
    Do,
    /// What a server runs only outside of a transaction block, under the name for a message.
    NeedsAutocommit(&'static str),
    /// Everything else, and every statement that the server would reject.
    Other,
}

/// The modes of a transaction; where one is repeated, the last counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Modes {
    pub(crate) isolation: Option<Isolation>,
    pub(crate) read_only: Option<bool>,
    pub(crate) deferrable: Option<bool>,
    /// Where the three stand in the text: a server refuses the first that it must.
    pub(crate) places: [usize; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// What a statement mentions anywhere outside its strings and comments; a set of flags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hints(u8);

impl Hints {
    /// A constraint that may be deferred: `DEFERRABLE`, `INITIALLY DEFERRED`, `CONSTRAINT TRIGGER`. Not the mode of a
    /// transaction.
    pub(crate) const DEFERRABLE: Hints = Hints(1);
    /// `TEMP`, `TEMPORARY`, `pg_temp`.
    pub(crate) const TEMP: Hints = Hints(2);
    /// `DECLARE`, `CURSOR`, `refcursor`.
    pub(crate) const CURSOR: Hints = Hints(4);
    /// `set_config`.
    pub(crate) const SET_CONFIG: Hints = Hints(8);
    /// `pg_advisory…`, `pg_try_advisory…`.
    pub(crate) const ADVISORY: Hints = Hints(16);

    pub(crate) const fn empty() -> Hints {
        Hints(0)
    }

    pub(crate) fn contains(self, other: Hints) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) fn without(self, other: Hints) -> Hints {
        Hints(self.0 & !other.0)
    }
}

impl BitOr for Hints {
    type Output = Hints;

    fn bitor(self, other: Hints) -> Hints {
        Hints(self.0 | other.0)
    }
}

impl BitOrAssign for Hints {
    fn bitor_assign(&mut self, other: Hints) {
        self.0 |= other.0;
    }
}
