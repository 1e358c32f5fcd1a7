//! The steps that are code of the user's: a migrator, and a setup function.

use std::sync::Arc;

use super::fingerprint::Parts;
use super::step::{Draft, Step, StepError};
use crate::spec::{AnyMigrator, Setup};
use crate::sys::{BoxFuture, apart};

impl Step for &'static dyn AnyMigrator {
    fn identity(&self, parts: &mut Parts) {
        [b"migrator", self.type_name().as_bytes(), self.fingerprint().as_bytes()]
            .into_iter()
            .for_each(|part| parts.add(part));
    }

    fn apply<'a>(&'a self, draft: &'a mut Draft<'_>) -> BoxFuture<'a, Result<(), StepError>> {
        let (migrator, url) = (*self, draft.url.clone());
        Box::pin(async move {
            let done = apart(async move || migrator.migrate(&url).await).await;
            done.map_err(|source| StepError::Migrator { tool: migrator.name().to_owned(), source })
        })
    }
}

impl Step for &'static Setup {
    fn identity(&self, parts: &mut Parts) {
        self.parts().into_iter().for_each(|part| parts.add(part));
    }

    fn verb(&self) -> &'static str {
        "set up"
    }

    fn once(&self) -> &'static str {
        "once per setup"
    }

    fn apply<'a>(&'a self, draft: &'a mut Draft<'_>) -> BoxFuture<'a, Result<(), StepError>> {
        let (setup, context) = (*self, Arc::clone(&draft.context));
        Box::pin(async move {
            let run = async move || (setup.run)(&mut *context()).await;
            let done = apart(run).await;
            done.map_err(|source| StepError::Setup { path: setup.path, source })
        })
    }
}
