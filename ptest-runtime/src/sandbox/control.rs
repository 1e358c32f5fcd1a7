//! The rules: what a transaction-control statement of a client becomes inside ptest's own transaction.
//!
//! A savepoint stands at all times. A client's transaction, or its autocommit batch, is what lies above that savepoint:
//! so `BEGIN` needs no message at all, a commit releases the savepoint and sets it again, and a rollback goes back to
//! it. No real `BEGIN`, `COMMIT`, `ROLLBACK` or `PREPARE TRANSACTION` ever reaches the backend.

use super::frame::Report;
use super::sql::{Kind, Modes, Statement};

/// The savepoint that stands below whatever a client does.
pub(crate) const SAVEPOINT: &str = "_ptest_savepoint";
/// Undoes what lies above the savepoint, which stays.
pub(crate) const UNDO: &str = "ROLLBACK TO SAVEPOINT _ptest_savepoint";
/// Keeps what lies above the savepoint, and sets it again.
pub(crate) const KEEP: [&str; 2] = ["RELEASE SAVEPOINT _ptest_savepoint", "SAVEPOINT _ptest_savepoint"];

/// The transaction block that a client believes to be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    Idle,
    Open,
    Failed,
}

impl Block {
    /// The status byte of `ReadyForQuery`.
    pub(super) fn status(self) -> u8 {
        match self {
            Block::Idle => b'I',
            Block::Open => b'T',
            Block::Failed => b'E',
        }
    }

    /// The block after an error.
    pub(super) fn after_error(self) -> Block {
        if self == Block::Idle { Block::Idle } else { Block::Failed }
    }
}

/// Where a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the whole of a simple query, or of an extended batch as far as we know.
    Alone,
    /// It shares a query string with others, which a server puts into one implicit transaction.
    AmongOthers,
}

/// The deferrable constraints of the database, as far as they matter at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Constraints {
    /// There are none: releasing a savepoint is as good as a commit.
    None,
    /// These are `INITIALLY DEFERRED` (a list for `SET CONSTRAINTS`, perhaps empty); others may have been deferred.
    Known(String),
    /// The test has made some: the server is asked at each commit.
    Ask,
}

/// What a control statement becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Action {
    /// A notice for the client, before its answer.
    pub(super) warning: Option<Report>,
    /// The commands for the backend.
    pub(super) commands: Vec<String>,
    /// The client's answer, once the commands have succeeded.
    pub(super) answer: Answer,
    /// The client's block then.
    pub(super) block: Block,
    /// The client's block if one of the commands fails.
    pub(super) on_error: Block,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Tag(&'static str),
    Error(Report),
}

/// What a statement of the string `sql` becomes when the client is in `block`; `None`: it goes to the server as it is.
pub(super) fn action(
    statement: &Statement,
    sql: &[u8],
    block: Block,
    place: Place,
    constraints: &Constraints,
) -> Option<Action> {
    use Block::{Failed, Idle, Open};
    let alone = place == Place::Alone;
    match (&statement.kind, block) {
        (Kind::Begin { modes }, Idle) => {
            Some(Action { commands: begin(modes), ..done(begin_tag(statement, sql), Open) })
        }
        (Kind::Begin { .. }, Open) => {
            Some(done(begin_tag(statement, sql), Open).warn("25001", "there is already a transaction in progress"))
        }
        (Kind::Commit { chain: true }, Idle) => Some(outside("COMMIT AND CHAIN")),
        (Kind::Rollback { chain: true }, Idle) => Some(outside("ROLLBACK AND CHAIN")),
        (Kind::Commit { .. }, Idle) => {
            let commands = if alone { Vec::new() } else { keep(constraints) };
            Some(Action { commands, ..done("COMMIT", Idle) }.warn("25P01", NO_TRANSACTION))
        }
        (Kind::Rollback { .. }, Idle) => {
            let commands = if alone { Vec::new() } else { vec![UNDO.to_owned()] };
            Some(Action { commands, ..done("ROLLBACK", Idle) }.warn("25P01", NO_TRANSACTION))
        }
        (Kind::Commit { chain }, Open) => {
            Some(Action { commands: keep(constraints), on_error: Idle, ..done("COMMIT", chained(*chain)) })
        }
        (Kind::PrepareTransaction, Failed) => {
            Some(Action { commands: vec![UNDO.to_owned()], ..done("ROLLBACK", Idle) })
        }
        (Kind::Commit { chain }, Failed) | (Kind::Rollback { chain }, Open | Failed) => {
            Some(Action { commands: vec![UNDO.to_owned()], ..done("ROLLBACK", chained(*chain)) })
        }
        (Kind::Savepoint { .. }, Idle) => Some(outside("SAVEPOINT")),
        (Kind::Release { .. }, Idle) => Some(outside("RELEASE SAVEPOINT")),
        (Kind::RollbackTo { .. }, Idle) => Some(outside("ROLLBACK TO SAVEPOINT")),
        (Kind::Savepoint { name } | Kind::Release { name } | Kind::RollbackTo { name }, Open | Failed)
            if name.name(sql) == SAVEPOINT.as_bytes() =>
        {
            Some(refuse(Report::error("3B001", format!("savepoint \"{SAVEPOINT}\" does not exist")), block))
        }
        (Kind::Lock, Idle) if alone => Some(outside("LOCK TABLE")),
        (Kind::Declare { hold: false, .. }, Idle) if alone => Some(outside("DECLARE CURSOR")),
        (Kind::Set { local: true, .. }, Idle) if alone => {
            Some(done("SET", Idle).warn("25P01", "SET LOCAL can only be used in transaction blocks"))
        }
        (Kind::SetTransaction { .. }, Idle) if alone => {
            Some(done("SET", Idle).warn("25P01", "SET TRANSACTION can only be used in transaction blocks"))
        }
        (Kind::SetTransaction { modes }, Open) => Some(Action { commands: begin(modes), ..done("SET", Open) }),
        (Kind::PrepareTransaction, Idle | Open) => Some(refuse(
            Report {
                hint: Some(format!("A prepared transaction outlives its session. {REAL_COMMITS}")),
                ..Report::error("0A000", "PREPARE TRANSACTION cannot run in a ptest sandbox")
            },
            block,
        )),
        _ => None,
    }
}

/// What a hint says of a statement that only real commits allow.
pub(super) const REAL_COMMITS: &str =
    "The test runs inside one transaction of ptest, which is rolled back: this needs a database with real commits.";

const NO_TRANSACTION: &str = "there is no transaction in progress";

impl Action {
    fn warn(mut self, code: &'static str, message: &str) -> Self {
        self.warning = Some(Report::warning(code, message));
        self
    }
}

fn done(tag: &'static str, block: Block) -> Action {
    Action { warning: None, commands: Vec::new(), answer: Answer::Tag(tag), block, on_error: block.after_error() }
}

fn refuse(report: Report, block: Block) -> Action {
    Action { answer: Answer::Error(report), ..done("", block.after_error()) }
}

/// The server's answer to what only a transaction block allows.
fn outside(statement: &str) -> Action {
    refuse(Report::error("25P01", format!("{statement} can only be used in transaction blocks")), Block::Idle)
}

/// The server's tag is the word that the client used.
fn begin_tag(statement: &Statement, sql: &[u8]) -> &'static str {
    let start = sql[statement.range.clone()].first().is_some_and(|b| b.eq_ignore_ascii_case(&b's'));
    if start { "START TRANSACTION" } else { "BEGIN" }
}

fn chained(chain: bool) -> Block {
    if chain { Block::Open } else { Block::Idle }
}

/// The modes of a transaction. Its isolation level and `DEFERRABLE` cannot change inside a subtransaction (25001), and
/// need not: transactions of a test take turns, so every level's promise holds. A savepoint ends `READ ONLY` with itself.
fn begin(modes: &Modes) -> Vec<String> {
    if modes.read_only == Some(true) { vec!["SET TRANSACTION READ ONLY".to_owned()] } else { Vec::new() }
}

/// The commands of a commit. `RELEASE` checks no deferred constraint; `ALL IMMEDIATE` does, and lasts beyond the
/// savepoint, so what was deferred at first is deferred again, by name.
pub(super) fn keep(constraints: &Constraints) -> Vec<String> {
    let [release, savepoint] = KEEP.map(str::to_owned);
    let check = "SET CONSTRAINTS ALL IMMEDIATE".to_owned();
    match constraints {
        Constraints::None => vec![release, savepoint],
        Constraints::Known(list) if list.is_empty() => vec![check, release, savepoint],
        Constraints::Known(list) => vec![check, release, format!("SET CONSTRAINTS {list} DEFERRED"), savepoint],
        Constraints::Ask => vec![check, release, DEFER_AGAIN.to_owned(), savepoint],
    }
}

const DEFER_AGAIN: &str = "DO $ptest$ DECLARE list text; BEGIN \
    SELECT string_agg(format('%I.%I', n.nspname, c.conname), ',') INTO list FROM pg_catalog.pg_constraint c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace WHERE c.condeferred; \
    IF list IS NOT NULL THEN EXECUTE 'SET CONSTRAINTS ' || list || ' DEFERRED'; END IF; END $ptest$";
