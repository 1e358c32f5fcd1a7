//! Parameters by value and by `&mut`, in `async fn` and `fn`.

use super::{Checked, Pool};

#[ptest::db_test]
async fn none() {
    tokio::task::yield_now().await;
}

#[ptest::db_test]
fn none_blocking() {
    tokio::runtime::Runtime::new().expect("a runtime of the body's own").block_on(tokio::task::yield_now());
}

#[ptest::db_test]
async fn by_value(pool: Pool) {
    assert_eq!(pool.used, 0);
}

#[ptest::db_test]
async fn by_mut(mut owned: Pool, lent: &mut Pool, _: &mut Checked<Pool>, _unused: Pool) {
    owned.used += 1;
    lent.used += 2;
    assert_eq!((owned.used, lent.used), (1, 2));
}

#[ptest::db_test]
fn by_mut_blocking(lent: &mut Checked<Pool>, owned: Pool) {
    lent.0.used += 1;
    assert_eq!((owned.used, lent.0.used), (0, 1));
}
