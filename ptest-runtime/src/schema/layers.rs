//! The schema that a test asks for: layers, each of which makes a template out of the one beneath it.
//!
//! The lowest is what migrates an empty database. A layer's fingerprint covers all beneath it, so that templates of
//! different seeds are clones of one migrated template.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::fingerprint::Fingerprint;
use super::migrations::{self, ByFolder};
use super::step::{Draft, Empty, Seed, Step, StepError};
use crate::config::Config;
use crate::spec::{Migrations, SchemaSpec};

/// What a template is made from, and the fingerprint that names it.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    pub(crate) fingerprint: String,
    pub(crate) step: Arc<dyn Step>,
    /// The fingerprint of the steps alone.
    content: Fingerprint,
    /// What the template is cloned from; `None`: an empty database.
    base: Option<Arc<Schema>>,
}

impl Schema {
    /// The schema of a database, found out once per process.
    pub(crate) fn known(spec: &'static SchemaSpec) -> crate::Result<Schema> {
        static KNOWN: Mutex<Vec<(&'static SchemaSpec, Schema)>> = Mutex::new(Vec::new());
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, schema)) = known().iter().find(|(other, _)| other.is_same(spec)) {
            return Ok(schema.clone());
        }
        let schema = Schema::of(spec, &Config::get()?.target_dir)?;
        known().push((spec, schema.clone()));
        Ok(schema)
    }

    /// The schema of a spec. A folder's files are read only if one of them has changed since the last process looked.
    pub(crate) fn of(spec: &SchemaSpec, target_dir: &Path) -> crate::Result<Schema> {
        let lowest: Arc<dyn Step> = match spec.migrations {
            Migrations::Migrator(migrator) => Arc::new(migrator),
            _ => match migrations::locate(spec)? {
                Some(folder) => Arc::new(ByFolder::new(folder, target_dir)?),
                None => Arc::new(Empty),
            },
        };
        let mut schema = Schema::over(None, lowest);
        if !spec.seed.is_empty() {
            schema = Schema::over(Some(schema), Arc::new(Seed(spec.seed)));
        }
        if let Some(setup) = spec.setup {
            schema = Schema::over(Some(schema), Arc::new(setup));
        }
        Ok(schema)
    }

    /// What a step makes of a schema, or of an empty database.
    fn over(base: Option<Schema>, step: Arc<dyn Step>) -> Schema {
        let content = Fingerprint::of_step(base.as_ref().map(|base| &base.content), &*step);
        Schema { fingerprint: content.as_str().to_owned(), step, content, base: base.map(Arc::new) }
    }

    /// The schema as a user of a server has it. Whoever makes a database owns it, and others may do little there: so each
    /// has databases of its own, but for the superuser of every server.
    pub(crate) fn owned_by(&self, user: &str) -> Schema {
        if user == "postgres" {
            return self.clone();
        }
        let base = self.base.as_ref().map(|base| Arc::new(base.owned_by(user)));
        Schema { fingerprint: self.content.for_user(user).as_str().to_owned(), base, ..self.clone() }
    }

    /// The schema that its template is cloned from.
    pub(crate) fn base(&self) -> Option<&Schema> {
        self.base.as_deref()
    }

    /// Brings the schema into a database that has what is beneath it.
    pub(crate) async fn apply(&self, draft: &mut Draft<'_>) -> Result<(), StepError> {
        self.step.apply(draft).await
    }
}
