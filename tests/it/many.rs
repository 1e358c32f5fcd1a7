macro_rules! t { ($($n:ident)*) => { $(#[ptest::db_test] async fn $n(pool: sqlx::PgPool) { sqlx::query("select 1").execute(&pool).await.unwrap(); })* } }
t!(a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11 a12 a13 a14 a15 a16 a17 a18 a19 a20 a21 a22 a23 a24 a25 a26 a27 a28 a29 a30 a31 a32 a33 a34 a35 a36 a37 a38 a39 a40 a41 a42 a43 a44 a45 a46 a47 a48 a49 a50);
macro_rules! u { ($($n:ident)*) => { $(#[ptest::db_test] async fn $n(_pool: sqlx::PgPool) { })* } }
u!(e1 e2 e3 e4 e5 e6 e7 e8 e9 e10 e11 e12 e13 e14 e15 e16 e17 e18 e19 e20 e21 e22 e23 e24 e25 e26 e27 e28 e29 e30 e31 e32 e33 e34 e35 e36 e37 e38 e39 e40 e41 e42 e43 e44 e45 e46 e47 e48 e49 e50);
