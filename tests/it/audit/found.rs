//! The tests in which something is found, and those in which nothing is.

use std::time::Duration;

use ptest::{PgUrl, TestDatabase};
use sqlx::{Executor, PgConnection, PgPool, Postgres, SqliteConnection, Transaction};

const INSERT: &str = "insert into account values ('admin')";

mod clean {
    use super::*;

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn pool(pool: PgPool) -> sqlx::Result<()> {
        let mut tx = pool.begin().await?;
        tx.execute(INSERT).await?;
        Ok(())
    }

    #[ptest::db_test(migrations = "tests/it/migrations", flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "run by another test"]
    async fn pool_on_threads(pool: PgPool) -> sqlx::Result<()> {
        let mut tx = pool.begin().await?;
        tx.execute(INSERT).await?;
        Ok(())
    }

    #[ptest::db_test(migrations = "tests/it/migrations", start_paused = true)]
    #[ignore = "run by another test"]
    async fn pool_without_time(pool: PgPool) -> sqlx::Result<()> {
        let mut tx = pool.begin().await?;
        tx.execute(INSERT).await?;
        Ok(())
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn transaction(tx: &mut Transaction<'static, Postgres>) -> sqlx::Result<()> {
        tx.execute(INSERT).await?;
        Ok(())
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    fn transaction_without_async(mut tx: Transaction<'static, Postgres>) {
        tokio::runtime::Handle::current().block_on(tx.execute(INSERT)).unwrap();
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn failed_transaction(conn: &mut PgConnection) -> sqlx::Result<()> {
        conn.execute("begin").await?;
        conn.execute("select 1 / 0").await.unwrap_err();
        Ok(())
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn deadpool(pool: deadpool_postgres::Pool) {
        let mut client = pool.get().await.unwrap();
        let tx = client.transaction().await.unwrap();
        tx.execute(INSERT, &[]).await.unwrap();
        // Dropped with its pool, it could not tell.
        tx.rollback().await.unwrap();
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn client(mut client: tokio_postgres::Client) {
        let tx = client.transaction().await.unwrap();
        tx.execute(INSERT, &[]).await.unwrap();
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn task(pool: PgPool) -> sqlx::Result<()> {
        tokio::spawn(async move {
            pool.execute(INSERT).await.unwrap();
            std::future::pending::<()>().await;
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(())
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    fn thread(url: PgUrl) {
        let thread = std::thread::spawn(move || {
            let mut client = postgres::Client::connect(url.as_str(), postgres::NoTls).unwrap();
            client.batch_execute(INSERT).unwrap();
        });
        thread.join().unwrap();
    }

    #[ptest::db_test(migrations = "tests/it/migrations", isolation = "database")]
    #[ignore = "run by another test"]
    async fn database(pool: PgPool) -> sqlx::Result<()> {
        let mut tx = pool.begin().await?;
        tx.execute(INSERT).await?;
        Ok(())
    }
}

mod open {
    use super::*;

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn begins_in_a_pool(pool: PgPool) -> sqlx::Result<()> {
        begin(&pool).await
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn a_task_holds_it(pool: PgPool) {
        holds(pool).await;
    }

    #[ptest::db_test(migrations = "tests/it/migrations", isolation = "database")]
    #[ignore = "run by another test"]
    async fn in_a_database(pool: PgPool) {
        holds(pool).await;
    }

    async fn holds(pool: PgPool) {
        let (done, is_done) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let mut tx = pool.begin().await.unwrap();
            tx.execute(INSERT).await.unwrap();
            done.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        is_done.await.unwrap();
    }

    #[ptest::db_test(migrations = "tests/it/migrations", audit(open_transaction = "error"))]
    #[ignore = "run by another test: fails"]
    async fn is_an_error(pool: PgPool) -> sqlx::Result<()> {
        begin(&pool).await
    }

    #[ptest::db_test(migrations = "tests/it/migrations", audit(open_transaction = "off"))]
    #[ignore = "run by another test"]
    async fn is_off(pool: PgPool) -> sqlx::Result<()> {
        begin(&pool).await
    }

    async fn begin(pool: &PgPool) -> sqlx::Result<()> {
        let mut conn = pool.acquire().await?;
        conn.execute("begin").await?;
        conn.execute(INSERT).await?;
        Ok(())
    }
}

mod leaked {
    use super::*;

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    fn thread(url: PgUrl) {
        leave(url);
    }

    #[ptest::db_test(migrations = false, isolation = "database")]
    #[ignore = "run by another test"]
    fn database(url: PgUrl) {
        leave(url);
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn sqlite(mut conn: SqliteConnection) -> sqlx::Result<()> {
        conn.execute("insert into account values ('admin', 0)").await?;
        std::mem::forget(conn);
        Ok(())
    }

    fn leave(url: PgUrl) {
        let mut client = postgres::Client::connect(url.as_str(), postgres::NoTls).unwrap();
        client.batch_execute("select 1").unwrap();
        std::thread::spawn(move || {
            let _client = client;
            std::thread::sleep(Duration::from_secs(60));
        });
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    #[expect(clippy::zombie_processes, reason = "that is the test")]
    fn process(url: PgUrl) {
        use std::io::{BufRead, BufReader};
        let mut psql = std::process::Command::new("psql");
        psql.args(["-XAt", url.as_str(), "-c", "select 'here'", "-f", "-"]);
        psql.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = psql.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        std::mem::forget(child.stdin.take());
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn forgotten(pool: PgPool) {
        let mut tx = pool.begin().await.unwrap();
        tx.execute(INSERT).await.unwrap();
        std::mem::forget(tx);
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn task(pool: PgPool) {
        tokio::spawn(async move { pool.execute("select pg_sleep(60)").await });
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

mod locks {
    use super::*;

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn holds(pool: PgPool) -> sqlx::Result<()> {
        pool.execute("select pg_advisory_lock(-7), pg_advisory_lock(1, -2), pg_advisory_xact_lock(9)").await?;
        pool.execute("select pg_try_advisory_lock_shared(8)").await?;
        Ok(())
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn lets_go(pool: PgPool) -> sqlx::Result<()> {
        pool.execute("select pg_advisory_lock(7), pg_advisory_xact_lock(9)").await?;
        pool.execute("select pg_advisory_unlock(7)").await?;
        Ok(())
    }
}

mod deferred {
    use super::*;

    // Nothing that a client says mentions the constraint.
    const HIDDEN: &str = "create table parent (id int primary key); create table child (parent int); \
        do $$ begin execute 'alter table child add foreign key (parent) references parent ' || \
        'defer' || 'rable initially defer' || 'red'; end $$; insert into child values (7)";

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn is_violated(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
        println!("leased {}", database.name());
        pool.execute(HIDDEN).await?;
        Ok(())
    }

    const PETS: &str = "create table owner(id int primary key); \
        create table pet(owner int references owner deferrable initially deferred); insert into pet values (42)";

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn is_violated_in_a_transaction(mut tx: Transaction<'static, Postgres>) -> sqlx::Result<()> {
        tx.execute(PETS).await?;
        Ok(())
    }

    #[ptest::db_test(migrations = false, audit(deferred_constraint = "off"))]
    #[ignore = "run by another test"]
    async fn is_meant_in_a_transaction(mut tx: Transaction<'static, Postgres>) -> sqlx::Result<()> {
        tx.execute(PETS).await?;
        Ok(())
    }

    #[ptest::db_test(migrations = false, audit(open_transaction = "off", leaked_session = "off"))]
    #[ignore = "run by another test"]
    async fn is_violated_where_nobody_rolls_back(conn: &mut PgConnection) -> sqlx::Result<()> {
        conn.execute("begin").await?;
        conn.execute(PETS).await?;
        Ok(())
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn is_rolled_back(pool: PgPool) -> sqlx::Result<()> {
        let mut tx = pool.begin().await?;
        tx.execute(PETS).await?;
        tx.rollback().await
    }

    #[ptest::db_test(migrations = false)]
    #[ignore = "run by another test"]
    async fn next(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
        println!("leased {}", database.name());
        pool.execute("create table child ()").await?;
        Ok(())
    }
}

mod failing {
    use super::*;

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test: fails"]
    async fn panics(pool: PgPool) {
        pool.execute("select pg_advisory_lock(7)").await.unwrap();
        let mut conn = pool.acquire().await.unwrap();
        conn.execute("begin").await.unwrap();
        conn.execute(INSERT).await.unwrap();
        panic!("no room for `guest`");
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test: fails"]
    async fn fails(pool: PgPool) -> Result<(), String> {
        let mut conn = pool.acquire().await.unwrap();
        conn.execute("begin").await.unwrap();
        conn.execute(INSERT).await.unwrap();
        Err("no room for `guest`".to_owned())
    }
}
