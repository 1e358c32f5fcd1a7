//! The shortest conversation that still shows a difference.

use super::run::Pair;
use super::{Batch, Conversation};

/// Leaves out what can be left out; returns what remains, and the difference that it shows.
pub(crate) fn shrink(
    pair: &mut Pair<'_>,
    mut conversation: Conversation,
    mut difference: String,
) -> (Conversation, String) {
    loop {
        let mut candidates = candidates(&conversation).into_iter();
        let shorter = candidates.find_map(|candidate| Some((pair.run_anew(&candidate)?, candidate)));
        let Some((found, candidate)) = shorter else { return (conversation, difference) };
        (conversation, difference) = (candidate, found);
    }
}

/// The conversations that lack one turn, one batch, or one statement or message.
fn candidates(conversation: &Conversation) -> Vec<Conversation> {
    let mut candidates = Vec::new();
    let mut without = |change: &dyn Fn(&mut Conversation)| {
        let mut candidate = conversation.clone();
        change(&mut candidate);
        candidates.push(candidate);
    };
    for (i, turn) in conversation.iter().enumerate() {
        without(&|c| drop(c.remove(i)));
        for (j, batch) in turn.batches.iter().enumerate() {
            if turn.batches.len() > 1 {
                without(&|c| drop(c[i].batches.remove(j)));
            }
            let parts = match batch {
                Batch::Simple(statements) => statements.len(),
                Batch::Extended(messages) => messages.len(),
                Batch::Unsynced(messages, statements) => messages.len() + statements.len(),
                Batch::Call(_) | Batch::Cancelled(_) | Batch::HangUp(..) => 0,
            };
            for k in 0..parts {
                without(&|c| match &mut c[i].batches[j] {
                    Batch::Simple(statements) => drop(statements.remove(k)),
                    Batch::Extended(messages) => drop(messages.remove(k)),
                    Batch::Unsynced(messages, _) if k < messages.len() => drop(messages.remove(k)),
                    Batch::Unsynced(messages, statements) => drop(statements.remove(k - messages.len())),
                    Batch::Call(_) | Batch::Cancelled(_) | Batch::HangUp(..) => {}
                });
            }
        }
        for k in 0..turn.copy.len() {
            without(&|c| {
                c[i].copy.remove(k);
            });
        }
    }
    candidates
}
