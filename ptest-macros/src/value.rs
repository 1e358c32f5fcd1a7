//! The value of an argument: what follows its name, in the form that error messages show.

use proc_macro2::Span;
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, Lit, LitBool, LitInt, LitStr, Path, Result, Token, parenthesized, token};

use crate::args::{Migrations, Setup};

/// What follows an argument's name.
pub(crate) struct Value<'a> {
    pub(crate) name: &'a Ident,
    pub(crate) input: ParseStream<'a>,
    pub(crate) form: &'static str,
}

impl Value<'_> {
    /// `= value`
    pub(crate) fn parse<T: Parse>(&self) -> Result<T> {
        self.equals()?;
        self.parse_with(T::parse)
    }

    /// `(list)`
    pub(crate) fn list<T>(&self, parse: impl FnOnce(ParseStream) -> Result<T>) -> Result<T> {
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

pub(crate) fn migrations(value: &Value) -> Result<Migrations> {
    match value.parse()? {
        Lit::Str(dir) => Ok(Migrations::Dir(dir)),
        Lit::Bool(LitBool { value: false, .. }) => Ok(Migrations::None),
        Lit::Bool(yes) => Err(Error::new(yes.span(), "`migrations = true` is the default: remove it")),
        other => Err(value.expected(other.span())),
    }
}

/// A path, or one in a string as `#[sqlx::test]` wants it.
pub(crate) fn migrator(value: &Value) -> Result<Path> {
    value.equals()?;
    if value.input.peek(LitStr) {
        let text: LitStr = value.input.parse()?;
        text.parse().map_err(|_| value.expected(text.span()))
    } else {
        value.parse_with(Path::parse)
    }
}

/// `= path`, or `(path, version = expression)`.
pub(crate) fn setup(value: &Value) -> Result<Setup> {
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
pub(crate) fn millis(value: &Value) -> Result<u64> {
    let time: LitStr = value.parse()?;
    let text = time.value();
    let units = [("ms", 1.0), ("s", 1_000.0), ("m", 60_000.0)];
    let millis = units.iter().find_map(|(unit, millis)| {
        let number = text.strip_suffix(unit).filter(|n| n.bytes().all(|b| b.is_ascii_digit() || b == b'.'))?;
        Some(number.parse::<f64>().ok()? * millis)
    });
    match millis.map(f64::round) {
        Some(0.0) => Err(Error::new(time.span(), format!("a `{}` of zero leaves no time", value.name))),
        Some(millis) => Ok(millis as u64),
        None => Err(Error::new(time.span(), "expected a number with its unit, such as \"500ms\", \"1.5s\" or \"2m\"")),
    }
}

pub(crate) fn isolation(value: &Value) -> Result<&'static str> {
    one_of(value, [("transaction", "Transaction"), ("database", "Database")])
}

pub(crate) fn level(value: &Value) -> Result<&'static str> {
    one_of(
        value,
        [("read committed", "ReadCommitted"), ("repeatable read", "RepeatableRead"), ("serializable", "Serializable")],
    )
}

pub(crate) fn flavor(value: &Value) -> Result<&'static str> {
    one_of(value, [("current_thread", "CurrentThread"), ("multi_thread", "MultiThread")])
}

fn one_of<T, const N: usize>(value: &Value, choices: [(&str, T); N]) -> Result<T> {
    let name: LitStr = value.parse()?;
    let choice = choices.into_iter().find(|(choice, _)| *choice == name.value());
    choice.map(|(_, choice)| choice).ok_or_else(|| value.expected(name.span()))
}

pub(crate) fn worker_threads(number: &LitInt) -> Result<usize> {
    match number.base10_parse()? {
        0 => Err(Error::new(number.span(), "`worker_threads` is at least 1")),
        number => Ok(number),
    }
}

/// A path that means the same wherever the generated code stands.
pub(crate) fn crate_path(value: &Value) -> Result<Path> {
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
