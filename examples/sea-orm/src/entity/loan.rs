//! A loan of a book.

use sea_orm::entity::prelude::*;

/// One loan, past or present.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "loan")]
pub struct Model {
    /// Its number.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// The book.
    pub book_id: i32,
    /// Who has it.
    pub reader: String,
    /// The day it is due back.
    pub due: Date,
    /// Whether it is back.
    pub returned: bool,
}

/// What a loan belongs to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The book.
    #[sea_orm(belongs_to = "super::book::Entity", from = "Column::BookId", to = "super::book::Column::Id")]
    Book,
}

impl Related<super::book::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Book.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
