//! Python's psycopg, in a process of its own. Without the package (`pip install psycopg[binary]`) there is nothing to see.

use std::process::Command;

use ptest::PgUrl;

const SHOP: &str = r#"
import sys, psycopg
from psycopg import errors

with psycopg.connect(sys.argv[1]) as connection:
    lamp = connection.execute("INSERT INTO articles (name, stock) VALUES ('lamp', 5) RETURNING id").fetchone()[0]
    connection.commit()
    def order(article, pieces):
        with connection.transaction():
            connection.execute("INSERT INTO orders (article, pieces) VALUES (%s, %s)", (article, pieces))
            with connection.transaction():
                connection.execute("UPDATE articles SET stock = stock - %s WHERE id = %s", (pieces, article))
    order(lamp, 2)
    for article, pieces, error in [(lamp, 4, errors.CheckViolation), (4711, 1, errors.ForeignKeyViolation)]:
        try:
            order(article, pieces)
            raise SystemExit("no error")
        except error:
            connection.rollback()
    with connection.cursor() as cursor:
        with cursor.copy("COPY orders (article, pieces) FROM STDIN") as copy:
            for pieces in range(3):
                copy.write_row((lamp, pieces))
    connection.commit()
    with psycopg.connect(sys.argv[1]) as other:
        print(other.execute("SELECT stock, (SELECT count(*) FROM orders) FROM articles").fetchone())
"#;

#[ptest::db_test]
fn orders(url: PgUrl) {
    let python = || Command::new("python3");
    if !python().args(["-c", "import psycopg"]).output().is_ok_and(|output| output.status.success()) {
        println!("skipped: python3 has no psycopg");
        return;
    }
    let output = python().args(["-c", SHOP, url.as_str()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "(3, 4)");
}
