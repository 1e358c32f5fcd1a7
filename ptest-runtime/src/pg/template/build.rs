//! The building of templates and the cloning of slots: everything that changes the server's list of databases.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::names::{KEPT_MARK, UNUSED_SINCE, private_name, template_name};
use super::owner::{self, Standing};
use super::{TemplateError, facts};
use crate::pg::postgres::Postgres;
use crate::pg::script::Runner;
use crate::pg::server::{Address, Admin, QueryError, ServerError, quote_ident, quote_literal};
use crate::schema::{Draft, Schema, StepError};
use crate::test::context::Context;

/// One template is built on a server at a time: roles and other objects of the whole cluster are not private to it.
const BUILD_LOCK: i64 = 0x7074_6573_7401;

/// How long another backend may take to let go of a database that must be renamed or copied.
const LET_GO: Duration = Duration::from_secs(10);

/// Whether this process has built a template that nobody has heard of.
static BUILT: AtomicBool = AtomicBool::new(false);

/// Whether this process has built a template since this was last asked.
pub(crate) fn has_built() -> bool {
    BUILT.swap(false, Ordering::Relaxed)
}

/// What the comment of every template begins with: the proof that ptest made it.
pub(crate) const MARK: &str = "template of ptest";

/// The comment of a new template.
fn mark() -> String {
    format!("{MARK} {}", env!("CARGO_PKG_VERSION"))
}

/// Makes sure that the schema's template exists, and those that it is cloned from.
pub(crate) async fn ensure(admin: &mut Admin, schema: &Schema) -> Result<(), TemplateError> {
    let template = template_name(&schema.fingerprint);
    let failed = |source| TemplateError::Build { name: template.clone(), source };
    if owner::template(admin, &template).await?.is_some() {
        return Ok(());
    }
    if let Some(base) = schema.base() {
        Box::pin(ensure(admin, base)).await?;
    }
    admin.run(&format!("SELECT pg_advisory_lock({BUILD_LOCK})")).await.map_err(failed)?;
    let result = match owner::template(admin, &template).await {
        Ok(None) => build(admin, schema, &template).await,
        other => other.map(drop),
    };
    // A connection that broke has given the lock up already.
    let _ = admin.try_run(&format!("SELECT pg_advisory_unlock({BUILD_LOCK})")).await;
    result
}

async fn build(admin: &mut Admin, schema: &Schema, template: &str) -> Result<(), TemplateError> {
    let failed = |source| TemplateError::Build { name: template.to_owned(), source };
    let started = Instant::now();
    let private = private_name(&schema.fingerprint);
    let built = async {
        create(admin, schema, &private).await?;
        let address = admin.address().clone();
        apply(&address, &private, schema).await.map_err(|source| TemplateError::Apply {
            verb: schema.step.verb(),
            name: template.to_owned(),
            source,
        })?;
        let told = facts::gather(&address, &private).await.map_err(failed)?;
        publish(admin, &private, template, &told).await.map_err(failed)
    }
    .await;
    match built {
        Ok(()) => {
            crate::sys::progress(&format!(
                "built the template {template} in {:.1} s ({})",
                started.elapsed().as_secs_f64(),
                schema.step.once()
            ));
            BUILT.store(true, Ordering::Relaxed);
        }
        // It is ours beyond doubt: this very call made it. Its own error matters more than one of the clean-up.
        Err(_) => discard(admin, &private).await,
    }
    built
}

/// Brings a schema into a database that has what is beneath it.
pub(crate) async fn apply(server: &Address, database: &str, schema: &Schema) -> Result<(), StepError> {
    let mut scripts = Runner::new(server, database);
    let address = Address { database: database.to_owned(), ..server.clone() };
    let url = crate::pg::server::url(&address);
    let context = Arc::new(move || Box::new(Context::of_draft(Postgres::of_draft(address.clone()))) as Box<dyn Any>);
    let applied = schema.apply(&mut Draft { url, scripts: &mut scripts, context }).await;
    scripts.close().await;
    applied
}

/// Makes the database that becomes a template: empty, or with what the template beneath it has.
async fn create(admin: &mut Admin, schema: &Schema, private: &str) -> Result<(), TemplateError> {
    let Some(base) = schema.base() else {
        let sql = format!("CREATE DATABASE {}", quote_ident(private));
        return retry(admin, &sql).await.map_err(|source| TemplateError::Build { name: private.to_owned(), source });
    };
    make_clone(admin, &template_name(&base.fingerprint), private).await
}

/// Drops a database under construction, whatever is still connected to it.
async fn discard(admin: &mut Admin, name: &str) {
    let name = quote_ident(name);
    // What is marked as a template cannot be dropped.
    let _ = admin.try_run(&format!("ALTER DATABASE {name} WITH IS_TEMPLATE false")).await;
    let _ = admin.try_run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
}

/// Closes a complete template to connections, marks it as ptest's, and gives it its name: from now on it can be seen.
async fn publish(admin: &mut Admin, private: &str, template: &str, told: &str) -> Result<(), ServerError> {
    let name = quote_ident(private);
    let setting = format!("ALTER DATABASE {name} SET {} = {}", facts::SETTING, quote_literal(told));
    let comment = match admin.try_run(&setting).await {
        Ok(_) => mark(),
        // Only superusers may give a setting of that name.
        Err(_) => mark() + facts::NOTED + told,
    };
    admin.run(&format!("COMMENT ON DATABASE {name} IS {}", quote_literal(&comment))).await?;
    // So that a test that is killed in a long statement holds its slot no longer. Unknown to old servers.
    let _ = admin.try_run(&format!("ALTER DATABASE {name} SET client_connection_check_interval = '500ms'")).await;
    admin.run(&format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true")).await?;
    // What code of the user's may have left to another thread or process.
    let _ = admin
        .try_run(&format!(
            "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_get_activity(NULL) \
             WHERE datid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = {})",
            quote_literal(private)
        ))
        .await;
    retry(admin, &format!("ALTER DATABASE {name} RENAME TO {}", quote_ident(template))).await
}

/// Clones the schema's template. No error if another process was faster.
pub(crate) async fn clone_into(admin: &mut Admin, schema: &Schema, name: &str) -> Result<(), TemplateError> {
    let template = template_name(&schema.fingerprint);
    let failed = |source| TemplateError::Clone { name: name.to_owned(), source };
    // Two processes may miss the same slot at once; the second finds it complete.
    admin.run(&lock_clone_sql(name)).await.map_err(failed)?;
    let cloned = complete_clone(admin, &template, name).await;
    let _ = admin.try_run(&format!("SELECT pg_catalog.pg_advisory_unlock({})", clone_key(name))).await;
    cloned
}

/// Takes the lock of whoever clones a database, or gives it up.
pub(crate) fn lock_clone_sql(name: &str) -> String {
    format!("SELECT pg_catalog.pg_advisory_lock({})", clone_key(name))
}

fn clone_key(name: &str) -> String {
    format!("pg_catalog.hashtextextended({}, 0)", quote_literal(name))
}

/// Makes a clone, or completes one that a process has left unfinished: it stays closed to connections until then.
async fn complete_clone(admin: &mut Admin, template: &str, name: &str) -> Result<(), TemplateError> {
    let failed = |source| TemplateError::Clone { name: name.to_owned(), source };
    match Standing::of(admin, name).await.map_err(failed)? {
        Standing::Ours { open: true, .. } => return Ok(()),
        // Whoever was to keep it has died before it had another name, and it may hold what a test did.
        Standing::Ours { comment: Some(comment), .. } if comment == KEPT_MARK => {
            retry(admin, &format!("DROP DATABASE {}", quote_ident(name))).await.map_err(failed)?;
        }
        Standing::Ours { .. } | Standing::Free => {}
        Standing::Foreign { owner } => return Err(owner::foreign(admin, name, owner)),
    }
    make_clone(admin, template, name).await
}

/// Clones a template that is proven to be ptest's, before and after: whoever could put another in its place in between could
/// not give that the same number.
async fn make_clone(admin: &mut Admin, template: &str, name: &str) -> Result<(), TemplateError> {
    let failed = |source| TemplateError::Clone { name: name.to_owned(), source };
    let proven = owner::template(admin, template).await?;
    let sql = create_clone_sql(admin, template, name);
    let made = retry(admin, &sql).await;
    match &made {
        // Another process was faster, or had died on the way.
        Err(error) if matches!(error.state(), Some("42P04" | "23505")) => {
            if let Standing::Foreign { owner } = Standing::of(admin, name).await.map_err(failed)? {
                return Err(owner::foreign(admin, name, owner));
            }
        }
        Err(_) => made.map_err(failed)?,
        Ok(()) => {}
    }
    if proven.is_none() || owner::template(admin, template).await? != proven {
        return Err(TemplateError::Unmarked { name: template.to_owned() });
    }
    let statements = admin.run(&settings_sql(template, name)).await.map_err(failed)?;
    for statement in statements.into_iter().flatten().flatten() {
        admin.run(&statement).await.map_err(failed)?;
    }
    Ok(())
}

/// The statement that makes a clone; it stays closed to connections until [`copy_settings_sql`] has run.
pub(crate) fn create_clone_sql(admin: &Admin, template: &str, name: &str) -> String {
    format!(
        "CREATE DATABASE {} TEMPLATE {}{} ALLOW_CONNECTIONS false",
        quote_ident(name),
        quote_ident(template),
        admin.copy_strategy()
    )
}

/// One statement that gives a clone what cloning leaves out, and opens it to connections.
pub(crate) fn copy_settings_sql(template: &str, name: &str) -> String {
    let body = format!(
        "DECLARE next text; BEGIN FOR next IN {} LOOP EXECUTE next; END LOOP; END",
        settings_sql(template, name)
    );
    format!("DO {}", quote_literal(&body))
}

/// The query whose rows are the statements that give a clone what cloning leaves out: `ALTER DATABASE … SET`, grants
/// on the database, and the facts where they are in the comment. The last one opens it to connections.
fn settings_sql(template: &str, name: &str) -> String {
    let (from, to) = (quote_literal(template), quote_literal(&quote_ident(name)));
    let (facts, note) = (quote_literal(facts::NOTED), quote_literal(UNUSED_SINCE));
    format!(
        "SELECT statement FROM (\
         SELECT 1, format('REVOKE ALL ON DATABASE %s FROM PUBLIC', {to}) \
         FROM pg_catalog.pg_database WHERE datname = {from} AND datacl IS NOT NULL \
         UNION ALL \
         SELECT 2, format('ALTER %s %s SET %s TO %s', \
           CASE WHEN r.rolname IS NULL THEN 'DATABASE' ELSE format('ROLE %I IN DATABASE', r.rolname) END, {to}, \
           split_part(c, '=', 1), \
           CASE WHEN split_part(c, '=', 1) IN ('search_path', 'temp_tablespaces', 'DateStyle', 'session_preload_libraries', \
             'local_preload_libraries') THEN substr(c, strpos(c, '=') + 1) ELSE quote_literal(substr(c, strpos(c, '=') + 1)) END) \
         FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase \
         LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) c WHERE d.datname = {from} \
         UNION ALL \
         SELECT 3, format('GRANT %s ON DATABASE %s TO %s%s', a.privilege_type, {to}, \
           CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END, \
           CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) \
         FROM pg_catalog.pg_database d, aclexplode(d.datacl) a WHERE d.datname = {from} AND a.grantee <> d.datdba \
         UNION ALL \
         SELECT 4, format('COMMENT ON DATABASE %s IS %L', {to}, split_part(split_part(comment, {facts}, 2), {note}, 1)) \
         FROM pg_catalog.pg_database d, pg_catalog.shobj_description(d.oid, 'pg_database') comment \
         WHERE d.datname = {from} AND strpos(comment, {facts}) > 0 \
         UNION ALL \
         SELECT 5, format('ALTER DATABASE %s WITH ALLOW_CONNECTIONS true', {to})\
         ) AS statements (step, statement) ORDER BY step"
    )
}

/// Runs a statement that fails while another backend is on its way out of the database (55006), or copies it.
async fn retry(admin: &mut Admin, sql: &str) -> Result<(), ServerError> {
    let started = Instant::now();
    loop {
        match admin.run(sql).await {
            Err(ServerError::Admin { source: QueryError::Db(e), .. })
                if e.code == "55006" && started.elapsed() < LET_GO =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other.map(drop),
        }
    }
}
