fn lease() {
    let _ = ptest::lease!(timeout = "5s");
}
