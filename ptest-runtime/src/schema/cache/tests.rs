use std::cell::Cell;
use std::convert::Infallible;
use std::fs::{File, FileTimes};
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;

/// A folder of migrations with a cache that was filled long after the last change, as far as the cache knows.
struct Folder {
    root: TempDir,
    dir: PathBuf,
}

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("migrations");
        fs::create_dir(&dir).unwrap();
        let folder = Folder { root, dir };
        for (name, text) in files {
            let path = folder.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn schema(&self) -> super::Folder {
        schema_folder(&self.dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn cache(&self) -> PathBuf {
        self.root.path().join("target/ptest/fingerprints")
    }

    fn cache_file(&self) -> PathBuf {
        self.cache().join(file_name(&self.dir))
    }

    /// Whether a fetch at a time computes; where not, it answers what was computed before.
    fn computes_at(&self, now: SystemTime) -> bool {
        let computed = Cell::new(false);
        let compute = || {
            computed.set(true);
            Ok::<_, Infallible>(self.fingerprint())
        };
        let answer = fetch(&self.schema(), &self.cache(), now, compute).unwrap();
        assert_eq!(answer, self.fingerprint(), "a wrong fingerprint from the cache");
        computed.get()
    }

    fn computes(&self) -> bool {
        self.computes_at(later())
    }

    /// What all names and contents below say now.
    fn fingerprint(&self) -> Fingerprint {
        let mut parts = Vec::new();
        gather(&self.dir, &mut parts);
        parts.sort();
        {
            let mut all = super::super::fingerprint::Parts::new("test");
            parts.iter().for_each(|part| all.add(part));
            all.fingerprint()
        }
    }

    /// Waits until a change gets a time that no file here has yet, as two seconds would for any file system.
    fn tick(&self) {
        let probe = self.root.path().join("probe");
        fs::write(&probe, "").unwrap();
        let before = change_time(&probe);
        while change_time(&probe) == before {
            std::thread::sleep(Duration::from_millis(1));
            fs::write(&probe, "x").unwrap();
        }
    }

    /// Fills the cache, sees that it is used, changes something, and sees that it is not used until it is filled again.
    fn sees(&self, change: impl FnOnce(&Folder)) {
        self.computes();
        assert!(!self.computes(), "nothing changed");
        self.tick();
        change(self);
        assert!(self.computes(), "the change was not seen");
        assert!(!self.computes(), "nothing changed since");
    }
}

fn schema_folder(dir: &Path) -> super::Folder {
    super::Folder { path: dir.to_owned(), tool: None, sqlx: Default::default() }
}

fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(60)
}

fn change_time(path: &Path) -> (i64, i64) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.ctime(), metadata.ctime_nsec())
}

fn gather(dir: &Path, parts: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, parts);
        } else {
            let text = fs::read(&path).unwrap_or_default();
            parts.push([path.as_os_str().as_encoded_bytes(), b"\0", &text].concat());
        }
    }
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

fn set_modified(path: &Path, time: SystemTime) {
    File::options().append(true).open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
}

const TWO: &[(&str, &str)] = &[("1_a.sql", "select 1"), ("2_b.sql", "select 2")];

#[test]
fn unchanged_is_not_computed_again() {
    let folder = Folder::new(TWO);
    assert!(folder.computes());
    for _ in 0..3 {
        assert!(!folder.computes());
    }
}

#[test]
fn an_edit_is_seen() {
    Folder::new(TWO).sees(|folder| fs::write(folder.path("1_a.sql"), "select 1, 2").unwrap());
}

#[test]
fn an_edit_of_the_same_size_is_seen() {
    Folder::new(TWO).sees(|folder| fs::write(folder.path("1_a.sql"), "select 9").unwrap());
}

#[test]
fn an_edit_with_its_time_put_back_is_seen() {
    Folder::new(TWO).sees(|folder| {
        let path = folder.path("1_a.sql");
        let before = modified(&path);
        fs::write(&path, "select 9").unwrap();
        set_modified(&path, before);
        assert_eq!(modified(&path), before);
    });
}

#[test]
fn a_swap_is_seen() {
    Folder::new(TWO).sees(|folder| {
        let (a, b) = (folder.path("1_a.sql"), folder.path("2_b.sql"));
        let aside = folder.root.path().join("aside");
        fs::rename(&a, &aside).unwrap();
        fs::rename(&b, &a).unwrap();
        fs::rename(&aside, &b).unwrap();
    });
}

#[test]
fn another_file_of_the_same_size_and_time_is_seen() {
    Folder::new(TWO).sees(|folder| {
        let (path, other) = (folder.path("1_a.sql"), folder.root.path().join("other"));
        fs::write(&other, "select 9").unwrap();
        set_modified(&other, modified(&path));
        fs::rename(&other, &path).unwrap();
    });
}

#[test]
fn a_new_name_is_seen() {
    Folder::new(TWO).sees(|folder| fs::rename(folder.path("2_b.sql"), folder.path("3_b.sql")).unwrap());
}

#[test]
fn an_added_file_is_seen() {
    Folder::new(TWO).sees(|folder| fs::write(folder.path("3_c.sql"), "").unwrap());
}

#[test]
fn a_removed_file_is_seen() {
    Folder::new(TWO).sees(|folder| fs::remove_file(folder.path("2_b.sql")).unwrap());
}

#[test]
fn a_touch_is_seen() {
    Folder::new(TWO).sees(|folder| set_modified(&folder.path("2_b.sql"), SystemTime::now()));
}

/// Else a file that comes and goes while the others are read would leave its fingerprint behind.
#[test]
fn a_file_that_was_there_for_a_moment_is_seen() {
    Folder::new(TWO).sees(|folder| {
        fs::write(folder.path("3_c.sql"), "").unwrap();
        fs::remove_file(folder.path("3_c.sql")).unwrap();
    });
}

#[test]
fn a_change_while_the_files_are_read_is_seen() {
    let edit = |folder: &Folder| fs::write(folder.path("1_a/up.sql"), "select 9").unwrap();
    let add = |folder: &Folder| fs::write(folder.path("2_b.sql"), "").unwrap();
    let come_and_go = |folder: &Folder| {
        fs::write(folder.path("1_a/metadata.toml"), "").unwrap();
        fs::remove_file(folder.path("1_a/metadata.toml")).unwrap();
    };
    let changes: [&dyn Fn(&Folder); 3] = [&edit, &add, &come_and_go];
    for (index, change) in changes.into_iter().enumerate() {
        let folder = Folder::new(&[("1_a/up.sql", "select 1")]);
        folder.tick();
        let compute = || {
            change(&folder);
            Ok::<_, Infallible>(folder.fingerprint())
        };
        fetch(&folder.schema(), &folder.cache(), later(), compute).unwrap();
        assert!(folder.computes(), "change {index}");
    }
}

#[test]
fn another_folder_in_its_place_is_seen() {
    Folder::new(TWO).sees(|folder| {
        fs::rename(&folder.dir, folder.root.path().join("old")).unwrap();
        fs::create_dir(&folder.dir).unwrap();
        fs::write(folder.path("1_a.sql"), "select 1").unwrap();
        fs::write(folder.path("2_b.sql"), "select 9").unwrap();
    });
}

#[test]
fn changes_in_inner_folders_are_seen() {
    let diesel = || Folder::new(&[("1_a/up.sql", "select 1"), ("1_a/down.sql", ""), ("2_b/up.sql", "select 2")]);
    diesel().sees(|folder| fs::write(folder.path("1_a/up.sql"), "select 9").unwrap());
    diesel().sees(|folder| fs::write(folder.path("1_a/metadata.toml"), "run_in_transaction = false").unwrap());
    diesel().sees(|folder| fs::remove_file(folder.path("2_b/up.sql")).unwrap());
    diesel().sees(|folder| fs::rename(folder.path("2_b"), folder.path("3_b")).unwrap());

    let folder = Folder::new(&[("1_a/up.sql", ""), ("1_a/metadata.toml", "run_in_transaction = false")]);
    folder.sees(|folder| fs::write(folder.path("1_a/metadata.toml"), "run_in_transaction = true ").unwrap());
}

#[test]
fn changes_behind_links_are_seen() {
    let folder = Folder::new(&[("1_a.sql", "select 1")]);
    let (real, other) = (folder.root.path().join("real.sql"), folder.root.path().join("other.sql"));
    fs::write(&real, "select 2").unwrap();
    fs::write(&other, "select 3").unwrap();
    symlink(&real, folder.path("2_b.sql")).unwrap();
    folder.sees(|_| fs::write(&real, "select 9").unwrap());
    // The link in the folder stays what it is; what it leads to becomes another link.
    folder.sees(|_| {
        fs::remove_file(&real).unwrap();
        symlink(&other, &real).unwrap();
    });
    folder.sees(|_| fs::remove_file(&other).unwrap());

    let folder = Folder::new(&[("1_a/up.sql", "select 1")]);
    let real = folder.root.path().join("real");
    fs::create_dir(&real).unwrap();
    fs::write(real.join("up.sql"), "select 2").unwrap();
    symlink(&real, folder.path("2_b")).unwrap();
    folder.sees(|_| fs::write(real.join("up.sql"), "select 9").unwrap());
}

#[test]
fn what_changed_just_now_is_not_cached() {
    let folder = Folder::new(TWO);
    for _ in 0..2 {
        assert!(folder.computes_at(SystemTime::now()));
    }
    assert!(!folder.cache_file().exists());

    // The same at the edge: two seconds after the newest of all.
    let newest = [&folder.dir, &folder.path("1_a.sql"), &folder.path("2_b.sql")].map(|path| change_time(path).0);
    let newest = UNIX_EPOCH + Duration::from_secs(*newest.iter().max().unwrap() as u64);
    assert!(folder.computes_at(newest + Duration::from_millis(2_999)));
    assert!(!folder.cache_file().exists());
    assert!(folder.computes_at(newest + Duration::from_millis(3_000)));
    assert!(!folder.computes_at(newest));
}

#[test]
fn a_time_in_the_future_is_not_cached() {
    let folder = Folder::new(TWO);
    set_modified(&folder.path("1_a.sql"), later() + Duration::from_secs(60));
    for _ in 0..2 {
        assert!(folder.computes());
    }
}

#[test]
fn a_damaged_cache_is_ignored() {
    let folder = Folder::new(TWO);
    folder.computes();
    let good = fs::read(folder.cache_file()).unwrap();
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 1;
        fs::write(folder.cache_file(), &bad).unwrap();
        assert!(folder.computes(), "byte {index} of {}", good.len());
        assert_eq!(fs::read(folder.cache_file()).unwrap(), good);
    }
    for length in [0, 1, LENGTH, 2 * LENGTH, good.len() - LENGTH, good.len() - 1] {
        fs::write(folder.cache_file(), &good[..length]).unwrap();
        assert!(folder.computes(), "{length} of {} bytes", good.len());
    }
    fs::write(folder.cache_file(), [&good[..], b"x"].concat()).unwrap();
    assert!(folder.computes());

    fs::remove_file(folder.cache_file()).unwrap();
    fs::create_dir(folder.cache_file()).unwrap();
    assert!(folder.computes());
    assert_eq!(fs::read_dir(folder.cache()).unwrap().count(), 1, "a temporary file was left");
}

#[test]
fn without_a_cache_the_files_are_read() {
    let folder = Folder::new(TWO);
    // A file where a folder should be; as root, no folder is read-only.
    fs::create_dir_all(folder.cache().parent().unwrap()).unwrap();
    fs::write(folder.cache(), "").unwrap();
    for _ in 0..2 {
        assert!(folder.computes());
    }
}

#[test]
fn an_error_is_not_cached() {
    let folder = Folder::new(TWO);
    let failed = fetch(&folder.schema(), &folder.cache(), later(), || Err("broken"));
    assert_eq!(failed, Err("broken"));
    assert!(!folder.cache_file().exists());
    let missing = folder.root.path().join("missing");
    assert_eq!(fetch(&schema_folder(&missing), &folder.cache(), later(), || Err("missing")), Err("missing"));
}

#[test]
fn two_folders_with_one_name_in_the_cache_are_told_apart() {
    let (a, b) = (Folder::new(TWO), Folder::new(&[("1_a.sql", "select 9")]));
    a.computes();
    fs::create_dir_all(b.cache()).unwrap();
    fs::copy(a.cache_file(), b.cache_file()).unwrap();
    assert!(b.computes());
}

#[test]
fn racing_writers_leave_a_whole_file() {
    let folder = Folder::new(TWO);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    folder.computes();
                    let _ = fs::remove_file(folder.cache_file());
                }
            });
        }
    });
    folder.computes();
    assert!(!folder.computes());
    assert_eq!(fs::read_dir(folder.cache()).unwrap().count(), 1, "a temporary file was left");
}

/// Prints what a hit costs: `cargo test -p ptest-runtime cost_of_a_hit -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_hit() {
    for layout in ["sqlx", "diesel"] {
        for count in [10, 200] {
            let name = |index: usize| match layout {
                "sqlx" => format!("202401311200{index:04}_create_table_of_things.sql"),
                _ => format!("2024-01-31-12{index:04}_create_table_of_things/up.sql"),
            };
            let names: Vec<_> = (0..count).map(name).collect();
            let text = "create table things (id bigint primary key, name text not null);\n".repeat(30);
            let files: Vec<_> = names.iter().map(|name| (name.as_str(), text.as_str())).collect();
            let folder = Folder::new(&files);
            let source = folder.schema();
            let target = folder.root.path().join("target/ptest");
            let expected = Fingerprint::of_folder(&source, &target).unwrap();

            let measure = |runs: usize| {
                let mut times: Vec<_> = (0..runs)
                    .map(|_| {
                        let start = Instant::now();
                        assert_eq!(Fingerprint::of_folder(&source, &target).unwrap(), expected);
                        start.elapsed()
                    })
                    .collect();
                times.sort();
                (times[0], times[runs / 2])
            };
            let (_, miss) = measure(5);
            std::thread::sleep(Duration::from_secs(4));
            Fingerprint::of_folder(&source, &target).unwrap();
            assert!(folder.cache_file().exists());
            let (best, median) = measure(1000);
            println!("{layout}, {count} migrations: hit {median:?} (best {best:?}), miss {miss:?}");
        }
    }
}
