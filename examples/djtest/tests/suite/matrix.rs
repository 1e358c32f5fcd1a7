//! The seed's matrix: nine modules, each with the same classes, each with the same six tests.

/// Nine modules of the classes in its body, which reads
/// `migrations = "folder"; name(parameters) => site, …`.
macro_rules! suite {
    ($($classes:tt)*) => {
        modules! { [test_v1 test_v2 test_v3 test_v4 test_v5 test_v6 test_v7 test_v8 test_v9] { $($classes)* } }
    };
}

macro_rules! modules {
    ([$($module:ident)*] $classes:tt) => {
        $(
            mod $module {
                use super::*;

                classes! $classes
            }
        )*
    };
}

macro_rules! classes {
    (migrations = $migrations:literal; $($class:ident($($parameter:ident: $type:ty),+) => $site:expr,)+) => {
        $(class! { $class, $migrations, ($($parameter: $type),+), $site })+
    };
}

/// One class: six tests, each on the site that `$site` makes of the test's parameters.
macro_rules! class {
    ($class:ident, $migrations:literal, ($($parameter:ident: $type:ty),+), $site:expr) => {
        mod $class {
            use super::*;
            use crate::visits;

            #[ptest::db_test(migrations = $migrations)]
            async fn v0_shows_strangers_the_login_form($($parameter: $type),+) -> anyhow::Result<()> {
                visits::anonymous($site).await
            }

            #[ptest::db_test(migrations = $migrations)]
            async fn v1_creates_one_superuser($($parameter: $type),+) -> anyhow::Result<()> {
                visits::superusers($site, 1).await
            }

            #[ptest::db_test(migrations = $migrations)]
            async fn v2_creates_two_superusers($($parameter: $type),+) -> anyhow::Result<()> {
                visits::superusers($site, 2).await
            }

            #[ptest::db_test(migrations = $migrations)]
            async fn v3_creates_three_superusers($($parameter: $type),+) -> anyhow::Result<()> {
                visits::superusers($site, 3).await
            }

            #[ptest::db_test(migrations = $migrations)]
            async fn v4_creates_four_superusers($($parameter: $type),+) -> anyhow::Result<()> {
                visits::superusers($site, 4).await
            }

            #[ptest::db_test(migrations = $migrations)]
            async fn v5_creates_ten_superusers($($parameter: $type),+) -> anyhow::Result<()> {
                visits::superusers($site, 10).await
            }
        }
    };
}
