//! The likeness: whether a database is its template, but for rows in tables that are empty there.
//!
//! Nothing here asks a server; so it can be said in one place what proves it. What is asked is raw on purpose: a backend that
//! has only just begun pays for each function, operator and catalogue that a query names, and comparing is cheaper here.

use crate::pg::server::Rows;
use crate::pg::slot::restore_fetched_sql;
use crate::pg::template::facts::Facts;

/// Asks for what [`Filled::read`] reads: of each row, the first column says what it is about.
///
/// First who is about to connect: whoever holds a lock on the database then is counted as connected later. Catalogues that the
/// whole server shares and that nobody has ever written to are not read.
pub(super) const ASK: &str = "\
    SELECT 'lock', locktype, classid, objid, pid FROM pg_catalog.pg_lock_status();\
    SELECT 'server', pg_catalog.pg_backend_pid(), pg_catalog.current_setting('track_counts'), \
      pg_catalog.current_setting('ptest.template', true), \
      pg_catalog.pg_stat_get_tuples_inserted(3592), pg_catalog.pg_stat_get_tuples_inserted(6100);\
    SELECT 'database', datname, oid, datdba, datacl, datconnlimit, dattablespace, datallowconn, datistemplate, \
      pg_catalog.pg_stat_get_db_numbackends(oid), \
      extract(epoch FROM pg_catalog.pg_stat_get_db_stat_reset_time(oid)) FROM pg_catalog.pg_database;\
    SELECT 'setting', setdatabase, setrole, setconfig FROM pg_catalog.pg_db_role_setting;\
    SELECT 'comment', objoid, classoid FROM pg_catalog.pg_shdescription;\
    SELECT 'slot', datoid FROM pg_catalog.pg_get_replication_slots();\
    SELECT 'prepared', dbid FROM pg_catalog.pg_prepared_xact();\
    SELECT 'written', oid, oid::regclass, relkind, relisshared, pg_catalog.pg_relation_size(oid) FROM pg_catalog.pg_class \
      WHERE pg_catalog.pg_stat_get_tuples_inserted(oid) + pg_catalog.pg_stat_get_tuples_updated(oid) \
        + pg_catalog.pg_stat_get_tuples_deleted(oid) > 0";

/// Objects of users have greater numbers (`FirstNormalObjectId`).
const FIRST_OF_USERS: u32 = 16_384;

/// The number of `pg_database`, as the class of what locks and comments are about.
const CLASS: &str = "1262";

/// A larger table, in bytes, costs as much to empty and to read past as a clone.
const LARGEST: u64 = 512 << 10;

/// What a test has filled of a database that is its template otherwise.
#[derive(Debug, PartialEq)]
pub(super) struct Filled {
    /// As SQL writes them.
    tables: Vec<String>,
    /// What restores the sequences, where there are any.
    sequences: Option<String>,
}

impl Filled {
    /// `None`: it is not its template. The session that asked is in the database, whose counters were reset when its test began.
    pub(super) fn read(rows: Rows, name: &str, template: &str, counted_since: Option<&str>) -> Option<Filled> {
        let rows: Vec<Vec<Option<&str>>> = rows.iter().map(|row| row.iter().map(Option::as_deref).collect()).collect();
        let about = |what: &'static str| rows.iter().map(Vec::as_slice).filter(move |row| row[0] == Some(what));

        let [_, pid, Some("on"), Some(facts), labels, subscriptions] = *about("server").next()? else { return None };
        let facts = Facts::read(facts)?;
        let database = |name| about("database").find(|row| row[1] == Some(name));
        let [_, _, its, owner, acl, limit, space, Some("t"), Some("f"), Some("1"), since] = *database(name)? else {
            return None;
        };
        let [_, _, the_templates, ref of_template @ ..] = *database(template)? else { return None };

        let settings = |of| {
            let settings = about("setting").filter(move |row| row[1] == of).map(|row| (row[2], row[3]));
            let mut settings: Vec<_> = settings.collect();
            settings.sort();
            settings
        };
        let is_alike = since == counted_since
            && of_template.starts_with(&[owner, acl, limit, space])
            && settings(its) == settings(the_templates)
            && [labels, subscriptions] == [Some("0"); 2];
        let others_lock =
            |row: &[_]| row[1] == Some("object") && [row[2], row[3]] == [Some(CLASS), its] && row[4] != pid;
        let is_apart = !about("lock").any(others_lock)
            && !about("comment").any(|row| [row[1], row[2]] == [its, Some(CLASS)])
            && !about("slot").chain(about("prepared")).any(|row| row[1] == its);
        if !is_alike || !is_apart {
            return None;
        }
        let lasting: Vec<&str> = facts.lasting.as_deref()?.split(',').collect();
        let mut tables = Vec::new();
        for row in about("written") {
            let [_, Some(number), Some(table), kind, shared, size] = *row else { return None };
            match (kind, shared) {
                (_, Some("t")) => {}
                (Some("r" | "m"), _) => {
                    let is_users = number.parse::<u32>().ok()? >= FIRST_OF_USERS;
                    if !is_users || lasting.contains(&number) || size?.parse::<u64>().ok()? > LARGEST {
                        return None;
                    }
                    tables.push(table.to_owned());
                }
                // What goes with a table, or has no rows.
                _ => {}
            }
        }
        Some(Filled { tables, sequences: restore_fetched_sql(&facts) })
    }

    /// What empties the tables and restores the sequences.
    pub(super) fn empty_sql(&self) -> String {
        let mut sql = "BEGIN READ WRITE;".to_owned();
        sql.extend(self.tables.iter().map(|table| format!("DELETE FROM ONLY {table};")));
        sql.extend(self.sequences.iter().map(|restore| format!("{restore};")));
        sql + "SELECT pg_catalog.pg_stat_force_next_flush();COMMIT"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: &str = "deferrable none\nsequences none\nlasting some 20001,20002\nremembers none";

    /// What a server says of `its` and `other`, whose number is 30001; and of what a test has filled.
    fn told() -> Rows {
        let rows = [
            "lock|object|1262|30001|77",
            "lock|object|1262|30009|78",
            "lock|relation|||78",
            "server|77|on|FACTS|0|0",
            "database|other|30000|10||-1|1663|f|t|0|",
            "database|its|30001|10||-1|1663|t|f|1|123.5",
            "database|postgres|5|10||-1|1663|t|f|3|",
            "setting|0|10|{a=1}",
            "setting|30000|0|{b=1}",
            "setting|30001|0|{b=1}",
            "comment|30000|1262",
            "comment|30001|2615",
            "slot|5",
            "prepared|5",
            "written|20003|items|r|f|8192",
            "written|20004|pg_toast.pg_toast_20003|t|f|900000",
            "written|1262|pg_database|r|t|8192",
        ];
        let column = |text: &str| Some(text.replace("FACTS", FACTS)).filter(|text| !text.is_empty());
        rows.iter().map(|row| row.split('|').map(column).collect()).collect()
    }

    fn read(rows: Rows) -> Option<Filled> {
        Filled::read(rows, "its", "other", Some("123.5"))
    }

    #[test]
    fn tables_that_were_filled_are_emptied() {
        let filled = read(told()).unwrap();
        let sql = "BEGIN READ WRITE;DELETE FROM ONLY items;SELECT pg_catalog.pg_stat_force_next_flush();COMMIT";
        assert_eq!(filled.empty_sql(), sql);
    }

    #[test]
    fn whatever_else_differs_is_seen() {
        for (row, column, instead) in [
            (1, 3, "30001"),
            (3, 2, "off"),
            (3, 3, "nothing"),
            (3, 4, "1"),
            (3, 5, "1"),
            (5, 3, "11"),
            (5, 4, "{=c/postgres}"),
            (5, 5, "7"),
            (5, 6, "1664"),
            (5, 7, "f"),
            (5, 8, "t"),
            (5, 9, "2"),
            (5, 10, "124.5"),
            (7, 1, "30001"),
            (8, 1, "5"),
            (9, 2, "10"),
            (9, 3, "{b=2}"),
            (11, 2, "1262"),
            (12, 1, "30001"),
            (13, 1, "30001"),
            (14, 1, "20002"),
            (14, 1, "1255"),
            (14, 5, "524289"),
        ] {
            let mut rows = told();
            rows[row][column] = Some(instead.to_owned());
            assert_eq!(read(rows), None, "row {row}, column {column}: {instead}");
        }
        assert_eq!(Filled::read(told(), "its", "other", None), None);
        assert_eq!(Filled::read(told(), "its", "gone", Some("123.5")), None);
    }
}
