//! The blocking client.

use postgres::{Client, Config, NoTls};

use crate::{COUNT, INSERT, both};

fn count(client: &mut Client) -> i64 {
    client.query_one(COUNT, &[]).unwrap().get(0)
}

both! {
    fn client(mut client: Client) {
        let mut transaction = client.transaction().unwrap();
        transaction.batch_execute(INSERT).unwrap();
        transaction.commit().unwrap();
        assert_eq!(count(&mut client), 1);
    }
}

both! {
    fn client_by_reference(client: &mut Client) {
        client.batch_execute(INSERT).unwrap();
        assert_eq!(count(client), 1);
    }
}

both! {
    fn config(config: Config) {
        config.connect(NoTls).unwrap().batch_execute(INSERT).unwrap();
        assert_eq!(count(&mut config.connect(NoTls).unwrap()), 1);
    }
}
