//! Authentication by a password: what a client answers to MD5 and to SCRAM-SHA-256.
//!
//! Written here because postgres-protocol turns on features of sha2, md-5, base64 and rand that sqlx does not: with it,
//! `cargo test` compiles sqlx a second time.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use sha2::Sha256;

/// The one SASL mechanism that ptest speaks.
pub(super) const SCRAM_SHA_256: &str = "SCRAM-SHA-256";

/// The length of SHA-256's blocks.
const BLOCK: usize = 64;

/// The header of a client without channel binding (`gs2-header`); with it, the data of the channel would follow in `c=`.
const HEADER: &str = "n,,";

/// The highest number of iterations that a server may ask for: its own default is 4,096.
const MOST_ITERATIONS: u32 = 100_000;

/// The answer to `AuthenticationMD5Password` (PostgreSQL manual, section 55.2.1).
pub(super) fn md5(user: &str, password: &str, salt: [u8; 4]) -> String {
    let inner = hex(&Md5::new().chain_update(password).chain_update(user).finalize());
    format!("md5{}", hex(&Md5::new().chain_update(inner).chain_update(salt).finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A client's side of SCRAM-SHA-256 without channel binding (RFC 5802, RFC 7677).
pub(super) struct Scram {
    password: Vec<u8>,
    /// `client-first-message-bare`.
    first: String,
    /// What proves that the server knows the password too, once the client has proved it.
    server_signature: Option<[u8; 32]>,
}

impl Scram {
    pub(super) fn new(password: &str) -> io::Result<Scram> {
        let mut nonce = [0; 18];
        getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
        // The server takes the user's name from the start-up message.
        Ok(Scram::with(password, format!("n=,r={}", STANDARD.encode(nonce))))
    }

    fn with(password: &str, first: String) -> Scram {
        // PostgreSQL takes a password that SASLprep forbids as it is.
        let password = stringprep::saslprep(password).map_or_else(|_| password.into(), |p| p.into_owned());
        Scram { password: password.into_bytes(), first, server_signature: None }
    }

    /// `client-first-message`.
    pub(super) fn first(&self) -> String {
        format!("{HEADER}{}", self.first)
    }

    /// `client-final-message`, the answer to `server-first-message`.
    pub(super) fn answer(&mut self, server_first: &[u8]) -> io::Result<String> {
        let server_first = std::str::from_utf8(server_first).map_err(|_| malformed())?;
        let nonce = attribute(server_first, "r=")?;
        let salt = STANDARD.decode(attribute(server_first, "s=")?).map_err(|_| malformed())?;
        let iterations = attribute(server_first, "i=")?.parse().map_err(|_| malformed())?;
        if !(1..=MOST_ITERATIONS).contains(&iterations) {
            let what =
                format!("the server asks for {iterations} iterations of SCRAM, and ptest makes {MOST_ITERATIONS}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        if !nonce.starts_with(attribute(&self.first, "r=")?) {
            return Err(malformed());
        }

        let without_proof = format!("c={},r={nonce}", STANDARD.encode(HEADER));
        let message = format!("{},{server_first},{without_proof}", self.first);
        let salted_password = salted(&self.password, &salt, iterations);
        let client_key = hmac(&salted_password, b"Client Key");
        let stored_key: [u8; 32] = Sha256::digest(client_key).into();
        let proof = xor(client_key, hmac(&stored_key, message.as_bytes()));
        let server_key = hmac(&salted_password, b"Server Key");
        self.server_signature = Some(hmac(&server_key, message.as_bytes()));
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Checks `server-final-message`.
    pub(super) fn verify(&self, server_final: &[u8]) -> io::Result<()> {
        let server_final = std::str::from_utf8(server_final).map_err(|_| malformed())?;
        let signature = STANDARD.decode(attribute(server_final, "v=")?).map_err(|_| malformed())?;
        match self.server_signature {
            Some(expected) if signature == expected => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the server does not know the user's password")),
        }
    }
}

/// `Hi` of RFC 5802.
fn salted(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let hmac = Hmac::new(password);
    let mut last = hmac.of(&[salt, &[0, 0, 0, 1]]);
    let mut all = last;
    for _ in 1..iterations {
        last = hmac.of(&[&last]);
        all = xor(all, last);
    }
    all
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    Hmac::new(key).of(&[text])
}

/// HMAC-SHA-256 (RFC 2104) of one key. The crate `hmac` would turn on a feature of `digest` that sqlx-core does not.
struct Hmac {
    inner: Sha256,
    outer: Sha256,
}

impl Hmac {
    fn new(key: &[u8]) -> Hmac {
        let mut block = [0; BLOCK];
        match block.get_mut(..key.len()) {
            Some(start) => start.copy_from_slice(key),
            None => block[..32].copy_from_slice(&Sha256::digest(key)),
        }
        let padded = |pad: u8| Sha256::new_with_prefix(block.map(|byte| byte ^ pad));
        Hmac { inner: padded(0x36), outer: padded(0x5c) }
    }

    fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        let inner = parts.iter().fold(self.inner.clone(), |hash, part| hash.chain_update(part)).finalize();
        self.outer.clone().chain_update(inner).finalize().into()
    }
}

fn xor(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

/// The value of an attribute of a message.
fn attribute<'m>(message: &'m str, name: &str) -> io::Result<&'m str> {
    message.split(',').find_map(|part| part.strip_prefix(name)).ok_or_else(malformed)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the server sent a message that is not of SCRAM-SHA-256")
}

#[cfg(test)]
mod tests {
    use postgres_protocol::authentication::sasl;

    use super::*;

    #[test]
    fn md5_is_salted_twice() {
        let answer = md5("md5_user", "password", [0x2a, 0x3d, 0x8f, 0xe0]);
        assert_eq!(answer, "md562af4dd09bbb41884907a838a3233294");
    }

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_example_of_the_standard() {
        let mut scram = Scram::with("pencil", "n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned());
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server_first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let answer = scram.answer(server_first).unwrap();
        assert_eq!(
            answer,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        scram.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        assert!(scram.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=").is_err());
        assert!(scram.verify(b"e=invalid-proof").is_err());
    }

    /// postgres-protocol's client of the same nonce says the same, and believes the same server.
    #[test]
    fn another_client_says_the_same() {
        for password in [
            "pencil",
            "",
            &"long".repeat(16),
            &"long".repeat(16)[1..],
            &"longer".repeat(20),
            "ſtraße \u{00a0}\u{00ad}IX",
            "forbidden \u{0007}",
        ] {
            let mut theirs = sasl::ScramSha256::new(password.as_bytes(), sasl::ChannelBinding::unsupported());
            let first = std::str::from_utf8(theirs.message()).unwrap().to_owned();
            let mut ours = Scram::with(password, first.strip_prefix(HEADER).unwrap().to_owned());
            assert_eq!(ours.first(), first);

            let nonce = attribute(&first, "r=").unwrap();
            let server_first = format!("r={nonce}theirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
            theirs.update(server_first.as_bytes()).unwrap();
            assert_eq!(ours.answer(server_first.as_bytes()).unwrap().as_bytes(), theirs.message(), "{password:?}");
            let server_final = format!("v={}", STANDARD.encode(ours.server_signature.unwrap()));
            ours.verify(server_final.as_bytes()).unwrap();
            theirs.finish(server_final.as_bytes()).unwrap();
        }
        let salt = [0, 1, 0xfe, 0xff];
        let theirs = postgres_protocol::authentication::md5_hash("größe".as_bytes(), b"pencil", salt);
        assert_eq!(md5("größe", "pencil", salt), theirs);
    }

    #[test]
    fn a_server_that_plays_another_game_is_refused() {
        let mut scram = Scram::with("pencil", "n=,r=mine".to_owned());
        for message in [
            "r=another,s=W22Z,i=4096",
            "r=mineandhis,s=W22Z,i=1000000",
            "r=mineandhis,s=W22Z,i=0",
            "r=mineandhis,s=W22Z",
            "r=mineandhis,s=?,i=4096",
        ] {
            assert!(scram.answer(message.as_bytes()).is_err(), "{message}");
        }
        assert!(scram.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").is_err());
    }
}
