//! The arguments of the attribute.
//!
//! A new argument is a row of [`ARGUMENTS`], an arm of [`Given::set`] and a field of [`Args`].

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, LitBool, LitStr, Path, Result, Token};

use crate::audit::{self, Choice};
use crate::fixtures;
use crate::item::combined;
use crate::similar::similar;
use crate::value::{self, Value, millis};

/// Each argument and its form, as error messages show it.
const ARGUMENTS: &[(&str, &str)] = &[
    ("migrations", r#"migrations = "dir" | false"#),
    ("migrator", "migrator = path::TO_MIGRATOR"),
    ("seed", r#"seed("a", "b")"#),
    ("setup", "setup = path::to::function"),
    ("fixtures", r#"fixtures("a", "b")"#),
    ("isolation", r#"isolation = "transaction" | "database""#),
    ("level", r#"level = "read committed" | "repeatable read" | "serializable""#),
    ("turn_timeout", r#"turn_timeout = "2s""#),
    ("audit", r#"audit(open_transaction = "error" | "warning" | "off", ...)"#),
    ("timeout", r#"timeout = "5s""#),
    ("flavor", r#"flavor = "current_thread" | "multi_thread""#),
    ("worker_threads", "worker_threads = N"),
    ("start_paused", "start_paused = true | false"),
    ("crate", "crate = ::path::to::ptest"),
];

/// What became of an argument that there was.
const NO_SESSIONS: &str = "there is no argument `sessions` any more: with `isolation = \"database\"` a statement beside an \
    open transaction does what it does on a server, which costs a clone; without it, it waits its turn";

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
    /// The runtime's name of it, like those of the level and the flavor.
    pub(crate) isolation: Option<&'static str>,
    pub(crate) level: Option<&'static str>,
    pub(crate) turn_timeout_ms: Option<u64>,
    pub(crate) audit: Vec<Choice>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) flavor: Option<&'static str>,
    pub(crate) worker_threads: Option<usize>,
    pub(crate) start_paused: Option<bool>,
}

/// The features that arguments need: what they turn on in tokio would make a user's project compile it twice.
#[derive(Clone, Copy)]
pub(crate) struct Features {
    pub(crate) multi_thread: bool,
    pub(crate) start_paused: bool,
}

/// Those that `ptest` was compiled with.
const FEATURES: Features = Features {
    multi_thread: cfg!(any(feature = "multi-thread", test)),
    start_paused: cfg!(any(feature = "start-paused", test)),
};

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

impl Parse for Args {
    fn parse(input: ParseStream) -> Result<Self> {
        Given::parse(input)?.checked()
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
pub(crate) struct Given {
    args: Args,
    names: Vec<Ident>,
}

impl Given {
    pub(crate) fn parse(input: ParseStream) -> Result<Self> {
        let mut given = Given::default();
        let mut errors = Vec::new();
        while !input.is_empty() {
            if let Err(error) = given.argument(input) {
                errors.push(error);
                skip_argument(input)?;
            }
            input.parse::<Option<Token![,]>>()?;
        }
        combined(errors).map_or(Ok(given), Err)
    }

    /// The arguments, if they go together.
    pub(crate) fn checked(self) -> Result<Args> {
        combined(self.conflicts(FEATURES)).map_or(Ok(self.args), Err)
    }

    /// What was given, in the user's order.
    pub(crate) fn names(&self) -> &[Ident] {
        &self.names
    }

    fn argument(&mut self, input: ParseStream) -> Result<()> {
        let name = input
            .call(Ident::parse_any)
            .map_err(|e| Error::new(e.span(), format!("expected the name of an argument\n{}", accepted())))?;
        let Some((_, form)) = ARGUMENTS.iter().find(|(known, _)| name == known) else {
            return Err(if name == "sessions" { Error::new(name.span(), NO_SESSIONS) } else { unknown(&name) });
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
            "migrations" => args.migrations = Some(value::migrations(value)?),
            "migrator" => args.migrations = Some(Migrations::Migrator(value::migrator(value)?)),
            "seed" => args.seed.extend(fixtures::parse(value)?),
            "setup" => args.setup = Some(value::setup(value)?),
            "fixtures" => args.fixtures.extend(fixtures::parse(value)?),
            "isolation" => args.isolation = Some(value::isolation(value)?),
            "level" => args.level = Some(value::level(value)?),
            "turn_timeout" => args.turn_timeout_ms = Some(millis(value)?),
            "audit" => args.audit = value.list(audit::parse)?,
            "timeout" => args.timeout_ms = Some(millis(value)?),
            "flavor" => args.flavor = Some(value::flavor(value)?),
            "worker_threads" => args.worker_threads = Some(value::worker_threads(&value.parse()?)?),
            "start_paused" => args.start_paused = Some(value.parse::<LitBool>()?.value),
            "crate" => args.krate = CratePath::Explicit(value::crate_path(value)?),
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    /// What is right by itself and wrong together.
    pub(crate) fn conflicts(&self, features: Features) -> Vec<Error> {
        let multi_thread = self.args.flavor == Some("MultiThread");
        let start_paused = self.args.start_paused == Some(true);
        let own_database = self.args.isolation == Some("Database");
        let rules = [
            (
                "migrator",
                self.has("migrations"),
                "`migrator` and `migrations` both say where the schema comes from: remove one",
            ),
            (
                "flavor",
                multi_thread && !features.multi_thread,
                "`flavor = \"multi_thread\"` needs the feature `multi-thread` of ptest: write `ptest = { version = \"0.1\", \
                 features = [\"multi-thread\"] }`. It turns on `rt-multi-thread` of tokio",
            ),
            (
                "start_paused",
                start_paused && !features.start_paused,
                "`start_paused = true` needs the feature `start-paused` of ptest: write `ptest = { version = \"0.1\", \
                 features = [\"start-paused\"] }`. It turns on `test-util` of tokio",
            ),
            ("worker_threads", !multi_thread, "`worker_threads` needs `flavor = \"multi_thread\"`"),
            ("start_paused", multi_thread && start_paused, "`start_paused = true` needs `flavor = \"current_thread\"`"),
            (
                "start_paused",
                own_database && start_paused,
                "`start_paused = true` needs `isolation = \"transaction\"`: while a database of its own answers, the test's \
                 clock would jump. Call `tokio::time::pause()` in the body where no request is under way",
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

/// All that the attribute takes.
fn accepted() -> String {
    let forms: Vec<String> = ARGUMENTS.iter().map(|(_, form)| format!("\n    {form}")).collect();
    format!("the arguments are{}", forms.concat())
}
