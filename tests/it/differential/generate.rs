//! Random conversations.

use super::{Batch, Conversation, Extended, SESSIONS, Turn};

/// Numbers that a seed determines (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

pub(crate) fn conversation(random: &mut Random) -> Conversation {
    let mut session = 0;
    (0..2 + random.below(6))
        .map(|_| {
            if random.one_in(4) {
                session = random.below(SESSIONS);
            }
            turn(random, session)
        })
        .collect()
}

fn turn(random: &mut Random, session: usize) -> Turn {
    let mut turn = Turn { session, batches: Vec::new(), copy: Vec::new(), copy_fails: random.one_in(4) };
    if random.one_in(25) {
        turn.batches.push(Batch::HangUp(random.one_in(2)));
        return turn;
    }
    if random.one_in(12) {
        turn.copy =
            (0..random.below(3)).map(|_| random.pick(&["7\tx\n", "8\ty\n", "1\tz\n", "oops\n", "9\t"])).collect();
        let copy = random
            .pick(&["copy t from stdin", "copy t from stdin", "copy t (b, a) from stdin (format csv)"])
            .to_owned();
        turn.batches.push(if random.one_in(2) {
            let mut statements = statements(random, session, 2);
            statements.push(copy);
            if random.one_in(2) {
                statements.extend(self::statements(random, session, 2));
            }
            Batch::Simple(statements)
        } else {
            // Under a name of its own, which nothing else binds: behind its Execute nothing but copy data may come.
            let run = [Extended::Parse("copy", copy), Extended::Bind("copy", "copy"), Extended::Execute("copy", 0)];
            let close = Extended::Close(b'S', "copy");
            Batch::Extended([close, Extended::Run(statement(random, session))].into_iter().chain(run).collect())
        });
        return turn;
    }
    let batches = if random.one_in(4) { 2 + random.below(2) } else { 1 };
    for _ in 0..batches {
        turn.batches.push(match random.below(20) {
            0..=9 => {
                let most = random.pick(&[1, 1, 1, 3, 6]);
                Batch::Simple(statements(random, session, most))
            }
            10 => Batch::Call(random.pick(&["2", "0", "x"])),
            _ => Batch::Extended(extended(random, session)),
        });
    }
    turn
}

fn statements(random: &mut Random, session: usize, most: usize) -> Vec<String> {
    (0..1 + random.below(most)).map(|_| statement(random, session)).collect()
}

fn extended(random: &mut Random, session: usize) -> Vec<Extended> {
    let names = ["", "", "s1", "s2"];
    let portals = ["", "", "p1", "p2"];
    let mut messages = Vec::new();
    for _ in 0..random.below(6) {
        let message = match random.below(15) {
            0..=5 => Extended::Run(statement(random, session)),
            6 => Extended::Parse(random.pick(&names), statement(random, session)),
            7 | 8 => {
                let name = random.pick(&names);
                messages.push(Extended::Parse(name, statement(random, session)));
                Extended::Bind(random.pick(&portals), name)
            }
            9 => Extended::Bind(random.pick(&portals), random.pick(&names)),
            10 => match random.below(2) {
                0 => Extended::Describe(b'S', random.pick(&names)),
                _ => Extended::Describe(b'P', random.pick(&portals)),
            },
            11 | 12 => Extended::Execute(random.pick(&portals), random.pick(&[0, 0, 1, 2])),
            13 => Extended::With(random.pick(&WITH_VALUE), random.pick(&["1", "2", "7MB", "on", "off"])),
            _ => match random.below(3) {
                0 => Extended::Close(b'S', random.pick(&names)),
                1 => Extended::Close(b'P', random.pick(&portals)),
                _ => Extended::Flush,
            },
        };
        messages.push(message);
    }
    messages
}

fn statement(random: &mut Random, session: usize) -> String {
    let text = match random.below(21) {
        0..=4 => random.pick(&WORK),
        5..=9 => random.pick(&CONTROL),
        10 | 11 => random.pick(&SAVEPOINTS),
        12 | 13 => random.pick(&SETTINGS),
        14 => random.pick(&PREPARED),
        15 | 16 => random.pick(&CURSORS),
        17 => random.pick(&TEMPORARY),
        18 => random.pick(&CONSTRAINTS),
        19 => random.pick(&STRINGS),
        _ => random.pick(&REST),
    };
    // What sessions of a sandbox share has a name per session.
    text.replace('@', &session.to_string())
}

const WORK: [&str; 18] = [
    "insert into t values (1, 'a')",
    "insert into t values (2, 'b')",
    "insert into t values (3, 'c') returning a, b",
    "select a, b from t order by a",
    "select count(*) from t",
    "update t set b = b || 'x'",
    "delete from t where a = 1",
    "delete from t",
    "select generate_series(1, 4)",
    "values (1), (2)",
    "table t",
    "with w as (insert into t values (5, 'e') returning a) select a from w",
    "/* c */ (select 1)",
    "select 1/0",
    "select * from missing",
    "selec 1",
    "select 'é', missing from t",
    "do $$ begin raise notice 'n'; end $$",
];

const CONTROL: [&str; 22] = [
    "begin",
    "begin",
    "begin",
    "BEGIN /* c */ work",
    "start transaction",
    "begin isolation level serializable",
    "begin isolation level repeatable read, read only",
    "begin read only",
    "begin transaction deferrable",
    "commit",
    "commit",
    "commit",
    "End",
    "commit and chain",
    "commit and no chain",
    "rollback",
    "rollback",
    "abort",
    "rollback and chain",
    "set transaction isolation level repeatable read",
    "set transaction read only",
    "set transaction read write",
];

const SAVEPOINTS: [&str; 7] = [
    "savepoint a",
    "savepoint a",
    "savepoint b",
    "rollback to a",
    "rollback to savepoint b",
    "release a",
    "release savepoint b",
];

const SETTINGS: [&str; 27] = [
    "set work_mem = '5MB'",
    "set local work_mem = '6MB'",
    "show work_mem",
    "show work_mem",
    "reset work_mem",
    "set application_name = 'one'",
    "set application_name to two",
    "show application_name",
    "set local application_name = three",
    "set timezone = 'Asia/Tokyo'",
    "set local time zone 'UTC'",
    "show timezone",
    "reset all",
    "show transaction_isolation",
    "show transaction_read_only",
    "set session characteristics as transaction isolation level serializable",
    "show default_transaction_isolation",
    "set default_transaction_read_only = on",
    "set default_transaction_read_only to off",
    "show default_transaction_read_only",
    "set idle_in_transaction_session_timeout = '90s'",
    "show idle_in_transaction_session_timeout",
    "select set_config('work_mem', '7MB', true)",
    "select set_config('application_name', 'four', false)",
    "set no_such_setting = 1",
    "set work_mem = 'x'",
    "set idle_in_transaction_session_timeout = 'x'",
];

const PREPARED: [&str; 9] = [
    "prepare q as select 1",
    "prepare q (int) as select $1 + 1",
    "prepare r as insert into t values (4, 'd')",
    "execute q",
    "execute q (2)",
    "execute r",
    "deallocate q",
    "deallocate prepare r",
    "deallocate all",
];

const CURSORS: [&str; 12] = [
    "declare c@ cursor for select generate_series(1, 5)",
    "declare c@ scroll cursor for select a from t order by a",
    "declare c@ cursor for select 1 / (a - 2) from t order by a",
    "declare h@ cursor with hold for select a, b from t order by a",
    "fetch c@",
    "fetch 2 from c@",
    "fetch all c@",
    "move c@",
    "fetch h@",
    "close c@",
    "close h@",
    "fetch backward all c@",
];

const TEMPORARY: [&str; 8] = [
    "create temp table w@ (a int)",
    "create temp table d@ (a int) on commit drop",
    "create temp table e@ (a int) on commit delete rows",
    "insert into w@ values (1)",
    "insert into d@ values (1)",
    "insert into e@ values (1)",
    "select a from e@",
    "drop table w@",
];

const CONSTRAINTS: [&str; 7] = [
    "insert into child values (1)",
    "insert into child values (99)",
    "set constraints all immediate",
    "set constraints all deferred",
    "delete from child",
    "set constraints child_parent_fkey immediate",
    "select parent from child order by 1",
];

const REST: [&str; 15] = [
    "",
    "-- nothing",
    "lock table t",
    "copy (select 1) to stdout",
    "copy t to stdout",
    "copy t to stdout (format binary)",
    "copy (select 1/0) to stdout",
    "discard all",
    "discard plans",
    "discard sequences",
    "close all",
    "select set_config('my.own', 'v', true)",
    "select coalesce(current_setting('my.own', true), '')",
    "explain (costs off) execute q",
    "create table t (x int)",
];

/// Statements of one value.
const WITH_VALUE: [&str; 6] = [
    "select $1::int + 1",
    "insert into t values ($1, 'p')",
    "select set_config('work_mem', $1, true)",
    "select set_config('default_transaction_deferrable', $1, false)",
    "select 1 / ($1::int - 1)",
    "select a from t where a = $1",
];

/// Where a string ends decides what is control.
const STRINGS: [&str; 14] = [
    "set standard_conforming_strings = off",
    "set local standard_conforming_strings = off",
    "set standard_conforming_strings to on",
    "reset standard_conforming_strings",
    "show standard_conforming_strings",
    r"select length('\'; begin; --')",
    r"select length('\\'; commit; --')",
    r"select length(e'\'; begin; --')",
    "select $a$; rollback; $a$",
    "select $$; begin; $$ as \"; commit; \"",
    "/* ; begin; /* */ */ select 1",
    "select 'a' -- ; begin\n ';b'",
    "select U&'\\0061;' as U&\"d!0061ta;\" uescape '!'",
    "create function pg_temp.f@() returns int begin atomic select 1; select 2; end",
];
