//! What must hold of any bytes at all: for the fuzz targets in `fuzz/`, and for the test with random ones below.

#![cfg_attr(not(fuzzing), allow(unreachable_pub, reason = "public where the fuzz targets are built"))]

use super::commit;
use super::frame::{Input, Piece};
use super::settings;
use super::sql::{self, Kind};

/// Cuts frames from a stream that arrives in portions of up to `portion` bytes: whatever the bytes are, all of them come
/// out again, in order, until the stream makes no sense.
///
/// # Panics
///
/// If that does not hold.
pub fn frames(stream: &[u8], portion: u8) {
    for mut input in [Input::of_client(), Input::of_server()] {
        let mut out = Vec::new();
        'stream: for bytes in stream.chunks(usize::from(portion).max(1)) {
            input.buffer.extend_from_slice(bytes);
            loop {
                match input.next() {
                    Ok(Some(Piece::Frame(frame))) => {
                        assert_eq!(frame.total(), frame.bytes().len());
                        out.extend_from_slice(frame.bytes());
                    }
                    Ok(Some(Piece::Head(frame))) => {
                        assert_eq!(frame.total(), frame.bytes().len() + input.missing());
                        out.extend_from_slice(frame.bytes());
                    }
                    Ok(Some(Piece::Data { bytes, .. })) => out.extend_from_slice(&bytes),
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
            }
        }
        assert!(stream.starts_with(&out), "{stream:?} came out as {out:?}");
    }
}

/// Reads a query string: whatever the bytes are, the statements lie in it, in order and apart, and so do the names in
/// them.
///
/// # Panics
///
/// If that does not hold.
pub fn statements(text: &[u8]) {
    for standard_strings in [true, false] {
        let mut end = 0;
        for statement in sql::split(text, standard_strings) {
            let range = statement.range.clone();
            assert!(end <= range.start && range.start < range.end && range.end <= text.len());
            end = range.end;
            let own = &text[range.clone()];
            settings::calls(own, &[]);
            match &statement.kind {
                Kind::Savepoint { name } | Kind::RollbackTo { name } | Kind::Release { name } => {
                    assert!(range.start <= name.range.start && name.range.end <= range.end);
                    assert!(name.name(text).len() < 64);
                }
                Kind::Declare { name, .. } => drop(commit::declare_held(own, &name.name(text), "1.")),
                Kind::Set { value, .. } => assert!(value.end <= range.end),
                _ => drop(commit::on_commit(own)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::super::sql::Random;
    use super::{frames, statements};

    #[test]
    fn any_bytes_at_all() {
        let given = std::env::var("PTEST_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one("fuzz") | 1);
        println!("PTEST_TEST_SEED={seed}");
        let mut random = Random(seed);
        for _ in 0..5_000 {
            statements(&random.string());
            statements(random.script().as_bytes());
            let mut stream = Vec::new();
            for _ in 0..random.below(6) {
                let length = random.below(40) as u32;
                stream.push(random.pick(&["Q", "d", "D", "B", "S", "X"]).as_bytes()[0]);
                stream.extend((length + 4).to_be_bytes());
                stream.extend((0..length).map(|i| i as u8));
            }
            if !stream.is_empty() && random.below(2) == 0 {
                let at = random.below(stream.len());
                stream[at] = random.below(256) as u8;
            }
            frames(&stream, random.below(60) as u8);
        }
    }
}
