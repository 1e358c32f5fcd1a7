//! Real databases on the server that the environment names, each test with a fingerprint of its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::family::{Family, Kind, Note};
use super::{UNUSED, drop_left, sweep};
use crate::config::Config;
use crate::pg::server::{self, Address, Admin, Connection, quote_ident, quote_literal};
use crate::pg::template::{KEPT_MARK, MARK};

const WEEK: Duration = UNUSED;

/// A fingerprint, and the databases that a test makes with it.
struct Server {
    admin: Admin,
    address: Address,
    fingerprint: String,
}

impl Server {
    async fn open() -> Server {
        let config = Config::get().unwrap();
        let (found, _) = server::find(config, &config.server).unwrap();
        let (address, admin) = match Admin::open(&found).await {
            Ok(admin) => (found, admin),
            Err(error) => {
                let revived = server::revive(config, &config.server).unwrap().unwrap_or_else(|| panic!("{error:?}"));
                let admin = Admin::open(&revived).await.unwrap();
                (revived, admin)
            }
        };
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        Server { admin, address, fingerprint: format!("{nanos:016x}") }
    }

    fn name(&self, rest: &str) -> String {
        format!("ptest_{}_{rest}", self.fingerprint)
    }

    async fn create(&mut self, rest: &str) {
        let sql = format!("CREATE DATABASE {}", quote_ident(&self.name(rest)));
        self.admin.run(&sql).await.unwrap();
    }

    /// A template as ptest makes it.
    async fn template(&mut self) {
        self.create("template").await;
        self.comment(MARK).await;
        let name = quote_ident(&self.name("template"));
        let sql = format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true");
        self.admin.run(&sql).await.unwrap();
    }

    async fn comment(&mut self, text: &str) {
        self.comment_on("template", text).await;
    }

    async fn comment_on(&mut self, rest: &str, text: &str) {
        let name = quote_ident(&self.name(rest));
        self.admin.run(&format!("COMMENT ON DATABASE {name} IS {}", quote_literal(text))).await.unwrap();
    }

    async fn connect(&self, rest: &str) -> Connection {
        Connection::open(&self.address, &self.name(rest), &[]).await.unwrap()
    }

    async fn sweep(&mut self, unused: Duration) {
        let fingerprint = self.fingerprint.clone();
        sweep(&mut self.admin, &fingerprint, unused).await.unwrap();
    }

    /// What there is, without the names' common part.
    async fn left(&mut self) -> Vec<String> {
        let like = quote_literal(&format!("%{}%", self.fingerprint));
        let sql = format!("SELECT datname FROM pg_database WHERE datname LIKE {like} ORDER BY datname");
        let names = self.admin.run(&sql).await.unwrap().into_iter().flatten().flatten();
        let prefix = self.name("");
        names.map(|name| name.strip_prefix(&prefix).unwrap_or(&name).to_owned()).collect()
    }

    async fn clear(mut self) {
        for rest in self.left().await {
            let name = if rest.contains(&self.fingerprint) { rest } else { self.name(&rest) };
            let name = quote_ident(&name);
            self.admin.run(&format!("ALTER DATABASE {name} IS_TEMPLATE false")).await.unwrap();
            self.admin.run(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
        }
    }
}

#[track_caller]
fn run(test: impl AsyncFnOnce(&mut Server)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut server = Server::open().await;
        test(&mut server).await;
        server.clear().await;
    });
}

#[test]
fn one_that_cannot_be_dropped_keeps_no_other() {
    run(async |server| {
        server.template().await;
        for rest in ["used_000000000000001a", "used_000000000000001b", "used_000000000000001c"] {
            server.create(rest).await;
        }
        let stubborn = quote_ident(&server.name("used_000000000000001a"));
        server.admin.run(&format!("ALTER DATABASE {stubborn} IS_TEMPLATE true")).await.unwrap();
        server.sweep(WEEK).await;
        assert_eq!(server.left().await, ["template", "used_000000000000001a"]);
    });
}

#[test]
fn what_killed_tests_left_is_dropped_though_nobody_waits() {
    run(async |server| {
        server.template().await;
        for rest in ["0", "used_000000000000002a", "used_000000000000002b", "used_000000000000002c"] {
            server.create(rest).await;
        }
        for rest in ["used_000000000000002d", "spare_000000000000002e", "build_1f_2e"] {
            server.create(rest).await;
        }
        // Locked by its keeper; still open in somebody's hands.
        let mut keeper = Connection::open(&server.address, "postgres", &[]).await.unwrap();
        keeper.query("SELECT pg_advisory_lock(42)").await.unwrap();
        let client = server.connect("used_000000000000002b").await;
        drop_left(&server.address, &server.fingerprint).await.unwrap();

        let alive = ["0", "build_1f_2e", "spare_000000000000002e", "template"];
        let alive = [&alive[..], &["used_000000000000002a", "used_000000000000002b"]].concat();
        for _ in 0..1000 {
            if server.left().await.len() == alive.len() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(server.left().await, alive);
        keeper.close().await;
        client.close().await;
    });
}

#[test]
fn garbage_goes_and_what_is_alive_stays() {
    run(async |server| {
        server.template().await;
        for rest in ["0", "used_000000000000000a", "used_000000000000000b", "used_000000000000000c"] {
            server.create(rest).await;
        }
        for rest in ["spare_000000000000000d", "spare_000000000000000e", "build_1f_2e", "detached_1f"] {
            server.create(rest).await;
        }
        let closed = quote_ident(&server.name("spare_000000000000000e"));
        server.admin.run(&format!("ALTER DATABASE {closed} ALLOW_CONNECTIONS false")).await.unwrap();
        // Locked by its keeper; still open in somebody's hands.
        let mut keeper = Connection::open(&server.address, "postgres", &[]).await.unwrap();
        keeper.query("SELECT pg_advisory_lock(11)").await.unwrap();
        let client = server.connect("used_000000000000000c").await;

        server.sweep(WEEK).await;
        let alive = ["0", "spare_000000000000000d", "template", "used_000000000000000b", "used_000000000000000c"];
        assert_eq!(server.left().await, alive);

        keeper.close().await;
        client.close().await;
        server.sweep(WEEK).await;
        assert_eq!(server.left().await, ["0", "spare_000000000000000d", "template"]);
    });
}

#[test]
fn without_a_marked_template_nothing_is_proven() {
    run(async |server| {
        server.create("used_000000000000000a").await;
        server.create("0").await;
        for _ in 0..2 {
            server.sweep(Duration::ZERO).await;
        }
        assert_eq!(server.left().await.len(), 2, "no template");

        server.template().await;
        server.comment("somebody's own").await;
        for _ in 0..2 {
            server.sweep(Duration::ZERO).await;
        }
        assert_eq!(server.left().await.len(), 3, "no mark");
    });
}

/// Databases that another user has made, of every name and with every comment of ptest's.
#[test]
fn what_another_user_has_made_stays_and_proves_nothing() {
    run(async |server| {
        let role = format!("mallory_{}", server.fingerprint);
        server.admin.run(&format!("CREATE ROLE {role} CREATEDB")).await.unwrap();
        let micros = server.admin.now().await.unwrap();
        let kept = format!("kept_{:016x}", micros - 90_000 * 1_000_000);
        let theirs = [
            "0",
            "spare_000000000000000a",
            "used_000000000000000b",
            "claimed_000000000000000c",
            "build_1_2",
            "detached_1f",
            &kept,
        ];
        for rest in theirs {
            server.create(rest).await;
            server.comment_on(rest, if rest == kept { KEPT_MARK } else { MARK }).await;
            server
                .admin
                .run(&format!("ALTER DATABASE {} OWNER TO {role}", quote_ident(&server.name(rest))))
                .await
                .unwrap();
        }
        server.template().await;
        drop_left(&server.address, &server.fingerprint).await.unwrap();
        for _ in 0..2 {
            server.sweep(WEEK).await;
        }
        assert_eq!(server.left().await.len(), theirs.len() + 1, "they are another user's");

        // Nor does a template of theirs prove anything about the databases of ours.
        let template = quote_ident(&server.name("template"));
        server.admin.run(&format!("ALTER DATABASE {template} OWNER TO {role}")).await.unwrap();
        for rest in ["used_000000000000001b", "detached_2f"] {
            server.create(rest).await;
        }
        for _ in 0..2 {
            server.sweep(Duration::ZERO).await;
        }
        assert_eq!(server.left().await.len(), theirs.len() + 3, "their template proves nothing");

        // And they keep nothing of ours alive.
        server.admin.run(&format!("ALTER DATABASE {template} OWNER TO CURRENT_USER")).await.unwrap();
        for _ in 0..3 {
            server.sweep(Duration::ZERO).await;
        }
        let mut expected = theirs.map(str::to_owned);
        expected.sort();
        assert_eq!(server.left().await, expected);
        for rest in theirs {
            server.admin.run(&format!("DROP DATABASE {}", quote_ident(&server.name(rest)))).await.unwrap();
        }
        server.admin.run(&format!("DROP ROLE {role}")).await.unwrap();
    });
}

#[test]
fn foreign_databases_stay_and_so_does_their_template() {
    run(async |server| {
        server.template().await;
        let foreign = ["00x", "backup", "kept_1", "used_12", "used_00000000000000zz"];
        for rest in foreign {
            server.create(rest).await;
        }
        let stranger = format!("my_ptest_{}_used_000000000000000a", server.fingerprint);
        server.admin.run(&format!("CREATE DATABASE {}", quote_ident(&stranger))).await.unwrap();
        server.create("0").await;
        for _ in 0..2 {
            server.sweep(Duration::ZERO).await;
        }
        let left = server.left().await;
        assert!(!left.contains(&"0".to_owned()), "{left:?}");
        assert!(left.contains(&"template".to_owned()), "{left:?}");
        assert_eq!(left.len(), foreign.len() + 2, "{left:?}");
    });
}

#[test]
fn what_is_unused_goes_after_its_time_and_the_template_with_it() {
    run(async |server| {
        server.template().await;
        server.create("0").await;
        server.create("17").await;
        server.create("spare_000000000000000a").await;
        server.sweep(WEEK).await;
        server.sweep(WEEK).await;
        assert_eq!(server.left().await.len(), 4, "not for long enough");
        server.sweep(Duration::ZERO).await;
        assert_eq!(server.left().await, [] as [&str; 0]);
    });
}

#[test]
fn what_is_kept_goes_after_a_day() {
    run(async |server| {
        server.template().await;
        let micros = server.admin.now().await.unwrap();
        let age = |seconds: u64| format!("kept_{:016x}", micros - seconds * 1_000_000);
        let (young, old, foreign) = (age(86_000), age(86_500), age(86_600));
        for rest in [&young, &old, &foreign] {
            server.create(rest).await;
        }
        for rest in [&young, &old] {
            let name = quote_ident(&server.name(rest));
            server.admin.run(&format!("COMMENT ON DATABASE {name} IS {}", quote_literal(KEPT_MARK))).await.unwrap();
        }
        let client = server.connect(&old).await;
        server.sweep(WEEK).await;
        assert_eq!(server.left().await.len(), 4, "somebody looks into it");

        client.close().await;
        server.sweep(WEEK).await;
        assert_eq!(server.left().await, [foreign, young, "template".to_owned()]);
    });
}

#[test]
fn use_between_two_runs_starts_the_time_anew() {
    run(async |server| {
        server.template().await;
        server.create("0").await;
        server.sweep(Duration::ZERO).await;
        server.connect("0").await.close().await;
        server.sweep(Duration::ZERO).await;
        assert_eq!(server.left().await, ["0", "template"], "used");
        server.sweep(Duration::ZERO).await;
        assert_eq!(server.left().await, [] as [&str; 0]);
    });
}

#[test]
fn a_leased_slot_keeps_its_whole_family() {
    run(async |server| {
        server.template().await;
        server.create("0").await;
        server.create("1").await;
        let test = server.connect("1").await;
        for _ in 0..3 {
            server.sweep(Duration::ZERO).await;
        }
        assert_eq!(server.left().await, ["0", "1", "template"]);
        test.close().await;
    });
}

#[test]
fn names_tell_the_kind() {
    for (rest, kind) in [
        ("template", Kind::Template),
        ("0", Kind::Slot),
        ("123", Kind::Slot),
        ("spare_0123456789abcdef", Kind::Spare),
        ("used_0123456789abcdef", Kind::Used),
        ("claimed_0123456789abcdef", Kind::Claimed),
        ("used_0123456789ABCDEF", Kind::Foreign),
        ("used_0123456789abcdef0", Kind::Foreign),
        ("build_1f_2e", Kind::Build),
        ("build_1f", Kind::Foreign),
        ("detached_1f", Kind::Detached),
        ("kept_000000000000001f", Kind::Kept(31)),
        ("kept_1f", Kind::Foreign),
        ("", Kind::Foreign),
        ("templates", Kind::Foreign),
        ("0_1", Kind::Foreign),
    ] {
        assert_eq!(Kind::of(rest), kind, "{rest}");
    }
}

#[test]
fn a_note_from_another_version_is_read() {
    let noted = " 0.0.9; unused since 1000: ".to_owned();
    let family = Family { databases: Vec::new(), noted, now: 1000 + WEEK.as_secs() };
    assert_eq!(family.note(WEEK), Note::Unused);
    let family = Family { now: 999 + WEEK.as_secs(), ..family };
    assert_eq!(family.note(WEEK), Note::Fresh);
}

#[test]
fn who_knows_nothing_of_claims_drops_nothing_that_may_be_claimed() {
    run(async |server| {
        if !server.address.is_own() {
            return;
        }
        server.template().await;
        server.create("claimed_000000000000000a").await;
        let by_url = Address { home: None, ..server.address.clone() };
        sweep(&mut Admin::open(&by_url).await.unwrap(), &server.fingerprint, UNUSED).await.unwrap();
        assert_eq!(server.left().await, ["claimed_000000000000000a", "template"]);
        server.sweep(UNUSED).await;
        assert_eq!(server.left().await, ["template"]);
    });
}
