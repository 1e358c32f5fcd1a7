//! `lease!`: the arguments of the attribute, but for those that speak of a body.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Result};

use crate::args::{Args, Given};
use crate::expand;
use crate::item::combined;

/// The arguments that a lease has no use for, which has no body and no runtime.
const OF_BODIES: &[&str] = &["timeout", "flavor", "worker_threads", "start_paused"];

/// A lease, as it was asked for.
pub(crate) struct Lease(Args);

impl Parse for Lease {
    fn parse(input: ParseStream) -> Result<Self> {
        let given = Given::parse(input)?;
        let useless = given.names().iter().filter(|name| OF_BODIES.iter().any(|known| *name == known));
        let useless = useless.map(|name| {
            Error::new(
                name.span(),
                format!("`{name}` says how the body of a test runs, and a lease has none: remove it"),
            )
        });
        combined(useless).map_or(Ok(()), Err)?;
        given.checked().map(Lease)
    }
}

impl ToTokens for Lease {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(expand::lease(&self.0));
    }
}
