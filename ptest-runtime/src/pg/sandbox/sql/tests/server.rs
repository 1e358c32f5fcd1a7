//! Strings put together at random, and what a server finds in them: as many statements, of the same kinds.

use std::hash::{BuildHasher, RandomState};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::{Kind, split};
use super::generated::Random;
use crate::config::Config;
use crate::pg::sandbox::frame::{self, Input, Piece};
use crate::pg::server::{self, Connection, Stream};

const COUNT: usize = 10_000;

#[tokio::test(flavor = "current_thread")]
async fn a_server_finds_the_same_statements() {
    let given = std::env::var("PTEST_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one("server") | 1);
    println!("PTEST_TEST_SEED={seed}");
    let mut random = Random(seed);
    let mut server = Server::connect().await;
    let mut accepted = 0;
    for round in 0..COUNT {
        let standard = round % 3 > 0;
        let sql = random.script();
        server.run(format!("rollback; deallocate all; set standard_conforming_strings = {standard}").as_bytes()).await;
        let answer = server.run(sql.as_bytes()).await;
        if answer.tags.is_empty() && answer.error.as_deref() == Some("42601") {
            continue;
        }
        accepted += 1;
        let found: Vec<_> = split(sql.as_bytes(), standard).into_iter().map(|statement| statement.kind).collect();
        let enough =
            if answer.error.is_some() { found.len() > answer.tags.len() } else { found.len() == answer.tags.len() };
        let alike = found.iter().zip(&answer.tags).all(|(kind, tag)| is_tag_of(kind, tag));
        assert!(enough && alike, "of {sql:?}, standard strings {standard}: {found:?}, but the server ran {answer:?}");
    }
    assert!(accepted > COUNT / 2, "{accepted} of {COUNT} strings are without a syntax error");
}

/// Whether the server completes a statement of this kind so.
fn is_tag_of(kind: &Kind, tag: &str) -> bool {
    let is = |tags: &[&str]| tags.contains(&tag);
    match kind {
        Kind::Begin { .. } => is(&["BEGIN", "START TRANSACTION"]),
        Kind::Commit { .. } => is(&["COMMIT", "ROLLBACK"]),
        Kind::Rollback { .. } | Kind::RollbackTo { .. } => is(&["ROLLBACK"]),
        Kind::Savepoint { .. } => is(&["SAVEPOINT"]),
        Kind::Release { .. } => is(&["RELEASE"]),
        Kind::Set { .. } | Kind::SetTransaction { .. } | Kind::SetSessionCharacteristics { .. } => is(&["SET"]),
        Kind::Reset { .. } => is(&["RESET"]),
        Kind::Show { .. } => is(&["SHOW"]),
        Kind::DiscardOther => is(&["DISCARD PLANS", "DISCARD SEQUENCES"]),
        Kind::Prepare { .. } => is(&["PREPARE"]),
        Kind::Execute { .. } => is(&["SELECT 1", "EXPLAIN", "INSERT 0 1"]),
        Kind::Deallocate { .. } => is(&["DEALLOCATE", "DEALLOCATE ALL"]),
        Kind::Declare { .. } => is(&["DECLARE CURSOR"]),
        Kind::Fetch => tag.starts_with("FETCH ") || tag.starts_with("MOVE "),
        Kind::Close { .. } => is(&["CLOSE CURSOR", "CLOSE CURSOR ALL"]),
        Kind::Do => is(&["DO"]),
        Kind::Other => {
            let plain = ["SELECT", "INSERT", "VALUES", "CREATE FUNCTION", "CREATE TABLE", "EXPLAIN"];
            plain.iter().any(|word| tag.starts_with(word))
        }
        _ => false,
    }
}

impl Random {
    /// Statements, with blanks and comments of all kinds between their words; now and then with something in them that
    /// does not belong there.
    pub(in crate::pg::sandbox) fn script(&mut self) -> String {
        let mut sql = String::new();
        for _ in 0..1 + self.below(5) {
            let statement = if self.below(3) == 0 { self.pick(STRINGS) } else { self.pick(STATEMENTS) };
            for (index, word) in statement.split(' ').enumerate() {
                if index > 0 {
                    let blank = if self.below(4) > 0 { " " } else { self.pick(BLANKS) };
                    sql.push_str(blank);
                }
                let word = if self.below(8) == 0 { word.to_uppercase() } else { word.to_owned() };
                sql.push_str(&word);
            }
            if self.below(12) == 0 {
                let odd = self.pick(ODDITIES);
                let at = self.below(sql.len() + 1);
                let at = (0..=at).rev().find(|at| sql.is_char_boundary(*at)).unwrap_or(0);
                sql.insert_str(at, odd);
            }
            sql.push_str(if self.below(6) > 0 {
                ";"
            } else {
                self.pick(&["; ", ";;", " ; /* ; */", ";\n--;\n", ";\t;"])
            });
        }
        sql
    }
}

struct Server {
    stream: Stream,
    input: Input,
}

#[derive(Debug, Default)]
struct Answer {
    tags: Vec<String>,
    error: Option<String>,
}

impl Server {
    async fn connect() -> Server {
        let config = Config::get().unwrap();
        let (found, _) = server::find(config, &config.server).unwrap();
        let stream = match Connection::open(&found, "postgres", &[]).await {
            Ok(connection) => connection.into_stream(),
            Err(_) => {
                let revived = server::revive(config, &config.server).unwrap().unwrap();
                Connection::open(&revived, "postgres", &[]).await.unwrap().into_stream()
            }
        };
        Server { stream, input: Input::of_server() }
    }

    async fn run(&mut self, sql: &[u8]) -> Answer {
        let mut out = BytesMut::new();
        frame::put_query(&mut out, sql);
        self.stream.write_all(&out).await.unwrap();
        let mut answer = Answer::default();
        loop {
            while let Some(piece) = self.input.next().unwrap() {
                let Piece::Frame(frame) = piece else { continue };
                match frame.tag() {
                    b'C' => answer.tags.push(String::from_utf8_lossy(&frame.body()[..frame.body().len() - 1]).into()),
                    b'E' => {
                        let code = frame::report_fields(frame.body()).find(|(kind, _)| *kind == b'C');
                        answer.error = code.map(|(_, code)| String::from_utf8_lossy(code).into_owned());
                    }
                    b'Z' => return answer,
                    _ => {}
                }
            }
            self.stream.read_buf(&mut self.input.buffer).await.unwrap();
        }
    }
}

#[rustfmt::skip]
const STATEMENTS: &[&str] = &[
    "begin", "begin work", "begin isolation level serializable, read only", "start transaction read write", "commit",
    "end transaction", "commit and no chain", "commit and chain", "rollback", "abort", "rollback work and chain",
    "savepoint a", "savepoint \"A;\"", "savepoint savepoint", "savepoint U&\"d\\0061t;\"", "rollback to a",
    "rollback to savepoint \"A;\"", "rollback transaction to savepoint", "release a", "release savepoint savepoint",
    "set a.b = 'c;'", "set local a.b to d, e", "set session a.b to default", "set time zone 'UTC'", "reset work_mem",
    "show work_mem", "show time zone", "set transaction read only", "set transaction isolation level repeatable read",
    "set session characteristics as transaction read write", "prepare p as select 1", "prepare p ( int ) as select $1",
    "execute p", "execute p (1)", "explain execute p", "explain (costs off) execute p", "deallocate p",
    "deallocate prepare all", "declare c cursor for select 1", "declare c no scroll cursor with hold for values (1)",
    "fetch c", "move all in c", "close c", "close all", "discard plans", "select 1", "values (1)", "(select 2)",
    "do $$ begin null; end $$", "do language plpgsql 'begin perform 1; end'", "do $x$ begin if 1 = 2 then commit; end if; end $x$",
    "create or replace function pg_temp.f() returns int begin atomic select 1; select 2; end",
    "create or replace function pg_temp.g() returns int language sql as 'select 1; select 2'",
    "create temp table if not exists x (begin int, \"end\" int)", "explain select 1",
    "select case when true then 1 else 2 end", "with begin as (select 1) select 1 from begin",
];

#[rustfmt::skip]
const STRINGS: &[&str] = &[
    "select ';'", "select 'it''s; begin'", "select ''", "select e'\\'; begin; --'", "select E'\\\\'", "select '\\'",
    "select '\\'; commit; --'", "select '\\\\'; commit; --'", "select n'a;'", "select b'0' , x'f'", "select U&'\\0061;'",
    "select U&'a;!0061' uescape '!'", "select $$; begin;$$", "select $a$;$$;$b$;$a$", "select $a$ $a ; $a$",
    "select 1 as \"; begin; \"", "select 1 as \"a\"\"b;\"", "select 'a'\n';b'", "select e'a'\n'\\';b'",
    "select 'a' -- ;\n ';b'", "select 1 as a$b$", "select 1e5 , .5 , 1.", "select 1 /* ' ; */", "select 'é;' as é",
    "select 4 <> - 2 , 5 /2 * 3", "select 1--2;\n+3",
];

const BLANKS: &[&str] = &["\n", "\t", "\r\n", "\x0c", " /* ; */ ", "/*'*/", "/* /* ; */ \" */", " -- ; '\n", "--\r"];

#[rustfmt::skip]
const ODDITIES: &[&str] = &[
    ";", "'", "''", "\"", "$$", "$a$", "\\", "/*", "*/", "--", "\n", "(", ")", " begin ", " commit ", " end ", "e'", "u&'", "$1",
    "\u{a0}", "/**/",
];
