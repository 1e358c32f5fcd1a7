//! The single database: one that the user gives to ptest by name, where the user may create none.
//!
//! ```text
//!             marked           migrated                 a test               rolled back
//!   (empty) ─────────► building ─────────► made ──leased──► in a sandbox ─────────────────► made
//!                      ▲      ▲               │                   │
//!                      │      └─another schema┘                   │ written to, or escaped
//!                      └─────────────────── dirty ◄───────────────┘
//! ```
//!
//! It is leased as slot 0, by the lock of every slot, and tests of all processes take turns on it. Its mark lies in the
//! database itself: ptest builds where nothing was, or where the mark proves that all there is was made by ptest, and
//! else touches nothing.

mod contents;
mod lease;
mod source;
mod turns;

pub(crate) use source::Single;

use crate::error::Failure;
use crate::pg::server::{Address, ServerError, quote_ident};
use crate::schema::StepError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum SingleError {
    #[error("{source}")]
    Missing { database: String, user: String, source: ServerError },
    #[error("cannot give the single database `{database}` to a test that commits")]
    Isolation { database: String, user: String },
    #[error("cannot give the single database `{database}` to a test twice")]
    Twice { database: String, user: String },
    #[error("cannot keep the single database `{database}`")]
    Keep { database: String },
    #[error("cannot use the single database `{database}` at {address}, for it has what ptest did not make: {objects}")]
    Foreign { database: String, address: Box<Address>, objects: String },
    #[error("cannot build the single database `{database}`, for the user `{user}` lacks the right to create in it")]
    Rights { database: String, user: String, grants: String },
    #[error("cannot {verb} the single database `{database}`")]
    Apply { verb: &'static str, database: String, source: StepError },
    #[error("cannot lease the single database `{database}` within an hour: {holder} has it")]
    Held { database: String, holder: String },
}

impl Failure for SingleError {
    fn help(&self) -> Option<String> {
        let databases = |user: &str| {
            let user = quote_ident(user);
            format!("let the user make databases (ALTER ROLE {user} CREATEDB) and unset PTEST_SINGLE_DATABASE")
        };
        Some(match self {
            SingleError::Missing { database, user, .. } => format!(
                "let a superuser of that server make it, empty: CREATE DATABASE {} OWNER {}; or correct \
                 PTEST_SINGLE_DATABASE",
                quote_ident(database),
                quote_ident(user)
            ),
            SingleError::Isolation { user, .. } => format!(
                "with `isolation = \"database\"` it needs one of its own, to be thrown away: {}, or leave the test out",
                databases(user)
            ),
            SingleError::Twice { user, .. } => format!(
                "its own database and one that it names by `#[db(…)]` are two, and here they would wait for each other: \
                 {}, or name another server in the `url` of `database!`",
                databases(user)
            ),
            SingleError::Keep { .. } => {
                "the next test needs it clean: unset PTEST_KEEP; what a test ran is in its report, \
                and with PTEST_LOG=sql also that of a test that passes"
                    .to_owned()
            }
            SingleError::Foreign { database, .. } => format!(
                "ptest drops and migrates only what it has made. Name an empty database in PTEST_SINGLE_DATABASE: \
                 CREATE DATABASE {}, run by somebody who may; or, where nobody misses them, drop these objects",
                quote_ident(&format!("{database}_ptest"))
            ),
            SingleError::Rights { grants, .. } => {
                format!("have it granted by the owner of the database or a superuser: {grants}")
            }
            SingleError::Apply { source, .. } => return source.help(),
            SingleError::Held { .. } => {
                "tests of all processes take turns on it, and one run of `cargo test` has it until it ends: find out what that \
                 process waits for, or run fewer tests at once. A test that starts another test binary waits for itself: \
                 name another database for that one"
                    .to_owned()
            }
        })
    }
}
