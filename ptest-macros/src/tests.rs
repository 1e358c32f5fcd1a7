//! The expansions, and the rules for values.

use proc_macro2::TokenStream;
use quote::quote;

use crate::args::{Args, Features, Given};

/// What the attribute makes of a function, formatted.
fn expansion(args: TokenStream, item: TokenStream) -> String {
    let file = syn::parse2(crate::attribute(args, item)).expect("the expansion is a list of items");
    prettyplease::unparse(&file)
}

#[test]
fn async_fn() {
    let item = quote! {
        async fn registers(pool: PgPool, mut conn: PgConnection, tx: &mut Transaction<'_, Postgres>) -> anyhow::Result<()> {
            pool.close().await;
            Ok(())
        }
    };
    insta::assert_snapshot!(expansion(quote!(), item));
}

#[test]
fn plain_fn() {
    insta::assert_snapshot!(expansion(
        quote!(),
        quote! {
            fn registers(url: PgUrl, conn: &mut Client) {}
        }
    ));
}

#[test]
fn no_parameters() {
    insta::assert_snapshot!(expansion(
        quote!(),
        quote! {
            /// Documented.
            #[should_panic(expected = "no")]
            #[cfg(unix)]
            pub(crate) async fn r#try() {}
        }
    ));
}

#[test]
fn every_argument() {
    let args = quote! {
        migrations = "db/migrations",
        seed("world"),
        seed("./world.sql"),
        setup(world::build, version = include_str!("world.rs")),
        fixtures("users", "posts.sql"),
        fixtures("./users.sql", "../posts.sql"),
        fixtures(path = "../data", scripts("users", "posts.sql")),
        isolation = "database",
        level = "serializable",
        audit(open_transaction = "error", leaked_session = "off"),
        timeout = "1.5s",
        flavor = "multi_thread",
        worker_threads = 2,
        start_paused = false,
        crate = ::db,
    };
    insta::assert_snapshot!(expansion(
        args,
        quote!(
            async fn registers(pool: PgPool) {}
        )
    ));
}

#[test]
fn other_values() {
    let args = quote!(
        migrator = "crate::MIGRATOR",
        setup = build,
        isolation = "transaction",
        level = "repeatable read",
        turn_timeout = "10s",
        flavor = "current_thread",
        start_paused = true
    );
    insta::assert_snapshot!(expansion(
        args,
        quote!(
            fn registers() {}
        )
    ));
}

#[test]
fn mistakes() {
    let item = quote! {
        /// Documented.
        #[test]
        #[ignore]
        #[allow(unused)]
        async fn registers(pool: &PgPool) {}
    };
    insta::assert_snapshot!(expansion(quote!(timeout = "soon", migrations = true), item));
}

#[test]
fn features_that_are_off() {
    let errors = |args: TokenStream| {
        let given =
            syn::parse::Parser::parse2(|input: syn::parse::ParseStream| input.call(Given::parse), args).unwrap();
        let off = Features { multi_thread: false, start_paused: false };
        given.conflicts(off).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let feature = |feature: &str| {
        format!("needs the feature `{feature}` of ptest: write `ptest = {{ version = \"0.1\", features")
    };
    let found = errors(quote!(flavor = "multi_thread", worker_threads = 2));
    assert!(matches!(&found[..], [error] if error.contains(&feature("multi-thread"))), "{found:?}");
    let found = errors(quote!(start_paused = true));
    assert!(matches!(&found[..], [error] if error.contains(&feature("start-paused"))), "{found:?}");
    assert_eq!(errors(quote!(flavor = "current_thread", start_paused = false)), [""; 0]);
}

#[test]
fn timeouts() {
    for (text, expected) in [
        ("5s", Some(5_000)),
        ("500ms", Some(500)),
        ("1.5s", Some(1_500)),
        (".25m", Some(15_000)),
        ("0.6ms", Some(1)),
        ("0.4ms", None),
        ("0s", None),
        ("", None),
        ("s", None),
        (".s", None),
        ("5", None),
        ("5h", None),
        ("5 s", None),
        ("-5s", None),
        ("1e3s", None),
        ("infs", None),
        ("1.2.3s", None),
    ] {
        let millis = syn::parse2::<Args>(quote!(timeout = #text)).ok().and_then(|args| args.timeout_ms);
        assert_eq!(millis, expected, "timeout = {text:?}");
    }
}

#[test]
fn fixture_paths() {
    for (list, expected) in [
        (quote!(), Some(vec![])),
        (quote!("users", "posts.sql", "v1.0"), Some(vec!["fixtures/users.sql", "fixtures/posts.sql", "fixtures/v1.0"])),
        (quote!("./users.sql", "/data/posts"), Some(vec!["./users.sql", "/data/posts"])),
        (quote!(path = "data"), Some(vec![])),
        (quote!(path = "data", scripts("sub/users")), Some(vec!["data/sub/users.sql"])),
        (quote!("users", "./posts.sql"), None),
        (quote!("./users.sql", "posts"), None),
        (quote!(path = "data", path = "data"), None),
        (quote!(scripts("users"), path = "data"), None),
        (quote!(paths = "data"), None),
    ] {
        let paths = syn::parse2::<Args>(quote!(fixtures(#list)))
            .ok()
            .map(|args| args.fixtures.iter().map(syn::LitStr::value).collect::<Vec<_>>());
        assert_eq!(paths, expected.map(|paths| paths.into_iter().map(str::to_owned).collect()), "fixtures({list})");
    }
}
