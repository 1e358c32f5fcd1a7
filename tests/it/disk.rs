//! A disk that is full: the error says so, nothing is lost, and what was begun is not left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ptest::TestDatabase;
use tempfile::TempDir;

use crate::package::Package;
use crate::rerun::Rerun;
use crate::scratch_server::{ScratchServer, unprivileged};

/// A new folder in which a server can keep a tablespace.
fn folder_inside(parent: &Path) -> PathBuf {
    fs::set_permissions(parent, fs::Permissions::from_mode(0o777)).unwrap();
    let folder = parent.join("space");
    assert!(unprivileged(Path::new("mkdir")).arg(&folder).status().unwrap().success());
    folder
}

/// A small file system, and a server that makes its databases there.
struct SmallDisk {
    server: Option<ScratchServer>,
    folder: TempDir,
}

impl SmallDisk {
    /// Of so many megabytes, of which a new database takes more than seven; `None` where this user may not mount.
    fn new(megabytes: u32) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m,mode=777");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).stderr(Stdio::null());
        if !mount.status().is_ok_and(|status| status.success()) {
            println!("skipped: this user may not mount a file system");
            return None;
        }
        let mut disk = SmallDisk { server: None, folder };
        let space = folder_inside(disk.folder.path());
        // New databases are where `template1` is.
        let sql = format!("create tablespace small location '{}'", space.display());
        let server = ScratchServer::start("", &sql);
        let mut superuser = server.connect_to("postgres").unwrap();
        superuser.batch_execute("alter database template1 set tablespace small").unwrap();
        disk.server = Some(server);
        Some(disk)
    }

    fn test(&self, name: &str, package: &Package) -> Rerun {
        let url = self.server().tcp("postgres").replace("/app", "/postgres");
        Rerun::test(&format!("disk::inner::{name}")).package(package).env("PTEST_DATABASE_URL", url)
    }

    fn server(&self) -> &ScratchServer {
        self.server.as_ref().unwrap()
    }

    fn databases(&self) -> usize {
        self.server().databases().iter().filter(|name| name.starts_with("ptest_")).count()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.server = None;
        let _ = Command::new("umount").arg(self.folder.path()).status();
    }
}

#[test]
fn full_while_a_slot_is_cloned() {
    let Some(disk) = SmallDisk::new(26) else { return };
    let package = Package::new(&[("migrations/1_a.sql", "create table a ();")]);
    let go = package.path().join("go");
    let mut first = disk.test("waits", &package).env("PTEST_IT_GO", &go).start();
    let name = first.wait_for("leased ");
    assert_eq!(disk.databases(), 2);

    for _ in 0..2 {
        let outcome = disk.test("waits", &package).env("PTEST_IT_GO", &go).run();
        outcome.failed().says("No space left on device (SQLSTATE 53100)").says("help: free disk space on the server");
        outcome.says("cannot clone the template into `ptest_").never_says("leased");
        assert_eq!(disk.databases(), 2, "{:?}", disk.server().databases());
    }
    std::fs::write(&go, "").unwrap();
    first.finish().passed();
    let again = disk.test("waits", &package).env("PTEST_IT_GO", &go).run();
    assert_eq!(again.passed().lines("leased "), [name]);
}

#[test]
fn full_while_the_template_is_made() {
    let Some(disk) = SmallDisk::new(9) else { return };
    let package = Package::new(&[("migrations/1_a.sql", "create table a ();")]);
    let outcome = disk.test("waits", &package).env("PTEST_IT_GO", "/").run();
    outcome
        .failed()
        .says("cannot build the template")
        .says("(SQLSTATE 53100)")
        .says("help: free disk space on the server");
    assert_eq!(disk.databases(), 0);
}

#[test]
fn full_while_it_is_migrated() {
    let Some(disk) = SmallDisk::new(18) else { return };
    let sql = "create table a (n int, filler text);\n\ninsert into a select n, repeat(n::text, 100) from generate_series(1, 100000) n;";
    let package = Package::new(&[("migrations/1_a.sql", sql)]);
    let outcome = disk.test("waits", &package).env("PTEST_IT_GO", "/").run();
    outcome
        .failed()
        .says("1_a.sql fails at line 3")
        .says("(SQLSTATE 53100)")
        .says("help: free disk space on the server");
    assert_eq!(disk.databases(), 0);
}

mod inner {
    use super::*;

    #[ptest::db_test]
    #[ignore = "run by another test"]
    async fn waits(database: TestDatabase) {
        println!("leased {}", database.name());
        let go = std::env::var_os("PTEST_IT_GO").unwrap();
        while !Path::new(&go).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
