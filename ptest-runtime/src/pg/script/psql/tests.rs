use super::*;

/// The lines and parts of a script, as text.
fn pieces(script: &str) -> Vec<String> {
    let mut pieces = Pieces::new(script);
    let next = || {
        let (line, piece) = pieces.next()?;
        Some(match piece {
            Ok(Piece::Statement(sql)) => format!("{line} {sql}"),
            Ok(Piece::Copy { sql, rows, first }) => format!("{line} {sql} <{first} {rows:?}"),
            Ok(Piece::Skipped(what)) => format!("{line} skipped {what}"),
            Err(refused) => format!("{line} refused {}", refused.0),
        })
    };
    std::iter::from_fn(next).collect()
}

#[test]
fn statements_come_with_their_lines() {
    let script = "\u{FEFF}-- a\nselect ';\n\\i';\n\ncreate function f() returns int\nbegin atomic select 1; end;; select $$\n\\i\n$$";
    let expected =
        ["2 select ';\n\\i'", "5 create function f() returns int\nbegin atomic select 1; end", "6 select $$\n\\i\n$$"];
    assert_eq!(pieces(script), expected);
}

#[test]
fn a_dump_of_pg_dump_is_understood() {
    let script = "\\restrict abc'd\n\nSET statement_timeout = 0;\nSELECT pg_catalog.set_config('search_path', '', false);\n\
                  COPY public.t (a, b) FROM stdin;\n1\tit's\n2\t\\N\n\\.\n\n\\unrestrict abc'd\n";
    let expected = [
        "3 SET statement_timeout = 0",
        "4 SELECT pg_catalog.set_config('search_path', '', false)",
        "5 COPY public.t (a, b) FROM stdin <6 \"1\\tit's\\n2\\t\\\\N\\n\"",
    ];
    assert_eq!(pieces(script), expected);
}

#[test]
fn rows_may_be_none_or_end_with_the_file() {
    assert_eq!(pieces("copy t from stdin;\n\\.\nselect 1"), ["1 copy t from stdin <2 \"\"", "3 select 1"]);
    assert_eq!(
        pieces("copy t\nfrom stdin (format csv);\r\n1\r\n"),
        ["1 copy t\nfrom stdin (format csv) <3 \"1\\r\\n\""]
    );
    assert_eq!(pieces("copy t from '/tmp/stdin'; select 1"), ["1 copy t from '/tmp/stdin'", "1 select 1"]);
}

#[test]
fn what_is_for_another_database_is_skipped() {
    let script = "CREATE DATABASE app WITH TEMPLATE = template0;\nALTER DATABASE app OWNER TO ada;\n\\connect app\n\
                  ALTER DATABASE app SET \"TimeZone\" TO 'UTC';\nselect 1;";
    let found = pieces(script);
    assert_eq!(
        found[..3],
        [
            "1 skipped CREATE DATABASE app WITH TEMPLATE = template0",
            "2 skipped ALTER DATABASE app OWNER TO ada",
            "3 skipped \\connect app",
        ]
    );
    assert!(found[3].starts_with("4 DO ") && found[3].contains("ALTER DATABASE %I SET"), "{}", found[3]);
    assert_eq!(found[4], "5 select 1");
    assert_eq!(pieces("create database other;"), ["1 create database other"]);
}

#[test]
fn other_commands_are_refused_by_name() {
    assert_eq!(pieces("\\i more.sql\n"), ["1 refused \\i"]);
    assert_eq!(pieces("select 1;\n\\copy t from 'x'\n"), ["1 select 1", "2 refused \\copy"]);
    assert_eq!(pieces("select 1 as a \\gset\nselect 2;"), ["1 refused \\gset"]);
    assert_eq!(pieces("\\encoding latin1"), ["1 refused \\encoding"]);
}

#[test]
fn variables_are_filled_in() {
    let script = "\\set ON_ERROR_STOP on\n\\set owner ada\n\\set text 'it''s'\n\
                  alter table a owner to :owner; select :'text'::text, ':owner', a.b[1:owner], :owners, :\"owner\", x::owner";
    let expected =
        ["4 alter table a owner to ada", "4 select 'it''s'::text, ':owner', a.b[1ada], :owners, \"ada\", x::owner"];
    assert_eq!(pieces(script), expected);
    assert_eq!(pieces("\\set a 1\n\\unset a\nselect :a"), ["3 select :a"]);
}

#[test]
fn a_row_is_found_in_the_servers_words() {
    let context = |text: &str| DbError { context: Some(text.to_owned()), ..DbError::default() };
    assert_eq!(row_of(&context("COPY t, line 12, column id: \"x\"")), Some(12));
    assert_eq!(row_of(&context("PL/pgSQL function f(), line 3")), None);
}
