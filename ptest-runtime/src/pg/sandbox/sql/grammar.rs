//! One statement, read as far as its kind needs: transaction control to its last token, by the server's grammar
//! (`gram.y`), since the sandbox answers it in the server's place.

use std::ops::Range;

use super::lexer::{Lexer, Token, TokenKind};
use super::name::{Ident, eq, is_name};
use super::statement::Kind;
use super::{autocommit, session};

/// The kind of the statement whose first word is `first` and whose last token ends `sql`.
pub(super) fn classify(sql: &[u8], first: Token, standard_conforming_strings: bool) -> Kind {
    let mut folded = [0; 10];
    let Some(folded) = folded.get_mut(..first.end - first.start) else {
        return Kind::Other;
    };
    folded.copy_from_slice(&sql[first.start..first.end]);
    folded.make_ascii_lowercase();

    let parse: fn(&mut Parser<'_>) -> Option<Kind> = match &*folded {
        b"select" | b"insert" | b"update" | b"delete" | b"with" => return Kind::Other,
        b"begin" => begin,
        b"start" => start,
        b"commit" => commit,
        b"end" => end,
        b"rollback" => rollback,
        b"abort" => abort,
        b"savepoint" => savepoint,
        b"release" => release,
        b"set" => session::set,
        b"reset" => session::reset,
        b"show" => session::show,
        b"discard" => session::discard,
        b"prepare" => session::prepare,
        b"execute" => session::execute,
        b"explain" => session::explain,
        b"deallocate" => session::deallocate,
        b"declare" => session::declare,
        b"fetch" | b"move" => |parser| parser.more(Kind::Fetch),
        b"close" => session::close,
        b"copy" => session::copy,
        b"listen" => session::listen,
        b"unlisten" => session::unlisten,
        b"notify" => session::notify,
        b"create" => |parser| session::execute_to_table(*parser).or_else(|| autocommit::create(parser)),
        b"drop" => autocommit::drop,
        b"alter" => autocommit::alter,
        b"reindex" => autocommit::reindex,
        b"cluster" => autocommit::cluster,
        b"vacuum" => |_| Some(Kind::NeedsAutocommit("VACUUM")),
        b"lock" => |parser| parser.more(Kind::Lock),
        b"checkpoint" => |parser| parser.end(Kind::Checkpoint),
        b"call" => |parser| parser.more(Kind::Call),
        b"do" => |parser| parser.more(Kind::Do),
        _ => return Kind::Other,
    };
    parse(&mut Parser::new(Lexer::new(sql, first.end, standard_conforming_strings))).unwrap_or(Kind::Other)
}

fn begin(parser: &mut Parser<'_>) -> Option<Kind> {
    parser.work();
    Some(Kind::Begin { modes: parser.modes()? })
}

fn start(parser: &mut Parser<'_>) -> Option<Kind> {
    parser.expect(b"transaction")?;
    Some(Kind::Begin { modes: parser.modes()? })
}

fn commit(parser: &mut Parser<'_>) -> Option<Kind> {
    if parser.accept(b"prepared") {
        parser.string()?;
        return parser.end(Kind::CommitPrepared);
    }
    end(parser)
}

fn end(parser: &mut Parser<'_>) -> Option<Kind> {
    parser.work();
    let chain = parser.chain()?;
    parser.end(Kind::Commit { chain })
}

fn rollback(parser: &mut Parser<'_>) -> Option<Kind> {
    if parser.accept(b"prepared") {
        parser.string()?;
        return parser.end(Kind::RollbackPrepared);
    }
    parser.work();
    if parser.accept(b"to") {
        let name = parser.savepoint()?;
        return parser.end(Kind::RollbackTo { name });
    }
    let chain = parser.chain()?;
    parser.end(Kind::Rollback { chain })
}

fn abort(parser: &mut Parser<'_>) -> Option<Kind> {
    parser.work();
    let chain = parser.chain()?;
    parser.end(Kind::Rollback { chain })
}

fn savepoint(parser: &mut Parser<'_>) -> Option<Kind> {
    let name = parser.name()?;
    parser.end(Kind::Savepoint { name })
}

fn release(parser: &mut Parser<'_>) -> Option<Kind> {
    let name = parser.savepoint()?;
    parser.end(Kind::Release { name })
}

/// The tokens of one statement. A copy of it looks ahead, or tries one reading before another.
///
/// The methods that return `None` have met a syntax error, or another statement than they are for.
#[derive(Clone, Copy)]
pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
}

impl<'a> Parser<'a> {
    pub(super) fn new(mut lexer: Lexer<'a>) -> Self {
        let token = lexer.next();
        Parser { lexer, token }
    }

    pub(super) fn advance(&mut self) -> TokenKind {
        self.token = self.lexer.next();
        self.token.kind
    }

    pub(super) fn kind(&self) -> TokenKind {
        self.token.kind
    }

    pub(super) fn sql(&self) -> &'a [u8] {
        self.lexer.sql()
    }

    pub(super) fn is_end(&self) -> bool {
        matches!(self.token.kind, TokenKind::End | TokenKind::Broken)
    }

    /// What is left of the statement.
    pub(super) fn rest(&self) -> Range<usize> {
        self.token.start..self.sql().len()
    }

    /// `kind`, if the statement ends here.
    pub(super) fn end(&self, kind: Kind) -> Option<Kind> {
        self.is_end().then_some(kind)
    }

    /// `kind`, if the statement goes on.
    pub(super) fn more(&self, kind: Kind) -> Option<Kind> {
        (!self.is_end()).then_some(kind)
    }

    pub(super) fn at(&self, keyword: &[u8]) -> bool {
        self.token.kind == TokenKind::Word && eq(&self.sql()[self.token.start..self.token.end], keyword)
    }

    pub(super) fn accept(&mut self, keyword: &[u8]) -> bool {
        let found = self.at(keyword);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn accept_any(&mut self, keywords: &[&[u8]]) -> bool {
        keywords.iter().any(|keyword| self.accept(keyword))
    }

    pub(super) fn expect(&mut self, keyword: &[u8]) -> Option<()> {
        self.accept(keyword).then_some(())
    }

    pub(super) fn accept_char(&mut self, char: u8) -> bool {
        let found = self.token.kind == TokenKind::Char(char);
        if found {
            self.advance();
        }
        found
    }

    /// An identifier, or a keyword that may be one (`ColId`).
    pub(super) fn name(&mut self) -> Option<Ident> {
        let Token { kind, start, end } = self.token;
        match kind {
            TokenKind::Word if is_name(&self.sql()[start..end]) => {
                self.advance();
                Some(Ident { range: start..end, quoted: false })
            }
            TokenKind::Quoted => {
                self.advance();
                Some(Ident { range: start..end, quoted: true })
            }
            TokenKind::UnicodeQuoted => {
                self.advance();
                let end = self.uescape(end)?;
                Some(Ident { range: start..end, quoted: true })
            }
            _ => None,
        }
    }

    /// A string constant (`Sconst`).
    pub(super) fn string(&mut self) -> Option<()> {
        let Token { kind, end, .. } = self.token;
        match kind {
            TokenKind::String => {
                self.advance();
            }
            TokenKind::UnicodeString => {
                self.advance();
                self.uescape(end)?;
            }
            _ => return None,
        }
        Some(())
    }

    /// The `UESCAPE '…'` that may follow a literal which ended at `end`; where the whole ends.
    fn uescape(&mut self, end: usize) -> Option<usize> {
        if !self.accept(b"uescape") {
            return Some(end);
        }
        let end = self.token.end;
        (self.token.kind == TokenKind::String).then(|| self.advance())?;
        Some(end)
    }

    /// `[SAVEPOINT] name`, where the name may itself be `savepoint`.
    fn savepoint(&mut self) -> Option<Ident> {
        let mut named = *self;
        if named.accept(b"savepoint") && !named.is_end() {
            *self = named;
        }
        self.name()
    }

    fn work(&mut self) {
        self.accept_any(&[b"work", b"transaction"]);
    }

    /// `[AND [NO] CHAIN]`
    fn chain(&mut self) -> Option<bool> {
        if !self.accept(b"and") {
            return Some(false);
        }
        let no = self.accept(b"no");
        self.expect(b"chain")?;
        Some(!no)
    }
}
