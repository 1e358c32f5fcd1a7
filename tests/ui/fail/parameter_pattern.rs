struct App(u16);

#[ptest::db_test]
async fn stores_a_post(App(port): App) {
    let _ = port;
}
