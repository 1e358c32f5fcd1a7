//! Two packages of a workspace, with and without sqlx, on one folder of migrations: whoever comes first makes the template.

use std::path::Path;
use std::process::Command;

use crate::package::Package;

const WITH: &str = r#"
#[ptest::db_test(migrations = "../migrations")]
async fn shared(pool: sqlx::PgPool) {
    let migrator = sqlx::migrate::Migrator::new(std::path::Path::new("../migrations")).await.unwrap();
    migrator.run(&pool).await.unwrap();
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&pool).await.unwrap();
    println!("database {name}");
}
"#;

const WITHOUT: &str = r#"
#[ptest::db_test(migrations = "../migrations")]
async fn shared(client: tokio_postgres::Client) {
    let row = client.query_one("select current_database()::text, (select count(*) from _sqlx_migrations)", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(1), 2);
    println!("database {}", row.get::<_, String>(0));
}
"#;

fn manifest(name: &str, features: &str, driver: &str) -> String {
    let ptest = env!("CARGO_MANIFEST_DIR");
    format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\n[dev-dependencies]\n{driver}\n\
         ptest = {{ path = \"{ptest}\", default-features = false, features = [\"{features}\"] }}\n"
    )
}

#[test]
#[ignore = "builds ptest twice, with other features"]
fn packages_with_other_features_share_a_template() {
    let sqlx = "sqlx = { version = \"0.9\", default-features = false, features = [\"postgres\", \"runtime-tokio\", \"migrate\"] }";
    let workspace = Package::new(&[
        ("Cargo.toml", "[workspace]\nmembers = [\"with\", \"without\"]\nresolver = \"3\"\n"),
        ("with/Cargo.toml", &manifest("with", "sqlx-postgres", sqlx)),
        ("with/src/lib.rs", ""),
        ("with/tests/shared.rs", WITH),
        ("without/Cargo.toml", &manifest("without", "tokio-postgres", "tokio-postgres = \"0.7\"")),
        ("without/src/lib.rs", ""),
        ("without/tests/shared.rs", WITHOUT),
        ("migrations/2_index.sql", "-- no-transaction\ncreate index concurrently on shared (n);"),
    ]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(root.join("Cargo.lock"), workspace.path().join("Cargo.lock")).unwrap();
    for order in [["with", "without"], ["without", "with"]] {
        // Another one each time, so that a template is built.
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        workspace.write("migrations/1_shared.sql", &format!("create table shared (n int); -- {now}"));
        let [first, second] = order.map(|package| run(&workspace, root, package));
        assert!(first.contains("built the template"), "{first}");
        assert!(!second.contains("built the template"), "{second}");
        assert_eq!(family(&first), family(&second), "{first}\n{second}");
    }
}

fn run(workspace: &Package, root: &Path, package: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["test", "--offline", "--package", package, "--test", "shared", "--", "--nocapture"])
        .current_dir(workspace.path())
        .env("CARGO_TARGET_DIR", root.join("target/features"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text.into_owned()
}

/// What the names of a template's clones begin with.
fn family(text: &str) -> &str {
    let name = text.lines().find_map(|line| line.split_once("database ptest_")).unwrap().1;
    name.split_once('_').unwrap().0
}
