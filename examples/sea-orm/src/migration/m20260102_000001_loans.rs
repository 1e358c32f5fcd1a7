use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let loan = Table::create()
            .table("loan")
            .col(pk_auto("id"))
            .col(integer("book_id"))
            .col(string("reader"))
            .col(date("due"))
            .col(boolean("returned").default(false))
            .foreign_key(ForeignKey::create().from("loan", "book_id").to("book", "id"))
            .to_owned();
        manager.create_table(loan).await?;
        // A book is lent to one reader at a time, whatever two of them do at once.
        let lent = "CREATE UNIQUE INDEX loan_lent ON loan (book_id) WHERE NOT returned";
        manager.get_connection().execute_unprepared(lent).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("loan").to_owned()).await
    }
}
