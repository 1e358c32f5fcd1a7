//! The password of a port: without it, whoever has an account on this machine would be a superuser of the server behind it.
//!
//! It is asked for in the clear, which is the one way that every client speaks: on the loopback interface nobody reads along but
//! root, and it is worth nothing when the sandbox has ended.

use std::fs::File;
use std::io::{self, Read};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest answer that is read.
const LONGEST: usize = 1024;

/// A password that nobody can guess.
pub(crate) struct Password(String);

impl Password {
    pub(crate) fn random() -> io::Result<Password> {
        let mut bytes = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Password(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Asks a client that has sent its start-up message for the password (PostgreSQL manual, section 55.2.1,
    /// AuthenticationCleartextPassword); `false`: it does not know it, and has been told so.
    pub(crate) async fn is_known_to(&self, client: &mut TcpStream) -> io::Result<bool> {
        client.write_all(b"R\0\0\0\x08\0\0\0\x03").await?;
        let tag = client.read_u8().await?;
        let length = client.read_u32().await? as usize;
        if tag != b'p' || !(5..LONGEST).contains(&length) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut answer = vec![0; length - 4];
        client.read_exact(&mut answer).await?;
        if self.is(answer.strip_suffix(b"\0").unwrap_or(&answer)) {
            return Ok(true);
        }
        let fields =
            b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed: it is in the URL that ptest-serve prints\0\0";
        let length = (fields.len() as u32 + 4).to_be_bytes();
        client.write_all(&[b"E", &length[..], fields].concat()).await?;
        Ok(false)
    }

    /// Takes the same time whatever the answer is.
    fn is(&self, answer: &[u8]) -> bool {
        let differs = self.0.bytes().zip(answer).fold(0, |differs, (ours, theirs)| differs | (ours ^ theirs));
        differs == 0 && answer.len() == self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_is_it() {
        let password = Password::random().unwrap();
        assert_eq!(password.0.len(), 32);
        assert_ne!(password.0, Password::random().unwrap().0);
        assert!(password.is(password.0.as_bytes()));
        let longer = format!("{}0", password.0);
        for other in ["", "postgres", &password.0[1..], &longer, &"0".repeat(32)] {
            assert!(!password.is(other.as_bytes()), "{other}");
        }
    }
}
