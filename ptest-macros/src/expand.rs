//! The code that a test becomes: the function as it was written, and one call into the runtime.
//!
//! Nothing here can fail. Names that the body could see are avoided: the static lives in a block of its own, so that
//! no name of a user's module is shadowed.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Expr, Ident, Lifetime, LitStr, ReturnType, Type};

use crate::args::{Args, CratePath, Migrations, Setup};
use crate::item::{self, Item, Param};

/// A valid test.
pub(crate) fn expand(args: &Args, item: &Item, params: &[Param]) -> TokenStream {
    let Item { attrs, vis, body, .. } = item;
    let sig = item.plain_signature();
    let name = &sig.ident;
    // The runtime reports a value to the runner as soon as it is there, and passes on what the runner is to know of it.
    let (output, end) = match item.returns_nothing() {
        true => (None, Some(quote!(;))),
        false => (Some(quote!(-> ::std::process::ExitCode)), None),
    };
    let test = test(args, &item.sig.ident.to_string(), item.should_panic().as_ref());
    let run = run(&args.krate, item, params);
    let cases: Vec<TokenStream> = names(params).zip(params).filter_map(|(name, param)| param.case(&name)).collect();
    // Who fills them makes the tests.
    let is_test = cases.is_empty().then(|| quote!(#[::core::prelude::v1::test]));
    quote! {
        #(#attrs)*
        #is_test
        #vis fn #name(#(#cases),*) #output {
            // Parameters come by value, whether or not the body consumes them, and `async` is a choice of runtime.
            #[allow(clippy::needless_pass_by_value, clippy::unused_async)]
            #sig #body
            {
                #test
                #run #end
            }
        }
    }
}

/// A lease: the same static, and a value in the place of a call.
pub(crate) fn lease(args: &Args) -> TokenStream {
    let krate = &args.krate;
    let test = test(args, "lease", None::<&LitStr>);
    quote! {{
        #test
        #krate::Lease::of(&__TEST)
    }}
}

/// A function with mistakes: the errors, and the function, so that what it uses does not become unused as well.
pub(crate) fn invalid(errors: impl Iterator<Item = Error>, item: &Item) -> TokenStream {
    let errors = errors.map(Error::into_compile_error);
    let Item { attrs, vis, body, .. } = item;
    let sig = item.plain_signature();
    let attrs = attrs.iter().filter(|attr| {
        let path = attr.path();
        !(item::is_test(attr) || path.is_ident("should_panic") || path.is_ident("ignore"))
    });
    quote! {
        #(#errors)*
        #(#attrs)*
        #[allow(dead_code)]
        #vis #sig #body
    }
}

/// No function at all: the error, and the item untouched.
pub(crate) fn unparsed(error: &Error, tokens: TokenStream) -> TokenStream {
    let mut all = error.to_compile_error();
    all.extend(tokens);
    all
}

/// The static that describes the test, with only those arguments that were given.
fn test(args: &Args, name: &str, should_panic: Option<&impl ToTokens>) -> TokenStream {
    let Args { krate, fixtures, isolation, flavor, worker_threads, .. } = args;
    let private = quote!(#krate::__private);

    let schema = schema(args);
    let fixtures =
        (!fixtures.is_empty()).then(|| scripts(&private, fixtures)).map(|scripts| quote!(.fixtures(#scripts)));
    let isolation = isolation.map(of_runtime).map(|isolation| quote!(.isolation(#private::Isolation::#isolation)));
    let level = args.level.map(of_runtime).map(|level| quote!(.level(#private::Level::#level)));
    let turn_timeout = args.turn_timeout_ms.map(|millis| quote!(.turn_timeout_ms(#millis)));
    let audit = (!args.audit.is_empty()).then(|| {
        let choices = args.audit.iter().map(|choice| choice.call(&private));
        quote!(.audit(#private::Severities::new() #(#choices)*))
    });
    let timeout = args.timeout_ms.map(|millis| quote!(.timeout_ms(#millis)));
    let flavor = flavor.map(|flavor| {
        let name = of_runtime(flavor);
        let workers = (flavor == "MultiThread").then(|| {
            let threads = match worker_threads {
                Some(n) => quote!(Some(#n)),
                None => quote!(None),
            };
            quote!((#private::multi_thread, ::core::option::Option::#threads))
        });
        quote!(.flavor(#private::Flavor::#name #workers))
    });
    let start_paused = (args.start_paused == Some(true)).then(|| quote!(.start_paused(#private::pause)));
    let should_panic = should_panic.map(|expected| quote!(.should_panic(#expected)));

    quote! {
        static __TEST: #private::TestSpec = #private::TestSpec::new(
            ::core::concat!(::core::module_path!(), "::", #name),
            ::core::env!("CARGO_MANIFEST_DIR"),
        )
        #schema #fixtures #isolation #level #turn_timeout #audit #timeout #flavor #start_paused
        #should_panic;
    }
}

/// A name of the runtime's.
fn of_runtime(name: &str) -> Ident {
    format_ident!("{name}")
}

/// What a template is made from, as calls of a builder.
pub(crate) fn schema(args: &Args) -> TokenStream {
    let Args { krate, migrations, seed, setup, .. } = args;
    let private = quote!(#krate::__private);
    let migrations = migrations.as_ref().map(|migrations| {
        let source = match migrations {
            Migrations::Dir(dir) => quote!(Dir(#dir)),
            Migrations::None => quote!(None),
            Migrations::Migrator(path) => quote_spanned!(located(path)=> Migrator(&#path)),
        };
        quote!(.migrations(#private::Migrations::#source))
    });
    let seed = (!seed.is_empty()).then(|| scripts(&private, seed)).map(|scripts| quote!(.seed(#scripts)));
    let setup = setup.as_ref().map(|setup| self::setup(&private, setup));
    quote!(#migrations #seed #setup)
}

fn scripts(private: &TokenStream, paths: &[LitStr]) -> TokenStream {
    let scripts = paths.iter().map(|path| {
        let sql = quote_spanned!(path.span()=> ::core::include_str!(#path));
        quote!(#private::Script { path: #path, sql: #sql })
    });
    quote!(&[#(#scripts),*])
}

/// The function is named, never called by the test itself.
fn setup(private: &TokenStream, Setup { function, version }: &Setup) -> TokenStream {
    let path = function.to_token_stream().to_string().replace(' ', "");
    let version = version.as_ref().map_or_else(|| quote!(""), Expr::to_token_stream);
    let function = quote_spanned!(located(function)=> #function);
    quote! {
        .setup(&#private::Setup {
            path: #path,
            package: ::core::concat!(::core::env!("CARGO_PKG_NAME"), " ", ::core::env!("CARGO_PKG_VERSION")),
            version: #version,
            name: || #private::name_of(#function),
            run: |__cx| #private::call_setup(__cx, #function),
        })
    }
}

/// The call that makes the parameters and runs the function with them.
fn run(krate: &CratePath, item: &Item, params: &[Param]) -> TokenStream {
    let name = &item.sig.ident;
    let passed: Vec<TokenStream> = params.iter().zip(names(params)).map(|(param, name)| param.passed(&name)).collect();
    let own = || params.iter().zip(names(params)).filter(|(param, _)| !param.is_case);
    let names: Vec<Ident> = own().map(|(_, name)| name).collect();
    let bindings: Vec<TokenStream> = own().map(|(param, name)| param.binding(&name)).collect();
    let captured = (names.len() < params.len()).then(|| quote!(move));
    let made = own().map(|(Param { ty, database, .. }, _)| match database {
        None => quote_spanned!(located(ty)=> #krate::__private::param::<#ty>(__cx).await?),
        Some(path) => {
            let database = quote_spanned!(located(path)=> &#path);
            quote_spanned!(located(ty)=> #krate::__private::param_of::<#ty>(__cx, #database).await?)
        }
    });
    let ok = quote!(::core::result::Result::<_, #krate::Error>::Ok);
    // A value that the runner cannot take is an error at its type.
    let value = match &item.sig.output {
        ReturnType::Type(_, ty) => Ident::new("__value", Span::mixed_site().located_at(ty.span())),
        ReturnType::Default => Ident::new("__value", Span::mixed_site()),
    };

    if item.sig.asyncness.is_some() {
        quote! {
            #krate::__private::run(&__TEST, #captured |__cx| ::std::boxed::Box::pin(async move {
                #(let #bindings = #made;)*
                #krate::__private::start_body(__cx);
                let #value = #name(#(#passed),*).await;
                #ok(#krate::__private::report(#value))
            }))
        }
    } else {
        quote! {
            #krate::__private::run_blocking(
                &__TEST,
                |__cx| ::std::boxed::Box::pin(async move {
                    #(let #names = #made;)*
                    #krate::__private::start_body(__cx);
                    #ok((#(#names,)*))
                }),
                #captured |(#(#bindings,)*)| {
                    let #value = #name(#(#passed),*);
                    #krate::__private::report(#value)
                },
            )
        }
    }
}

/// What the parameters are called where they are made.
fn names(params: &[Param]) -> impl Iterator<Item = Ident> {
    (0..params.len()).map(|i| format_ident!("__p{i}", span = Span::mixed_site()))
}

impl Param {
    /// The parameter of the test itself that another attribute fills.
    fn case(&self, name: &Ident) -> Option<TokenStream> {
        let mut ty = self.is_case.then(|| self.ty.clone())?;
        // The body's runtime and the test's borrow it for longer than a call can say.
        if let Type::Reference(reference) = &mut ty {
            reference.lifetime.get_or_insert_with(|| Lifetime::new("'static", Span::call_site()));
        }
        Some(quote!(#name: #ty))
    }

    fn binding(&self, name: &Ident) -> TokenStream {
        if self.by_mut { quote!(mut #name) } else { quote!(#name) }
    }

    fn passed(&self, name: &Ident) -> TokenStream {
        if self.by_mut { quote!(&mut #name) } else { quote!(#name) }
    }
}

/// Where the user wrote it, yet known as generated: errors point there, lints stay silent.
fn located(tokens: &impl ToTokens) -> Span {
    Span::call_site().located_at(tokens.span())
}
