use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;

use super::*;
use crate::error::Error;

const NOWHERE: &str = "/nonexistent/ptest";

fn read(vars: &[(&str, &str)], cwd: &Path, exe: &Path) -> Result<Config, ConfigError> {
    Config::read(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()), cwd, exe)
}

fn from_vars(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
    read(vars, Path::new(NOWHERE), Path::new(NOWHERE))
}

/// The server that `vars` and a `.env` in a parent of the current directory choose.
fn from_file(vars: &[(&str, &str)], dotenv: &str) -> Result<ServerChoice, ConfigError> {
    let root = tempfile::tempdir().unwrap();
    let cwd = root.path().join("crates/app");
    fs::create_dir_all(&cwd).unwrap();
    fs::write(root.path().join(".env"), dotenv).unwrap();
    read(vars, &cwd, Path::new(NOWHERE)).map(|config| config.server)
}

fn show(server: &ServerChoice) -> String {
    match server {
        ServerChoice::Own => "own".to_owned(),
        ServerChoice::Url { url, origin } => {
            let origin = origin.to_string();
            let origin = origin.split(" in /").next().unwrap();
            let file = if matches!(server, ServerChoice::Url { origin: Origin { file: Some(_), .. }, .. }) {
                " in .env"
            } else {
                ""
            };
            format!("{url} from {origin}{file}")
        }
    }
}

fn report(error: ConfigError) -> String {
    format!("{:?}", Error::from(error))
}

#[test]
fn nothing_set_is_own_server() {
    let config = from_vars(&[]).unwrap();
    assert_eq!(config.server, ServerChoice::Own);
    assert_eq!((config.pg_bin, config.path, config.slot_hint), (None, None, 0));
    assert_eq!(config.idle_timeout, Some(Duration::from_secs(600)));
}

#[test]
fn plain_variables_are_read() {
    let vars = [
        ("PTEST_PG_BIN", "pg/bin"),
        ("PATH", "/a:/b"),
        ("NEXTEST_TEST_GLOBAL_SLOT", "7"),
        ("PTEST_SINGLE_DATABASE", "ci"),
    ];
    let config = from_vars(&vars).unwrap();
    assert_eq!(config.pg_bin, Some(Path::new(NOWHERE).join("pg/bin")));
    assert_eq!(config.path, Some("/a:/b".into()));
    assert_eq!(config.slot_hint, 7);
    assert_eq!(config.single_database.as_deref(), Some("ci"));
    assert_eq!(from_vars(&[("NEXTEST_TEST_GLOBAL_SLOT", "none")]).unwrap().slot_hint, 0);
}

#[test]
fn urls_have_an_order() {
    type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str);
    let cases: &[Case] = &[
        (&[("DATABASE_URL", "postgres://h/a")], "", "postgres://h/a from DATABASE_URL"),
        (
            &[("DATABASE_URL", "postgres://h/a"), ("PTEST_DATABASE_URL", "postgresql://h/b")],
            "",
            "postgresql://h/b from PTEST_DATABASE_URL",
        ),
        (&[], "DATABASE_URL=postgres://h/c", "postgres://h/c from DATABASE_URL in .env"),
        (&[("DATABASE_URL", "postgres://h/a")], "DATABASE_URL=postgres://h/c", "postgres://h/a from DATABASE_URL"),
        // The name decides before the place.
        (
            &[("DATABASE_URL", "postgres://h/a")],
            "PTEST_DATABASE_URL=postgres://h/d",
            "postgres://h/d from PTEST_DATABASE_URL in .env",
        ),
        (&[("DATABASE_URL", "postgres://h/a")], "PTEST_DATABASE_URL=own", "own"),
        (&[("PTEST_DATABASE_URL", "own"), ("DATABASE_URL", "postgres://h/a")], "", "own"),
        // Set but empty is not set, and hides the file.
        (
            &[("PTEST_DATABASE_URL", ""), ("DATABASE_URL", "postgres://h/a")],
            "PTEST_DATABASE_URL=own",
            "postgres://h/a from DATABASE_URL",
        ),
        (&[("DATABASE_URL", "")], "DATABASE_URL=postgres://h/c", "own"),
        // Not for PostgreSQL.
        (&[("DATABASE_URL", "sqlite::memory:")], "", "own"),
        (&[("DATABASE_URL", "app.db")], "", "own"),
        (&[("DATABASE_URL", "mysql://h/a")], "DATABASE_URL=postgres://h/c", "own"),
        (&[], "DATABASE_URL=sqlite://app.db", "own"),
        (&[("DATABASE_URL", "POSTGRES://h/a")], "", "POSTGRES://h/a from DATABASE_URL"),
    ];
    for (vars, dotenv, expected) in cases {
        assert_eq!(show(&from_file(vars, dotenv).unwrap()), *expected, "{vars:?} and {dotenv:?}");
    }
}

#[test]
fn dotenv_is_read_as_sqlx_does() {
    let url = |dotenv: &str| show(&from_file(&[], dotenv).unwrap());
    let c = "postgres://h/c from DATABASE_URL in .env";
    assert_eq!(url("\u{feff}DATABASE_URL=postgres://h/c"), c);
    assert_eq!(url("# a comment\n\nexport DATABASE_URL = 'postgres://h/c' # more"), c);
    assert_eq!(url("DATABASE_URL=postgres://h/c\nDATABASE_URL=postgres://h/d"), c);
    assert_eq!(url("PTEST_TESTS_HOST=h\nDATABASE_URL=postgres://${PTEST_TESTS_HOST}/c"), c);
    assert_eq!(url("DATABASE_URL=postgres://h/c\nnot a variable"), c);
    assert_eq!(url("DATABASE_URL=postgres://h/c\nnot a variable\nDATABASE_URL=postgres://h/d"), c);
    assert_eq!(url("not a variable\n# DATABASE_URL=postgres://h/c"), "own");
}

#[test]
fn dotenv_that_loses_the_url_is_an_error() {
    let error = from_file(&[], "A=1\nMOTD=hello secret world\nDATABASE_URL=postgres://h/c").unwrap_err();
    assert!(matches!(&error, ConfigError::DotEnvLine { line: 2, .. }), "{error:?}");
    assert!(!report(error).contains("secret"));
    // What the environment says is not lost.
    for name in ["PTEST_DATABASE_URL", "DATABASE_URL"] {
        assert!(from_file(&[(name, "postgres://h/a")], "a b\nDATABASE_URL=postgres://h/c").is_ok(), "{name}");
    }
}

#[test]
fn the_nearest_dotenv_is_the_only_one() {
    let root = tempfile::tempdir().unwrap();
    let cwd = root.path().join("app");
    fs::create_dir(&cwd).unwrap();
    fs::write(root.path().join(".env"), "DATABASE_URL=postgres://h/outer").unwrap();
    fs::write(cwd.join(".env"), "OTHER=1").unwrap();
    assert_eq!(read(&[], &cwd, Path::new(NOWHERE)).unwrap().server, ServerChoice::Own);

    fs::write(cwd.join(".env"), "DATABASE_URL=postgres://h/inner").unwrap();
    let ServerChoice::Url { url, origin } = read(&[], &cwd, Path::new(NOWHERE)).unwrap().server else { panic!() };
    assert_eq!(url, "postgres://h/inner");
    assert_eq!(origin.to_string(), format!("DATABASE_URL in {}", cwd.join(".env").display()));
}

#[test]
fn wrong_urls_are_errors_without_their_password() {
    let cases = [
        ("PTEST_DATABASE_URL", "mysql://u:secret@h/a", "PTEST_DATABASE_URL is not the URL of a PostgreSQL server"),
        ("PTEST_DATABASE_URL", "secret", "PTEST_DATABASE_URL is not the URL of a PostgreSQL server"),
        ("PTEST_DATABASE_URL", "OWN", "PTEST_DATABASE_URL=own"),
        ("PTEST_DATABASE_URL", "postgres://u:secret@h:port/a", "PTEST_DATABASE_URL is not a valid URL"),
        ("DATABASE_URL", "postgres://u:secret@h:port/a", "invalid port number"),
        ("DATABASE_URL", "postgres:secret", "there is no `//`"),
        ("DATABASE_URL", "postgres://u:12#secret@h/a", "`%23`"),
    ];
    for (variable, value, expected) in cases {
        let report = report(from_vars(&[(variable, value)]).unwrap_err());
        assert!(report.contains(expected) && report.contains("help:"), "{report}");
        assert!(!report.contains("secret"), "{report}");
    }
}

#[test]
fn redacted_urls_hold_no_password() {
    let cases = [
        ("postgres://u:secret@h:5432/a", "postgres://u:***@h:5432/a"),
        ("postgres://u@h/a?sslmode=disable", "postgres://u@h/a?sslmode=disable"),
        ("postgres://h/a?user=u&password=secret&x=1", "postgres://h/a?user=u&password=***&x=1"),
        ("postgres://h/a?p%61ssword=secret", "postgres://h/a?p%61ssword=***"),
        ("postgres://h/a?sslpassword=secret", "postgres://h/a?sslpassword=***"),
        ("postgres:///a?host=/tmp/socket", "postgres:///a?host=/tmp/socket"),
        ("postgres://%2Ftmp%2Fsocket/a", "postgres://%2Ftmp%2Fsocket/a"),
        ("postgres://u:12/secret@h/a", "postgres://***"),
        ("postgres://u:12?secret@h/a", "postgres://***"),
        ("postgres://u:12#secret@h/a", "postgres://***"),
        ("postgres://u:secret@h:port/a", "postgres://***"),
        ("host=h password=secret", "***"),
        ("secret://h:port", "secret://***"),
        ("pass word://secret", "***"),
    ];
    for (url, expected) in cases {
        assert_eq!(RedactedUrl(url).to_string(), expected);
    }
    let config = from_vars(&[("DATABASE_URL", "postgres://u:secret@h/a")]).unwrap();
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn idle_timeout_has_a_unit() {
    let parse = |value: &str| from_vars(&[("PTEST_IDLE_TIMEOUT", value)]).map(|config| config.idle_timeout);
    for (value, seconds) in [("90s", 90), ("10m", 600), ("2h", 7200), ("0", 0), ("0s", 0), ("", 600)] {
        assert_eq!(parse(value).unwrap(), Some(Duration::from_secs(seconds)), "{value}");
    }
    assert_eq!(parse("never").unwrap(), None);
    for value in ["90", "s", "-1s", "+1s", "1.5m", "10 m", "10d", "99999999999999999999s", "9999999999999999999h"] {
        let report = report(parse(value).unwrap_err());
        assert!(
            report.contains(value) && report.contains("PTEST_IDLE_TIMEOUT") && report.contains("`90s`"),
            "{report}"
        );
    }
}

#[test]
fn the_target_folder_is_found_from_the_executable() {
    let root = tempfile::tempdir().unwrap();
    let path = |relative: &str| root.path().join(relative);
    let dir = |exe: &str| target::dir(&path(exe), Some(&path("ws/app")), Path::new("/tmp"));
    for folder in ["ws/app", "ws/target/triple/debug/deps", "moved/target/debug/deps", "elsewhere"] {
        fs::create_dir_all(path(folder)).unwrap();
    }

    assert_eq!(dir("moved/target/debug/deps/it-0"), path("moved/target/ptest"));
    assert_eq!(dir("elsewhere/it-0"), path("ws/target/ptest"));
    let alone = target::dir(&path("elsewhere/it-0"), None, root.path());
    assert_eq!(alone, path(&format!("ptest-{}", crate::sys::user())));
    assert!(crate::sys::is_private(&alone).unwrap());

    fs::write(path("ws/target/triple/CACHEDIR.TAG"), "").unwrap();
    assert_eq!(dir("ws/target/triple/debug/deps/it-0"), path("ws/target/triple/ptest"));
    fs::write(path("ws/target/.rustc_info.json"), "").unwrap();
    assert_eq!(dir("ws/target/triple/debug/deps/it-0"), path("ws/target/ptest"));
    assert_eq!(dir("ws/target/debug/examples/demo"), path("ws/target/ptest"));
}

#[test]
fn the_package_is_where_it_is_now() {
    let now = tempfile::tempdir().unwrap();
    let compiled = "/compiled/here";
    assert_eq!(manifest_dir_of(compiled, Some(now.path().into())), now.path());
    assert_eq!(manifest_dir_of(compiled, Some(NOWHERE.into())), Path::new("/compiled/here"));
    assert_eq!(manifest_dir_of(compiled, None), Path::new("/compiled/here"));
}

/// The table in the module's documentation is what the README shows; it has every variable that is read, and no other.
#[test]
fn the_table_is_complete() {
    let asked = RefCell::new(BTreeSet::new());
    let ask = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        None
    };
    Config::read(ask, Path::new(NOWHERE), Path::new(NOWHERE)).unwrap();
    let table = include_str!("mod.rs").lines().filter_map(|line| line.strip_prefix("//! | `"));
    let documented: BTreeSet<String> = table.map(|row| row.split('`').next().unwrap().to_owned()).collect();
    assert_eq!(asked.into_inner(), documented);
}

#[test]
fn the_texts_of_errors() {
    let origin = || Origin { variable: URL, file: Some("/app/.env".into()) };
    let url = |url: &str| ConfigError::Url {
        url: "postgres://***".to_owned(),
        origin: origin(),
        source: url::check(url).unwrap_err(),
    };
    let errors = [
        url("postgres:app"),
        url("postgres://ada:secret@h/app#word"),
        ConfigError::Scheme { url: "mysql://h/app".to_owned(), origin: Origin { variable: PTEST_URL, file: None } },
        ConfigError::NotUnicode { variable: URL },
        from_vars(&[(IDLE_TIMEOUT, "soon")]).unwrap_err(),
        from_vars(&[(KEEP, "yes")]).unwrap_err(),
        from_vars(&[(LOG, "yes")]).unwrap_err(),
        from_vars(&[(AUDIT, "open_transaction")]).unwrap_err(),
        from_vars(&[(AUDIT, "open_transactions=off")]).unwrap_err(),
        from_vars(&[(AUDIT, "escape=off")]).unwrap_err(),
        from_vars(&[(AUDIT, "open_transaction=mild")]).unwrap_err(),
        from_vars(&[(AUDIT, "open_transaction=off,open_transaction=off")]).unwrap_err(),
        ConfigError::DotEnv { path: "/app/.env".into(), source: std::io::ErrorKind::PermissionDenied.into() },
        ConfigError::DotEnvLine { path: "/app/.env".into(), line: 3 },
    ];
    insta::assert_snapshot!(errors.map(|error| format!("{:?}", Error::from(error))).join("\n\n"));
}

#[test]
fn what_is_kept_and_printed() {
    let read =
        |vars: &[(&str, &str)]| from_vars(vars).map(|config| (config.keep, config.log_sql, config.runner)).unwrap();
    assert_eq!(read(&[]), (Keep::None, false, "cargo test"));
    assert_eq!(read(&[(KEEP, ""), (LOG, "")]), (Keep::None, false, "cargo test"));
    assert_eq!(read(&[(KEEP, "failed"), (LOG, "sql")]), (Keep::Failed, true, "cargo test"));
    assert_eq!(read(&[(KEEP, "all"), (GLOBAL_SLOT, "0")]), (Keep::All, false, "cargo nextest run"));
}

impl Config {
    /// What a report of a test is made with.
    pub(crate) fn for_test(keep: Keep) -> Config {
        let config = from_vars(&[]).unwrap();
        Config { target_dir: "/app/target/ptest".into(), keep, ..config }
    }
}
