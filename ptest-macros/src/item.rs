//! The function under the attribute: its signature parsed and checked, its body kept as the tokens that were written.
//!
//! A body that is half typed therefore still expands, and its errors are the compiler's own.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, Lit, Meta, Pat, PatType, Path, Result, ReturnType, Safety, Signature, Type,
    Visibility, token,
};

/// A function, as written.
pub(crate) struct Item {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: TokenStream,
}

/// One parameter of a valid test.
pub(crate) struct Param {
    /// What is made from the context.
    pub(crate) ty: Type,
    /// Whether the function takes `&mut` of it.
    pub(crate) by_mut: bool,
    /// What `#[db(..)]` names: another database than the test's own.
    pub(crate) database: Option<Path>,
    /// Whether another attribute fills it: `#[case]`.
    pub(crate) is_case: bool,
}

impl Parse for Item {
    fn parse(input: ParseStream) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig = input.parse().map_err(|e| Error::new(e.span(), format!("a test is a function: {e}")))?;
        if !input.peek(token::Brace) {
            return Err(input.error("a test needs a body"));
        }
        Ok(Item { attrs, vis, sig, body: input.parse()? })
    }
}

impl Item {
    /// Checks what can be checked without types; every mistake is reported, not only the first.
    pub(crate) fn validate(&self) -> Result<Vec<Param>> {
        let mut errors: Vec<Error> = self.wrong_attributes().chain(self.wrong_qualifiers()).collect();
        let mut params = Vec::new();
        for arg in &self.sig.inputs {
            match param(arg) {
                Ok(param) => params.push(param),
                Err(error) => errors.push(error),
            }
        }
        combined(errors).map_or(Ok(params), Err)
    }

    /// The signature without the attributes that are for ptest.
    pub(crate) fn plain_signature(&self) -> Signature {
        let mut sig = self.sig.clone();
        for arg in &mut sig.inputs {
            if let FnArg::Typed(typed) = arg {
                typed.attrs.retain(|attr| !(attr.path().is_ident("db") || attr.path().is_ident("case")));
            }
        }
        sig
    }

    /// What `#[should_panic]` expects the panic to say: anything, if nothing.
    pub(crate) fn should_panic(&self) -> Option<String> {
        let attr = self.attrs.iter().find(|attr| attr.path().is_ident("should_panic"))?;
        let mut expected = String::new();
        let text = |value: &Expr| match value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text.value(),
            _ => String::new(),
        };
        match &attr.meta {
            Meta::NameValue(meta) => expected = text(&meta.value),
            // The compiler checks the rest.
            Meta::List(list) => drop(list.parse_nested_meta(|meta| {
                expected = text(&meta.value()?.parse()?);
                Ok(())
            })),
            Meta::Path(_) => {}
        }
        Some(expected)
    }

    /// Whether the function returns nothing, as far as its signature shows.
    pub(crate) fn returns_nothing(&self) -> bool {
        match &self.sig.output {
            ReturnType::Default => true,
            ReturnType::Type(_, ty) => matches!(bare(ty), Type::Tuple(tuple) if tuple.elems.is_empty()),
        }
    }

    fn wrong_attributes(&self) -> impl Iterator<Item = Error> {
        self.attrs.iter().filter(|attr| is_test(attr)).map(|attr| {
            let path = attr.path().to_token_stream().to_string().replace(' ', "");
            Error::new_spanned(attr, format!("second test attribute is supplied: remove `#[{path}]`"))
        })
    }

    fn wrong_qualifiers(&self) -> impl Iterator<Item = Error> {
        let sig = &self.sig;
        let generics = &sig.generics;
        let generic = (!generics.params.is_empty()).then(|| {
            Error::new_spanned(generics, "a test has no generic parameters: write the types that it is to run with")
        });
        let bounded = generics.where_clause.as_ref().map(|clause| {
            Error::new_spanned(clause, "a test has no `where` clause: write the types that it is to run with")
        });
        let qualified = [
            sig.constness.as_ref().map(|token| Error::new_spanned(token, "a test cannot be `const`: remove it")),
            match &sig.safety {
                Safety::Default => None,
                token => {
                    Some(Error::new_spanned(token, "a test cannot be `unsafe`: write `unsafe { .. }` in its body"))
                }
            },
            sig.abi.as_ref().map(|token| Error::new_spanned(token, "a test cannot be `extern`: remove it")),
        ];
        qualified.into_iter().chain([generic, bounded]).flatten()
    }
}

/// Whether an attribute would make the function a test once more: `#[test]`, `#[tokio::test]`, `#[sqlx::test]`, ours.
pub(crate) fn is_test(attr: &Attribute) -> bool {
    attr.path().segments.last().is_some_and(|last| last.ident == "test" || last.ident == "db_test")
}

/// One error out of many; the compiler reports each of them.
pub(crate) fn combined(errors: impl IntoIterator<Item = Error>) -> Option<Error> {
    errors.into_iter().reduce(|mut all, error| {
        all.combine(error);
        all
    })
}

fn param(arg: &FnArg) -> Result<Param> {
    let PatType { attrs, pat, ty, .. } = match arg {
        FnArg::Typed(typed) => typed,
        FnArg::Receiver(receiver) => {
            return Err(Error::new_spanned(receiver, "a test is a free function: it cannot take `self`"));
        }
    };
    match &**pat {
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => {}
        Pat::Wild(_) => {}
        _ => {
            let message = "a parameter is a plain name: write `name: Type`, and take it apart in the body";
            return Err(Error::new_spanned(pat, message));
        }
    }
    if attrs.iter().any(|attr| attr.path().is_ident("case")) {
        return Ok(Param { ty: (**ty).clone(), by_mut: false, database: None, is_case: true });
    }
    let mut database = None;
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("db")) {
        let named = attr.parse_args().map_err(|e| Error::new(e.span(), "expected `#[db(PATH_TO_A_DATABASE)]`"))?;
        if database.replace(named).is_some() {
            return Err(Error::new_spanned(attr, "a parameter is of one database: remove one `#[db(..)]`"));
        }
    }
    match bare(ty) {
        Type::Reference(reference) if reference.mutability.is_some() => {
            Ok(Param { ty: (*reference.elem).clone(), by_mut: true, database, is_case: false })
        }
        Type::Reference(reference) => {
            Err(Error::new_spanned(reference, "a test cannot take a shared reference: write `T` or `&mut T`"))
        }
        Type::ImplTrait(ty) => {
            Err(Error::new_spanned(ty, "a test has no generic parameters: write the type that it is to run with"))
        }
        ty => Ok(Param { ty: ty.clone(), by_mut: false, database, is_case: false }),
    }
}

/// The type without the invisible group that `macro_rules!` puts around a `$ty:ty`.
fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        ty => ty,
    }
}
