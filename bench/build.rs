//! The long schemas of the suites: `#[sqlx::test]` embeds its migrations when it is compiled.

use std::io::Result;
use std::path::Path;

fn main() -> Result<()> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    for count in [100, 200] {
        let folder = target.join(format!("migrations_{count}"));
        println!("cargo::rerun-if-changed={}", folder.display());
        write_migrations(&folder, count)?;
    }
    Ok(())
}

/// A schema of as many migrations: users, and tables that refer to them.
fn write_migrations(folder: &Path, count: usize) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for n in 1..=count {
        let (name, sql) = match n {
            1 => (
                "users".to_owned(),
                "CREATE TABLE users (id bigserial PRIMARY KEY, name text NOT NULL UNIQUE);\n".to_owned(),
            ),
            n => (
                format!("part_{n}"),
                format!(
                    "CREATE TABLE part_{n} (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users);\n\
                     CREATE INDEX part_{n}_user ON part_{n} (user_id);\n"
                ),
            ),
        };
        let path = folder.join(format!("{n:04}_{name}.sql"));
        if std::fs::read_to_string(&path).ok().as_deref() != Some(&sql) {
            std::fs::write(path, sql)?;
        }
    }
    Ok(())
}
