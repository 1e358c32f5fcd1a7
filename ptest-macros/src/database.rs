//! `database!`: the arguments of the attribute that say what a database is made from, and the variable of its server.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Error, Ident, LitStr, Result, Token};

use crate::args::Args;
use crate::expand;

/// Those of the attribute's arguments that it takes.
const SHARED: &[&str] = &["migrations", "migrator", "seed", "setup", "crate"];

const ACCEPTED: &str = r#"`database!` takes
    migrations = "dir" | false
    migrator = path::TO_MIGRATOR
    seed("a", "b")
    setup = path::to::function
    url = "NAME_OF_A_VARIABLE"
    crate = ::path::to::ptest"#;

/// A database, as declared.
pub(crate) struct Database {
    args: Args,
    url: Option<LitStr>,
}

impl Parse for Database {
    fn parse(input: ParseStream) -> Result<Self> {
        let (mut shared, mut url) = (TokenStream::new(), None);
        while !input.is_empty() {
            let argument = input.step(|cursor| {
                let (mut argument, mut rest) = (TokenStream::new(), *cursor);
                while let Some((token, next)) = rest.token_tree() {
                    rest = next;
                    if matches!(&token, TokenTree::Punct(comma) if comma.as_char() == ',') {
                        break;
                    }
                    argument.extend([token]);
                }
                Ok((argument, rest))
            })?;
            match argument.clone().into_iter().next() {
                Some(TokenTree::Ident(name)) if name == "url" => url = Some(variable.parse2(argument)?),
                Some(TokenTree::Ident(name)) if SHARED.iter().any(|known| name == known) => {
                    shared.extend(argument);
                    shared.extend(quote!(,));
                }
                Some(other) => return Err(Error::new(other.span(), ACCEPTED)),
                None => {}
            }
        }
        Ok(Database { args: syn::parse2(shared)?, url })
    }
}

impl ToTokens for Database {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let krate = &self.args.krate;
        let schema = expand::schema(&self.args);
        let url = self.url.as_ref().map(|url| quote!(.url(#url)));
        tokens.extend(quote!(#krate::Database::new(::core::env!("CARGO_MANIFEST_DIR")) #schema #url));
    }
}

/// `url = "NAME"`.
fn variable(input: ParseStream) -> Result<LitStr> {
    input.parse::<Ident>()?;
    let form = |error: Error| Error::new(error.span(), "expected `url = \"NAME_OF_A_VARIABLE\"`");
    input.parse::<Token![=]>().map_err(form)?;
    input.parse().map_err(form)
}
