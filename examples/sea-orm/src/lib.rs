//! A library that lends books.

pub mod entity;
pub mod migration;

use sea_orm::entity::prelude::*;
use sea_orm::{ConnectionTrait, ExprTrait, QueryOrder, Set, SqlErr, TransactionSession, TransactionTrait};

use crate::entity::{book, loan};

/// Why a book was not lent.
#[derive(Debug, thiserror::Error)]
pub enum LendError {
    /// The library has no such book.
    #[error("there is no book `{0}`")]
    Unknown(String),
    /// Another reader has it.
    #[error("`{0}` is lent to somebody else")]
    Lent(String),
    /// The database failed.
    #[error("cannot lend the book")]
    Database(#[from] DbErr),
}

/// Lends a book until a day.
///
/// # Errors
///
/// There is no such book, another reader has it, or the database failed; then nothing has changed.
pub async fn lend(db: &impl TransactionTrait, title: &str, reader: &str, due: Date) -> Result<loan::Model, LendError> {
    let tx = db.begin().await?;
    let book = book::Entity::find().filter(book::Column::Title.eq(title)).one(&tx).await?;
    let book = book.ok_or_else(|| LendError::Unknown(title.to_owned()))?;
    let loan = loan::ActiveModel {
        book_id: Set(book.id),
        reader: Set(reader.to_owned()),
        due: Set(due),
        ..Default::default()
    };
    let loan = loan.insert(&tx).await.map_err(|error| match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => LendError::Lent(title.to_owned()),
        _ => error.into(),
    })?;
    tx.commit().await?;
    Ok(loan)
}

/// Takes a book back.
///
/// # Errors
///
/// The database failed.
pub async fn take_back(db: &impl ConnectionTrait, loan: loan::Model) -> Result<loan::Model, DbErr> {
    let mut loan: loan::ActiveModel = loan.into();
    loan.returned = Set(true);
    loan.update(db).await
}

/// The titles and readers of books that should be back by now, the longest overdue first.
///
/// # Errors
///
/// The database failed.
pub async fn overdue(db: &impl ConnectionTrait, today: Date) -> Result<Vec<(String, String)>, DbErr> {
    let loans = loan::Entity::find()
        .find_also_related(book::Entity)
        .filter(loan::Column::Returned.eq(false).and(loan::Column::Due.lt(today)))
        .order_by_asc(loan::Column::Due)
        .all(db)
        .await?;
    Ok(loans.into_iter().filter_map(|(loan, book)| Some((book?.title, loan.reader))).collect())
}
