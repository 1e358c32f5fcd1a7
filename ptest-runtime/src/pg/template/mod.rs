//! The template: a database that was migrated once, closed to connections, and is cloned for every slot.
//!
//! It is built under a private name by one process while the others wait, and renamed when it is complete: a template
//! that can be seen is whole.

mod build;
pub(crate) mod facts;
mod names;

pub(crate) use build::{MARK, clone_into, copy_settings_sql, create_clone_sql, ensure, lock_clone_sql};
pub(crate) use names::{
    KEPT_MARK, PREFIX, claimed_name, family_of, kept_name, slot_name, spare_name, template_name, used_name,
};

use crate::error::Failure;
use crate::pg::server::ServerError;
use crate::schema::ApplyError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("cannot {verb} the template `{name}`")]
    Apply { verb: &'static str, name: String, source: ApplyError },
    #[error("cannot build the template `{name}`")]
    Build { name: String, source: ServerError },
    #[error("cannot clone the template into `{name}`")]
    Clone { name: String, source: ServerError },
}

impl Failure for TemplateError {
    fn help(&self) -> Option<String> {
        match self {
            TemplateError::Apply { source, .. } => source.help(),
            TemplateError::Build { source, .. } | TemplateError::Clone { source, .. } => source.help(),
        }
    }
}
