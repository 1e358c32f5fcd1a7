//! What a lease does between the start and the end of a test: its databases go back, where they are.

use super::Context;
use crate::audit::{self, Finding, Kind};
use crate::config::Config;

impl Context {
    /// Whether it has a database.
    pub(crate) fn is_open(&self) -> bool {
        !self.engines.is_empty() || self.named.iter().any(Context::is_open)
    }

    /// Takes every database back to its start, where it is; gives what was left. `None`: one of them cannot go back, and all
    /// are to be had anew.
    pub(crate) async fn restart(&mut self) -> crate::Result<Option<Vec<Finding>>> {
        let mut findings = Vec::new();
        for engine in &mut self.engines {
            let Some(found) = engine.restart().await? else { return Ok(None) };
            // Whoever is connected is so for the next round as well.
            findings.extend(found.into_iter().filter(|left| left.kind() != Some(Kind::LeakedSession)));
            engine.load(self.test.fixtures).await?;
        }
        for named in &mut self.named {
            let Some(found) = Box::pin(named.restart()).await? else { return Ok(None) };
            findings.extend(found);
        }
        Ok(Some(findings))
    }

    /// Notes where the transaction of the test's own database is; `None`: there is none, or a session stays in one.
    pub(crate) async fn mark(&self) -> Option<u32> {
        match &*self.engines {
            [engine] => engine.mark().await,
            _ => None,
        }
    }

    /// Goes back to a mark; whether there is such a mark.
    pub(crate) async fn return_to(&mut self, mark: u32) -> bool {
        match &mut *self.engines {
            [engine] => engine.return_to(mark).await,
            _ => false,
        }
    }

    /// An error, if the test wants one of what was found.
    pub(crate) fn judge(&self, findings: Vec<Finding>) -> crate::Result<()> {
        Ok(audit::judge(findings, &self.test.audit, &Config::get()?.audit.or(&self.test.audit_of_crate))?)
    }
}
