//! The template: a database that was migrated once, closed to connections, and is cloned for every slot.
//!
//! It is built under a private name by one process while the others wait, and renamed when it is complete: a template
//! that can be seen is whole.

mod build;
pub(crate) mod facts;
mod names;
mod owner;

pub(crate) use build::{
    MARK, apply, clone_into, copy_settings_sql, create_clone_sql, ensure, has_built, lock_clone_sql,
};
pub(crate) use names::{
    KEPT_MARK, PREFIX, UNUSED_SINCE, claimed_name, family_of, kept_name, slot_name, spare_name, template_name,
    used_name, warm_name,
};
pub(crate) use owner::{Standing, has_template_sql, is_owner_sql, is_proven_sql};

use crate::error::{Class, Failure};
use crate::pg::server::{ServerError, quote_ident};
use crate::schema::StepError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("cannot {verb} the template `{name}`")]
    Apply { verb: &'static str, name: String, source: StepError },
    #[error("cannot build the template `{name}`")]
    Build { name: String, source: ServerError },
    #[error("cannot clone the template into `{name}`")]
    Clone { name: String, source: ServerError },
    #[error("cannot use the database `{name}`: it belongs to `{owner}`, and ptest connects as `{user}`")]
    Foreign { name: String, owner: String, user: String },
    #[error("cannot use the database `{name}`: it is not marked as ptest's")]
    Unmarked { name: String },
}

impl Failure for TemplateError {
    fn help(&self) -> Option<String> {
        match self {
            TemplateError::Apply { source, .. } => source.help(),
            TemplateError::Build { source, .. } | TemplateError::Clone { source, .. } => source.help(),
            TemplateError::Foreign { name, owner, .. } => Some(format!(
                "a name proves nothing, so ptest takes no database that another user has made: let `{owner}` or a superuser \
                 rename or drop it ({}); or set PTEST_DATABASE_URL=own and ptest starts a server of its own",
                rename(name)
            )),
            TemplateError::Unmarked { name } => Some(format!(
                "ptest has not made it, or its comment was changed: rename or drop it ({}), and ptest makes another",
                rename(name)
            )),
        }
    }

    fn class(&self) -> Class {
        match self {
            TemplateError::Build { source, .. } | TemplateError::Clone { source, .. } => source.class(),
            _ => Class::Other,
        }
    }
}

fn rename(name: &str) -> String {
    format!("ALTER DATABASE {} RENAME TO {}", quote_ident(name), quote_ident(&format!("not_{name}")))
}
