//! bb8-postgres.

use bb8_postgres::PostgresConnectionManager;
use bb8_postgres::bb8::Pool;
use tokio_postgres::NoTls;

use crate::{COUNT, INSERT, both};

both! {
    async fn pool(pool: Pool<PostgresConnectionManager<NoTls>>) {
        let (one, two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
        one.batch_execute(INSERT).await.unwrap();
        assert_eq!(two.query_one(COUNT, &[]).await.unwrap().get::<_, i64>(0), 1);
    }
}

both! {
    async fn manager(manager: PostgresConnectionManager<NoTls>) {
        let pool = Pool::builder().max_size(2).build(manager).await.unwrap();
        let mut client = pool.get().await.unwrap();
        let transaction = client.transaction().await.unwrap();
        transaction.batch_execute(INSERT).await.unwrap();
        transaction.commit().await.unwrap();
        drop(client);
        assert_eq!(pool.get().await.unwrap().query_one(COUNT, &[]).await.unwrap().get::<_, i64>(0), 1);
    }
}
