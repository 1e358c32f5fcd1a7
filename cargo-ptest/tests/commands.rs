//! The commands, as a user runs them, in a crate of their own with a server of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A crate with one migration.
struct Project(TempDir);

impl Project {
    fn new() -> Project {
        let project = Project(TempDir::new().unwrap());
        project
            .write("Cargo.toml", "[package]\nname = \"app\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n");
        project.write("src/lib.rs", "");
        project.write("migrations/1_users.sql", "CREATE TABLE users (name text NOT NULL);");
        project
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs `cargo ptest` as Cargo does.
    fn ptest(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-ptest"));
        command.arg("ptest").args(arguments).current_dir(self.path());
        for variable in
            ["CARGO_TARGET_DIR", "CARGO_MANIFEST_DIR", "DATABASE_URL", "PTEST_DATA_DIR", "PTEST_IDLE_TIMEOUT"]
        {
            command.env_remove(variable);
        }
        command.env("PTEST_DATABASE_URL", "own").output().unwrap()
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.ptest(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.ptest(&["stop"]);
    }
}

#[test]
fn a_command_runs_with_a_migrated_database_and_its_exit_code_counts() {
    let project = Project::new();
    let insert = r#"psql -XAtqc "insert into users values ('ada'); select count(*) from users" "$DATABASE_URL""#;
    for _ in 0..2 {
        assert_eq!(project.succeeds(&["run", "--", "sh", "-c", insert]), "1\n", "what the run before left is gone");
    }
    assert_eq!(project.ptest(&["run", "--", "sh", "-c", "exit 3"]).status.code(), Some(3));
    assert_eq!(project.ptest(&["run", "--", "no-such-command"]).status.code(), Some(127));

    project.write("migrations/2_broken.sql", "CREATE TABEL x ();");
    let broken = project.ptest(&["run", "--", "true"]);
    assert_eq!(broken.status.code(), Some(1));
    let said = String::from_utf8(broken.stderr).unwrap();
    assert!(said.contains("2_broken.sql") && said.contains("42601"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn the_schema_is_printed_and_compared() {
    let project = Project::new();
    let schema = project.succeeds(&["schema"]);
    assert!(schema.contains("CREATE TABLE public.users"), "{schema}");
    project.write("schema.sql", &schema);
    project.succeeds(&["schema", "--check", "schema.sql"]);

    project.write("migrations/2_more.sql", "ALTER TABLE users ADD COLUMN age int;");
    let differs = project.ptest(&["schema", "--check", "schema.sql"]);
    assert_eq!(differs.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&differs.stderr).contains("+     name text NOT NULL,"), "{differs:?}");
}

#[test]
fn the_server_is_shown_cleaned_and_stopped() {
    let project = Project::new();
    assert!(project.succeeds(&["status"]).contains("does not run"));
    assert_eq!(project.succeeds(&["status", "--json"]), "null\n");
    project.succeeds(&["run", "--", "true"]);

    let status = project.succeeds(&["status"]);
    assert!(status.contains("_template") && status.contains("ptest's own server"), "{status}");
    let cleaned = project.succeeds(&["clean"]);
    assert!(cleaned.contains("_template") && cleaned.contains("0 are in use"), "{cleaned}");
    assert!(project.succeeds(&["status"]).contains("0 databases of ptest"));

    assert_eq!(project.succeeds(&["stop"]), "stopped\n");
    assert!(project.succeeds(&["status"]).contains("does not run"));
    assert_eq!(project.succeeds(&["stop"]), "it does not run\n");
}

#[test]
fn a_server_that_a_command_uses_is_not_stopped() {
    let project = Project::new();
    let stop = format!("{} stop", env!("CARGO_BIN_EXE_cargo-ptest"));
    let stopped = project.ptest(&["run", "--", "sh", "-c", &stop]);
    assert_eq!(stopped.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&stopped.stderr).contains("a test uses the server"), "{stopped:?}");
}

#[test]
fn what_is_kept_is_listed_and_opened() {
    let project = Project::new();
    assert!(project.succeeds(&["kept"]).contains("nothing is kept"));
    assert_eq!(project.ptest(&["psql"]).status.code(), Some(1));
    project.write("target/ptest/kept/one.txt", "app::tests::pays\necho opened pays\n");
    project.write("target/ptest/kept/two.txt", "app::tests::logs_in\necho opened logs_in\n");

    assert!(project.succeeds(&["kept"]).contains("app::tests::pays"));
    assert!(project.succeeds(&["kept", "--json"]).contains(r#""test":"app::tests::logs_in""#));
    assert_eq!(project.succeeds(&["psql", "pays"]), "opened pays\n");
    let other = project.ptest(&["psql", "refunds"]);
    assert!(String::from_utf8_lossy(&other.stderr).contains("`refunds`"), "{other:?}");
}

#[test]
fn the_doctor_says_what_is_wrong() {
    let project = Project::new();
    let fine = project.succeeds(&["doctor"]);
    assert!(fine.lines().all(|line| line.starts_with("ok ")), "{fine}");

    project.write("migrations/2_broken.sql", "CREATE TABEL x ();");
    let output = project.ptest(&["doctor"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("FAIL migrations"), "{output:?}");
}
