#[ptest::db_test]
#[ignore]
fn hold(url: ptest::PgUrl) {
    std::fs::write("/tmp/ptest-url", url.as_str()).unwrap();
    while std::path::Path::new("/tmp/ptest-url").exists() {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}
