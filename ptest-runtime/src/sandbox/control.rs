//! The rules: what a control statement of a client becomes inside ptest's own transaction.
//!
//! A savepoint stands at all times. A client's transaction, or its autocommit batch, is what lies above that savepoint:
//! so `BEGIN` needs no message at all, a commit releases the savepoint and sets it again, and a rollback goes back to
//! it. No real `BEGIN`, `COMMIT`, `ROLLBACK` or `PREPARE TRANSACTION` ever reaches the backend, unless in a failed
//! transaction that refuses it.

use std::ops::Range;

use super::belief::{Belief, Change};
use super::commit::{self, Duties, undo};
use super::defaults::{self, Defaults};
use super::frame::Report;
use super::settings::{self, Call, Settings};
use super::sql::{Hints, Ident, Kind, Modes, Statement};

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
    /// It is one of a batch of the extended protocol: a server takes each for itself, but commits at the Sync.
    InBatch,
    /// It shares a query string with others, which a server puts into one implicit transaction.
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
    /// The session is on a visit: commits are the holder's.
    pub(super) visiting: bool,
    /// The values of the statement's parameters, where they matter.
    pub(super) values: &'a [Option<Vec<u8>>],
}

impl Ground<'_> {
    /// The commands of a commit.
    pub(super) fn keep(&self, belief: &Belief) -> Vec<String> {
        self.duties.keep(belief, self)
    }
}

/// What a statement becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Action {
    /// A notice for the client, before its answer.
    pub(super) warning: Option<Report>,
    pub(super) course: Course,
    /// What the client believes then.
    pub(super) after: Belief,
    /// What the client believes if it fails.
    pub(super) on_error: Belief,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Course {
    /// It goes to the server as it is, with these parts of the client's string replaced.
    Sent(Vec<(Range<usize>, String)>),
    /// These commands go in its place, and this is the answer once they have succeeded.
    Replaced(Vec<String>, Answer),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Tag(&'static str),
    /// One row of one text column, as `SHOW` answers.
    Row {
        name: String,
        value: String,
    },
    Error(Report),
}

/// What a statement of the string `sql` becomes for a client that believes to be at `belief`.
pub(super) fn action(statement: &Statement, sql: &[u8], belief: &Belief, place: Place, ground: &Ground<'_>) -> Action {
    let mut action = decide(statement, sql, belief, place, ground);
    note_change(&mut action, statement, sql, belief, ground);
    let goes_on = place != Place::Alone || action.after.block == Block::Open;
    if let Course::Replaced(commands, Answer::Tag(_)) = &mut action.course
        && matches!(statement.kind, Kind::Begin { .. } | Kind::Commit { .. } | Kind::Rollback { .. })
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

/// Notes what the statement changes of the backend's settings.
fn note_change(action: &mut Action, statement: &Statement, sql: &[u8], belief: &Belief, ground: &Ground<'_>) {
    let sent = match &action.course {
        _ if belief.block == Block::Failed => return,
        Course::Replaced(_, Answer::Error(_)) => return,
        Course::Replaced(commands, _) => commands.join(";"),
        Course::Sent(_) => String::from_utf8_lossy(&sql[statement.range.clone()]).into_owned(),
    };
    let mut change = |name: Option<&str>, local, sql| {
        action.after = action.after.with_change(Change { name: name.map(str::to_owned), local, sql, committed: false });
    };
    match &statement.kind {
        Kind::Set { name, .. } | Kind::Reset { name: Some(name) }
            if belief.defaults.has(name) || name.starts_with("transaction_") => {}
        Kind::Set { name, local, .. } => change(Some(name), *local, Some(sent)),
        Kind::Reset { name } => change(name.as_deref(), false, Some(sent)),
        // No setting, but changed and undone like one.
        Kind::SetConstraints => change(Some("constraints"), false, Some(sent)),
        Kind::SetSessionCharacteristics { local, .. } => {
            change(Some("default_transaction_isolation"), *local, Some(sent.clone()));
            change(Some("default_transaction_deferrable"), *local, Some(sent));
        }
        _ if statement.hints.contains(Hints::SET_CONFIG) => {
            for Call { name, value, local } in settings::calls(&sql[statement.range.clone()], ground.values) {
                let sql = name.as_ref().zip(value).map(|(name, value)| settings::set(name, &value));
                change(name.as_deref(), local, sql);
            }
        }
        _ => {}
    }
    if statement.hints.contains(Hints::TEMP)
        && let Some((name, clause)) = commit::on_commit(&sql[statement.range.clone()])
    {
        action.after = action.after.with_temporary(name, clause);
    }
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

impl Action {
    fn warn(mut self, code: &'static str, message: &str) -> Self {
        self.warning = Some(Report::warning(code, message));
        self
    }

    /// Unless it fails, the client is in a transaction block then.
    fn in_block(mut self) -> Self {
        if let Course::Replaced(_, Answer::Tag(_)) = self.course {
            self.on_error = self.after.at(Block::Idle);
            self.after.block = Block::Open;
        }
        self
    }

    /// Whether the statement itself does not go to the server.
    pub(super) fn is_replaced(&self) -> bool {
        matches!(self.course, Course::Replaced(..))
    }
}

fn answered(answer: Answer, belief: &Belief) -> Action {
    let course = Course::Replaced(Vec::new(), answer);
    Action { warning: None, course, after: belief.clone(), on_error: belief.failed() }
}

fn replaced(commands: Vec<String>, tag: &'static str, after: Belief) -> Action {
    Action { course: Course::Replaced(commands, Answer::Tag(tag)), on_error: after.failed(), warning: None, after }
}

fn as_it_is(belief: &Belief) -> Action {
    Action { course: Course::Sent(Vec::new()), ..answered(Answer::Tag(""), belief) }
}

/// An error of the sandbox's in the server's place.
pub(super) fn refuse(report: Report, belief: &Belief) -> Action {
    Action { after: belief.failed(), ..answered(Answer::Error(report), belief) }
}

/// As on a server that has no prepared transactions, that ends the transaction.
fn refuse_to_prepare(belief: &Belief) -> Action {
    let report = Report {
        hint: Some(format!("A prepared transaction outlives its session. {REAL_COMMITS}")),
        ..Report::error("0A000", "PREPARE TRANSACTION cannot run in a ptest sandbox")
    };
    let after = belief.ended(false);
    Action { after: after.clone(), on_error: after, ..refuse(report, belief) }
}

/// The server's answer to what only a transaction block allows.
fn outside(statement: &str, belief: &Belief) -> Action {
    refuse(Report::error("25P01", format!("{statement} can only be used in transaction blocks")), belief)
}

/// The server's tag is the word that the client used.
fn begin_tag(statement: &Statement, sql: &[u8]) -> &'static str {
    let start = sql[statement.range.clone()].first().is_some_and(|b| b.eq_ignore_ascii_case(&b's'));
    if start { "START TRANSACTION" } else { "BEGIN" }
}

fn end(tag: &'static str, commands: Vec<String>, chain: bool, kept: bool, belief: &Belief) -> Action {
    let after = if chain { belief.chained(kept) } else { belief.ended(kept) };
    replaced(commands, tag, after)
}

/// The isolation level and `DEFERRABLE` are remembered only; read-only is real.
fn set_transaction(tag: &'static str, modes: &Modes, belief: &Belief) -> Action {
    let too_late = |what: &str| refuse(Report::error("25001", what), belief);
    let mut after = belief.in_mode(modes);
    let mut commands = Vec::new();
    if modes.isolation.is_some_and(|level| level != belief.mode.isolation) {
        if belief.queried {
            return too_late("SET TRANSACTION ISOLATION LEVEL must be called before any query");
        }
        if belief.in_savepoint() {
            return too_late("SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction");
        }
    }
    if modes.deferrable.is_some() {
        if belief.in_savepoint() {
            return too_late("SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction");
        }
        if belief.queried {
            return too_late("SET TRANSACTION [NOT] DEFERRABLE must be called before any query");
        }
    }
    match modes.read_only {
        Some(true) if !belief.fenced => {
            commands.push(FENCE.to_owned());
            after.fenced = true;
        }
        Some(false) if belief.mode.read_only && belief.in_savepoint() => {
            return too_late("cannot set transaction read-write mode inside a read-only transaction");
        }
        Some(false) if belief.mode.read_only && belief.queried => {
            return too_late("transaction read-write mode must be set before any query");
        }
        // Nothing has been done in the transaction but to change settings, so they are changed again after its end.
        Some(false) if belief.fenced => {
            let made = belief.changes.iter().map(|(change, _)| change).take_while(|change| !change.committed);
            let mut again: Vec<_> = made.filter_map(|change| change.sql.clone()).collect();
            again.push(UNDO.to_owned());
            commands.extend(again.into_iter().rev());
            after.fenced = false;
        }
        _ => {}
    }
    replaced(commands, tag, after)
}

fn characteristics(modes: &Modes, local: bool, belief: &Belief) -> Action {
    let after = belief.with_defaults(|defaults| defaults.mode = defaults.mode.with(modes), local);
    let mut real = Vec::new();
    if let Some(isolation) = modes.isolation {
        real.push(format!("ISOLATION LEVEL {}", defaults::isolation_name(isolation)));
    }
    if let Some(deferrable) = modes.deferrable {
        real.push(if deferrable { "DEFERRABLE" } else { "NOT DEFERRABLE" }.to_owned());
    }
    let commands = if real.is_empty() {
        Vec::new()
    } else {
        vec![format!("SET SESSION CHARACTERISTICS AS TRANSACTION {}", real.join(", "))]
    };
    replaced(commands, "SET", after)
}

fn set_one(name: &str, text: &str, local: bool, whole: bool, belief: &Belief, ground: &Ground<'_>) -> Action {
    let value = constant(text);
    if value.eq_ignore_ascii_case("default") && !text.starts_with('\'') {
        return reset_one(name, "SET", local, belief, ground);
    }
    if let Some(modes) = defaults::modes_of(name, &value) {
        if whole && belief.block == Block::Idle {
            return replaced(Vec::new(), "SET", belief.clone());
        }
        return set_transaction("SET", &modes, belief);
    }
    let mut tried = belief.defaults;
    let result = tried.set(name, &value);
    let after = belief.with_defaults(|defaults| drop(defaults.set(name, &value)), local);
    match result {
        _ if !belief.defaults.has(name) => Action { after, ..as_it_is(belief) },
        Ok(()) => replaced(Vec::new(), "SET", after),
        Err(invalid) => {
            refuse(Report { hint: invalid.hint.map(str::to_owned), ..Report::error("22023", invalid.message) }, belief)
        }
    }
}

fn reset_one(name: &str, tag: &'static str, local: bool, belief: &Belief, ground: &Ground<'_>) -> Action {
    let after = belief.with_defaults(|defaults| defaults.reset(name, ground.initial_defaults), local);
    match ground.initial.get(name) {
        _ if belief.defaults.has(name) => replaced(Vec::new(), tag, after),
        Some(value) => replaced(vec![settings::set(name, value)], tag, after),
        None => Action { after, ..as_it_is(belief) },
    }
}

fn reset_all(ground: &Ground<'_>) -> Vec<String> {
    let initial = ground.initial.iter().map(|(name, value)| settings::set(name, value));
    std::iter::once("RESET ALL".to_owned()).chain(initial).collect()
}

/// What the server does for it, as far as it concerns one session.
fn discard_all(ground: &Ground<'_>) -> Vec<String> {
    let mut commands = vec!["SET SESSION AUTHORIZATION DEFAULT".to_owned()];
    commands.extend(reset_all(ground));
    commands.push(deallocate_all(ground.prefix));
    let rest =
        ["CLOSE ALL", "UNLISTEN *", "SELECT pg_catalog.pg_advisory_unlock_all()", "DISCARD PLANS", "DISCARD TEMP"];
    commands.extend(rest.map(str::to_owned));
    commands.push("DISCARD SEQUENCES".to_owned());
    commands
}

/// Deallocates all prepared statements of a session but the unnamed one.
fn deallocate_all(prefix: &str) -> String {
    format!(
        "DO $_ptest$ DECLARE one text; BEGIN FOR one IN SELECT name FROM pg_catalog.pg_prepared_statements \
         WHERE pg_catalog.starts_with(name, '{prefix}') AND name <> '{prefix}' \
         LOOP EXECUTE pg_catalog.format('DEALLOCATE %I', one); END LOOP; END $_ptest$"
    )
}

/// The statement with its name made private.
fn own_name(name: &Ident, sql: &[u8], belief: &Belief, ground: &Ground<'_>) -> Action {
    let own = String::from_utf8_lossy(&name.name(sql)).replace('"', "\"\"");
    let replacement = (name.range.clone(), format!("\"{}{own}\"", ground.prefix));
    Action { course: Course::Sent(vec![replacement]), ..as_it_is(belief) }
}

/// A constant without its quotes.
fn constant(text: &str) -> String {
    match text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        Some(inner) => inner.replace("''", "'"),
        None => text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text).to_owned(),
    }
}
