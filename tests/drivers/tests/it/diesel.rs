//! diesel, over libpq.

#![allow(missing_docs, reason = "the macro's own modules and structs have none")]

use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::result::{DatabaseErrorKind, Error};

use crate::both;

diesel::table! {
    users (id) {
        id -> BigInt,
        name -> Text,
    }
}

fn insert(connection: &mut PgConnection) -> QueryResult<usize> {
    diesel::insert_into(users::table).values(users::name.eq("ada")).execute(connection)
}

fn count(connection: &mut PgConnection) -> i64 {
    users::table.count().get_result(connection).unwrap()
}

both! {
    fn connection(mut connection: PgConnection) {
        connection.transaction(insert).unwrap();
        let again = connection.transaction(insert).unwrap_err();
        assert!(matches!(again, Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)), "{again:?}");
        assert_eq!(count(&mut connection), 1);
    }
}

both! {
    fn connection_by_reference(connection: &mut PgConnection) {
        insert(connection).unwrap();
        assert_eq!(count(connection), 1);
    }
}

both! {
    fn pool(pool: Pool<ConnectionManager<PgConnection>>) {
        let (mut one, mut two) = (pool.get().unwrap(), pool.get().unwrap());
        insert(&mut one).unwrap();
        assert_eq!(count(&mut two), 1);
    }
}

both! {
    fn manager(manager: ConnectionManager<PgConnection>) {
        let pool = Pool::builder().max_size(1).build(manager).unwrap();
        insert(&mut pool.get().unwrap()).unwrap();
        assert_eq!(count(&mut pool.get().unwrap()), 1);
    }
}
