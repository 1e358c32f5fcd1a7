#[ptest::db_test]
struct Post;
