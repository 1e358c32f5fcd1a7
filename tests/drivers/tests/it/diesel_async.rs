//! diesel-async, and the pools that it has.

#![allow(missing_docs, reason = "the macro's own modules and structs have none")]

use diesel::{ExpressionMethods, QueryDsl, QueryResult};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, bb8, deadpool, mobc};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

use crate::both;

diesel::table! {
    users (id) {
        id -> BigInt,
        name -> Text,
    }
}

async fn insert(connection: &mut AsyncPgConnection) -> QueryResult<usize> {
    diesel::insert_into(users::table).values(users::name.eq("ada")).execute(connection).await
}

async fn count(connection: &mut AsyncPgConnection) -> i64 {
    users::table.count().get_result(connection).await.unwrap()
}

both! {
    async fn connection(mut connection: AsyncPgConnection) {
        connection.transaction::<_, diesel::result::Error, _>(async |connection| insert(connection).await).await.unwrap();
        insert(&mut connection).await.unwrap_err();
        assert_eq!(count(&mut connection).await, 1);
    }
}

both! {
    async fn connection_by_reference(connection: &mut AsyncPgConnection) {
        insert(connection).await.unwrap();
        assert_eq!(count(connection).await, 1);
    }
}

both! {
    async fn pool_of_bb8(pool: bb8::Pool<AsyncPgConnection>) {
        let (mut one, mut two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
        insert(&mut one).await.unwrap();
        assert_eq!(count(&mut two).await, 1);
    }
}

both! {
    async fn pool_of_deadpool(pool: deadpool::Pool<AsyncPgConnection>) {
        let (mut one, mut two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
        insert(&mut one).await.unwrap();
        assert_eq!(count(&mut two).await, 1);
    }
}

both! {
    async fn pool_of_mobc(pool: mobc::Pool<AsyncPgConnection>) {
        let (mut one, mut two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
        insert(&mut one).await.unwrap();
        assert_eq!(count(&mut two).await, 1);
    }
}

both! {
    async fn manager(manager: AsyncDieselConnectionManager<AsyncPgConnection>) {
        let pool = deadpool::Pool::builder(manager).max_size(1).build().unwrap();
        insert(&mut pool.get().await.unwrap()).await.unwrap();
        assert_eq!(count(&mut pool.get().await.unwrap()).await, 1);
    }
}
