//! The arguments of the attribute.
//!
//! A new argument is a row of [`ARGUMENTS`], an arm of [`Given::set`] and a field of [`Args`].

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, Lit, LitBool, LitInt, LitStr, Path, Result, Token, parenthesized, token};

use crate::audit::{self, Choice};
use crate::fixtures;
use crate::item::combined;

/// Each argument and its form, as error messages show it.
const ARGUMENTS: &[(&str, &str)] = &[
    ("migrations", r#"migrations = "dir" | false"#),
    ("migrator", "migrator = path::TO_MIGRATOR"),
    ("seed", r#"seed("a", "b")"#),
    ("setup", "setup = path::to::function"),
    ("fixtures", r#"fixtures("a", "b")"#),
    ("isolation", r#"isolation = "transaction" | "database""#),
    ("level", r#"level = "read committed" | "repeatable read" | "serializable""#),
    ("sessions", r#"sessions = "turns" | "shared""#),
    ("turn_timeout", r#"turn_timeout = "2s""#),
    ("audit", r#"audit(open_transaction = "error" | "warning" | "off", ...)"#),
    ("timeout", r#"timeout = "5s""#),
    ("flavor", r#"flavor = "current_thread" | "multi_thread""#),
    ("worker_threads", "worker_threads = N"),
    ("start_paused", "start_paused = true | false"),
    ("crate", "crate = ::path::to::ptest"),
];

/// What may be given more than once.
const REPEATABLE: &[&str] = &["seed", "fixtures"];

/// The arguments that were given, checked.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) krate: CratePath,
    pub(crate) migrations: Option<Migrations>,
    /// Paths relative to the source file, each where the user wrote it.
    pub(crate) seed: Vec<LitStr>,
    pub(crate) setup: Option<Setup>,
    /// The same.
    pub(crate) fixtures: Vec<LitStr>,
    pub(crate) isolation: Option<Isolation>,
    pub(crate) level: Option<Level>,
    pub(crate) sessions: Option<Sessions>,
    pub(crate) turn_timeout_ms: Option<u64>,
    pub(crate) audit: Vec<Choice>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) flavor: Option<Flavor>,
    pub(crate) worker_threads: Option<usize>,
    pub(crate) start_paused: Option<bool>,
}

/// Where the generated code finds ptest.
#[derive(Default)]
pub(crate) enum CratePath {
    #[default]
    Default,
    Explicit(Path),
}

pub(crate) enum Migrations {
    Dir(LitStr),
    None,
    Migrator(Path),
}

/// The function, and the expression that says which version of it this is.
pub(crate) struct Setup {
    pub(crate) function: Path,
    pub(crate) version: Option<Expr>,
}

#[derive(PartialEq)]
pub(crate) enum Isolation {
    Transaction,
    Database,
}

pub(crate) enum Level {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

pub(crate) enum Sessions {
    Turns,
    Shared,
}

#[derive(PartialEq)]
pub(crate) enum Flavor {
    CurrentThread,
    MultiThread,
}

impl Parse for Args {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut given = Given::default();
        let mut errors = Vec::new();
        while !input.is_empty() {
            if let Err(error) = given.argument(input) {
                errors.push(error);
                skip_argument(input)?;
            }
            input.parse::<Option<Token![,]>>()?;
        }
        if errors.is_empty() {
            errors.extend(given.conflicts());
        }
        combined(errors).map_or(Ok(given.args), Err)
    }
}

impl ToTokens for CratePath {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            CratePath::Default => tokens.extend(quote!(::ptest)),
            CratePath::Explicit(path) => path.to_tokens(tokens),
        }
    }
}

/// The arguments so far, and the names they were given by.
#[derive(Default)]
struct Given {
    args: Args,
    names: Vec<Ident>,
}

impl Given {
    fn argument(&mut self, input: ParseStream) -> Result<()> {
        let name = input
            .call(Ident::parse_any)
            .map_err(|e| Error::new(e.span(), format!("expected the name of an argument\n{}", accepted())))?;
        let Some((_, form)) = ARGUMENTS.iter().find(|(known, _)| name == known) else {
            return Err(unknown(&name));
        };
        if !REPEATABLE.iter().any(|known| name == known) && self.names.contains(&name) {
            return Err(Error::new(name.span(), format!("`{name}` is given twice")));
        }
        self.set(&name, &Value { name: &name, input, form })?;
        self.names.push(name);
        if input.is_empty() || input.peek(Token![,]) { Ok(()) } else { Err(input.error("expected `,`")) }
    }

    fn set(&mut self, name: &Ident, value: &Value) -> Result<()> {
        let args = &mut self.args;
        match name.to_string().as_str() {
            "migrations" => args.migrations = Some(migrations(value)?),
            "migrator" => args.migrations = Some(Migrations::Migrator(migrator(value)?)),
            "seed" => args.seed.extend(value.list(fixtures::parse)?),
            "setup" => args.setup = Some(setup(value)?),
            "fixtures" => args.fixtures.extend(value.list(fixtures::parse)?),
            "isolation" => args.isolation = Some(isolation(value)?),
            "level" => args.level = Some(level(value)?),
            "sessions" => args.sessions = Some(sessions(value)?),
            "turn_timeout" => args.turn_timeout_ms = Some(millis(&value.parse()?)?),
            "audit" => args.audit = value.list(audit::parse)?,
            "timeout" => args.timeout_ms = Some(millis(&value.parse()?)?),
            "flavor" => args.flavor = Some(flavor(value)?),
            "worker_threads" => args.worker_threads = Some(worker_threads(&value.parse()?)?),
            "start_paused" => args.start_paused = Some(value.parse::<LitBool>()?.value),
            "crate" => args.krate = CratePath::Explicit(crate_path(value)?),
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    /// What is right by itself and wrong together.
    fn conflicts(&self) -> Vec<Error> {
        let multi_thread = self.args.flavor == Some(Flavor::MultiThread);
        let own_database = self.args.isolation == Some(Isolation::Database);
        let rules = [
            (
                "migrator",
                self.has("migrations"),
                "`migrator` and `migrations` both say where the schema comes from: remove one",
            ),
            ("worker_threads", !multi_thread, "`worker_threads` needs `flavor = \"multi_thread\"`"),
            (
                "start_paused",
                multi_thread && self.args.start_paused == Some(true),
                "`start_paused = true` needs `flavor = \"current_thread\"`",
            ),
            (
                "start_paused",
                own_database && self.args.start_paused == Some(true),
                "`start_paused = true` needs `isolation = \"transaction\"`: while a database of its own answers, the test's \
                 clock would jump. Call `tokio::time::pause()` in the body where no request is under way",
            ),
            (
                "sessions",
                own_database,
                "`sessions` needs `isolation = \"transaction\"`: in a database of its own no session of the test waits for \
                 another: remove it",
            ),
            (
                "turn_timeout",
                own_database,
                "`turn_timeout` needs `isolation = \"transaction\"`: in a database of its own no session of the test waits \
                 for another: remove it",
            ),
        ];
        let broken = |(name, wrong, message): (&str, bool, &str)| {
            let name = self.names.iter().find(|given| *given == name).filter(|_| wrong)?;
            Some(Error::new(name.span(), message))
        };
        rules.into_iter().filter_map(broken).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|given| given == name)
    }
}

/// What follows an argument's name.
struct Value<'a> {
    name: &'a Ident,
    input: ParseStream<'a>,
    form: &'static str,
}

impl Value<'_> {
    /// `= value`
    fn parse<T: Parse>(&self) -> Result<T> {
        self.equals()?;
        self.parse_with(T::parse)
    }

    /// `(list)`
    fn list<T>(&self, parse: impl FnOnce(ParseStream) -> Result<T>) -> Result<T> {
        if !self.input.peek(token::Paren) {
            return Err(self.expected(self.span()));
        }
        let list;
        parenthesized!(list in self.input);
        parse(&list)
    }

    fn equals(&self) -> Result<Token![=]> {
        self.parse_with(Parse::parse)
    }

    fn parse_with<T>(&self, parse: impl FnOnce(ParseStream) -> Result<T>) -> Result<T> {
        let span = self.span();
        parse(self.input).map_err(|_| self.expected(span))
    }

    /// Where the value begins, or where it is missing.
    fn span(&self) -> Span {
        if self.input.is_empty() || self.input.peek(Token![,]) { self.name.span() } else { self.input.span() }
    }

    fn expected(&self, span: Span) -> Error {
        Error::new(span, format!("expected `{}`", self.form))
    }
}

fn migrations(value: &Value) -> Result<Migrations> {
    match value.parse()? {
        Lit::Str(dir) => Ok(Migrations::Dir(dir)),
        Lit::Bool(LitBool { value: false, .. }) => Ok(Migrations::None),
        Lit::Bool(yes) => Err(Error::new(yes.span(), "`migrations = true` is the default: remove it")),
        other => Err(value.expected(other.span())),
    }
}

/// A path, or one in a string as `#[sqlx::test]` wants it.
fn migrator(value: &Value) -> Result<Path> {
    value.equals()?;
    if value.input.peek(LitStr) {
        let text: LitStr = value.input.parse()?;
        text.parse().map_err(|_| value.expected(text.span()))
    } else {
        value.parse_with(Path::parse)
    }
}

/// `= path`, or `(path, version = expression)`.
fn setup(value: &Value) -> Result<Setup> {
    if !value.input.peek(token::Paren) {
        return Ok(Setup { function: value.parse()?, version: None });
    }
    value.list(|list| {
        let form = |error: Error| Error::new(error.span(), "expected `setup(path::to::function, version = \"1\")`");
        let function = list.parse().map_err(form)?;
        list.parse::<Token![,]>().map_err(form)?;
        list.parse::<Ident>()
            .and_then(|name| match name == "version" {
                true => list.parse::<Token![=]>().map(drop),
                false => Err(Error::new(name.span(), "")),
            })
            .map_err(form)?;
        let version = list.parse()?;
        list.parse::<Option<Token![,]>>()?;
        Ok(Setup { function, version: Some(version) })
    })
}

/// A number with its unit, in whole milliseconds.
fn millis(time: &LitStr) -> Result<u64> {
    let text = time.value();
    let units = [("ms", 1.0), ("s", 1_000.0), ("m", 60_000.0)];
    let millis = units.iter().find_map(|(unit, millis)| {
        let number = text.strip_suffix(unit).filter(|n| n.bytes().all(|b| b.is_ascii_digit() || b == b'.'))?;
        Some(number.parse::<f64>().ok()? * millis)
    });
    match millis.map(f64::round) {
        Some(0.0) => Err(Error::new(time.span(), "a `timeout` of zero leaves no time")),
        Some(millis) => Ok(millis as u64),
        None => Err(Error::new(time.span(), "expected a number with its unit, such as \"500ms\", \"1.5s\" or \"2m\"")),
    }
}

fn isolation(value: &Value) -> Result<Isolation> {
    let name: LitStr = value.parse()?;
    match name.value().as_str() {
        "transaction" => Ok(Isolation::Transaction),
        "database" => Ok(Isolation::Database),
        _ => Err(value.expected(name.span())),
    }
}

fn level(value: &Value) -> Result<Level> {
    let name: LitStr = value.parse()?;
    match name.value().as_str() {
        "read committed" => Ok(Level::ReadCommitted),
        "repeatable read" => Ok(Level::RepeatableRead),
        "serializable" => Ok(Level::Serializable),
        _ => Err(value.expected(name.span())),
    }
}

fn sessions(value: &Value) -> Result<Sessions> {
    let name: LitStr = value.parse()?;
    match name.value().as_str() {
        "turns" => Ok(Sessions::Turns),
        "shared" => Ok(Sessions::Shared),
        _ => Err(value.expected(name.span())),
    }
}

fn flavor(value: &Value) -> Result<Flavor> {
    let name: LitStr = value.parse()?;
    match name.value().as_str() {
        "current_thread" => Ok(Flavor::CurrentThread),
        "multi_thread" => Ok(Flavor::MultiThread),
        _ => Err(value.expected(name.span())),
    }
}

fn worker_threads(number: &LitInt) -> Result<usize> {
    match number.base10_parse()? {
        0 => Err(Error::new(number.span(), "`worker_threads` is at least 1")),
        number => Ok(number),
    }
}

/// A path that means the same wherever the generated code stands.
fn crate_path(value: &Value) -> Result<Path> {
    value.equals()?;
    if value.input.peek(LitStr) {
        let text: LitStr = value.input.parse()?;
        let path = text.value();
        let message = format!("`crate` is a path, no string: write `crate = ::{}`", path.trim_start_matches("::"));
        return Err(Error::new(text.span(), message));
    }
    let path = value.parse_with(Path::parse_mod_style)?;
    let first = &path.segments[0].ident;
    if path.leading_colon.is_some() || first == "crate" || first == "$crate" {
        return Ok(path);
    }
    let instead = match first.to_string().as_str() {
        "self" | "super" => "crate::path::to::ptest".to_owned(),
        _ => format!("::{}", path.to_token_stream().to_string().replace(' ', "")),
    };
    Err(Error::new_spanned(&path, format!("`crate` is an absolute path: write `crate = {instead}`")))
}

fn skip_argument(input: ParseStream) -> Result<()> {
    while !(input.is_empty() || input.peek(Token![,])) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

fn unknown(name: &Ident) -> Error {
    let hint = similar(&name.to_string(), ARGUMENTS.iter().map(|(known, _)| *known));
    Error::new(name.span(), format!("unknown argument `{name}`{hint}\n{}", accepted()))
}

/// A question after the one of the known words that was probably meant.
pub(crate) fn similar(text: &str, known: impl IntoIterator<Item = &'static str>) -> String {
    let close = known.into_iter().find(|known| distance(text, known) <= 2);
    close.map_or(String::new(), |known| format!(", did you mean `{known}`?"))
}

/// All that the attribute takes.
fn accepted() -> String {
    let forms: Vec<String> = ARGUMENTS.iter().map(|(_, form)| format!("\n    {form}")).collect();
    format!("the arguments are{}", forms.concat())
}

/// How many letters have to be added, removed or changed to turn one word into the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
