//! The facts of a template: what every test must know of it, and is told with the first answer of its lease.
//!
//! They travel as a setting of the database, which its clones get too. To a user who is no superuser the server refuses
//! the setting: then they are in the comment.

use crate::pg::server::{Address, Connection, ServerError};

/// The setting that carries the facts.
pub(super) const SETTING: &str = "ptest.template";

/// Where they begin in a template's comment. The comment of a clone has nothing else.
pub(super) const NOTED: &str = "; facts: ";

/// What gives the facts in a clone. It is asked before the clone is proven to be ptest's, so all names are qualified.
pub(crate) const ASK: &str = "coalesce(pg_catalog.current_setting('ptest.template', true), pg_catalog.shobj_description(\
    (SELECT oid FROM pg_catalog.pg_database \
    WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()), 'pg_database'))";

/// What is known of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// `None`: no constraint is deferrable; else those that are initially immediate, as a list for `SET CONSTRAINTS`.
    pub(crate) deferrable: Option<String>,
    /// `None`: there is no sequence; else those that do not stand at their start, as rows for `VALUES`: number of the
    /// sequence, last value, whether it was called.
    pub(crate) sequences: Option<String>,
    /// The tables, by their numbers, that a `DELETE` of whatever a test has put there does not make again what they are; `None`:
    /// there are tables of which nobody counts what is written to them, or triggers that no setting stops.
    pub(crate) lasting: Option<String>,
    /// A function speaks of what outlasts a reset of its session.
    pub(crate) remembers: bool,
}

impl Facts {
    /// Reads what [`gather`] has written.
    pub(crate) fn read(text: &str) -> Option<Facts> {
        let mut lines = text.split('\n').map(|line| line.split_once(' '));
        let fact = |line: Option<Option<(&str, &str)>>, name: &str| match line?? {
            (found, list) if found == name => Some(list.strip_prefix("some ").map(str::to_owned)),
            _ => None,
        };
        Some(Facts {
            deferrable: fact(lines.next(), "deferrable")?,
            sequences: fact(lines.next(), "sequences")?,
            lasting: fact(lines.next(), "lasting")?,
            remembers: fact(lines.next(), "remembers")?.is_some(),
        })
    }
}

/// Gathers the facts of a template under construction.
pub(crate) async fn gather(address: &Address, name: &str) -> Result<String, ServerError> {
    let mut connection = Connection::open(address, name, &[]).await?;
    let rows = connection.query(&format!("{SEQUENCES};{GATHER}")).await.map_err(|source| ServerError::Admin {
        address: Box::new(address.clone()),
        statement: "the query for the template's facts".to_owned(),
        source,
    })?;
    connection.close().await;
    Ok(rows.into_iter().flatten().flatten().next().unwrap_or_default())
}

/// Notes the sequences in a setting of the session. A sequence logs values ahead of those that it gives; setting it to
/// where it stands makes the next `nextval` log again, and so take a transaction number: a test that has none has touched
/// no sequence.
const SEQUENCES: &str = "DO $ptest$ DECLARE s record; last bigint; called bool; list text; BEGIN \
    FOR s IN SELECT seqrelid, seqstart FROM pg_catalog.pg_sequence ORDER BY seqrelid LOOP \
      list := coalesce(list || CASE list WHEN '' THEN '' ELSE ',' END, ''); \
      EXECUTE format('SELECT last_value, is_called FROM %s', s.seqrelid::regclass) INTO last, called; \
      PERFORM pg_catalog.setval(s.seqrelid, last, called); \
      IF called OR last <> s.seqstart THEN list := list || format('(%s,%s,%s)', s.seqrelid, last, called::text); \
      ELSE list := rtrim(list, ','); END IF; \
    END LOOP; \
    PERFORM pg_catalog.set_config('ptest.sequences', coalesce('some ' || list, 'none'), false); END $ptest$";

const GATHER: &str = "SELECT 'deferrable ' || CASE WHEN count(*) = 0 THEN 'none' ELSE 'some ' || \
    coalesce(string_agg(format('%I.%I', n.nspname, c.conname), ',') FILTER (WHERE NOT c.condeferred), '') END \
    || E'\\nsequences ' || pg_catalog.current_setting('ptest.sequences') \
    || E'\\nlasting ' || (SELECT CASE WHEN bool_and(a.amname = 'heap') IS NOT FALSE AND \
        NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger WHERE evtenabled IN ('A', 'R')) AND \
        NOT EXISTS (SELECT FROM pg_catalog.pg_proc WHERE oid >= 16384 AND concat(prosrc, proconfig) ~* 'track_counts|pg_stat_reset') THEN 'some ' || coalesce(string_agg(t.oid::text, ',') \
        FILTER (WHERE t.relkind = 'm' OR t.relhasrules OR pg_catalog.pg_relation_size(t.oid) > 0 OR EXISTS (\
          SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = t.oid AND tgenabled IN ('A', 'R'))), '') ELSE 'none' END \
      FROM pg_catalog.pg_class t JOIN pg_catalog.pg_am a ON a.oid = t.relam \
      WHERE t.relkind IN ('r', 'm') AND t.oid >= 16384) \
    || E'\\nremembers ' || (SELECT CASE WHEN count(*) = 0 THEN 'none' ELSE 'some ' END \
      FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
      WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal') \
        AND CASE WHEN p.prokind <> 'a' THEN pg_catalog.pg_get_functiondef(p.oid) END \
        ~* '\\m(set_config|setseed|load|set_limit)\\M|\\mdblink|\\mset\\s+((session|local)\\s+)?.?\\w+.?\\s*[.]') \
    FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace WHERE c.condeferrable";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_that_cannot_be_read_are_none() {
        let plain = Facts { deferrable: None, sequences: None, lasting: None, remembers: false };
        assert_eq!(Facts::read("deferrable none\nsequences none\nlasting none\nremembers none"), Some(plain));
        let some = Facts {
            deferrable: Some("a.b".into()),
            sequences: Some(String::new()),
            lasting: Some("16384,16390".into()),
            remembers: true,
        };
        assert_eq!(
            Facts::read("deferrable some a.b\nsequences some \nlasting some 16384,16390\nremembers some "),
            Some(some)
        );
        for text in
            ["", "plain", "deferrable none", "deferrable none\nsequences none", "sequences none\ndeferrable none"]
        {
            assert_eq!(Facts::read(text), None, "{text}");
        }
    }
}
