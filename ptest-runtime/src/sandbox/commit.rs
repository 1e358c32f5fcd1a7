//! What a commit must do more than release a savepoint, since that is not a commit: check deferred constraints, close
//! cursors, empty or drop temporary tables, undo `SET LOCAL`.
//!
//! A duty is noted from the text of a statement before it runs, and never forgotten too early: to do it for nothing is
//! harmless. A test that uses none of these pays for none.

use std::collections::BTreeSet;

use super::control::{KEEP, UNDO};
use super::settings::{Call, Settings, literal};
use super::sql::{Hints, Kind, Statement};

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

/// The duties that all sessions of a test share.
#[derive(Debug)]
pub(super) struct Duties {
    pub(super) constraints: Constraints,
    /// Temporary tables that a commit drops or empties: the statement for each, by name.
    temporary: Vec<(String, &'static str)>,
    /// A session has declared a cursor `WITH HOLD`.
    held: bool,
    /// Names of settings of the clients' own making.
    pub(super) custom: BTreeSet<String>,
}

/// What a session's transaction, or its batch, may have done to its settings.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Some setting may have changed.
    pub(super) any: bool,
    /// Some may have been changed until the end of the transaction only.
    local: bool,
    /// These are to last.
    lasting: Vec<String>,
    /// The session is on a visit: commits are the holder's.
    pub(super) visiting: bool,
}

impl Duties {
    pub(super) fn new(constraints: Constraints) -> Self {
        Duties { constraints, temporary: Vec::new(), held: false, custom: BTreeSet::new() }
    }

    /// Notes what a statement of the string `sql` will leave to do at a commit.
    pub(super) fn note(&mut self, statement: &Statement, sql: &[u8]) {
        if statement.hints.contains(Hints::DEFERRABLE) {
            self.constraints = Constraints::Ask;
        }
        if let Kind::Declare { hold: true, .. } = statement.kind {
            self.held = true;
        }
        if let Kind::Set { name, .. } = &statement.kind
            && name.contains('.')
        {
            self.custom.insert(name.clone());
        }
        if statement.hints.contains(Hints::TEMP)
            && let Some(found) = on_commit(&sql[statement.range.clone()])
            && !self.temporary.contains(&found)
        {
            self.temporary.push(found);
        }
    }

    /// Notes the calls of `set_config` in a statement.
    pub(super) fn note_calls(&mut self, touched: &mut Touched, calls: Vec<Call>) {
        for Call { name, local } in calls {
            touched.any = true;
            touched.local |= local;
            self.custom.extend(name.clone().filter(|name| name.contains('.')));
            touched.lasting.extend(name.filter(|_| !local));
        }
    }

    /// Whether a commit cannot fail, and has nothing to tell the client.
    pub(super) fn is_plain(&self, touched: &Touched) -> bool {
        self.constraints == Constraints::None && self.temporary.is_empty() && !touched.any
    }

    /// The commands of a commit; `before` are the settings from before the transaction, of a backend that connected as
    /// `user`.
    ///
    /// `ALL IMMEDIATE` checks deferred constraints and lasts beyond the savepoint, so what was deferred at first is
    /// deferred again, by name.
    pub(super) fn keep(&self, touched: &Touched, before: &Settings, user: &str) -> Vec<String> {
        let mut commands = Vec::new();
        if touched.visiting {
            commands.extend(touched.local.then(|| before.restore(&touched.lasting, &self.custom, user)));
            commands.extend(KEEP.map(str::to_owned));
            return commands;
        }
        if self.constraints != Constraints::None {
            commands.push("SET CONSTRAINTS ALL IMMEDIATE".to_owned());
        }
        commands.push(if self.held { CLOSE_CURSORS } else { "CLOSE ALL" }.to_owned());
        if !self.temporary.is_empty() {
            commands.push(self.clear_temporary());
        }
        if touched.local {
            commands.push(before.restore(&touched.lasting, &self.custom, user));
        }
        let [release, savepoint] = KEEP.map(str::to_owned);
        commands.push(release);
        match &self.constraints {
            Constraints::Known(list) if !list.is_empty() => commands.push(format!("SET CONSTRAINTS {list} DEFERRED")),
            Constraints::Ask => commands.push(DEFER_AGAIN.to_owned()),
            _ => {}
        }
        commands.push(savepoint);
        commands
    }

    /// Does nothing for a table that is gone.
    fn clear_temporary(&self) -> String {
        let mut body = String::new();
        for (table, statement) in &self.temporary {
            let quoted = table.replace('\'', "''");
            body.push_str(&format!(
                "IF pg_catalog.to_regclass('pg_temp.{quoted}') IS NOT NULL THEN {statement} pg_temp.{table}; END IF; "
            ));
        }
        format!("DO $_ptest$ BEGIN {body}END $_ptest$")
    }
}

impl Touched {
    /// Of the session's next transaction or batch.
    pub(super) fn anew(&self) -> Touched {
        Touched { visiting: self.visiting, ..Touched::default() }
    }

    /// Notes what a statement may do to the settings of its session.
    pub(super) fn note(&mut self, statement: &Statement) {
        match &statement.kind {
            Kind::Set { local: true, .. } | Kind::SetSessionCharacteristics { local: true, .. } => self.local = true,
            Kind::Set { name, .. } | Kind::Reset { name: Some(name) } => self.lasting.push(name.clone()),
            Kind::Reset { name: None } | Kind::DiscardAll | Kind::SetSessionCharacteristics { .. } => {}
            _ => return,
        }
        self.any = true;
    }
}

/// The temporary table that a statement makes, and what a commit is to do with it.
///
/// Looks at the words only: a comment or string between them may hide one.
fn on_commit(sql: &[u8]) -> Option<(String, &'static str)> {
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
    if is(&["if"]) {
        is(&["not"]);
        is(&["exists"]);
    }
    let name = table_name(words.next()?);
    let all: Vec<String> = words.map(str::to_ascii_lowercase).collect();
    let end = all.windows(2).position(|w| w[0].ends_with("on") && w[1] == "commit")?;
    let clause = all.get(end + 2)?.trim_end_matches([';', ')']);
    match clause {
        "drop" => Some((name, "DROP TABLE")),
        "delete" => Some((name, "TRUNCATE")),
        _ => None,
    }
}

/// The name as the statement spells it, without a schema and what follows it.
fn table_name(word: &str) -> String {
    let mut quoted = false;
    let end = word.find(|c| {
        quoted ^= c == '"';
        !quoted && c == '('
    });
    let name = &word[..end.unwrap_or(word.len())];
    name.strip_prefix("pg_temp.").unwrap_or(name).to_owned()
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

const DEFER_AGAIN: &str = "DO $_ptest$ DECLARE list text; BEGIN \
    SELECT string_agg(format('%I.%I', n.nspname, c.conname), ',') INTO list FROM pg_catalog.pg_constraint c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace WHERE c.condeferred; \
    IF list IS NOT NULL THEN EXECUTE 'SET CONSTRAINTS ' || list || ' DEFERRED'; END IF; END $_ptest$";

/// The commands of a rollback.
pub(super) fn undo() -> Vec<String> {
    vec![UNDO.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_tables_that_a_commit_clears() {
        let found = |sql: &str| on_commit(sql.as_bytes()).map(|(name, what)| format!("{what} {name}"));
        assert_eq!(found("create temp table t(a int) on commit drop").as_deref(), Some("DROP TABLE t"));
        assert_eq!(
            found("CREATE LOCAL TEMPORARY TABLE \"a(b\" (a int)ON COMMIT DELETE ROWS").as_deref(),
            Some("TRUNCATE \"a(b\"")
        );
        assert_eq!(
            found("create temp table if not exists pg_temp.t on commit drop as select 1").as_deref(),
            Some("DROP TABLE t")
        );
        assert_eq!(found("create temp table t (a int) on commit preserve rows"), None);
        assert_eq!(found("create table t (a int)"), None);
    }

    #[test]
    fn a_commit_without_duties_is_three_commands() {
        let duties = Duties::new(Constraints::None);
        assert!(duties.is_plain(&Touched::default()));
        assert_eq!(duties.keep(&Touched::default(), &Settings::default(), "u"), ["CLOSE ALL", KEEP[0], KEEP[1]]);
    }
}
