//! A server that others use too: a name and a comment prove nothing, for anybody who may create databases can write both.
//! What another user has made is neither used nor dropped, whatever it is called and whatever lies in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use postgres::{Client, NoTls};

use super::rule;
use crate::package::Package;
use crate::rerun::{ANSWERS, Outcome, Rerun};
use crate::scratch_server::ScratchServer;

/// Two users who may create databases, and ptest's superuser.
fn start() -> ScratchServer {
    let roles = "create role mallory login createdb; create role maker login createdb; create database app;";
    ScratchServer::start(&rule("all all all trust"), roles)
}

/// A schema of this test alone.
fn package() -> Package {
    Package::new(&[("migrations/1_item.sql", "create table public.item (id int, name text);")])
}

fn run(server: &ScratchServer, user: &str, package: &Package, statements: &[&str]) -> Outcome {
    let test = Rerun::test(ANSWERS).package(package).statements(statements).env("PTEST_DATABASE_URL", server.tcp(user));
    // The first slot, and nobody in it afterwards.
    test.env("NEXTEST_TEST_GLOBAL_SLOT", "0").env("PTEST_HELPER", "off").run()
}

/// The name of a slot, without its number.
fn family(server: &ScratchServer, user: &str, package: &Package) -> String {
    let name = run(server, user, package, &["select current_database()"]).passed().answers().concat();
    name.strip_suffix('0').unwrap_or_else(|| panic!("{name} is slot 0")).to_owned()
}

fn mallory(server: &ScratchServer, database: &str) -> Client {
    Client::connect(&server.tcp("mallory").replace("/app", &format!("/{database}")), NoTls).unwrap()
}

/// Fills a database of mallory's with all that a superuser might stumble over, each of which makes this file.
fn lay_traps(server: &ScratchServer, database: &str, file: &Path) {
    let program = format!("touch {}", file.display());
    let mut all = format!(
        "create schema evil;
         create table public.item (id int, name text);
         create function evil.run() returns void language plpgsql as
           $$ begin if (select rolsuper from pg_roles where rolname operator(pg_catalog.=) session_user) then
              execute 'copy (select 1) to program ''{program}'''; end if; end $$;
         create function evil.trigger() returns trigger language plpgsql as $$ begin perform evil.run(); return new; end $$;
         create trigger trap before insert on public.item for each row execute function evil.trigger();"
    );
    let operators = [
        ("=", "name", "name", "boolean"),
        ("*", "numeric", "integer", "numeric"),
        ("*", "double precision", "integer", "double precision"),
        (">=", "integer", "integer", "boolean"),
        ("+", "bigint", "bigint", "bigint"),
    ];
    for (number, (operator, left, right, result)) in operators.into_iter().enumerate() {
        all += &format!(
            "create function evil.o{number}(a {left}, b {right}) returns {result} language plpgsql as
               $$ begin perform evil.run(); return a operator(pg_catalog.{operator}) b; end $$;
             create operator evil.{operator} (leftarg = {left}, rightarg = {right}, function = evil.o{number});"
        );
    }
    all += &format!("alter database {database} set search_path = evil, pg_catalog;");
    mallory(server, database).batch_execute(&all).unwrap();
}

#[test]
fn a_slot_of_another_user_is_not_leased() {
    let server = start();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    for user in ["postgres", "maker"] {
        let package = package();
        let family = family(&server, user, &package);
        server.superuser().batch_execute(&format!("drop database {family}0")).unwrap();
        let mut theirs = mallory(&server, "app");
        for number in 0..5 {
            theirs.batch_execute(&format!("create database {family}{number}")).unwrap();
        }
        let trap = folder.path().join("trap");
        lay_traps(&server, &format!("{family}0"), &trap);
        for settings in [
            format!("comment on database {family}0 is 'template of ptest 0.1.0'"),
            format!("alter database {family}1 allow_connections false"),
            format!("alter database {family}2 connection limit 0"),
            format!("alter database {family}3 set statement_timeout = 1"),
            format!("revoke connect on database {family}4 from public"),
        ] {
            theirs.batch_execute(&settings).unwrap();
        }
        let before = of_mallory(&server);
        let statements = ["insert into item values (1)", "select current_database()", "select current_user"];
        let outcome = run(&server, user, &package, &statements);
        assert!(!trap.exists(), "{user} has run what another user wrote: {outcome}");
        assert_eq!(outcome.passed().answers(), [&*format!("{family}5"), user]);
        assert_eq!(of_mallory(&server), before, "what is another user's is changed");
    }
}

#[test]
fn a_template_of_another_user_is_not_cloned() {
    let server = start();
    let package = package();
    let family = family(&server, "postgres", &package);
    let template = format!("{family}template");
    let mut superuser = server.connect_to("postgres").unwrap();
    superuser.batch_execute(&format!("alter database {template} is_template false")).unwrap();
    superuser.batch_execute(&format!("drop database {template}")).unwrap();
    superuser.batch_execute(&format!("drop database {family}0")).unwrap();
    let mut theirs = mallory(&server, "app");
    theirs.batch_execute(&format!("create database {template}")).unwrap();
    theirs.batch_execute(&format!("comment on database {template} is 'template of ptest 0.1.0'")).unwrap();
    theirs.batch_execute(&format!("alter database {template} is_template true")).unwrap();

    let outcome = run(&server, "postgres", &package, &["select 1"]);
    outcome.failed().says(&format!(
        "cannot use the database `{template}`: it belongs to `mallory`, and ptest connects as `postgres`"
    ));
    outcome.says(&format!("ALTER DATABASE \"{template}\" RENAME TO")).says("PTEST_DATABASE_URL=own");

    // A slot of ptest's own is not used either, as long as nothing proves it.
    superuser.batch_execute(&format!("create database {family}0")).unwrap();
    run(&server, "postgres", &package, &["select 1"]).failed().says("belongs to `mallory`");

    // What another has of the same schema is no matter: each user has databases of its own.
    run(&server, "maker", &package, &["select 1"]).passed();
}

#[test]
fn a_database_that_ptest_has_not_marked_is_no_template() {
    let server = start();
    let package = package();
    let family = family(&server, "maker", &package);
    let mut superuser = server.connect_to("postgres").unwrap();
    superuser.batch_execute(&format!("comment on database {family}template is 'mine'")).unwrap();
    superuser.batch_execute(&format!("drop database {family}0")).unwrap();
    let outcome = run(&server, "maker", &package, &["select 1"]);
    outcome.failed().says(&format!("cannot use the database `{family}template`: it is not marked as ptest's"));
}

#[test]
fn a_spare_of_another_user_is_not_taken_and_nothing_of_another_user_is_dropped() {
    let server = start();
    let own =
        Package::new(&[("migrations/1_item.sql", "create table public.item (id int); create table public.own ();")]);
    for user in ["postgres", "maker"] {
        let first = tests_of_their_own(&server, user, &own).answers().concat();
        // A superuser gets a slot that is put back in place, others a clone of their own.
        let kind = ["warm_", "used_"].into_iter().find(|kind| first.contains(kind));
        let kind = kind.unwrap_or_else(|| panic!("{first}"));
        let family = first.rsplit_once(kind).unwrap().0.to_owned();
        let mut theirs = mallory(&server, "app");
        for rest in
            ["spare_000000000000000a", "used_000000000000000b", "claimed_000000000000000c", "used_000000000000000d"]
                .into_iter()
                .chain([
                    "used_000000000000000e",
                    "used_000000000000000f",
                    "used_0000000000000010",
                    "used_0000000000000011",
                ])
                .chain(["build_1_2", "detached_1f", "kept_0000000000000001", "7", "warm_1"])
        {
            theirs.batch_execute(&format!("create database {family}{rest}")).unwrap();
            let mark = if rest.starts_with("kept") { "kept by ptest for a day" } else { "template of ptest 0.1.0" };
            theirs.batch_execute(&format!("comment on database {family}{rest} is '{mark}'")).unwrap();
        }
        let before = of_mallory(&server);
        for _ in 0..3 {
            let outcome = tests_of_their_own(&server, user, &own);
            let name = outcome.answers().concat();
            assert!(!name.ends_with("000000000000000a"), "{user}: {name}");
        }
        assert_eq!(of_mallory(&server), before);
    }
}

/// A run of a test with `isolation = "database"`, on this server.
fn tests_of_their_own(server: &ScratchServer, user: &str, package: &Package) -> Outcome {
    let outcome = Rerun::test("servers::shared::tells_its_own_database").package(package);
    let outcome = outcome.env("PTEST_DATABASE_URL", server.tcp(user)).run();
    outcome.passed();
    outcome
}

#[ptest::db_test(isolation = "database")]
#[ignore = "run by other tests, of packages of theirs"]
async fn tells_its_own_database(pool: sqlx::PgPool) -> sqlx::Result<()> {
    // Ownership of the clone shows that it is ptest's.
    let sql = "select current_database() || case when pg_get_userbyid(datdba) = current_user then '' else ' of another' end \
               from pg_database where datname = current_database()";
    println!("\nanswer: {}", sqlx::query_scalar::<_, String>(sql).fetch_one(&pool).await?);
    sqlx::query("insert into item values (1)").execute(&pool).await?;
    Ok(())
}

/// The databases of mallory's, with what can be changed of them.
fn of_mallory(server: &ScratchServer) -> Vec<String> {
    let sql = "select concat_ws(' ', datname, datallowconn, datconnlimit, datistemplate, datacl::text, \
                 shobj_description(oid, 'pg_database'), (select setconfig::text from pg_db_role_setting where setdatabase = oid)) \
               from pg_database where datdba = 'mallory'::regrole order by datname";
    server.superuser().query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// Numbers of processes come again, and can be foreseen: what another user has made of such a name is no matter.
#[test]
fn names_in_folders_of_all_users_are_not_foreseen() {
    let shared = tempfile::tempdir().unwrap();
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let next = std::process::Command::new("true").spawn().map(|mut child| (child.id(), child.wait())).unwrap().0;
    for number in next..next + 5000 {
        let folder = shared.path().join(format!("ptest-{number}"));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let outcome = Rerun::test(ANSWERS).package(&Package::new(&[])).statements(&["select 1"]);
    assert_eq!(outcome.env("TMPDIR", shared.path()).run().passed().answers(), ["1"]);
    for number in next..next + 5000 {
        let folder = shared.path().join(format!("ptest-{number}"));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "{}", folder.display());
    }
}

#[test]
fn settings_of_the_maintenance_database_are_not_followed() {
    let server = start();
    // As it is for everybody up to PostgreSQL 14.
    let mut postgres = server.connect_to("postgres").unwrap();
    postgres.batch_execute("grant create on schema public to public").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let trap = folder.path().join("trap");
    let functions = format!(
        "create function public.\"right\"(a name, b int) returns text language plpgsql as
           $$ begin if (select rolsuper from pg_roles where rolname operator(pg_catalog.=) session_user) then
                execute 'copy (select 1) to program ''touch {}'''; end if;
              return pg_catalog.right(a::text, b); end $$",
        trap.display()
    );
    mallory(&server, "postgres").batch_execute(&functions).unwrap();
    let own =
        Package::new(&[("migrations/1_item.sql", "create table public.item (id int); create table public.two ();")]);
    tests_of_their_own(&server, "postgres", &own);
    tests_of_their_own(&server, "postgres", &own);
    assert!(!trap.exists(), "a function that another user has made was called");
}
