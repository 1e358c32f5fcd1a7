//! Servers that cannot be used: the error names the variable, never the password, and says what to do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::{NAME, on, rule};
use crate::package::Package;
use crate::rerun::{ANSWERS, Rerun};
use crate::scratch_server::ScratchServer;

#[test]
fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let outcome = on(&format!("postgres://me:hunter2@127.0.0.1:{port}/app"), &[NAME]).run();
    outcome.failed().says(&format!("at me@127.0.0.1:{port} (from PTEST_DATABASE_URL)")).never_says("hunter2");
    outcome.says("onnection refused").says("help: start that server, or correct PTEST_DATABASE_URL; or");
}

#[test]
fn no_socket() {
    let outcome = on("postgres://me:hunter2@%2Fno%2Fwhere/app", &[NAME]).run();
    outcome.failed().says("at me@/no/where/.s.PGSQL.5432 (from PTEST_DATABASE_URL)").never_says("hunter2");
    outcome.says("No such file or directory").says("help: start that server");
}

#[test]
fn an_unknown_host() {
    let outcome = on("postgres://me:hunter2@no-such-host.invalid/app", &[NAME]).run();
    outcome.failed().says("at me@no-such-host.invalid:5432 (from PTEST_DATABASE_URL)").never_says("hunter2");
    outcome.says("caused by:").says("help: start that server, or correct PTEST_DATABASE_URL");
}

#[test]
fn the_file_is_named() {
    let package = Package::new(&[(".env", "DATABASE_URL=postgres://me:hunter2@%2Fno%2Fwhere/app\n")]);
    let mut run = Rerun::test(ANSWERS).package(&package).statements(&[NAME]);
    run.command.current_dir(package.path());
    let outcome = run.without("PTEST_DATABASE_URL").without("DATABASE_URL").run();
    outcome.failed().says(&format!("(from DATABASE_URL in {})", package.path().join(".env").display()));
    outcome.says("help: ").never_says("hunter2");
}

#[test]
fn garbage() {
    for (url, says) in [
        ("hunter2", "PTEST_DATABASE_URL is not the URL of a PostgreSQL server"),
        ("mysql://me:hunter2@localhost/app", "PTEST_DATABASE_URL is not the URL of a PostgreSQL server"),
        ("postgres:hunter2", "PTEST_DATABASE_URL is not a valid URL"),
        ("postgres://me:hunter2@localhost:many/app", "PTEST_DATABASE_URL is not a valid URL"),
        ("postgres://me:hunter2@localhost/app?port=many", "the URL in PTEST_DATABASE_URL"),
        ("postgres://me:hunter2@localhost/app?sslmode=verify-full", "demands TLS"),
    ] {
        on(url, &[NAME]).run().failed().says(says).says("help: ").never_says("hunter2");
    }
}

#[test]
fn no_right_to_create_databases() {
    let server = ScratchServer::start(&rule("all all guest trust"), "create role guest login; create database app;");
    let outcome = on(&server.tcp("guest"), &[NAME]).run();
    outcome.failed().says("(from PTEST_DATABASE_URL)").says("permission denied to create database (SQLSTATE 42501)");
    outcome.says("help: let the user make databases: ALTER ROLE \"guest\" CREATEDB");
    outcome.says("name one empty database in PTEST_SINGLE_DATABASE: tests then wait for one another");
}

#[test]
fn no_connection_is_left() {
    let sql = "create role limited login createdb connection limit 0; create database app;";
    let server = ScratchServer::start(&rule("all all limited trust"), sql);
    let outcome = on(&server.tcp("limited"), &[NAME]).run();
    outcome.failed().says("too many connections").says("SQLSTATE 53300").says("help: run fewer tests at once");
}

#[test]
fn an_old_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(|client| drop(answer_as_version_12(client.unwrap()))));
    let outcome = on(&format!("postgres://me:hunter2@127.0.0.1:{port}/app"), &[NAME]).run();
    outcome.failed().says("it is version 12.22, and ptest needs 13 or newer").never_says("hunter2");
    outcome.says(&format!("at me@127.0.0.1:{port}")).says("(from PTEST_DATABASE_URL)").says("help: use a newer server");
}

/// Has no database of ptest's, and tells its version in any other.
fn answer_as_version_12(mut client: TcpStream) -> std::io::Result<()> {
    let ready = b"Z\0\0\0\x05I";
    let mut startup = [0; 4096];
    let length = client.read(&mut startup)?;
    if startup[..length].windows(7).any(|bytes| bytes == b"\0ptest_") {
        let fields = b"SFATAL\0C3D000\0Mdatabase does not exist\0\0";
        return client.write_all(&message(b'E', fields));
    }
    client.write_all(&[&message(b'R', &[0; 4])[..], ready].concat())?;
    while client.read(&mut startup)? > 0 {
        let row = [&[0, 2, 0, 0, 0, 6][..], b"120022", &[0, 0, 0, 5], b"12.22"].concat();
        client.write_all(&[&message(b'D', &row)[..], &message(b'C', b"SELECT 1\0"), ready].concat())?;
    }
    Ok(())
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

#[test]
fn something_else_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let _ = client.and_then(|mut client| client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        }
    });
    let outcome = on(&format!("postgres://me:hunter2@127.0.0.1:{port}/app"), &[NAME]).run();
    outcome.failed().says("cannot connect to the PostgreSQL server at").says("(from PTEST_DATABASE_URL)");
    outcome.never_says("hunter2");
}
