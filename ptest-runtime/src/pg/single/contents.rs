//! The contents of the single database: what is ptest's there is known by a mark, the comment of an empty schema `ptest`.
//!
//! The server numbers objects in the order in which they are made. So what lies between the number of that schema and the
//! last of the build was made by ptest, and nothing else was. The mark comes first, is committed, and names the database by
//! its number: neither a dump that is restored elsewhere nor a clone is taken for ptest's.

use std::time::Instant;

use super::SingleError;
use crate::pg::server::{Address, Admin, Connection, QueryError, Rows, ServerError, quote_literal};
use crate::pg::template;
use crate::pg::template::facts::{self, Facts};
use crate::schema::Schema;

/// What every mark begins with.
const MARK: &str = "ptest keeps this schema to know its own database";

/// Stands for what is not known: the last object while it is under construction, the fingerprint when it is dirty.
const NONE: &str = "-";

/// How many objects an error names.
const NAMED: usize = 5;

/// Gives the facts of the schema, which is built where the database has it not.
pub(super) async fn ensure(
    connection: &mut Connection,
    server: &Address,
    database: &str,
    schema: &Schema,
) -> crate::Result<Facts> {
    let rows = connection.query(MARK_SQL).await.map_err(|e| failed(server, MARK_SQL, e))?;
    let found = Mark::read(&rows);
    if let Some(Mark { fingerprint: Some(fingerprint), facts: Some(facts), .. }) = &found
        && *fingerprint == schema.fingerprint
    {
        return Ok(facts.clone());
    }
    // Whatever this one counts is counted when it has gone.
    let mut admin = Admin::inside(server).await?;
    let built = build(&mut admin, server, database, schema, found).await;
    admin.close().await;
    built
}

/// Marks the database as dirty: whoever leases it next has it built anew.
pub(super) async fn spoil(server: &Address) -> Result<(), ServerError> {
    let mut admin = Admin::inside(server).await?;
    if let Some(mark) = Mark::read(&admin.run(MARK_SQL).await?) {
        admin.run(&Mark { fingerprint: None, ..mark }.write_sql()).await?;
    }
    admin.close().await;
    Ok(())
}

pub(super) fn failed(server: &Address, statement: &str, source: QueryError) -> ServerError {
    let statement = statement.chars().take(120).collect();
    ServerError::Admin { address: Box::new(server.clone()), statement, source }
}

/// What is known of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    /// The numbers of the database and of the schema.
    database: u32,
    first: u32,
    /// The last object that was built; `None`: under construction.
    last: Option<u32>,
    /// `None`: dirty, or under construction.
    fingerprint: Option<String>,
    facts: Option<Facts>,
    told: String,
}

const MARK_SQL: &str = "SELECT d.oid, n.oid, pg_catalog.obj_description(n.oid, 'pg_namespace') \
    FROM pg_catalog.pg_database d JOIN pg_catalog.pg_namespace n ON n.nspname = 'ptest' \
    WHERE d.datname = pg_catalog.current_database()";

impl Mark {
    /// Reads the answer to [`MARK_SQL`]; `None`: there is no mark, or it is that of another database.
    fn read(rows: &Rows) -> Option<Mark> {
        let [Some(database), Some(first), Some(text)] = rows.first()?.as_slice() else { return None };
        let mut lines = text.splitn(4, '\n');
        if lines.next()?.strip_prefix(MARK)?.trim_start() != database {
            return None;
        }
        let known = |text: &str| (text != NONE).then(|| text.to_owned());
        let last = match known(lines.next()?) {
            Some(last) => Some(last.parse().ok()?),
            None => None,
        };
        let (fingerprint, told) = (known(lines.next()?), lines.next()?.to_owned());
        let (database, first) = (database.parse().ok()?, first.parse().ok()?);
        Some(Mark { database, first, last, fingerprint, facts: Facts::read(&told), told })
    }

    fn write_sql(&self) -> String {
        let last = self.last.map_or(NONE.to_owned(), |last| last.to_string());
        let fingerprint = self.fingerprint.as_deref().unwrap_or(NONE);
        let text = format!("{MARK} {}\n{last}\n{fingerprint}\n{}", self.database, self.told);
        format!("COMMENT ON SCHEMA ptest IS {}", quote_literal(&text))
    }

    /// The condition of an object that ptest has made.
    fn is_own_sql(&self) -> String {
        format!("objid BETWEEN {} AND {}", self.first, self.last.unwrap_or(u32::MAX))
    }
}

/// Empties the database, which is ptest's or empty, and brings the schema into it. Where that fails, it is left empty.
async fn build(
    admin: &mut Admin,
    server: &Address,
    database: &str,
    schema: &Schema,
    found: Option<Mark>,
) -> crate::Result<Facts> {
    refuse_foreign(admin, server, database, found.as_ref()).await?;
    refuse_without_rights(admin, server, database).await?;
    let started = Instant::now();
    let why = match &found {
        None => "for it was empty",
        Some(Mark { last: None, .. }) => "for its construction was broken off",
        Some(Mark { fingerprint: None, .. }) => "for it was not rolled back",
        Some(_) => "for another schema",
    };
    let mark = take_over(admin, found).await?;
    let built = async {
        let mut layers: Vec<&Schema> = std::iter::successors(Some(schema), |layer| layer.base()).collect();
        layers.reverse();
        for layer in layers {
            template::apply(server, database, layer).await.map_err(|source| SingleError::Apply {
                verb: layer.step.verb(),
                database: database.to_owned(),
                source,
            })?;
        }
        let told = facts::gather(server, database).await?;
        let last = number(&admin.run(&format!("SELECT max(objid) FROM ({}) AS o", objects_sql())).await?);
        let facts = Facts::read(&told);
        let made = Mark {
            last: Some(last.unwrap_or(mark.first)),
            fingerprint: Some(schema.fingerprint.clone()),
            facts,
            told,
            ..mark
        };
        admin.run(&made.write_sql()).await?;
        Ok::<_, crate::Error>(made.facts)
    }
    .await;
    if built.is_err() {
        // Its own error matters more. What is left under the mark goes with the next build.
        let _ = clear(admin, &mark.is_own_sql()).await;
        let _ = admin.try_run("DROP SCHEMA ptest").await;
    } else {
        let took = started.elapsed().as_secs_f64();
        crate::sys::progress(&format!("built the single database `{database}` in {took:.1} s, {why}"));
    }
    built?.ok_or_else(|| crate::Error::other("the facts of the schema cannot be read"))
}

/// Marks the database as under construction, and drops what was built before.
async fn take_over(admin: &mut Admin, found: Option<Mark>) -> Result<Mark, ServerError> {
    let own = found.as_ref().map(Mark::is_own_sql).unwrap_or_default();
    let mark = match found {
        Some(mark) => Mark { last: None, fingerprint: None, facts: None, told: String::new(), ..mark },
        None => {
            // One transaction. The comment needs the numbers, so the server writes it.
            let comment = format!(
                "DO {}",
                quote_literal(&format!(
                    "BEGIN EXECUTE format('COMMENT ON SCHEMA ptest IS %L', (SELECT format(E'{MARK} %s\\n{NONE}\\n{NONE}\\n', oid) \
                     FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())); END"
                ))
            );
            admin.run(&format!("CREATE SCHEMA ptest;{comment}")).await?;
            let rows = admin.run(MARK_SQL).await?;
            return Mark::read(&rows)
                .ok_or_else(|| failed(admin.address(), "the mark", std::io::Error::other("it is gone").into()));
        }
    };
    admin.run(&mark.write_sql()).await?;
    clear(admin, &own).await?;
    Ok(mark)
}

/// Drops what ptest has made, but for the mark. One by one: in one transaction a large schema would need more locks than there are.
async fn clear(admin: &mut Admin, own: &str) -> Result<(), ServerError> {
    let sql = format!(
        "SELECT CASE i.type WHEN 'large object' THEN format('SELECT pg_catalog.lo_unlink(%s)', objid) \
           ELSE format('DROP %s IF EXISTS %s CASCADE', CASE i.type WHEN 'composite type' THEN 'type' \
             WHEN 'statistics object' THEN 'statistics' WHEN 'foreign-data wrapper' THEN 'foreign data wrapper' \
             ELSE i.type END, i.identity) END \
         FROM ({}) AS o, pg_catalog.pg_identify_object(classid, objid, 0) AS i WHERE {own} AND i.identity <> 'ptest' \
         ORDER BY CASE i.type WHEN 'event trigger' THEN 0 WHEN 'schema' THEN 1 WHEN 'table' THEN 2 \
           WHEN 'sequence' THEN 4 ELSE 3 END, objid",
        objects_sql()
    );
    let statements = admin.run(&sql).await?;
    admin.run("SET client_min_messages = error").await?;
    for statement in statements.into_iter().flatten().flatten() {
        admin.run(&statement).await?;
    }
    Ok(())
}

/// An error if there is anything that ptest has not made. Extensions may be there: few users can install one.
async fn refuse_foreign(admin: &mut Admin, server: &Address, database: &str, mark: Option<&Mark>) -> crate::Result<()> {
    let own = mark.map_or("false".to_owned(), Mark::is_own_sql);
    let sql = format!(
        "SELECT i.type || ' ' || i.identity FROM ({}) AS o, pg_catalog.pg_identify_object(classid, objid, 0) AS i \
         WHERE i.type <> 'extension' AND NOT ({own}) ORDER BY i.type <> 'table', objid",
        objects_sql()
    );
    let found: Vec<String> = admin.run(&sql).await?.into_iter().flatten().flatten().collect();
    if found.is_empty() {
        return Ok(());
    }
    let mut objects = found[..found.len().min(NAMED)].join(", ");
    if found.len() > NAMED {
        objects += &format!(" and {} more", found.len() - NAMED);
    }
    Err(SingleError::Foreign { database: database.to_owned(), address: Box::new(server.clone()), objects }.into())
}

/// An error if the user may not create there what a migration creates.
async fn refuse_without_rights(admin: &mut Admin, server: &Address, database: &str) -> crate::Result<()> {
    let sql = "SELECT CASE WHEN NOT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') \
                 THEN format('GRANT CREATE ON DATABASE %I TO %I', pg_catalog.current_database(), current_user) END, \
               CASE WHEN NOT pg_catalog.has_schema_privilege(pg_catalog.current_schema(), 'CREATE') \
                 THEN format('GRANT CREATE ON SCHEMA %I TO %I', pg_catalog.current_schema(), current_user) END";
    let grants: Vec<String> = admin.run(sql).await?.into_iter().flatten().flatten().collect();
    if grants.is_empty() {
        return Ok(());
    }
    let (database, user) = (database.to_owned(), server.user.clone());
    Err(SingleError::Rights { database, user, grants: grants.join("; ") }.into())
}

/// The catalogs whose rows are objects by themselves, and which of their rows.
const CATALOGS: [(&str, &str); 21] = [
    ("pg_namespace", "nspname <> 'public' AND nspname NOT LIKE 'pg\\_%'"),
    ("pg_class", "relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND relpersistence <> 't'"),
    ("pg_proc", "true"),
    ("pg_type", "typrelid = 0"),
    ("pg_extension", "true"),
    ("pg_largeobject_metadata", "true"),
    ("pg_operator", "true"),
    ("pg_opfamily", "true"),
    ("pg_opclass", "true"),
    ("pg_collation", "true"),
    ("pg_conversion", "true"),
    ("pg_cast", "true"),
    ("pg_language", "true"),
    ("pg_ts_config", "true"),
    ("pg_ts_dict", "true"),
    ("pg_foreign_data_wrapper", "true"),
    ("pg_foreign_server", "true"),
    ("pg_event_trigger", "true"),
    ("pg_publication", "true"),
    ("pg_statistic_ext", "true"),
    ("pg_am", "true"),
];

/// The objects that did not come with the server (`FirstNormalObjectId` is 16384), without those that are part of
/// another one (PostgreSQL manual, section 52.18, `pg_depend`).
fn objects_sql() -> String {
    let of = |(catalog, rows): (&str, &str)| {
        format!(
            "SELECT 'pg_catalog.{catalog}'::regclass::oid AS classid, c.oid AS objid FROM pg_catalog.{catalog} c \
             WHERE c.oid >= 16384 AND {rows} AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
               WHERE d.classid = 'pg_catalog.{catalog}'::regclass AND d.objid = c.oid AND d.deptype IN ('e', 'i'))"
        )
    };
    CATALOGS.map(of).join(" UNION ALL ")
}

fn number(rows: &Rows) -> Option<u32> {
    rows.first()?.first()?.as_deref()?.parse().ok()
}
