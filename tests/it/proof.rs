//! The proof: tests of all sorts, in random orders on random slots, and after each of them its slot is the template, by a
//! digest of every catalogue and of all data.

mod bodies;
pub(crate) mod digest;

use std::collections::BTreeSet;

use ptest::TestDatabase;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use sqlx::PgPool;

use crate::package::Package;
use crate::rerun::Rerun;

const SEED: &str = "PTEST_TEST_SEED";
const REFERENCE: &str = "PTEST_IT_REFERENCE";
const SLOT: &str = "NEXTEST_TEST_GLOBAL_SLOT";

#[test]
fn any_order_on_any_slot() {
    let seed = std::env::var(SEED).ok().and_then(|s| s.parse().ok()).unwrap_or(u64::from(std::process::id()));
    println!("{SEED}={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let package = Package::new(&[("migrations/1_all.sql", bodies::SCHEMA)]);
    // A clone that no test has ever had.
    let reference = Rerun::test("proof::reference").package(&package).run();
    package.write("reference", &reference.passed().lines("state ").join("\n"));
    // The helper would lend other slots than those that are named.
    let run = |rerun: Rerun| {
        rerun.package(&package).env(REFERENCE, package.path().join("reference")).env("PTEST_HELPER", "off")
    };

    let mut slots = BTreeSet::new();
    for _ in 0..2 {
        let tests = Rerun::module("proof::inner::").threads(3);
        let tests =
            tests.env(SEED, random.random::<u64>().to_string()).env(SLOT, random.random_range(20..23).to_string());
        let outcome = run(tests).run();
        outcome.failed().says(&format!("{} passed; {} failed", bodies::ALL.len() - bodies::FAIL, bodies::FAIL));
        outcome.never_says("is not as its template");
        slots.extend(outcome.lines("looked at slot ").into_iter().map(str::to_owned));
    }
    // Each test has looked at what the one before it left; these look at what the last ones left.
    for slot in slots {
        run(Rerun::test("proof::looks_only").env(SLOT, &slot)).run().passed().says(&format!("looked at slot {slot}"));
    }
}

#[test]
fn on_a_backend_that_goes_from_process_to_process() {
    let seed = std::env::var(SEED).ok().and_then(|s| s.parse().ok()).unwrap_or(u64::from(std::process::id()));
    println!("{SEED}={seed}");
    let schema = format!("{}\n-- from process to process {seed}", bodies::SCHEMA);
    let package = Package::new(&[("migrations/1_all.sql", &schema)]);
    let reference = Rerun::test("proof::reference").package(&package).run();
    package.write("reference", &reference.passed().lines("state ").join("\n"));
    let run = |name: &str| {
        let test = Rerun::test(name).package(&package).env(REFERENCE, package.path().join("reference"));
        test.env(SEED, seed.to_string()).env("PTEST_HELPER", "on").run()
    };
    let mut failed = 0;
    for number in 0..bodies::ALL.len() {
        let outcome = run(&format!("proof::inner::t{number:02}"));
        outcome.never_says("is not as its template");
        failed += usize::from(!outcome.status.success());
    }
    assert_eq!(failed, bodies::FAIL);
    run("proof::looks_only").passed();
}

#[ptest::db_test(isolation = "database")]
#[ignore = "run by another test"]
async fn reference(pool: PgPool) -> sqlx::Result<()> {
    for line in digest::of(&pool).await? {
        println!("state {line}");
    }
    Ok(())
}

#[ptest::db_test]
#[ignore = "run by another test"]
async fn looks_only(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
    look(&pool, &database).await
}

/// Looks at a slot before anything is done to it.
async fn look(pool: &PgPool, database: &TestDatabase) -> sqlx::Result<()> {
    println!("looked at slot {}", database.slot());
    let reference = std::fs::read_to_string(std::env::var(REFERENCE).unwrap()).unwrap();
    let found = digest::of(pool).await?;
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    let different: Vec<&str> = reference.lines().filter(|line| !found.contains(line)).collect();
    let more = found.iter().filter(|line| !reference.lines().any(|known| known == **line)).collect::<Vec<_>>();
    assert!(
        different.is_empty() && more.is_empty(),
        "{} is not as its template: {different:?} {more:?}",
        database.name()
    );
    digest::no_stale_plan(pool).await
}

mod inner {
    use super::*;

    /// One test for each body; which of them it runs is a matter of the seed.
    macro_rules! tests {
        ($($name:ident $number:literal)*) => {$(
            #[ptest::db_test(audit(open_transaction = "off", leaked_session = "off", advisory_lock = "off"))]
            #[ignore = "run by another test: some fail"]
            async fn $name(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
                look(&pool, &database).await?;
                let mut order: Vec<usize> = (0..bodies::ALL.len()).collect();
                order.shuffle(&mut StdRng::seed_from_u64(std::env::var(SEED).unwrap().parse().unwrap()));
                bodies::run(order[$number], &pool).await
            }
        )*};
    }
    tests!(t00 0 t01 1 t02 2 t03 3 t04 4 t05 5 t06 6 t07 7 t08 8 t09 9 t10 10 t11 11 t12 12 t13 13 t14 14 t15 15 t16 16);
}
