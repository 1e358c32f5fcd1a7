//! The digest of a database: a line for each table of a catalogue, each table with data, each sequence.

use sqlx::{AssertSqlSafe, Executor, PgPool, Row};

/// What no rollback undoes, and no query can see: the planner's estimates, and what they are kept with.
const ESTIMATES: &str = "'{relpages,reltuples,relallvisible,relallfrozen,relhasindex,relfrozenxid,relminmxid}'::text[]";

/// The tables, with how a row of each is written. Those that all databases of a server share are left out, but for what they
/// say of this one.
const TABLES: &str = "select format('%I.%I', nspname, relname), relkind::text from pg_class c \
    join pg_namespace n on n.oid = relnamespace where relkind in ('r', 'm', 'S') and not relisshared order by 1";

const SHARED: &[(&str, &str)] = &[
    (
        "settings",
        "select setrole, setconfig from pg_db_role_setting where setdatabase = (select oid from pg_database where \
      datname = current_database())",
    ),
    ("roles", "select rolname from pg_roles where rolname like 'ptest_proof%'"),
    (
        "dependencies",
        "select classid, objid, objsubid, refclassid, refobjid, deptype from pg_shdepend where dbid = (select \
      oid from pg_database where datname = current_database())",
    ),
    ("cursors", "select name from pg_cursors where name = 'mine'"),
    ("channels", "select pg_listening_channels()"),
    ("prepared", "select name from pg_prepared_statements where name like '%mine%'"),
    ("temporary", "select 1 where pg_my_temp_schema() <> 0"),
    ("role", "select current_user = session_user"),
];

pub(crate) async fn of(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    let mut parts = Vec::new();
    for row in pool.fetch_all(TABLES).await? {
        let (name, kind): (String, String) = (row.get(0), row.get(1));
        let written = match (name.as_str(), kind.as_str()) {
            (_, "S") => "concat(last_value, is_called)".to_owned(),
            ("pg_catalog.pg_class", _) => format!("(to_jsonb(t) - {ESTIMATES})::text"),
            _ => "t::text".to_owned(),
        };
        parts.push(format!("select '{name}', {} from {name} t", hashed(&written)));
    }
    for (name, query) in SHARED {
        parts.push(format!("select '{name}', {} from ({query}) t", hashed("t::text")));
    }
    let rows = pool.fetch_all(AssertSqlSafe(parts.join(" union all "))).await?;
    Ok(rows.into_iter().map(|row| format!("{} {}", row.get::<String, _>(0), row.get::<String, _>(1))).collect())
}

/// Rows in any order.
fn hashed(row: &str) -> String {
    format!("count(*) || ' ' || md5(coalesce(string_agg(md5({row}), '' order by md5({row})), ''))")
}

/// What was planned for a table as another test had it would fail, or find another answer.
pub(super) async fn no_stale_plan(pool: &PgPool) -> sqlx::Result<()> {
    for _ in 0..2 {
        let rows = sqlx::query("select * from item order by id").fetch_all(pool).await?;
        assert!(rows.len() == 3 && rows[0].len() == 3, "a stale plan: {rows:?}");
        let sum: i64 = sqlx::query_scalar("select total()").fetch_one(pool).await?;
        assert_eq!(sum, 6, "a stale plan of a function");
    }
    Ok(())
}
