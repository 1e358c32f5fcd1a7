//! Random conversations.

use super::texts::{self, POOLS, WITH_VALUE};
use super::{Batch, Conversation, Extended, SESSIONS, Turn};
use crate::rerun::server_version;

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

/// Which of a client's sessions speaks, and what it may say.
struct Speaker {
    session: usize,
    /// What belongs to one session has a name that no other has had: in a sandbox some of it is shared.
    names: [usize; SESSIONS],
    bare: bool,
}

/// A conversation; in a `bare` one, a commit has nothing to do.
pub(crate) fn conversation(random: &mut Random, bare: bool) -> Conversation {
    let mut speaker = Speaker { session: 0, names: std::array::from_fn(|i| i), bare };
    (0..2 + random.below(6))
        .map(|_| {
            if random.one_in(4) {
                speaker.session = random.below(SESSIONS);
            }
            turn(random, &mut speaker)
        })
        .collect()
}

fn turn(random: &mut Random, speaker: &mut Speaker) -> Turn {
    let mut turn =
        Turn { session: speaker.session, batches: Vec::new(), copy: Vec::new(), copy_fails: random.one_in(4) };
    if random.one_in(25) {
        turn.batches.push(Batch::HangUp(random.one_in(2), random.pick(&OPTIONS)));
        speaker.names[speaker.session] += SESSIONS;
        return turn;
    }
    if random.one_in(12) {
        turn.copy = (0..random.below(4)).map(|_| random.pick(&COPY_DATA)).collect();
        let copy = random.pick(&COPIES).to_owned();
        turn.batches.push(if random.one_in(2) {
            let mut statements = if random.one_in(2) { statements(random, speaker, 2) } else { Vec::new() };
            statements.push(copy);
            if random.one_in(2) {
                statements.extend(self::statements(random, speaker, 2));
            }
            Batch::Simple(statements)
        } else {
            // Behind its Execute nothing but copy data may come.
            let mut messages = vec![Extended::Run(statement(random, speaker))];
            messages.extend(apart(copy));
            Batch::Extended(messages)
        });
        return turn;
    }
    if random.one_in(40) {
        turn.batches.push(Batch::Cancelled(random.one_in(2)));
        return turn;
    }
    let batches = if random.one_in(4) { 2 + random.below(2) } else { 1 };
    for _ in 0..batches {
        turn.batches.push(match random.below(40) {
            0..=18 => {
                let most = random.pick(&[1, 1, 1, 3, 6]);
                Batch::Simple(statements(random, speaker, most))
            }
            19 | 20 => Batch::Call(random.pick(&["2", "0", "x"])),
            21 => Batch::Simple(vec![random.pick(&texts::PROCEDURES).to_owned()]),
            // Only here it leaves nothing: in the middle of a batch, what follows is run on one side only.
            22 => Batch::Extended(apart(random.pick(&texts::PROCEDURES).to_owned()).into()),
            23 => match (extended(random, speaker), statements(random, speaker, 2)) {
                (messages, statements) if statements.len() == 1 && server_version() >= 18 => Batch::Extended(messages),
                (messages, statements) => Batch::Unsynced(messages, statements),
            },
            _ => Batch::Extended(extended(random, speaker)),
        });
    }
    turn
}

fn statements(random: &mut Random, speaker: &Speaker, most: usize) -> Vec<String> {
    (0..1 + random.below(most)).map(|_| statement(random, speaker)).collect()
}

fn extended(random: &mut Random, speaker: &Speaker) -> Vec<Extended> {
    let names = ["", "", "s1", "s2"];
    let portals = ["", "", "p1", "p2"];
    let mut messages = Vec::new();
    for _ in 0..random.below(6) {
        let message = match random.below(16) {
            0 => Extended::Binary(statement(random, speaker)),
            1..=5 => Extended::Run(statement(random, speaker)),
            6 => Extended::Parse(random.pick(&names), statement(random, speaker)),
            7 | 8 => {
                let name = random.pick(&names);
                messages.push(Extended::Parse(name, statement(random, speaker)));
                Extended::Bind(random.pick(&portals), name)
            }
            9 => Extended::Bind(random.pick(&portals), random.pick(&names)),
            14 => Extended::BindOne(random.pick(&portals), random.pick(&names), random.pick(&["1", "x"])),
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

/// A statement under a name of its own, which nothing else binds.
fn apart(sql: String) -> [Extended; 4] {
    let name = "apart";
    [Extended::Close(b'S', name), Extended::Parse(name, sql), Extended::Bind(name, name), Extended::Execute(name, 0)]
}

fn statement(random: &mut Random, speaker: &Speaker) -> String {
    let text = loop {
        let pool = random.pick(&POOLS);
        let text = random.pick(pool);
        if !speaker.bare || !texts::burdens_commits(text) {
            break text;
        }
    };
    text.replace('@', &speaker.names[speaker.session].to_string())
}

const COPIES: [&str; 8] = [
    "copy t from stdin",
    "copy t from stdin",
    "copy t (b, a) from stdin (format csv)",
    "copy t from stdin (format binary)",
    "copy t from stdin (format binary)",
    "copy t from stdin where a > 7",
    "copy child from stdin",
    "copy missing from stdin",
];

/// Text, and the binary form: its head, a row, and its end.
const COPY_DATA: [&[u8]; 10] = [
    b"7\tx\n",
    b"8\ty\n",
    b"1\tz\n",
    b"oops\n",
    b"9\t",
    b"\\.\n",
    b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0",
    b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x04\0\0\0\x0a\0\0\0\x01x\xff\xff",
    b"\0\x02\0\0\0\x04\0\0\0\x07\0\0\0\x01x",
    b"\xff\xff",
];

/// What a client that comes back asks for.
const OPTIONS: [&[(&str, &str)]; 8] = [
    &[],
    &[],
    &[],
    &[("application_name", "back")],
    &[("options", "-c work_mem=9MB"), ("timezone", "Asia/Tokyo")],
    &[("default_transaction_read_only", "on")],
    &[("options", "-c default_transaction_isolation=serializable -c search_path=public")],
    &[("work_mem", "x")],
];
