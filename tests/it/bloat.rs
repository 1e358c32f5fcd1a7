//! Rows that were rolled back take their place; a slot that they have made large is replaced.

use ptest::TestDatabase;
use sqlx::{Executor, PgPool};

use crate::package::Package;
use crate::rerun::{Outcome, Rerun};

#[test]
fn a_slot_that_has_doubled_is_replaced() {
    let package = package("one process");
    let outcome = Rerun::module("bloat::inner::").package(&package).threads(1).run();
    outcome.passed();
    let sizes = numbers(&outcome, "size ");
    // Ten times as many rows as the template has pages: then as small as ever, and so it stays.
    assert!(sizes[0] > 2 * sizes[1], "{outcome}");
    let databases = numbers(&outcome, "oid ");
    assert!(databases[0] != databases[1] && databases[1] == databases[2], "{outcome}");
}

#[test]
fn so_it_is_when_each_test_has_a_process() {
    let package = package("processes");
    let run = |name: &str| {
        let outcome = Rerun::test(&format!("bloat::inner::{name}")).package(&package).run();
        outcome.passed();
        (numbers(&outcome, "size ")[0], numbers(&outcome, "oid ")[0])
    };
    let (large, small, again) = (run("a_writes_much"), run("b_writes_little"), run("c_writes_little"));
    assert!(large.0 > 2 * small.0 && large.1 != small.1 && small.1 == again.1, "{large:?} {small:?} {again:?}");
}

#[ptest::db_test(migrations = false)]
async fn nothing_of_it_is_left(pool: PgPool) -> sqlx::Result<()> {
    let package = package("left");
    let outcome = Rerun::test("bloat::inner::a_writes_much").package(&package).run();
    let name = outcome.passed().lines("leased ")[0].to_owned();
    let family = name.rsplit_once('_').unwrap().0;
    // The server drops it, though the process has gone.
    for _ in 0..200 {
        let left: i64 = sqlx::query_scalar("select count(*) from pg_database where starts_with(datname, $1)")
            .bind(format!("{family}_detached_"))
            .fetch_one(&pool)
            .await?;
        if left == 0 {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{name} is still there");
}

fn package(name: &str) -> Package {
    Package::new(&[("migrations/1_t.sql", &format!("-- for bloat {name}\ncreate table t (id int, line text);"))])
}

fn numbers(outcome: &Outcome, word: &str) -> Vec<i64> {
    outcome.lines(word).into_iter().map(|number| number.parse().unwrap()).collect()
}

mod inner {
    use super::*;

    #[ptest::db_test]
    #[ignore = "run by another test"]
    async fn a_writes_much(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
        println!("leased {}", database.name());
        pool.execute("insert into t select g, repeat('x', 100) from generate_series(1, 100000) g").await?;
        tell(&pool).await
    }

    #[ptest::db_test]
    #[ignore = "run by another test"]
    async fn b_writes_little(pool: PgPool) -> sqlx::Result<()> {
        pool.execute("insert into t values (1)").await?;
        tell(&pool).await
    }

    #[ptest::db_test]
    #[ignore = "run by another test"]
    async fn c_writes_little(pool: PgPool) -> sqlx::Result<()> {
        pool.execute("insert into t values (1)").await?;
        tell(&pool).await
    }

    async fn tell(pool: &PgPool) -> sqlx::Result<()> {
        let sql = "select oid::bigint, pg_database_size(oid) from pg_database where datname = current_database()";
        let (oid, size): (i64, i64) = sqlx::query_as(sql).fetch_one(pool).await?;
        println!("oid {oid}");
        println!("size {size}");
        Ok(())
    }
}
