//! Where statements begin and end.

use super::super::{Kind, split};

#[test]
fn literals_and_comments() {
    check(true, CASES);
}

#[test]
fn backslashes_in_plain_strings() {
    check(
        false,
        &[
            (r"select 'a\' ; ' ; b", &[r"select 'a\' ; '", "b"]),
            (r"select 'a\\' ; b", &[r"select 'a\\'", "b"]),
            (r"select E'a\' ; ' ; b", &[r"select E'a\' ; '", "b"]),
            (r"select b'\' ; n'\'' ; c", &[r"select b'\'", r"n'\''", "c"]),
            ("select 'a'\n'\\' ; ' ; b", &["select 'a'\n'\\' ; '", "b"]),
            ("select $$\\$$ ; \"\\\" ; b", &["select $$\\$$", "\"\\\"", "b"]),
            // The scanner rejects the whole string for this literal.
            ("select 1 ; select U&'x' ; b", &["select 1 ; select U&'x' ; b"]),
            ("select U&\"x\" ; b", &["select U&\"x\"", "b"]),
        ],
    );
}

#[test]
fn a_broken_string_is_one_statement() {
    for sql in [
        "select '",
        "select ''''''' ; ",
        "begin; select \"a ; commit",
        "begin; select $$ ; commit",
        "begin; select $a$ ; $A$ ; $b$ ; a$ ; $ a$ ; commit",
        "begin; /* ; /* */ ; commit",
        "begin; /*/ ; commit",
        "begin; select E'\\",
        "begin; select E'\\' ; commit",
        "begin; select 'a'\n' ; commit",
        "begin; select \"\" ; commit",
        "begin; select U&\"\" ; commit",
        "begin; select U&' ; commit",
        "begin; select x'1 ; commit",
    ] {
        let statements = split(sql.as_bytes(), true);
        assert_eq!(statements.len(), 1, "{sql}");
        assert_eq!((&statements[0].range, &statements[0].kind), (&(0..sql.len()), &Kind::Other), "{sql}");
    }
}

#[track_caller]
fn check(standard_conforming_strings: bool, cases: &[(&str, &[&str])]) {
    for (sql, expected) in cases {
        let statements = split(sql.as_bytes(), standard_conforming_strings);
        let texts: Vec<_> = statements.iter().map(|statement| &sql[statement.range.clone()]).collect();
        assert_eq!(texts, *expected, "{sql}");
    }
}

const CASES: &[(&str, &[&str])] = &[
    ("", &[]),
    (" \t\r\n\x0c", &[]),
    (";;", &[]),
    ("-- a;b", &[]),
    ("/* a;b */;", &[]),
    ("a;b", &["a", "b"]),
    (" a ; ; b ;", &["a", "b"]),
    ("/* x */ a /* y */ b /* z */ ; -- c", &["a /* y */ b"]),
    ("a -- ;\n; b -- ;\r; c", &["a", "b", "c"]),
    ("a--;", &["a"]),
    ("a - - ; b", &["a - -", "b"]),
    ("/* /* ; */ ; */ a ; b", &["a", "b"]),
    ("/*/ ; */ a ; b", &["a", "b"]),
    ("/**/ a ; /***/ b ; /* **/ c", &["a", "b", "c"]),
    ("/* ' */ a ; -- \" \n b", &["a", "b"]),
    ("a */ b ; c", &["a */ b", "c"]),
    ("a +/* ; */ b ; c", &["a +/* ; */ b", "c"]),
    ("a */* ; */ b ; c", &["a */* ; */ b", "c"]),
    ("a <-- ; \n b ; c", &["a <-- ; \n b", "c"]),
    ("a @/* ; */- b ; c", &["a @/* ; */- b", "c"]),
    ("'a;''b;' ; c", &["'a;''b;'", "c"]),
    ("'' ; '''' ; c", &["''", "''''", "c"]),
    ("'/*' ; '--' ; '$$' ; '\"' ; c", &["'/*'", "'--'", "'$$'", "'\"'", "c"]),
    (r"'a\' ; b", &[r"'a\'", "b"]),
    (r"E'a\' ; ''b' ; c", &[r"E'a\' ; ''b'", "c"]),
    (r"e'\\' ; b", &[r"e'\\'", "b"]),
    (r"ee'\' ; b", &[r"ee'\'", "b"]),
    (r"e '\' ; b", &[r"e '\'", "b"]),
    (r"é'\' ; b", &[r"é'\'", "b"]),
    ("'a'\n'b;' ; c", &["'a'\n'b;'", "c"]),
    ("E'a'\n'\\';' ; c", &["E'a'\n'\\';'", "c"]),
    ("E'a'\r'\\';' ; c", &["E'a'\r'\\';'", "c"]),
    ("E'a' -- ';\n\t--\r'\\';' ; c", &["E'a' -- ';\n\t--\r'\\';'", "c"]),
    ("E'a', '\\' ; b", &["E'a', '\\'", "b"]),
    ("E'a'/**/\n'\\' ; b", &["E'a'/**/\n'\\'", "b"]),
    ("E'a'\n-'\\' ; b", &["E'a'\n-'\\'", "b"]),
    ("E'a'\n- -'\\' ; b", &["E'a'\n- -'\\'", "b"]),
    ("'a'\n ; b", &["'a'", "b"]),
    ("'a' --\n ; b", &["'a'", "b"]),
    ("b'01;' ; X'f;' ; c", &["b'01;'", "X'f;'", "c"]),
    (r"b'\' ; x'\' ; n'\' ; c", &[r"b'\'", r"x'\'", r"n'\'", "c"]),
    ("B'0''1;' ; c", &["B'0''1;'", "c"]),
    (r"U&'a\\;''' ; b", &[r"U&'a\\;'''", "b"]),
    ("U&'a;' UESCAPE '!' ; U&\"a;\"\"\" uescape '#' ; c", &["U&'a;' UESCAPE '!'", "U&\"a;\"\"\" uescape '#'", "c"]),
    ("u & 'a;' ; u&a ; b", &["u & 'a;'", "u&a", "b"]),
    ("\"a;\"\"b;\" ; c", &["\"a;\"\"b;\"", "c"]),
    ("\"--\" ; \"/*\" ; \"'\" ; c", &["\"--\"", "\"/*\"", "\"'\"", "c"]),
    ("$$a;b$$ ; c", &["$$a;b$$", "c"]),
    ("$$'$$ ; $$/*$$ ; $$--$$ ; c", &["$$'$$", "$$/*$$", "$$--$$", "c"]),
    ("$a$;$$;$b$;$A$;$a$ ; c", &["$a$;$$;$b$;$A$;$a$", "c"]),
    ("$a$;$a;$b$a$ ; c", &["$a$;$a;$b$a$", "c"]),
    ("$a$;$1a$a$ ; c", &["$a$;$1a$a$", "c"]),
    ("$_1$;$_1$ ; $é$;$é$ ; c", &["$_1$;$_1$", "$é$;$é$", "c"]),
    ("$1 ; $1$$;$$ ; c", &["$1", "$1$$;$$", "c"]),
    ("$a ; $ ; b", &["$a", "$", "b"]),
    ("a$$ ; a$b$ ; c", &["a$$", "a$b$", "c"]),
    ("1$$;$$ ; c", &["1$$;$$", "c"]),
    ("1 ; 1. ; .5 ; 1.5e-3 ; 1e5 ; c", &["1", "1.", ".5", "1.5e-3", "1e5", "c"]),
    ("1..2 ; 0xFF ; 1_000 ; c", &["1..2", "0xFF", "1_000", "c"]),
    (
        "create rule r as on insert to t do (select a; (select b); select c) ; d",
        &["create rule r as on insert to t do (select a; (select b); select c)", "d"],
    ),
    ("a ) ; b", &["a )", "b"]),
    ("(a ; b", &["(a ; b"]),
    ("select case a when b then c end ; end", &["select case a when b then c end", "end"]),
    (
        "create function f() begin atomic select a; select b; end ; c",
        &["create function f() begin atomic select a; select b; end", "c"],
    ),
    (
        "CREATE OR REPLACE PROCEDURE p() BEGIN/**/ATOMIC SELECT a; END; c",
        &["CREATE OR REPLACE PROCEDURE p() BEGIN/**/ATOMIC SELECT a; END", "c"],
    ),
    ("create procedure p() begin atomic end; c", &["create procedure p() begin atomic end", "c"]),
    ("create procedure p() begin atomic ;; end; c", &["create procedure p() begin atomic ;; end", "c"]),
    (
        "create procedure p() begin atomic select case when a then case b when c then d end end; end; e",
        &["create procedure p() begin atomic select case when a then case b when c then d end end; end", "e"],
    ),
    (
        "create procedure p() begin atomic select 1 end; select 2 case; select a.end; end; e",
        &["create procedure p() begin atomic select 1 end; select 2 case; select a.end; end", "e"],
    ),
    (
        "create procedure p() begin atomic select begin atomic from t; end; c",
        &["create procedure p() begin atomic select begin atomic from t; end", "c"],
    ),
    (
        "create procedure p() begin atomic create function f() begin atomic select a; end; select b; end; c",
        &["create procedure p() begin atomic create function f() begin atomic select a; end; select b; end", "c"],
    ),
    (
        "create procedure p() begin atomic create rule r as on insert to t do (select a; ; select b); end; c",
        &["create procedure p() begin atomic create rule r as on insert to t do (select a; ; select b); end", "c"],
    ),
    (
        "create procedure p() begin atomic select \"end\"; end; c",
        &["create procedure p() begin atomic select \"end\"; end", "c"],
    ),
    (
        "create function f(begin atomic) returns begin begin atomic select a; end; c",
        &["create function f(begin atomic) returns begin begin atomic select a; end", "c"],
    ),
    ("create function f(begin atomic) as 'a' ; b", &["create function f(begin atomic) as 'a'", "b"]),
    ("create function f() as $$ begin; end; $$ ; c", &["create function f() as $$ begin; end; $$", "c"]),
    ("create function atomic() returns atomic as 'a' ; b", &["create function atomic() returns atomic as 'a'", "b"]),
    (
        "create function f() returns int set search_path to begin, atomic as 'a' ; b",
        &["create function f() returns int set search_path to begin, atomic as 'a'", "b"],
    ),
    ("create function f() return 1 ; c", &["create function f() return 1", "c"]),
    ("create view v as select begin atomic from t; end", &["create view v as select begin atomic from t", "end"]),
    ("create or function f() begin atomic a; end", &["create or function f() begin atomic a", "end"]),
    ("begin atomic; a; end", &["begin atomic", "a", "end"]),
];
