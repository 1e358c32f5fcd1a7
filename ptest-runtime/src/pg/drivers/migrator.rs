//! A migrator of sqlx that the user names.

/// Implements [`Migrator`](crate::Migrator) for that of one major version of sqlx, on the databases whose features are on.
macro_rules! migrator {
    ($sqlx:ident, $($feature:literal: $scheme:literal => $connection:ident),+) => {
        impl crate::spec::Migrator for ::$sqlx::migrate::Migrator {
            fn name(&self) -> &str {
                "sqlx"
            }

            fn fingerprint(&self) -> String {
                // Its settings, and every migration with its text.
                format!("{self:?}")
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
