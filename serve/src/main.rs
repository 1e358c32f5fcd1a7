//! A sandbox on a port: what a client, or the test suite of a driver, sees of ptest.
//!
//! ```text
//! cargo run -p ptest-serve -- [--port 5433] [--migrations dir] [--turn-timeout-ms 2000]
//! ```
//!
//! Prints the URL and keeps the sandbox open until its standard input ends; then everything is rolled back. Whatever
//! database a client names is the sandbox's; it is the user that it names. The port is open to this machine alone, and to whoever
//! knows the password in the URL, another one each time: behind it is a superuser, who can run programs.

mod password;
mod proxy;

use std::io::Read;
use std::process::ExitCode;

use ptest::__private::{Migrations, TestSpec, report, run_blocking};
use ptest::{FromContext, PgUrl};

use password::Password;

fn main() -> ExitCode {
    let (test, port) = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => return report(Err::<(), _>(error)),
    };
    run_blocking(Box::leak(Box::new(test)), |cx| Box::pin(PgUrl::from_context(cx)), |url| report(serve(&url, port)))
}

fn arguments() -> Result<(TestSpec, u16), String> {
    let mut port = 0;
    let mut test = TestSpec::new("serve::sandbox", env!("CARGO_MANIFEST_DIR")).migrations(Migrations::None);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--port" => port = number(&name, &value)?,
            "--migrations" => test = test.migrations(Migrations::Dir(absolute(&value)?.leak())),
            "--turn-timeout-ms" => test = test.turn_timeout_ms(number(&name, &value)?),
            _ => return Err(format!("{name} {value} is not known; see the head of serve/src/main.rs")),
        }
    }
    Ok((test, port))
}

fn serve(url: &PgUrl, port: u16) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|e| format!("cannot start a runtime: {e}"))?;
    let password = Password::random().map_err(|e| format!("cannot make a password: {e}"))?;
    let shown = password.as_str().to_owned();
    let opened = runtime.block_on(proxy::start(url.as_str(), port, password));
    let port = opened.map_err(|e| format!("cannot open port {port}: {e}"))?;
    println!("postgres://postgres:{shown}@127.0.0.1:{port}/postgres");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name} takes a number, not `{value}`"))
}

fn absolute(folder: &str) -> Result<String, String> {
    let path = std::path::absolute(folder).map_err(|e| format!("{folder}: {e}"))?;
    path.into_os_string().into_string().map_err(|_| format!("{folder} is not Unicode"))
}
