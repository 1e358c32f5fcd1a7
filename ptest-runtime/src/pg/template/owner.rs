//! Ownership: what proves that a database is ptest's.
//!
//! Whoever may create databases can give them any name and any comment; so neither proves anything by itself. Nobody but
//! superusers gives a database away to a user whose rights he has not. So a database is ptest's if its owner is the user as
//! whom ptest connects, and so is the owner of its template, which has ptest's comment.
//!
//! The questions are asked in databases that are not proven yet, whose owner decides where names are looked for: a
//! `search_path` may put a schema before `pg_catalog`. So every function, operator and type is qualified. The user is the one
//! that the client has named, not what a session says of itself: settings of a database change that.

use super::names::template_name;
use super::{MARK, TemplateError};
use crate::pg::server::{Admin, ServerError, quote_literal};

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No database has it.
    Free,
    /// The owner is ptest's user.
    Ours {
        /// The database's number.
        oid: String,
        /// It takes connections.
        open: bool,
        comment: Option<String>,
    },
    /// Somebody else's database.
    Foreign { owner: String },
}

impl Standing {
    /// Asks the server.
    pub(crate) async fn of(admin: &mut Admin, name: &str) -> Result<Standing, ServerError> {
        let sql = format!(
            "SELECT oid, datallowconn, pg_catalog.shobj_description(oid, 'pg_database'), \
               pg_catalog.pg_get_userbyid(datdba), {} FROM pg_catalog.pg_database d WHERE datname = {}",
            is_owner_sql("d", &admin.address().user),
            quote_literal(name)
        );
        let row = admin.run(&sql).await?.pop();
        let Some(Ok([oid, open, comment, owner, ours])) = row.map(<[_; 5]>::try_from) else {
            return Ok(Standing::Free);
        };
        Ok(match ours.as_deref() {
            Some("t") => Standing::Ours { oid: oid.unwrap_or_default(), open: open.as_deref() == Some("t"), comment },
            _ => Standing::Foreign { owner: owner.unwrap_or_default() },
        })
    }
}

/// The number of a template that is proven to be ptest's; `None`: there is none of this name.
pub(super) async fn template(admin: &mut Admin, name: &str) -> Result<Option<String>, TemplateError> {
    let failed = |source| TemplateError::Build { name: name.to_owned(), source };
    match Standing::of(admin, name).await.map_err(failed)? {
        Standing::Free => Ok(None),
        Standing::Foreign { owner } => Err(foreign(admin, name, owner)),
        Standing::Ours { oid, comment, .. } if comment.as_deref().is_some_and(|text| text.starts_with(MARK)) => {
            Ok(Some(oid))
        }
        Standing::Ours { .. } => Err(TemplateError::Unmarked { name: name.to_owned() }),
    }
}

/// The error of a name that somebody else's database has.
pub(super) fn foreign(admin: &Admin, name: &str, owner: String) -> TemplateError {
    TemplateError::Foreign { name: name.to_owned(), owner, user: admin.address().user.clone() }
}

/// Whether the owner of the database in a row of `pg_database` is this user.
pub(crate) fn is_owner_sql(row: &str, user: &str) -> String {
    format!("pg_catalog.pg_get_userbyid({row}.datdba) OPERATOR(pg_catalog.=) {}::pg_catalog.name", quote_literal(user))
}

/// Whether the template of a fingerprint is ptest's. Its comment is read where it is cloned or dropped: here it would cost a
/// backend that has just begun 0.6 ms, which opens the catalogue of comments for nothing else. That the database is marked as a
/// template costs it nothing.
pub(crate) fn has_template_sql(fingerprint: &str, user: &str) -> String {
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_database t WHERE t.datistemplate \
         AND t.datname OPERATOR(pg_catalog.=) {}::pg_catalog.name AND {})",
        quote_literal(&template_name(fingerprint)),
        is_owner_sql("t", user)
    )
}

/// Whether the database that one is connected to is ptest's.
pub(crate) fn is_proven_sql(fingerprint: &str, user: &str) -> String {
    format!(
        "(SELECT {} FROM pg_catalog.pg_database d \
          WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()) AND {}",
        is_owner_sql("d", user),
        has_template_sql(fingerprint, user)
    )
}
