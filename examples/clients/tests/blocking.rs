//! The blocking `postgres` crate.

use std::time::Duration;

use postgres::error::SqlState;
use postgres::{Client, NoTls};
use ptest::PgUrl;

fn order(client: &mut Client, article: i64, pieces: i32) -> Result<i64, postgres::Error> {
    let mut transaction = client.transaction()?;
    let sql = "INSERT INTO orders (article, pieces) VALUES ($1, $2) RETURNING id";
    let id = transaction.query_one(sql, &[&article, &pieces])?.get(0);
    transaction.execute("UPDATE articles SET stock = stock - $2 WHERE id = $1", &[&article, &pieces])?;
    transaction.commit()?;
    Ok(id)
}

#[ptest::db_test]
fn orders(url: PgUrl) {
    let mut client = Client::connect(url.as_str(), NoTls).unwrap();
    let sql = "INSERT INTO articles (name, stock) VALUES ('lamp', 5) RETURNING id";
    let lamp: i64 = client.query_one(sql, &[]).unwrap().get(0);
    assert_eq!(lamp, 1, "ids begin where the template has them");
    order(&mut client, lamp, 2).unwrap();
    assert_eq!(order(&mut client, lamp, 4).unwrap_err().code(), Some(&SqlState::CHECK_VIOLATION));
    // The reference is deferred: the server complains at the commit.
    assert_eq!(order(&mut client, 4711, 1).unwrap_err().code(), Some(&SqlState::FOREIGN_KEY_VIOLATION));
    let mut other = Client::connect(url.as_str(), NoTls).unwrap();
    let row = other.query_one("SELECT stock, (SELECT count(*) FROM orders) FROM articles", &[]).unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i64>(1)), (3, 1));
}

#[ptest::db_test]
fn is_cancelled(url: PgUrl) {
    let mut client = Client::connect(url.as_str(), NoTls).unwrap();
    let token = client.cancel_token();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        token.cancel_query(NoTls).unwrap();
    });
    let error = client.execute("SELECT pg_sleep(60)", &[]).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    canceller.join().unwrap();
    client.batch_execute("SET statement_timeout = '50ms'").unwrap();
    let error = client.execute("SELECT pg_sleep(60)", &[]).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    assert_eq!(client.query_one("SELECT 1", &[]).unwrap().get::<_, i32>(0), 1);
}
