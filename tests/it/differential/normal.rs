//! What is compared of an answer.

use crate::wire::Message;

/// Notices that only one side has.
const UNSEEN: [&str; 2] = ["skipping cleanup for portal", "a notification is delivered when a transaction commits"];

/// How a sandbox refuses it.
const PREPARED: &str = "PREPARE TRANSACTION cannot run in a ptest sandbox";

/// Leaves of an answer nothing but its end where the sandbox has refused what ends a transaction in a procedure, and the
/// server has not. Where it has refused `PREPARE TRANSACTION`, the server may have had another reason.
pub(super) fn without_what_is_refused(plain: &mut Vec<Message>, sandbox: &mut Vec<Message>) {
    let answers = |all: &[Message]| all.split_inclusive(|m| m.tag == b'Z').map(<[_]>::to_vec).collect::<Vec<_>>();
    let refused = |m: &Message| m.tag == b'E' && m.field(b'C').is_some_and(|code| code == "2D000");
    let (mut ours, mut theirs) = (answers(sandbox), answers(plain));
    for (ours, theirs) in ours.iter_mut().zip(&mut theirs) {
        let hint = ours.iter().any(|m| refused(m) && m.field(b'H').is_some_and(|hint| hint.contains("ptest")));
        let prepare = |m: &Message| m.tag == b'E' && m.field(b'M').is_some_and(|text| text.starts_with(PREPARED));
        let errors = theirs.iter_mut().filter(|m| m.tag == b'E');
        for (ours, theirs) in ours.iter().filter(|m| m.tag == b'E').zip(errors) {
            if prepare(ours) {
                theirs.clone_from(ours);
            }
        }
        // Nor has it fired the triggers that a server fires before it refuses.
        if ours.iter().any(prepare) {
            let said = |m: &Message| m.tag == b'N' && m.field(b'S').is_some_and(|severity| severity == "NOTICE");
            [&mut *ours, &mut *theirs].into_iter().for_each(|messages| messages.retain(|m| !said(m)));
        }
        if hint && !theirs.iter().any(refused) {
            ours.retain(|m| m.tag == b'Z');
            theirs.retain(|m| m.tag == b'Z');
        }
    }
    (*plain, *sandbox) = (theirs.concat(), ours.concat());
}

/// Messages as text, without what may differ.
pub(super) fn normal(messages: &[Message]) -> Vec<String> {
    let shown = messages.iter().filter(|m| !matches!(m.tag, b'A' | b'K')).map(text);
    let mut texts: Vec<_> = shown.filter(|m| !UNSEEN.iter().any(|unseen| m.contains(unseen))).collect();
    texts.chunk_by_mut(|a, b| a.starts_with('S') && b.starts_with('S')).for_each(<[_]>::sort);
    texts
}

fn text(message: &Message) -> String {
    match message.tag {
        b'E' | b'N' => {
            let cancelled = message.field(b'C').is_some_and(|code| code == "57014");
            let fields = message.body.split(|b| *b == 0).filter(|f| !f.is_empty());
            let fields = fields.filter(|f| !(matches!(f[0], b'F' | b'L' | b'R') || cancelled && f[0] == b'W'));
            let fields = fields
                .map(|f| if f.starts_with(b"spg_temp_") { "spg_temp".into() } else { String::from_utf8_lossy(f) });
            let fields =
                fields.map(|f| f.split(" The test runs inside one transaction").next().unwrap_or_default().to_owned());
            let fields = fields.map(|f| f.replace("function public.", "function "));
            // Its name follows.
            const DATABASE: &str = "Mpermission denied for database";
            let fields = fields.map(|f| if f.starts_with(DATABASE) { DATABASE.to_owned() } else { f });
            let fields = fields.filter(|f| !f.starts_with("HThe test runs inside one transaction"));
            format!("{} {}", message.tag as char, fields.collect::<Vec<_>>().join(" | "))
        }
        b'T' => format!("T {}", columns(&message.body).join(" | ")),
        tag => format!("{} {}", tag as char, message.body.escape_ascii()),
    }
}

/// The columns of a row description without the identifiers of their tables.
fn columns(body: &[u8]) -> Vec<String> {
    let mut columns = Vec::new();
    let mut rest = &body[2..];
    while let Some(end) = rest.iter().position(|b| *b == 0) {
        let name = String::from_utf8_lossy(&rest[..end]);
        columns.push(format!("{name} {:?}", &rest[end + 5..end + 19]));
        rest = &rest[end + 19..];
    }
    columns
}
