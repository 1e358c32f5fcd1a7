//! Lending, on a catalogue that is made once for all tests.

mod support;

use lending::entity::{book, loan};
use lending::migration::Migrator;
use lending::{LendError, lend, overdue, take_back};
use sea_orm::prelude::Date;
use sea_orm::{DatabaseConnection, DbErr, EntityTrait, PaginatorTrait, Set, SqlxSqliteConnector};
use sea_orm_migration::MigratorTrait;
use sqlx::SqlitePool;
use support::{Db, Migrations};

/// Part of the template: no test pays for it, and none sees what another does to it.
async fn catalogue(db: Db) -> Result<(), DbErr> {
    let books = (1..=500).map(|n| book::ActiveModel { title: Set(format!("Volume {n}")), ..Default::default() });
    book::Entity::insert_many(books).exec(&*db).await.map(drop)
}

fn day(day: u32) -> Date {
    Date::from_ymd_opt(2026, 1, day).unwrap()
}

#[ptest::db_test(migrator = Migrations, setup(catalogue, version = "1"))]
async fn a_book_is_lent_once(db: Db) -> Result<(), LendError> {
    let loan = lend(&*db, "Volume 7", "ada", day(10)).await?;
    assert!(matches!(lend(&*db, "Volume 7", "bob", day(11)).await, Err(LendError::Lent(title)) if title == "Volume 7"));
    take_back(&*db, loan).await?;
    lend(&*db, "Volume 7", "bob", day(11)).await?;
    assert_eq!(loan::Entity::find().count(&*db).await?, 2);
    Ok(())
}

#[ptest::db_test(migrator = Migrations, setup(catalogue, version = "1"))]
async fn an_unknown_book_is_not_lent(db: Db) -> Result<(), DbErr> {
    assert!(matches!(lend(&*db, "Volume 501", "ada", day(1)).await, Err(LendError::Unknown(_))));
    assert_eq!(loan::Entity::find().count(&*db).await?, 0);
    Ok(())
}

#[ptest::db_test(migrator = Migrations, setup(catalogue, version = "1"))]
async fn overdue_books_are_listed(db: Db) -> Result<(), LendError> {
    lend(&*db, "Volume 1", "ada", day(5)).await?;
    lend(&*db, "Volume 2", "bob", day(3)).await?;
    lend(&*db, "Volume 3", "cleo", day(9)).await?;
    let back = lend(&*db, "Volume 4", "dora", day(1)).await?;
    take_back(&*db, back).await?;
    let expected = [("Volume 2", "bob"), ("Volume 1", "ada")].map(|(title, who)| (title.to_owned(), who.to_owned()));
    assert_eq!(overdue(&*db, day(6)).await?, expected);
    Ok(())
}

/// Two real transactions at once, which only a database of the test's own has.
#[ptest::db_test(migrator = Migrations, setup(catalogue, version = "1"), isolation = "database")]
async fn two_readers_at_once(db: Db) {
    let lend_to = async |reader: &str| lend(&*db, "Volume 1", reader, day(5)).await.is_ok();
    let (ada, bob) = tokio::join!(lend_to("ada"), lend_to("bob"));
    assert!(ada != bob, "one of them");
}

#[ptest::db_test(migrator = Migrations)]
async fn the_applications_own_migrations_find_nothing_to_do(db: Db) -> Result<(), DbErr> {
    assert!(Migrator::get_pending_migrations(&*db).await?.is_empty());
    Migrator::up(&*db, None).await
}

#[ptest::db_test(migrator = Migrations)]
async fn on_sqlite(pool: SqlitePool) -> Result<(), LendError> {
    let db: DatabaseConnection = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
    let book = book::ActiveModel { title: Set("Volume 1".to_owned()), ..Default::default() };
    book::Entity::insert(book).exec(&db).await?;
    lend(&db, "Volume 1", "ada", day(5)).await?;
    assert!(matches!(lend(&db, "Volume 1", "bob", day(5)).await, Err(LendError::Lent(_))));
    Ok(())
}
