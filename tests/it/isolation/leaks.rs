//! What a test leaves running cannot reach the next one.

use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use ptest::PgUrl;
use sqlx::PgPool;

use crate::rerun::Rerun;

const INSERT: &str = "insert into account values ('admin')";

#[test]
fn threads_and_processes() {
    Rerun::module("isolation::leaks::inner::").threads(1).run().passed().says("4 passed");
}

mod inner {
    use super::*;

    static CHILD: Mutex<Option<Child>> = Mutex::new(None);

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    fn a_leaks_a_thread(url: PgUrl) {
        let mut open = postgres::Client::connect(url.as_str(), postgres::NoTls).unwrap();
        open.batch_execute(INSERT).unwrap();
        std::thread::spawn(move || {
            loop {
                let _ = open.batch_execute(INSERT);
                if let Ok(mut new) = postgres::Client::connect(url.as_str(), postgres::NoTls) {
                    let _ = new.batch_execute(INSERT);
                }
            }
        });
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn b_is_alone(pool: PgPool) -> sqlx::Result<()> {
        super::is_alone(&pool).await
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    fn c_leaks_a_process(url: PgUrl) {
        let script = format!("while :; do psql -Xq '{url}' -c \"{INSERT}\"; done; ");
        let mut sh = Command::new("sh");
        let child = sh.args(["-c", &script]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        *CHILD.lock().unwrap() = Some(child);
        // It is known to have been there.
        let mut client = postgres::Client::connect(url.as_str(), postgres::NoTls).unwrap();
        while client.query("select from account", &[]).unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn d_is_alone(pool: PgPool) -> sqlx::Result<()> {
        let alone = super::is_alone(&pool).await;
        let mut child = CHILD.lock().unwrap().take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        alone
    }
}

async fn is_alone(pool: &PgPool) -> sqlx::Result<()> {
    for _ in 0..50 {
        let found: i64 = sqlx::query_scalar("select count(*) from account").fetch_one(pool).await?;
        assert_eq!(found, 0);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sqlx::query(INSERT).execute(pool).await?;
    Ok(())
}
