//! sea-orm.

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TransactionTrait};

use crate::{COUNT, INSERT, both};

async fn count(db: &impl ConnectionTrait) -> i64 {
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), COUNT)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

both! {
    async fn connection(db: DatabaseConnection) {
        let transaction = db.begin().await.unwrap();
        transaction.execute_unprepared(INSERT).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(count(&db).await, 1);
    }
}
