//! A point of the transaction to return to: a savepoint below the one that always stands.
//!
//! Where it is made nobody is in a transaction, and the settings are those of a session that has set none: so what a return
//! restores is what a new sandbox takes for granted.

use bytes::BytesMut;

use super::Sandbox;
use super::control::SAVEPOINT;

impl Sandbox {
    /// Makes a mark; `None`: a session stays in a transaction, or the backend is lost.
    pub(crate) async fn mark(&self, number: u32) -> Option<()> {
        let mut turn = self.shared.turns.wait_within(self.shared.options.turn_timeout).await?;
        let mut nobody = self.shared.new_session(0, &[]).ok()?;
        turn.load(&mut nobody, &mut BytesMut::new()).await.ok()?.ok()?;
        let sql = format!("RELEASE SAVEPOINT {SAVEPOINT};SAVEPOINT {};SAVEPOINT {SAVEPOINT}", name(number));
        turn.query(&sql).await.ok().map(drop)
    }
}

/// What takes the transaction back to a mark. Prepared statements outlast a rollback, and their names would be given again.
pub(crate) fn return_sql(number: u32) -> String {
    format!("ROLLBACK TO SAVEPOINT {};DEALLOCATE ALL;SAVEPOINT {SAVEPOINT}", name(number))
}

fn name(number: u32) -> String {
    format!("{SAVEPOINT}_{number}")
}
