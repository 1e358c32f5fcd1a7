//! The lists of the arguments `seed` and `fixtures`, with the path rules of `#[sqlx::test]`: each list holds bare names, or paths, or names below
//! one `path`, never a mixture.

use std::path::Path;

use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Result, Token, parenthesized};

use crate::value::Value;

/// Parses the list in the parentheses into paths relative to the source file.
pub(crate) fn parse(value: &Value) -> Result<Vec<LitStr>> {
    value.list(|list| match list.is_empty() || list.peek(LitStr) {
        true => names_or_paths(value.name, list),
        false => below_path(value.name, list),
    })
}

/// `"a", "b"` or `"./a.sql", "../b.sql"`.
fn names_or_paths(argument: &Ident, list: ParseStream) -> Result<Vec<LitStr>> {
    let files: Vec<LitStr> = literals(list)?;
    let explicit = files.first().is_some_and(is_explicit);
    if let Some(other) = files.iter().find(|file| is_explicit(file) != explicit) {
        let (first, other_kind) = if explicit { ("path", "bare name") } else { ("bare name", "path") };
        let message = format!(
            "the list begins with a {first}: write a {first} here too, or give the {other_kind} a `{argument}(..)` of its own"
        );
        return Err(Error::new(other.span(), message));
    }
    Ok(if explicit { files } else { files.iter().map(|file| below("fixtures", file)).collect() })
}

/// `path = "dir", scripts("a", "b")`.
fn below_path(argument: &Ident, list: ParseStream) -> Result<Vec<LitStr>> {
    let form = format!(r#"expected `{argument}("a", "b")` or `{argument}(path = "dir", scripts("a", "b"))`"#);
    let mut path: Option<LitStr> = None;
    let mut files = Vec::new();
    while !list.is_empty() {
        let name: Ident = list.parse().map_err(|e| Error::new(e.span(), &form))?;
        match (name.to_string().as_str(), &path) {
            ("path", None) => {
                list.parse::<Token![=]>()?;
                path = Some(list.parse()?);
            }
            ("path", Some(_)) => return Err(Error::new(name.span(), "`path` is given twice")),
            ("scripts", Some(path)) => {
                let scripts;
                parenthesized!(scripts in list);
                files.extend(literals(&scripts)?.iter().map(|file| below(&path.value(), file)));
            }
            ("scripts", None) => return Err(Error::new(name.span(), "`scripts` needs `path = \"dir\"` before it")),
            _ => return Err(Error::new(name.span(), &form)),
        }
        if !list.is_empty() {
            list.parse::<Token![,]>()?;
        }
    }
    Ok(files)
}

fn literals(list: ParseStream) -> Result<Vec<LitStr>> {
    let files = list.call(Punctuated::<LitStr, Token![,]>::parse_terminated)?;
    Ok(files.into_iter().collect())
}

/// Whether the name has a separator in it: `./a.sql`, `../a.sql`, `/a.sql`, `dir/a.sql`.
fn is_explicit(file: &LitStr) -> bool {
    Path::new(&file.value()).components().count() > 1
}

fn below(dir: &str, file: &LitStr) -> LitStr {
    let name = file.value();
    let extension = if Path::new(&name).extension().is_some() { "" } else { ".sql" };
    LitStr::new(&format!("{dir}/{name}{extension}"), file.span())
}
