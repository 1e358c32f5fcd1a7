//! Migration tools that ptest does not know: what a test's `migrator` has to tell and to do.

use std::error::Error as StdError;
use std::fmt;

use crate::error::Cause;
use crate::sys::BoxFuture;

/// A migration tool, for the argument `migrator`.
///
/// `sqlx::migrate::Migrator` is one. For another tool, implement it on a type of your own, and name a value of it, mostly a
/// unit struct or a `static`: `#[ptest::db_test(migrator = MyMigrations)]`.
///
/// ```
/// use ptest_runtime as ptest;
///
/// struct ByScript;
///
/// impl ptest::Migrator for ByScript {
///     fn fingerprint(&self) -> String {
///         include_str!("../../Cargo.toml").to_owned() // the script, and what it reads
///     }
///
///     async fn migrate(&self, url: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///         let status = std::process::Command::new("./migrate").arg(url).status()?;
///         if status.success() { Ok(()) } else { Err(format!("./migrate: {status}").into()) }
///     }
/// }
/// ```
pub trait Migrator: Sync + 'static {
    /// The tool's name, for messages; the name of the type, if not said otherwise.
    fn name(&self) -> &str {
        std::any::type_name::<Self>()
    }

    /// A text that changes whenever [`migrate`](Self::migrate) would make another database.
    ///
    /// A template is named by it: the migrations run again when it changes, and only then. The names and the texts of all
    /// migrations do; for migrations that are code, `include_str!` of their sources. Computed once per process, for tests
    /// that use it.
    fn fingerprint(&self) -> String;

    /// Migrates the empty database at `url`: `postgresql://…` or `sqlite:///…`, as the test's parameters want it.
    ///
    /// It runs on a thread and a tokio runtime of its own, so it may block. Connections that it leaves open are ended.
    ///
    /// # Errors
    ///
    /// Whatever went wrong. The database is removed, and every test that asks for the schema fails with the error.
    fn migrate(&self, url: &str) -> impl Future<Output = Result<(), Box<dyn StdError + Send + Sync>>>;
}

/// A migrator whose type is forgotten.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no migrator",
    label = "neither a `sqlx::migrate::Migrator` nor a type that implements `ptest::Migrator`",
    note = "sqlx's migrator needs one of ptest's features `sqlx-postgres` and `sqlx-sqlite`"
)]
pub trait AnyMigrator: Sync {
    /// The name of its type.
    fn type_name(&self) -> &'static str;
    /// [`Migrator::name`].
    fn name(&self) -> &str;
    /// [`Migrator::fingerprint`].
    fn fingerprint(&self) -> String;
    /// [`Migrator::migrate`].
    fn migrate<'m>(&'m self, url: &'m str) -> BoxFuture<'m, Result<(), Cause>>;
}

#[diagnostic::do_not_recommend]
impl<M: Migrator> AnyMigrator for M {
    fn type_name(&self) -> &'static str {
        std::any::type_name::<M>()
    }

    fn name(&self) -> &str {
        Migrator::name(self)
    }

    fn fingerprint(&self) -> String {
        Migrator::fingerprint(self)
    }

    fn migrate<'m>(&'m self, url: &'m str) -> BoxFuture<'m, Result<(), Cause>> {
        Box::pin(Migrator::migrate(self, url))
    }
}

impl dyn AnyMigrator {
    /// Whether both are the same value. Values without a size may share an address.
    pub(crate) fn is_same(&self, other: &dyn AnyMigrator) -> bool {
        std::ptr::addr_eq(self, other) && self.type_name() == other.type_name()
    }
}

impl fmt::Debug for dyn AnyMigrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name())
    }
}
