//! The rules: what a control statement of a client becomes inside ptest's own transaction.
//!
//! A savepoint stands at all times. A client's transaction, or its autocommit batch, is what lies above that savepoint:
//! so `BEGIN` needs no message at all, a commit releases the savepoint and sets it again, and a rollback goes back to
//! it. No real `BEGIN`, `COMMIT`, `ROLLBACK` or `PREPARE TRANSACTION` ever reaches the backend, unless in a failed
//! transaction that refuses it.

use super::action::{Action, Answer, Course, answered, as_it_is, end, outside, refuse, replaced};
use super::assignment::{deallocate_all, discard_all, reset_all, reset_one, set_one};
use super::belief::Belief;
use super::change::note_changes;
use super::commit::{self, Duties, undo};
use super::defaults::Defaults;
use super::frame::Report;
use super::modes::{characteristics, set_transaction};
use super::settings::Settings;
use super::sql::{Ident, Kind, Statement};

/// The savepoint that stands below whatever a client does.
pub(crate) const SAVEPOINT: &str = "_ptest_savepoint";
/// Undoes what lies above the savepoint, which stays.
pub(crate) const UNDO: &str = "ROLLBACK TO SAVEPOINT _ptest_savepoint";
/// Keeps what lies above the savepoint, and sets it again.
pub(crate) const KEEP: [&str; 2] = ["RELEASE SAVEPOINT _ptest_savepoint", "SAVEPOINT _ptest_savepoint"];
/// Makes the client's transaction read-only. Inside a savepoint, nothing but its end undoes this.
pub(super) const FENCE: &str = "SET TRANSACTION READ ONLY";

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
    /// It is the whole of a simple query.
    Alone,
    /// It is one of a batch of the extended protocol: a server before version 18 takes each for itself, but commits at
    /// the Sync.
    InBatch,
    /// It shares a query string with others, which a server puts into one implicit transaction block; from version 18 on
    /// also a batch, behind its first statement.
    AmongOthers,
}

/// What the rules know beyond the statement.
pub(super) struct Ground<'a> {
    pub(super) duties: &'a Duties,
    /// The settings of the session before its transaction.
    pub(super) before: &'a Settings,
    /// The user that the backend connected as.
    pub(super) user: &'a str,
    /// What the session asked for at start-up: there `RESET` leads back to.
    pub(super) initial: &'a Settings,
    pub(super) initial_defaults: &'a Defaults,
    /// Stands before the names of this session's prepared statements.
    pub(super) prefix: &'a str,
    /// The values of the statement's parameters, where they matter.
    pub(super) values: &'a [Option<Vec<u8>>],
}

impl Ground<'_> {
    /// The commands of a commit.
    pub(super) fn keep(&self, belief: &Belief) -> Vec<String> {
        self.duties.keep(belief, self)
    }
}

/// What a statement of the string `sql` becomes for a client that believes to be at `belief`.
pub(super) fn action(statement: &Statement, sql: &[u8], belief: &Belief, place: Place, ground: &Ground<'_>) -> Action {
    let place = match place {
        Place::InBatch if belief.piped && belief.defaults.piped_block => Place::AmongOthers,
        place => place,
    };
    let mut action = decide(statement, sql, belief, place, ground);
    note_changes(&mut action, statement, sql, belief, ground);
    let goes_on = place != Place::Alone || action.after.block == Block::Open;
    if let Course::Replaced(commands, Answer::Tag(_)) = &mut action.course
        && matches!(
            statement.kind,
            Kind::Begin { .. }
                | Kind::Commit { .. }
                | Kind::Rollback { .. }
                | Kind::DiscardAll
                | Kind::PrepareTransaction
        )
        && goes_on
        && action.after.mode.read_only
        && !action.after.fenced
    {
        commands.push(FENCE.to_owned());
        action.after.fenced = true;
    }
    let run = !action.is_replaced() || matches!(statement.kind, Kind::Deallocate { .. });
    if run && belief.block != Block::Failed && takes_snapshot(&statement.kind) {
        action.after.queried = true;
        action.on_error.queried = true;
    }
    action
}

/// Whether the server settles the modes of the transaction before it runs a statement of this kind.
fn takes_snapshot(kind: &Kind) -> bool {
    use Kind::{
        Checkpoint, Fetch, Listen, Lock, Notify, Release, Reset, RollbackTo, Savepoint, Set, SetConstraints, Show,
        Unlisten,
    };
    !matches!(
        kind,
        Checkpoint
            | Fetch
            | Listen
            | Lock
            | Notify
            | Release { .. }
            | Reset { .. }
            | RollbackTo { .. }
            | Savepoint { .. }
            | Set { .. }
            | SetConstraints
            | Show { .. }
            | Unlisten
    )
}

fn decide(statement: &Statement, sql: &[u8], belief: &Belief, place: Place, ground: &Ground<'_>) -> Action {
    use Block::{Failed, Idle, Open};
    let alone = place != Place::AmongOthers;
    let whole = place == Place::Alone;
    let block = belief.block;
    let keep = || ground.keep(belief);
    match (&statement.kind, block) {
        // It makes a block of the implicit transaction that is under way, if any.
        (Kind::Begin { modes }, Idle) => set_transaction(begin_tag(statement, sql), modes, belief).in_block(),
        (Kind::Begin { modes }, Open) => set_transaction(begin_tag(statement, sql), modes, belief)
            .warn("25001", "there is already a transaction in progress"),
        (Kind::Commit { chain: true }, Idle) => outside("COMMIT AND CHAIN", belief),
        (Kind::Rollback { chain: true }, Idle) => outside("ROLLBACK AND CHAIN", belief),
        (Kind::Commit { .. }, Idle) => {
            let commands = if whole { Vec::new() } else { keep() };
            let action = Action { on_error: belief.at(Idle), ..replaced(commands, "COMMIT", belief.ended(true)) };
            action.warn("25P01", NO_TRANSACTION)
        }
        (Kind::Rollback { .. }, Idle) => {
            let commands = if whole { Vec::new() } else { undo() };
            replaced(commands, "ROLLBACK", belief.ended(false)).warn("25P01", NO_TRANSACTION)
        }
        (Kind::Commit { chain }, Open) => {
            Action { on_error: belief.at(Idle), ..end("COMMIT", keep(), *chain, true, belief) }
        }
        (Kind::PrepareTransaction, Failed) => replaced(undo(), "ROLLBACK", belief.ended(false)),
        (Kind::Commit { chain }, Failed) | (Kind::Rollback { chain }, Open | Failed) => {
            end("ROLLBACK", undo(), *chain, false, belief)
        }
        (Kind::Savepoint { .. }, Idle) => outside("SAVEPOINT", belief),
        (Kind::Release { .. }, Idle) => outside("RELEASE SAVEPOINT", belief),
        (Kind::RollbackTo { .. }, Idle) => outside("ROLLBACK TO SAVEPOINT", belief),
        (Kind::Savepoint { name } | Kind::Release { name } | Kind::RollbackTo { name }, Open | Failed)
            if name.name(sql) == SAVEPOINT.as_bytes() =>
        {
            refuse(Report::error("3B001", format!("savepoint \"{SAVEPOINT}\" does not exist")), belief)
        }
        (Kind::Savepoint { name }, Open) => Action { after: belief.with_savepoint(name.name(sql)), ..as_it_is(belief) },
        (Kind::Release { name }, Open) => Action { after: belief.released(&name.name(sql)), ..as_it_is(belief) },
        (Kind::RollbackTo { name }, Open | Failed) => {
            Action { after: belief.back_to(&name.name(sql)), ..as_it_is(belief) }
        }
        (Kind::Lock, Idle) if alone => outside("LOCK TABLE", belief),
        (Kind::Declare { hold: false, .. }, Idle) if alone => outside("DECLARE CURSOR", belief),
        (Kind::Declare { name, hold: true }, Idle | Open) => {
            match commit::declare_held(&sql[statement.range.clone()], &name.name(sql), ground.prefix) {
                Some(command) => replaced(vec![command], commit::DECLARED, belief.after_query()),
                None => as_it_is(belief),
            }
        }
        (Kind::SetConstraints, Idle) if alone => {
            as_it_is(belief).warn("25P01", "SET CONSTRAINTS can only be used in transaction blocks")
        }
        (Kind::SetTransaction { modes }, Idle) if alone => {
            let done = replaced(Vec::new(), "SET", belief.clone());
            let action = if whole { done } else { set_transaction("SET", modes, belief) };
            action.warn("25P01", "SET TRANSACTION can only be used in transaction blocks")
        }
        (Kind::SetTransaction { modes }, Idle | Open) => set_transaction("SET", modes, belief),
        (Kind::SetSessionCharacteristics { local, modes }, Idle | Open) => characteristics(modes, *local, belief),
        (Kind::Set { local, name, value }, Idle | Open) => {
            let text = String::from_utf8_lossy(&sql[value.clone()]);
            let action = set_one(name, &text, *local, whole, belief, ground);
            match *local && block == Idle && alone {
                true => action.warn("25P01", "SET LOCAL can only be used in transaction blocks"),
                false => action,
            }
        }
        (Kind::Reset { name: Some(name) }, Idle | Open) => reset_one(name, "RESET", false, belief, ground),
        (Kind::Reset { name: None }, Idle | Open) => {
            let initial = *ground.initial_defaults;
            replaced(reset_all(ground), "RESET", belief.with_defaults(|defaults| *defaults = initial, false))
        }
        (Kind::Show { name: Some(name) }, Idle | Open) => match belief.show(name) {
            Some(value) => answered(Answer::Row { name: name.clone(), value }, belief),
            None => as_it_is(belief),
        },
        (Kind::DiscardAll, Idle) if alone && belief.piped => {
            refuse(Report::error("25001", "DISCARD ALL cannot be executed within a pipeline"), belief)
        }
        (Kind::DiscardAll, Idle) if alone => {
            let mut commands = discard_all(ground);
            // What no transaction block may hold, a server commits at once, before the Sync.
            commands.extend(KEEP.iter().filter(|_| !whole).map(|&command| command.to_owned()));
            replaced(commands, "DISCARD ALL", Belief::new(*ground.initial_defaults))
        }
        (Kind::Prepare { name } | Kind::Execute { name }, _) => own_name(name, sql, belief, ground),
        (Kind::Deallocate { name: Some(name) }, _) => own_name(name, sql, belief, ground),
        (Kind::Deallocate { name: None }, Idle | Open) => {
            replaced(vec![deallocate_all(ground.prefix)], "DEALLOCATE ALL", belief.clone())
        }
        (Kind::PrepareTransaction, Idle) if alone => {
            let commands = if whole { Vec::new() } else { keep() };
            let action = Action { on_error: belief.at(Idle), ..replaced(commands, "ROLLBACK", belief.ended(true)) };
            action.warn("25P01", NO_TRANSACTION)
        }
        (Kind::PrepareTransaction, Idle) => refuse_to_prepare(belief).warn("25P01", NO_TRANSACTION),
        (Kind::PrepareTransaction, Open) => refuse_to_prepare(belief),
        (Kind::Listen | Kind::Notify, Idle | Open) => Action {
            warning: Some(Report {
                hint: Some(REAL_COMMITS.to_owned()),
                ..Report::notice(
                    "01000",
                    "a notification is delivered when a transaction commits, which never happens here",
                )
            }),
            ..as_it_is(belief)
        },
        _ => as_it_is(belief),
    }
}

/// What a hint says of a statement that only real commits allow.
pub(super) const REAL_COMMITS: &str = "The test runs inside one transaction of ptest, which is rolled back. \
    Write #[ptest::db_test(isolation = \"database\")] for a database of its own with real commits; it costs a clone.";

const NO_TRANSACTION: &str = "there is no transaction in progress";

/// As on a server that has no prepared transactions, that ends the transaction.
fn refuse_to_prepare(belief: &Belief) -> Action {
    let report = Report {
        hint: Some(format!("A prepared transaction outlives its session. {REAL_COMMITS}")),
        ..Report::error("0A000", "PREPARE TRANSACTION cannot run in a ptest sandbox")
    };
    let after = belief.ended(false);
    Action { after: after.clone(), on_error: after, ..refuse(report, belief) }
}

/// The server's tag is the word that the client used.
fn begin_tag(statement: &Statement, sql: &[u8]) -> &'static str {
    let start = sql[statement.range.clone()].first().is_some_and(|b| b.eq_ignore_ascii_case(&b's'));
    if start { "START TRANSACTION" } else { "BEGIN" }
}

/// The statement with its name made private.
fn own_name(name: &Ident, sql: &[u8], belief: &Belief, ground: &Ground<'_>) -> Action {
    let own = String::from_utf8_lossy(&name.name(sql)).replace('"', "\"\"");
    let replacement = (name.range.clone(), format!("\"{}{own}\"", ground.prefix));
    Action { course: Course::Sent(vec![replacement]), ..as_it_is(belief) }
}
