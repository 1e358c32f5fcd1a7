//! What a commit must do more than release a savepoint, since that is not a commit: check deferred constraints, close
//! cursors, empty or drop temporary tables, undo `SET LOCAL`.
//!
//! A duty is noted from the text of a statement before it runs, and never forgotten too early: to do it for nothing is
//! harmless. A test that uses none of these pays for none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::belief::{Belief, Change, OnCommit, Setting, Temporary};
use super::constraints::{CHECK, Constraints, immediate_again};
use super::control::{Ground, KEEP, UNDO};
use super::deviations::Deviations;
use super::list::List;
use super::settings::{self, Settings, literal};
use super::sql::{Hints, Kind, Statement};
use super::watch::Watch;

/// What `set_config` starts on the backend; of `SET` it hears nothing.
const TIMERS: [&str; 2] = ["idle_in_transaction_session_timeout", "transaction_timeout"];

/// The duties that all sessions of a test share.
#[derive(Debug)]
pub(super) struct Duties {
    pub(super) constraints: Constraints,
    /// How many sessions may have temporary objects.
    pub(super) temporary_of: u32,
    /// A session has declared a cursor `WITH HOLD`.
    held: bool,
    /// Names of settings of the clients' own making.
    pub(super) custom: BTreeSet<String>,
    /// A statement has mentioned an advisory lock.
    pub(super) advisory: bool,
    /// What a server would have done otherwise.
    pub(super) deviations: Deviations,
    pub(super) watch: Arc<Watch>,
}

impl Duties {
    pub(super) fn new(constraints: Constraints) -> Self {
        Duties {
            constraints,
            temporary_of: 0,
            held: false,
            custom: BTreeSet::new(),
            advisory: false,
            deviations: Deviations::default(),
            watch: Arc::default(),
        }
    }

    /// Notes what a statement will leave to do at a commit.
    pub(super) fn note(&mut self, statement: &Statement) {
        if statement.hints.contains(Hints::DEFERRABLE) {
            self.constraints = Constraints::Ask;
        }
        self.advisory |= statement.hints.contains(Hints::ADVISORY);
        if let Kind::Declare { hold: true, .. } = statement.kind {
            self.held = true;
        }
        if let Kind::Set { name, .. } = &statement.kind
            && name.contains('.')
        {
            self.custom.insert(name.clone());
        }
    }

    /// Notes which constraints there are, unless another may have been made since the server was asked.
    pub(super) fn learn(&mut self, constraints: Constraints) {
        if self.constraints == Constraints::Asked {
            self.constraints = constraints;
        }
    }

    /// Whether a commit by a client with this belief cannot fail, and has nothing to tell it; settings may have been
    /// `touched`.
    pub(super) fn is_plain(&self, touched: bool, belief: &Belief) -> bool {
        self.constraints == Constraints::None && belief.temporary.is_empty() && !touched
    }

    /// The commands of a commit by a client with this belief.
    ///
    /// `ALL IMMEDIATE` checks deferred constraints and lasts beyond the savepoint, also for constraints that do not exist
    /// yet. So all are deferred again, and then those that are immediate at first are made so, by name.
    pub(super) fn keep(&self, belief: &Belief, ground: &Ground<'_>) -> Vec<String> {
        let changes = &belief.changes;
        let mut commands = Vec::new();
        let local = changes.iter().any(|(change, _)| change.local);
        let end_local = local.then(|| self.end_local(changes, ground.before, ground.initial, ground.user));
        // Between two transactions of the client its own would not run; the backend is always in one.
        let is_set = |timer: &str| {
            changes.iter().any(|(change, _)| matches!(&change.of, Setting::Called(name) if name == timer))
        };
        commands.extend(TIMERS.into_iter().filter(|timer| is_set(timer)).map(|timer| format!("SET {timer} = 0")));
        if self.constraints != Constraints::None {
            commands.push(CHECK.to_owned());
        }
        commands.push(if self.held { CLOSE_CURSORS } else { "CLOSE ALL" }.to_owned());
        if !belief.temporary.is_empty() {
            if belief.fenced {
                commands.extend(KEEP.map(str::to_owned));
            }
            commands.push(clear(&belief.temporary, ground.user));
        }
        commands.extend(end_local.into_iter().flatten());
        let [release, savepoint] = KEEP.map(str::to_owned);
        commands.push(release);
        if self.constraints != Constraints::None {
            commands.push("SET CONSTRAINTS ALL DEFERRED".to_owned());
        }
        match &self.constraints {
            Constraints::Known(list) if !list.is_empty() => commands.push(immediate_again(Some(list), ground.user)),
            Constraints::Ask | Constraints::Asked => commands.push(immediate_again(None, ground.user)),
            Constraints::Known(_) | Constraints::None => {}
        }
        commands.push(savepoint);
        commands
    }

    /// What undoes `SET LOCAL` and its kin, but nothing that is to last.
    fn end_local(&self, changes: &List<Change>, before: &Settings, initial: &Settings, user: &str) -> Vec<String> {
        let (mut local, mut kept, mut commands, mut roles) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut base, mut base_of_roles, mut reset, mut unknown) = (before, before, false, false);
        for (change, _) in changes.iter() {
            match &change.of {
                // `DISCARD ALL`; `RESET ALL` leaves the roles.
                Setting::All if change.committed => {
                    (base, base_of_roles) = (initial, initial);
                    break;
                }
                Setting::All => (base, reset) = (initial, true),
                _ if reset && !change.is_of_role() => {}
                Setting::Unknown => unknown |= change.local,
                Setting::Constraints => {}
                Setting::Named(name) | Setting::Called(name) if kept.contains(name) => {}
                Setting::Named(name) if change.local => drop(local.insert(name, true)),
                Setting::Called(name) if change.local => drop(local.entry(name).or_insert(false)),
                Setting::Named(name) | Setting::Called(name) => {
                    let sql = change.sql.iter().filter(|_| local.contains_key(name));
                    match settings::is_role(name) {
                        true => roles.extend(sql.rev().cloned()),
                        false => commands.extend(sql.cloned()),
                    }
                    kept.push(name.clone());
                }
            }
        }
        let undone = local.iter().filter(|(name, _)| !kept.contains(name) && settings::can_be_reset(name));
        commands.extend(undone.map(|(name, sure)| base.restore(name, *sure)));
        if !unknown && !before.has_role() && !changes.iter().any(|(change, _)| change.is_of_role()) {
            return commands;
        }
        let mut body: String = commands.iter().map(|sql| format!("EXECUTE {}; ", literal(sql))).collect();
        if unknown {
            body.push_str(&base.restore_all(&kept, &self.custom));
        }
        let undone =
            |name, default| (!kept.iter().any(|k| k == name)).then(|| base_of_roles.get(name).unwrap_or(default));
        let undone = [undone("session_authorization", user), undone("role", "none")];
        std::iter::once(as_own_user(&body, user, undone)).chain(roles.into_iter().rev()).collect()
    }
}

/// A block of commands that a server would do by itself, whatever role its client has taken. The client is in its roles
/// again then, or in those `roles` of session and user that are given.
pub(super) fn as_own_user(body: &str, user: &str, roles: [Option<&str>; 2]) -> String {
    let user = literal(user);
    let [who, role] = roles.map(|role| role.map_or("NULL".to_owned(), literal));
    format!(
        "DO $_ptest$ DECLARE _who text := session_user; _role text := pg_catalog.current_setting('role'); BEGIN \
         IF _who <> {user} THEN PERFORM pg_catalog.set_config('session_authorization', {user}, false); END IF; \
         IF _role <> 'none' THEN PERFORM pg_catalog.set_config('role', 'none', false); END IF; \
         {body}\
         _who := coalesce({who}, _who); _role := coalesce({role}, _role); \
         IF session_user <> _who THEN PERFORM pg_catalog.set_config('session_authorization', _who, false); END IF; \
         IF pg_catalog.current_setting('role') <> _role THEN PERFORM pg_catalog.set_config('role', _role, false); END IF; \
         END $_ptest$"
    )
}

/// What becomes of temporary tables at a commit, whoever is the client then. A table that is gone is left out, and the
/// server empties none for its parent's sake.
fn clear(temporary: &Temporary, user: &str) -> String {
    let rows: Vec<String> = temporary
        .iter()
        .map(|(name, clause)| format!("({}, {})", literal(&format!("pg_temp.{name}")), *clause == OnCommit::Drop))
        .collect();
    let body = format!(
        "DECLARE _said text := pg_catalog.current_setting('client_min_messages'); _gone text; _empty text; BEGIN \
         SELECT pg_catalog.string_agg(pg_catalog.format('pg_temp.%I', c.relname), ',') FILTER (WHERE t.gone), \
         pg_catalog.string_agg(pg_catalog.format('ONLY pg_temp.%I', c.relname), ',') \
         FILTER (WHERE NOT t.gone AND c.relkind = 'r') INTO _gone, _empty \
         FROM (VALUES {}) t(name, gone) JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(t.name); \
         IF _empty IS NOT NULL THEN EXECUTE 'TRUNCATE ' || _empty; END IF; \
         IF _gone IS NOT NULL THEN PERFORM pg_catalog.set_config('client_min_messages', 'warning', false); \
         EXECUTE 'DROP TABLE ' || _gone || ' CASCADE'; \
         PERFORM pg_catalog.set_config('client_min_messages', _said, false); END IF; END; ",
        rows.join(",")
    );
    as_own_user(&body, user, [None; 2])
}

/// The temporary table that a statement makes, and what a commit is to do with it. `IF NOT EXISTS` may make none, and
/// then changes nothing: it counts only with a clause.
///
/// Looks at the words only: a comment or string between them may hide one.
pub(super) fn on_commit(sql: &[u8]) -> Option<(String, Option<OnCommit>)> {
    let text = String::from_utf8_lossy(sql);
    let mut words = text.split(|c: char| c.is_whitespace()).filter(|w| !w.is_empty()).peekable();
    let mut is = |expected: &[&str]| words.next_if(|w| expected.iter().any(|e| w.eq_ignore_ascii_case(e))).is_some();
    if !is(&["create"]) {
        return None;
    }
    is(&["global", "local"]);
    if !is(&["temp", "temporary"]) || !is(&["table"]) {
        return None;
    }
    let perhaps = is(&["if"]) && is(&["not"]) && is(&["exists"]);
    let name = table_name(words.next()?);
    let all: Vec<String> = words.map(str::to_ascii_lowercase).collect();
    let end = all.windows(2).position(|w| w[0].ends_with("on") && w[1] == "commit");
    let clause = match end.and_then(|end| all.get(end + 2)).map(|word| word.trim_end_matches([';', ')'])) {
        Some("drop") => Some(OnCommit::Drop),
        Some("delete") => Some(OnCommit::DeleteRows),
        _ => None,
    };
    (clause.is_some() || !perhaps).then_some((name, clause))
}

/// The name as the statement spells it, without a schema and what follows it.
fn table_name(word: &str) -> String {
    let mut quoted = false;
    let end = word.find(|c| {
        quoted ^= c == '"';
        !quoted && c == '('
    });
    let name = &word[..end.unwrap_or(word.len())];
    let name = name.strip_prefix("pg_temp.").unwrap_or(name);
    if name.starts_with('"') { name.to_owned() } else { name.to_ascii_lowercase() }
}

/// The tag of a cursor's declaration.
pub(super) const DECLARED: &str = "DECLARE CURSOR";

/// Declares a cursor `WITH HOLD` over a copy of what it selects: the server would make that copy at the commit, so that
/// the cursor holds on to no table. Where there can be none (in a read-only transaction, of columns without names), the
/// cursor is declared as the client says.
pub(super) fn declare_held(statement: &[u8], cursor: &[u8], prefix: &str) -> Option<String> {
    let text = std::str::from_utf8(statement).ok()?;
    let parameters = text.as_bytes().windows(2).any(|w| w[0] == b'$' && w[1].is_ascii_digit());
    let head = text.to_ascii_lowercase();
    let query = head.find("hold").map(|at| at + 4)?;
    let query = query + head[query..].find("for").filter(|at| head[query..query + at].trim().is_empty())? + 3;
    if parameters || text.contains("_ptest$") {
        return None;
    }
    let copy: String = cursor.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
    let copy = format!("pg_temp._ptest_hold_{}{copy}", prefix.trim_end_matches('.'));
    let create = literal(&format!("CREATE TEMP TABLE {} AS {}", &copy[8..], &text[query..]));
    let declare = literal(&format!("{} SELECT * FROM {copy}", &text[..query]));
    Some(format!(
        "DO $_ptest$ BEGIN BEGIN \
         IF pg_catalog.to_regclass('{copy}') IS NOT NULL THEN DROP TABLE {copy}; END IF; \
         EXECUTE {create}; EXECUTE {declare}; EXCEPTION WHEN OTHERS THEN EXECUTE {}; END; END $_ptest$",
        literal(text)
    ))
}

/// Closes all cursors but those that outlive a transaction.
const CLOSE_CURSORS: &str = "DO $_ptest$ DECLARE open text[]; one text; BEGIN \
    open := ARRAY(SELECT name FROM pg_catalog.pg_cursors \
    WHERE NOT is_holdable AND name NOT IN ('', '_ptest_portal') AND name NOT LIKE '<unnamed portal %'); \
    FOREACH one IN ARRAY open LOOP EXECUTE pg_catalog.format('CLOSE %I', one); END LOOP; END $_ptest$";

/// What a server does at the end of a session. Held cursors go first: they keep their tables busy.
pub(super) const DISCARD_TEMPORARY: &str = "CLOSE ALL; \
    DO $_ptest$ BEGIN EXECUTE 'DISCARD TEMP'; EXCEPTION WHEN OTHERS THEN NULL; END $_ptest$";

/// The commands of a rollback.
pub(super) fn undo() -> Vec<String> {
    vec![UNDO.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_tables_that_a_commit_clears() {
        let found = |sql: &str| on_commit(sql.as_bytes()).map(|(name, clause)| (clause, name));
        let is = |clause, name: &str| Some((clause, name.to_owned()));
        let (drop, delete) = (Some(OnCommit::Drop), Some(OnCommit::DeleteRows));
        assert_eq!(found("create temp table T(a int) on commit drop"), is(drop, "t"));
        assert_eq!(found("CREATE LOCAL TEMPORARY TABLE \"A(b\" (a int)ON COMMIT DELETE ROWS"), is(delete, "\"A(b\""));
        assert_eq!(found("create temp table if not exists pg_temp.t on commit drop as select 1"), is(drop, "t"));
        assert_eq!(found("create temp table t (a int) on commit preserve rows"), is(None, "t"));
        assert_eq!(found("create temp table if not exists t (a int)"), None);
        assert_eq!(found("create table t (a int)"), None);
    }
}
