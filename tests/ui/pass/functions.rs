//! Return types, attributes and names that a test may have.

use std::error::Error;
use std::process::{ExitCode, Termination};

use super::Pool;

// What a test's own module holds must not be hidden by what the attribute writes.
#[allow(non_upper_case_globals)]
const __TEST: u32 = 7;
const TEST: u32 = 8;

#[ptest::db_test]
async fn sees_its_module(_: Pool) {
    assert_eq!((__TEST, TEST), (7, 8));
}

#[ptest::db_test]
async fn returns_a_result(pool: Pool) -> Result<(), Box<dyn Error>> {
    assert_eq!("0".parse::<u32>()?, pool.used);
    Ok(())
}

#[ptest::db_test]
fn returns_a_result_blocking(pool: Pool) -> Result<(), Box<dyn Error>> {
    assert_eq!("0".parse::<u32>()?, pool.used);
    Ok(())
}

#[ptest::db_test]
async fn returns_an_exit_code() -> ExitCode {
    ExitCode::SUCCESS
}

#[ptest::db_test]
async fn returns_impl_trait(_: Pool) -> impl Termination {
    ExitCode::SUCCESS
}

#[ptest::db_test]
#[should_panic(expected = "to be seen by the runner")]
fn panics_with_its_own_words() {
    panic!("to be seen by the runner")
}

/// Documented.
#[should_panic]
#[ptest::db_test]
async fn panics_as_it_should(pool: Pool) {
    assert_eq!(pool.used, 1);
}

#[ptest::db_test]
#[ignore = "shows that the runner is told"]
async fn ignored() {
    panic!("ran though it is ignored");
}

#[cfg(any())]
#[ptest::db_test]
async fn absent(_: NoSuchType) {}

#[ptest::db_test]
#[cfg(any())]
async fn absent_too(_: NoSuchType) {}

#[ptest::db_test]
async fn r#async(_: Pool) {}

#[ptest::db_test]
pub(crate) async fn visible(#[allow(unused_mut)] mut _pool: Pool) {
    #![allow(unused_variables)]
    let unused = 1;
}

mod nested {
    #[ptest::db_test]
    async fn module(_: super::Pool) {
        assert!(std::any::type_name_of_val(&module).contains("nested::module"));
    }
}

macro_rules! generated {
    ($($name:ident($ty:ty, $dir:literal, $on:expr) $body:block)*) => {$(
        #[ptest::db_test(migrations = $dir, start_paused = $on)]
        async fn $name(_: $ty) $body
    )*};
}

generated! {
    by_macro(Pool, "tests/ui", true) {}
    by_macro_by_mut(&mut Pool, "tests/ui", false) {}
}
