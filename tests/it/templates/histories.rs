//! What sqlx notes of its migrations, written by ptest: the same as its own migrator writes, whatever features ptest has.

use sqlx::migrate::Migrator;
use sqlx::{PgPool, SqlitePool};

use crate::package::Package;
use crate::rerun::Rerun;

/// A folder with what makes a difference: a way back, a name of several words, a quote, no transaction.
fn package() -> Package {
    Package::new(&[
        ("db/1_first_of_all.sql", "create table history_a (n int);\n"),
        ("db/0002_it's.up.sql", "insert into history_a values (1);"),
        ("db/0002_it's.down.sql", "delete from history_a;"),
        ("db/3_ä_ö.sql", "-- no-transaction\ncreate index history_a_n on history_a (n);"),
        ("sqlx.toml", "[migrate]\nmigrations-dir = \"db\"\n"),
    ])
}

#[test]
fn rows_are_those_of_sqlxs_own_migrator() {
    Rerun::module("templates::histories::inner::").package(&package()).run().passed();
}

/// All rows but for times, and all columns with their types.
const ROWS: &str = "select version || ' ' || description || ' ' || success || ' ' || encode(checksum, 'hex') || ' ' || \
                    (installed_on <= now()) from _sqlx_migrations order by version";
const COLUMNS: &str = "select attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull || ' ' || \
                       coalesce(pg_get_expr(adbin, adrelid), '') from pg_attribute \
                       left join pg_attrdef on adrelid = attrelid and adnum = attnum \
                       where attrelid = '_sqlx_migrations'::regclass and attnum > 0 order by attnum";
const ROWS_OF_SQLITE: &str = "select version || ' ' || description || ' ' || success || ' ' || hex(checksum) || ' ' || \
                              (installed_on <= current_timestamp) from _sqlx_migrations order by version";
const COLUMNS_OF_SQLITE: &str = "select name || ' ' || type || ' ' || \"notnull\" || ' ' || coalesce(dflt_value, '') || pk from pragma_table_info('_sqlx_migrations')";

mod inner {
    use std::path::PathBuf;

    use super::*;

    static OURS: ptest::Database = ptest::database!();

    async fn migrator() -> Migrator {
        let folder = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("db");
        Migrator::new(folder).await.unwrap()
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn on_postgres(theirs: PgPool, #[db(OURS)] ours: PgPool) -> Result<(), Box<dyn std::error::Error>> {
        migrator().await.run(&theirs).await?;
        for question in [ROWS, COLUMNS] {
            let theirs: Vec<String> = sqlx::query_scalar(question).fetch_all(&theirs).await?;
            let ours: Vec<String> = sqlx::query_scalar(question).fetch_all(&ours).await?;
            assert!(ours == theirs && ours.len() >= 3, "{ours:#?}\n{theirs:#?}");
        }
        // And the other way round: it finds nothing to do, nor anything that was changed.
        migrator().await.run(&ours).await?;
        let rows: i64 = sqlx::query_scalar("select count(*) from history_a").fetch_one(&ours).await?;
        assert_eq!(rows, 1);
        Ok(())
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn on_sqlite(theirs: SqlitePool, #[db(OURS)] ours: SqlitePool) -> Result<(), Box<dyn std::error::Error>> {
        migrator().await.run(&theirs).await?;
        for question in [ROWS_OF_SQLITE, COLUMNS_OF_SQLITE] {
            let theirs: Vec<String> = sqlx::query_scalar(question).fetch_all(&theirs).await?;
            let ours: Vec<String> = sqlx::query_scalar(question).fetch_all(&ours).await?;
            assert!(ours == theirs && ours.len() >= 3, "{ours:#?}\n{theirs:#?}");
        }
        migrator().await.run(&ours).await?;
        Ok(())
    }
}
