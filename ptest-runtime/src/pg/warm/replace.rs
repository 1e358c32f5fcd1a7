//! The replacement: a database that is not as its template is dropped, and cloned again under its name.
//!
//! Who does so holds the lock of its name, and knows the number of what it drops: of two that found the same, the second finds a
//! database of another number, and leaves it alone.

use super::image::CLEAN;
use crate::pg::server::{Admin, Connection, QueryError, ServerError, quote_ident, quote_literal};
use crate::pg::template::{self, Standing, TemplateError, template_name};
use crate::schema::Schema;

/// Ends what keeps a database from being dropped, and cannot be ended from another: prepared transactions, replication slots,
/// subscriptions.
pub(super) async fn release(connection: &mut Connection) -> Result<(), QueryError> {
    let current = "(SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";
    let ends = format!(
        "SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database() \
         UNION ALL SELECT format('SELECT pg_catalog.pg_terminate_backend(%s, 5000)', active_pid) \
         FROM pg_catalog.pg_get_replication_slots() WHERE datoid = {current} AND active_pid IS NOT NULL \
         UNION ALL SELECT format('SELECT pg_catalog.pg_drop_replication_slot(%L)', slot_name) \
         FROM pg_catalog.pg_get_replication_slots() WHERE datoid = {current} \
         UNION ALL SELECT format('ALTER SUBSCRIPTION %1$I DISABLE;ALTER SUBSCRIPTION %1$I SET (slot_name = NONE);DROP SUBSCRIPTION %1$I', \
           subname) FROM pg_catalog.pg_subscription WHERE subdbid = {current}"
    );
    for sql in connection.query(&ends).await?.into_iter().flatten().flatten() {
        connection.query(&sql).await?;
    }
    Ok(())
}

/// Makes the slot's database. `dirty`: the number of the one that is to go; `None`: there is none, or one that was never completed.
pub(super) async fn make(
    admin: &mut Admin,
    schema: &Schema,
    database: &str,
    dirty: Option<u32>,
) -> Result<(), TemplateError> {
    template::ensure(admin, schema).await?;
    if begin(admin, schema, database, dirty).await? {
        let failed = |source| TemplateError::Clone { name: database.to_owned(), source };
        finish(admin, database).await.map_err(failed)?;
    }
    Ok(())
}

/// Sends what makes it: the server completes that also when this process ends. `false`: another process has made it.
pub(super) async fn begin(
    admin: &mut Admin,
    schema: &Schema,
    database: &str,
    dirty: Option<u32>,
) -> Result<bool, TemplateError> {
    let failed = |source| TemplateError::Clone { name: database.to_owned(), source };
    admin.run(&template::lock_clone_sql(database)).await.map_err(failed)?;
    let mut batch = Vec::new();
    match Standing::of(admin, database).await.map_err(failed)? {
        Standing::Free => {}
        Standing::Foreign { owner } => {
            unlock(admin).await;
            let user = admin.address().user.clone();
            return Err(TemplateError::Foreign { name: database.to_owned(), owner, user });
        }
        Standing::Ours { oid, open: true, .. } if dirty.is_none_or(|dirty| oid != dirty.to_string()) => {
            unlock(admin).await;
            return Ok(false);
        }
        Standing::Ours { .. } => {
            batch.push(format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote_ident(database)));
        }
    }
    let template = template_name(&schema.fingerprint);
    batch.push(template::create_clone_sql(admin, &template, database));
    batch.push(format!("COMMENT ON DATABASE {} IS {}", quote_ident(database), quote_literal(CLEAN)));
    // The last opens it to connections.
    batch.push(template::copy_settings_sql(&template, database));
    let sent = admin.send_batch(&batch).await;
    sent.map_err(|source| {
        failed(ServerError::Admin {
            address: Box::new(admin.address().clone()),
            statement: "the clone of the template".to_owned(),
            source: QueryError::Io(source),
        })
    })?;
    Ok(true)
}

/// Waits for the end of it.
pub(super) async fn finish(admin: &mut Admin, database: &str) -> Result<(), ServerError> {
    let done = admin.finish().await;
    unlock(admin).await;
    done.map_err(|source| ServerError::Admin {
        address: Box::new(admin.address().clone()),
        statement: format!("the clone of the template into {database}"),
        source,
    })
}

async fn unlock(admin: &mut Admin) {
    // A connection that broke has given the lock up already.
    let _ = admin.try_run("SELECT pg_catalog.pg_advisory_unlock_all()").await;
}
