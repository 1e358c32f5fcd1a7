//! The attribute of ptest: `#[ptest::db_test]`.
//!
//! It parses the arguments and the signature, checks both, and writes one call into the runtime. It knows nothing of
//! databases, and never looks into the body of a test.

mod args;
mod audit;
mod database;
mod expand;
mod fixtures;
mod item;
mod lease;
mod similar;
#[cfg(test)]
mod tests;
mod value;

use proc_macro2::TokenStream;
use quote::ToTokens;

use crate::args::Args;
use crate::database::Database;
use crate::item::Item;
use crate::lease::Lease;

#[expect(missing_docs, reason = "documented where `ptest` re-exports it")]
#[proc_macro_attribute]
pub fn db_test(args: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    attribute(args.into(), item.into()).into()
}

#[expect(missing_docs, reason = "documented where `ptest` re-exports it")]
#[proc_macro]
pub fn database(args: proc_macro::TokenStream) -> proc_macro::TokenStream {
    match syn::parse2::<Database>(args.into()) {
        Ok(database) => database.into_token_stream().into(),
        Err(error) => error.into_compile_error().into(),
    }
}

#[expect(missing_docs, reason = "documented where `ptest` re-exports it")]
#[proc_macro]
pub fn lease(args: proc_macro::TokenStream) -> proc_macro::TokenStream {
    match syn::parse2::<Lease>(args.into()) {
        Ok(lease) => lease.into_token_stream().into(),
        Err(error) => error.into_compile_error().into(),
    }
}

fn attribute(args: TokenStream, tokens: TokenStream) -> TokenStream {
    let args = syn::parse2::<Args>(args);
    let item = match syn::parse2::<Item>(tokens.clone()) {
        Ok(item) => item,
        Err(error) => return expand::unparsed(&error, tokens),
    };
    match (args, item.validate()) {
        (Ok(args), Ok(params)) => expand::expand(&args, &item, &params),
        (args, params) => expand::invalid([args.err(), params.err()].into_iter().flatten(), &item),
    }
}
