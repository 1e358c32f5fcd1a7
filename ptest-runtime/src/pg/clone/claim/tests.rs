//! Files in a folder of the test's own.

use super::*;

const OF: &str = "0123456789abcdef";

fn taken(folder: &Path) -> (Option<u64>, usize) {
    let (claim, left) = Claim::take(folder, OF).unwrap();
    // What a killed test leaves.
    (claim.map(|claim| claim.number()), left)
}

#[test]
fn a_spare_is_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    Claim::new(folder.path(), OF, 7).unwrap().becomes_spare(8, "123.4".into()).unwrap();
    Claim::new(folder.path(), "other", 9).unwrap().becomes_spare(9, "1".into()).unwrap();
    assert_eq!(spares(folder.path(), OF).unwrap(), 1);
    let (claim, left) = Claim::take(folder.path(), OF).unwrap();
    let claim = claim.unwrap();
    assert_eq!((claim.number(), claim.counted_since(), left), (8, Some("123.4"), 0));
    assert_eq!(taken(folder.path()), (None, 0));
    assert_eq!(states(folder.path(), OF), [(8, State::Held)]);
    assert!(!discard(folder.path(), OF, 8));

    claim.becomes_spare(10, "2".into()).unwrap();
    assert_eq!(states(folder.path(), OF), [(10, State::Spare)]);
    assert_eq!(taken(folder.path()), (Some(10), 0));
}

#[test]
fn what_a_killed_test_had_is_nobodys() {
    let folder = tempfile::tempdir().unwrap();
    drop(Claim::new(folder.path(), OF, 1).unwrap());
    Claim::new(folder.path(), OF, 2).unwrap().becomes_spare(2, "1".into()).unwrap();
    assert_eq!(taken(folder.path()).0, Some(2));
    assert_eq!(taken(folder.path()), (None, 2));
    let mut left = states(folder.path(), OF);
    left.sort_by_key(|(number, _)| *number);
    assert_eq!(left, [(1, State::Left), (2, State::Left)]);
    forget_left(folder.path(), OF, &[2]);
    assert_eq!(states(folder.path(), OF), [(2, State::Left)]);
    forget_left(folder.path(), OF, &[]);
    assert_eq!(taken(folder.path()), (None, 0));
}

#[test]
fn a_database_has_either_number_while_it_is_renamed() {
    let folder = tempfile::tempdir().unwrap();
    let claim = Claim::new(folder.path(), OF, 1).unwrap();
    claim.will_be(2).unwrap();
    assert_eq!(states(folder.path(), OF), [(1, State::Held), (2, State::Held)]);
    drop(claim);
    assert_eq!(states(folder.path(), OF), [(1, State::Left), (2, State::Left)]);
    forget_left(folder.path(), OF, &[2]);
    assert_eq!(states(folder.path(), OF).len(), 2);
}

#[test]
fn a_spare_of_the_servers_counts_when_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (text, path) = Claim::of_spare(folder.path(), OF, 3);
    fs::write(&path, "").unwrap();
    assert_eq!(taken(folder.path()), (None, 0));
    assert_eq!(states(folder.path(), OF), []);
    fs::write(&path, text).unwrap();
    assert!(discard(folder.path(), OF, 3));
    assert!(!path.exists());
}

#[test]
fn many_take_each_spare_once() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..50 {
        Claim::new(folder.path(), OF, number).unwrap().becomes_spare(number, "1".into()).unwrap();
    }
    let take = || std::iter::from_fn(|| Claim::take(folder.path(), OF).unwrap().0).collect::<Vec<_>>();
    let mut taken: Vec<u64> = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        takers.into_iter().flat_map(|taker| taker.join().unwrap()).map(|claim| claim.number()).collect()
    });
    taken.sort();
    // A look of one taker can hide a spare from another, which then clones: no harm, but no spare is had twice.
    let all = taken.len();
    taken.dedup();
    assert_eq!(taken.len(), all);
    assert!(all > 25, "{all}");
}
