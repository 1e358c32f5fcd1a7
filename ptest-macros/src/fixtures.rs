//! The lists of the arguments `seed` and `fixtures`, with the path rules of `#[sqlx::test]`: each list holds bare names, or paths, or names below
//! one `path`, never a mixture.

use std::path::Path;

use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Result, Token, parenthesized};

/// Parses the list in the parentheses into paths relative to the source file.
pub(crate) fn parse(list: ParseStream) -> Result<Vec<LitStr>> {
    if list.is_empty() || list.peek(LitStr) { names_or_paths(list) } else { below_path(list) }
}

/// `"a", "b"` or `"./a.sql", "../b.sql"`.
fn names_or_paths(list: ParseStream) -> Result<Vec<LitStr>> {
    let files: Vec<LitStr> = literals(list)?;
    let explicit = files.first().is_some_and(is_explicit);
    if let Some(other) = files.iter().find(|file| is_explicit(file) != explicit) {
        let message = if explicit {
            "the list begins with a path: write a path here too, or give the bare name a `fixtures(..)` of its own"
        } else {
            "the list begins with a bare name: write a bare name here too, or give the path a `fixtures(..)` of its own"
        };
        return Err(Error::new(other.span(), message));
    }
    Ok(if explicit { files } else { files.iter().map(|file| below("fixtures", file)).collect() })
}

/// `path = "dir", scripts("a", "b")`.
fn below_path(list: ParseStream) -> Result<Vec<LitStr>> {
    const FORM: &str = r#"expected `fixtures("a", "b")` or `fixtures(path = "dir", scripts("a", "b"))`"#;
    let mut path: Option<LitStr> = None;
    let mut files = Vec::new();
    while !list.is_empty() {
        let name: Ident = list.parse().map_err(|e| Error::new(e.span(), FORM))?;
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
            _ => return Err(Error::new(name.span(), FORM)),
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
