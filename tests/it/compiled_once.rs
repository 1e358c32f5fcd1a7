//! `cargo test` compiles nothing again that `cargo build` has compiled: ptest turns on no feature of a shared crate.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::package::Package;

/// The crates of a package, each with its version and features, along these edges.
fn crates(package: &Package, edges: &str) -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--offline", "--prefix", "none", "--no-dedupe", "-f", "{p} {f}", "-e", edges]);
    let output = tree.current_dir(package.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A project on a driver, which has ptest as a dev-dependency; `but` names crates that are compiled again.
#[track_caller]
fn compiles_once(dependencies: &str, feature: &str, but: &[&str]) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = format!(
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n{dependencies}\n\
         [dev-dependencies]\nptest = {{ path = {workspace:?}, default-features = false, features = [\"{feature}\"] }}\n"
    );
    let package = Package::new(&[("Cargo.toml", &manifest), ("src/lib.rs", "")]);
    // The versions that have been downloaded for the workspace.
    std::fs::copy(workspace.join("Cargo.lock"), package.path().join("Cargo.lock")).unwrap();

    let built = crates(&package, "normal,no-proc-macro");
    let tested = crates(&package, "normal,dev,no-proc-macro");
    assert!(built.len() > 10 && tested.iter().any(|name| name.starts_with("ptest-runtime ")), "{built:#?}");
    let known = |name: &&String| but.contains(&name.split(' ').next().unwrap());
    let again: Vec<&String> = built.difference(&tested).filter(|name| !known(name)).collect();
    assert!(again.is_empty(), "compiled again, with other features:\n{again:#?}");
}

/// `std` of rustix, which passes descriptors to the helper, turns on that of `bitflags`, on which sqlx-postgres depends.
#[test]
fn sqlx_on_postgres() {
    let sqlx =
        r#"sqlx = { version = "0.9", default-features = false, features = ["postgres", "runtime-tokio", "migrate"] }"#;
    compiles_once(sqlx, "sqlx-postgres", &["bitflags"]);
}

#[test]
fn sqlx_on_sqlite() {
    let sqlx =
        r#"sqlx = { version = "0.9", default-features = false, features = ["sqlite", "runtime-tokio", "migrate"] }"#;
    compiles_once(sqlx, "sqlx-sqlite", &[]);
}

/// A project on one of these drivers has a tokio with a runtime. `url` brings `idna`, which turns on a feature of `smallvec`.
#[track_caller]
fn driver_compiles_once(driver: &str, feature: &str) {
    let dependencies = format!("{driver}\ntokio = {{ version = \"1\", features = [\"rt\"] }}");
    compiles_once(&dependencies, feature, &["smallvec"]);
}

#[test]
fn tokio_postgres() {
    driver_compiles_once("tokio-postgres = \"0.7\"", "tokio-postgres");
}

#[test]
fn deadpool_postgres() {
    driver_compiles_once("deadpool-postgres = \"0.14\"", "deadpool-postgres");
}
