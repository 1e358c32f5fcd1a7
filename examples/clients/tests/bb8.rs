//! A pool of bb8, over tokio-postgres.

use bb8_postgres::PostgresConnectionManager;
use bb8_postgres::bb8::Pool;
use ptest::PgUrl;
use tokio_postgres::NoTls;

#[ptest::db_test]
async fn orders(url: PgUrl) {
    let manager = PostgresConnectionManager::new_from_stringlike(url.as_str(), NoTls).unwrap();
    let pool = Pool::builder().max_size(4).build(manager).await.unwrap();
    let lamp: i64 = {
        let client = pool.get().await.unwrap();
        let sql = "INSERT INTO articles (name, stock) VALUES ('lamp', 5) RETURNING id";
        client.query_one(sql, &[]).await.unwrap().get(0)
    };
    // Four connections at once; their transactions take turns.
    let order = |pieces: i32| {
        let pool = pool.clone();
        async move {
            let mut client = pool.get().await.unwrap();
            let transaction = client.transaction().await?;
            transaction.execute("INSERT INTO orders (article, pieces) VALUES ($1, $2)", &[&lamp, &pieces]).await?;
            transaction.execute("UPDATE articles SET stock = stock - $2 WHERE id = $1", &[&lamp, &pieces]).await?;
            transaction.commit().await
        }
    };
    let (a, b, c, d) = tokio::join!(order(1), order(2), order(9), order(1));
    assert!(a.is_ok() && b.is_ok() && c.is_err() && d.is_ok());
    let row = pool.get().await.unwrap().query_one("SELECT stock FROM articles", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 1);
}
