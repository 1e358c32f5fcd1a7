//! Password hashes as Django writes them: `pbkdf2_sha256$iterations$salt$hash`.
//!
//! Hashing is slow on purpose, so it never runs on a thread that serves requests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ctutils::CtEq;
use pbkdf2::{Algorithm, Params, pbkdf2_hmac_with_params};
use rand::RngExt;
use rand::distr::Alphanumeric;
use tokio::task::spawn_blocking;

const ALGORITHM: &str = "pbkdf2_sha256";

/// What Django 1.5 used; a site of today takes sixty times as many iterations.
const PARAMS: Params = match Params::new(10_000) {
    Ok(params) => params,
    Err(_) => panic!("too few iterations"),
};

/// The hash of a password, under a fresh salt.
pub(crate) async fn hash(password: String) -> String {
    let salt: String = rand::rng().sample_iter(Alphanumeric).take(12).map(char::from).collect();
    spawn_blocking(move || encode(&password, PARAMS, &salt)).await.expect("hashing does not panic")
}

/// Whether a password is the one that was hashed.
pub(crate) async fn verify(password: String, hash: String) -> bool {
    spawn_blocking(move || matches(&password, &hash)).await.expect("hashing does not panic")
}

fn matches(password: &str, hash: &str) -> bool {
    let mut fields = hash.split('$');
    let (Some(ALGORITHM), Some(iterations), Some(salt)) = (fields.next(), fields.next(), fields.next()) else {
        return false;
    };
    let Ok(params) = iterations.parse() else {
        return false;
    };
    encode(password, params, salt).as_bytes().ct_eq(hash.as_bytes()).to_bool()
}

fn encode(password: &str, params: Params, salt: &str) -> String {
    let mut key = [0; Params::RECOMMENDED_OUTPUT_LENGTH];
    pbkdf2_hmac_with_params(password.as_bytes(), salt.as_bytes(), Algorithm::Pbkdf2Sha256, params, &mut key);
    format!("{ALGORITHM}${params}${salt}${}", STANDARD.encode(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first is in Django's own tests; the others come from Python's `hashlib.pbkdf2_hmac`.
    const DJANGO: [(&str, &str); 4] = [
        ("lètmein", "pbkdf2_sha256$10000$seasalt$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY="),
        ("lètmein", "pbkdf2_sha256$12000$seasalt$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s="),
        ("", "pbkdf2_sha256$10000$seasalt$3+RsI0gN4hO2ePw81JnODNK3dqd5IHVBN0nCWJCnlzU="),
        (
            "correct horse battery staple",
            "pbkdf2_sha256$10000$Sf3kq09xWzPm$iSUR8MP2nS2Lfz3Ri8IWGf6/D4xdjdJdXaS+vXjvuEs=",
        ),
    ];

    #[test]
    fn reads_the_hashes_of_django() {
        for (password, hash) in DJANGO {
            assert!(matches(password, hash), "{hash}");
            assert!(!matches("letmein", hash), "{hash}");
        }
    }

    #[test]
    fn refuses_what_is_no_hash_of_this_kind() {
        let hash = DJANGO[0].1;
        for other in ["", "!", "lètmein", "pbkdf2_sha256$10000", &hash[..hash.len() - 1], &format!("{hash}$")] {
            assert!(!matches("lètmein", other), "{other}");
        }
        assert!(!matches("lètmein", &hash.replace("10000", "x")));
        assert!(!matches("lètmein", &hash.replace("sha256", "sha1")));
    }

    #[tokio::test]
    async fn writes_what_it_reads() {
        let first = hash("secret".to_owned()).await;
        assert!(first.starts_with("pbkdf2_sha256$10000$") && first.len() == 77, "{first}");
        assert!(verify("secret".to_owned(), first.clone()).await);
        assert_ne!(hash("secret".to_owned()).await, first, "the salt is fresh");
    }
}
