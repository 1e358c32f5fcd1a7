//! The arguments of a run of one test, as nextest and libtest have them.

use std::ffi::OsString;

/// Options with a value of their own.
const WITH_VALUE: [&str; 7] = ["--color", "--format", "--logfile", "--shuffle-seed", "--skip", "--test-threads", "-Z"];

/// The arguments that run the same test once more; `None`: it is not one test that they name.
pub(super) fn this_test_again(arguments: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let mut arguments = arguments.peekable();
    let (mut names, mut flags) = (Vec::new(), Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some(option) if WITH_VALUE.contains(&option) => drop(arguments.next()),
            Some("--exact" | "--ignored" | "--include-ignored") => flags.push(argument),
            Some(option) if option.starts_with('-') => {}
            _ => names.push(argument),
        }
    }
    if names.len() != 1 || !flags.iter().any(|flag| flag == "--exact") {
        return None;
    }
    Some(names.into_iter().chain(flags).chain(["--nocapture".into()]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_test_runs_again_and_no_other() {
        let again = |line: &str| {
            let arguments = this_test_again(line.split(' ').map(OsString::from))?;
            Some(arguments.iter().map(|argument| argument.to_str().unwrap()).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(again("--exact a::b --nocapture").as_deref(), Some("a::b --exact --nocapture"));
        assert_eq!(again("a::b --ignored --exact").as_deref(), Some("a::b --ignored --exact --nocapture"));
        let long = "--format json --exact a::b::case_1 -Z unstable-options --test-threads=1";
        assert_eq!(again(long).as_deref(), Some("a::b::case_1 --exact --nocapture"));
        for others in ["--nocapture", "a::b", "--exact", "--exact a b", "--skip --exact a::b", "--ignored a::b"] {
            assert_eq!(again(others), None, "{others}");
        }
    }
}
