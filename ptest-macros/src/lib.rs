//! The attribute of ptest.

use proc_macro::TokenStream;

/// x
#[proc_macro_attribute]
pub fn db_test(_args: TokenStream, item: TokenStream) -> TokenStream {
    item
}
