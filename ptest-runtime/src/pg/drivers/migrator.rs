//! A migrator of sqlx that the user names.

/// Implements [`Migrator`](crate::Migrator) for that of one major version of sqlx, on the databases whose features are on.
macro_rules! migrator {
    ($sqlx:ident, $($feature:literal: $scheme:literal => $connection:ident),+) => {
        impl crate::spec::Migrator for ::$sqlx::migrate::Migrator {
            fn name(&self) -> &str {
                "sqlx"
            }

            fn fingerprint(&self) -> String {
                // Its settings, which have other fields in another version: what is left without the migrations.
                let mut text = format!("{self:?}");
                for migration in self.iter() {
                    text = text.replace(&format!("{migration:?}"), "");
                }
                text = text.replace(", ", "");
                // A migration that undoes another is not run.
                for migration in self.iter().filter(|migration| migration.migration_type.is_up_migration()) {
                    let ::$sqlx::migrate::Migration { version, description, sql, checksum, no_tx, .. } = migration;
                    text += &format!("\n{version} {no_tx} {description:?} {checksum:02x?} {sql:?}");
                }
                text
            }

            async fn migrate(&self, url: &str) -> Result<(), crate::error::Cause> {
                use ::$sqlx::Connection;
                $(
                    #[cfg(feature = $feature)]
                    if url.starts_with($scheme) {
                        let mut connection = ::$sqlx::$connection::connect(url).await?;
                        self.run(&mut connection).await?;
                        return Ok(connection.close().await?);
                    }
                )+
                Err(format!("the migrator of sqlx on this database needs another feature of ptest: {url}").into())
            }
        }
    };
}

pub(super) use migrator;
