//! Where the statements of a SQL script begin: SQLite tells which statement failed, not on which line.
//!
//! The rules are those of `sqlite3_complete`: a semicolon ends a statement, but inside `CREATE TRIGGER` only `;END;` does.

/// The line, counted from 1, where statement `index` (counted from 0) of `script` begins.
pub(crate) fn line_of_statement(script: &str, index: usize) -> usize {
    let mut begun = 0;
    let mut state = State::Start;
    let mut rest = script;
    while let Some((token, text)) = next_token(rest) {
        if matches!(state, State::Start) && !matches!(token, Token::Space | Token::Semicolon) {
            if begun == index {
                break;
            }
            begun += 1;
        }
        state = state.after(token);
        rest = &rest[text.len()..];
    }
    1 + script[..script.len() - rest.len()].matches('\n').count()
}

#[derive(Clone, Copy)]
enum State {
    Start,
    Statement,
    Explain,
    Create,
    Trigger,
    TriggerSemicolon,
    TriggerEnd,
}

#[derive(Clone, Copy)]
enum Token {
    Semicolon,
    Space,
    Other,
    Explain,
    Create,
    Temp,
    Trigger,
    End,
}

impl State {
    fn after(self, token: Token) -> State {
        use State::{Create, Explain, Start, Statement, Trigger, TriggerEnd, TriggerSemicolon};
        match (self, token) {
            (state, Token::Space) => state,
            (Trigger | TriggerSemicolon, Token::Semicolon) => TriggerSemicolon,
            (TriggerSemicolon, Token::End) => TriggerEnd,
            (_, Token::Semicolon) => Start,
            (Start, Token::Explain) => Explain,
            (Explain, Token::Other) => Explain,
            (Start | Explain, Token::Create) => Create,
            (Create, Token::Temp) => Create,
            (Create, Token::Trigger) => Trigger,
            (Trigger | TriggerSemicolon | TriggerEnd, _) => Trigger,
            _ => Statement,
        }
    }
}

fn next_token(sql: &str) -> Option<(Token, &str)> {
    let first = sql.chars().next()?;
    let until = |end: &str, from: usize| sql[from..].find(end).map_or(sql.len(), |at| from + at + end.len());
    let (token, len) = match first {
        ';' => (Token::Semicolon, 1),
        // sqlx passes a byte order mark on, and SQLite skips it.
        c if c.is_ascii_whitespace() || c == '\u{FEFF}' => (Token::Space, c.len_utf8()),
        '-' if sql.starts_with("--") => (Token::Space, until("\n", 2)),
        '/' if sql.starts_with("/*") => (Token::Space, until("*/", 2)),
        '\'' => (Token::Other, until("'", 1)),
        '"' => (Token::Other, until("\"", 1)),
        '`' => (Token::Other, until("`", 1)),
        '[' => (Token::Other, until("]", 1)),
        c if is_word(c) => {
            let len = sql.find(|c| !is_word(c)).unwrap_or(sql.len());
            (keyword(&sql[..len]), len)
        }
        c => (Token::Other, c.len_utf8()),
    };
    Some((token, &sql[..len]))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn keyword(word: &str) -> Token {
    match word.to_ascii_uppercase().as_str() {
        "EXPLAIN" => Token::Explain,
        "CREATE" => Token::Create,
        "TEMP" | "TEMPORARY" => Token::Temp,
        "TRIGGER" => Token::Trigger,
        "END" => Token::End,
        _ => Token::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::line_of_statement;

    #[track_caller]
    fn lines(script: &str, expected: &[usize]) {
        let lines: Vec<usize> = (0..expected.len()).map(|index| line_of_statement(script, index)).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_statement_begins_at_its_first_word() {
        lines("select 1;\n\n-- a comment; with a semicolon\nselect\n2;;\n;select 3", &[1, 4, 6]);
    }

    #[test]
    fn semicolons_in_quotes_and_comments_end_nothing() {
        lines(
            "insert into t values (';\n', \"a;\"\"\n\", `;`, [;]) /* ;\n */;\nselect 'it''s;'\n;\nselect 2",
            &[1, 5, 7],
        );
    }

    #[test]
    fn a_trigger_is_one_statement() {
        let trigger = "create temp trigger t after insert on a begin\n\
                       update a set x = case when 1 then 2 end;\n\
                       delete from b;\n\
                       end;\n\
                       select 1;\n\
                       create table trigger_log (x);\n\
                       select 2;";
        lines(trigger, &[1, 5, 6, 7]);
    }
}
