//! A book, of which there is one copy.

use sea_orm::entity::prelude::*;

/// One book.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "book")]
pub struct Model {
    /// Its number.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// Its title, which no other book has.
    #[sea_orm(unique)]
    pub title: String,
}

/// What belongs to a book.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Its loans, past and present.
    #[sea_orm(has_many = "super::loan::Entity")]
    Loan,
}

impl Related<super::loan::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Loan.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
