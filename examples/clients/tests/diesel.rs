//! Diesel, with a pool of r2d2, over libpq.

#![allow(missing_docs, reason = "the macro's own modules and structs have none")]

use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::result::{DatabaseErrorKind, Error};
use ptest::PgUrl;

diesel::table! {
    articles (id) {
        id -> BigInt,
        name -> Text,
        stock -> Integer,
    }
}

diesel::table! {
    orders (id) {
        id -> BigInt,
        article -> BigInt,
        pieces -> Integer,
    }
}

fn order(connection: &mut PgConnection, article: i64, pieces: i32) -> QueryResult<i64> {
    connection.transaction(|connection| {
        let row = (orders::article.eq(article), orders::pieces.eq(pieces));
        let id = diesel::insert_into(orders::table).values(row).returning(orders::id).get_result(connection)?;
        let stock = articles::stock - pieces;
        diesel::update(articles::table.find(article)).set(articles::stock.eq(stock)).execute(connection)?;
        Ok(id)
    })
}

#[ptest::db_test]
fn orders_from_a_pool(url: PgUrl) {
    let pool = Pool::builder().max_size(3).build(ConnectionManager::<PgConnection>::new(url.as_str())).unwrap();
    let lamp: i64 = diesel::insert_into(articles::table)
        .values((articles::name.eq("lamp"), articles::stock.eq(5)))
        .returning(articles::id)
        .get_result(&mut pool.get().unwrap())
        .unwrap();
    order(&mut pool.get().unwrap(), lamp, 2).unwrap();
    let refused = order(&mut pool.get().unwrap(), lamp, 4).unwrap_err();
    assert!(matches!(refused, Error::DatabaseError(DatabaseErrorKind::CheckViolation, _)), "{refused:?}");
    let unknown = order(&mut pool.get().unwrap(), 4711, 1).unwrap_err();
    assert!(matches!(unknown, Error::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _)), "{unknown:?}");
    let (mut one, mut two) = (pool.get().unwrap(), pool.get().unwrap());
    assert_eq!(orders::table.count().get_result::<i64>(&mut one).unwrap(), 1);
    assert_eq!(articles::table.select(articles::stock).first::<i32>(&mut two).unwrap(), 3);
}

#[ptest::db_test]
fn a_test_transaction_of_diesel_nests(url: PgUrl) {
    let mut connection = PgConnection::establish(url.as_str()).unwrap();
    connection.test_transaction::<_, Error, _>(|connection| {
        let lamp = (articles::name.eq("lamp"), articles::stock.eq(1));
        diesel::insert_into(articles::table).values(lamp).execute(connection)?;
        assert_eq!(articles::table.count().get_result::<i64>(connection)?, 1);
        Ok(())
    });
    assert_eq!(articles::table.count().get_result::<i64>(&mut connection).unwrap(), 0);
}
