//! The word that was probably meant.

/// A question after the one of the known words that was probably meant.
pub(crate) fn similar(text: &str, known: impl IntoIterator<Item = &'static str>) -> String {
    let close = known.into_iter().find(|known| distance(text, known) <= 2);
    close.map_or(String::new(), |known| format!(", did you mean `{known}`?"))
}

/// How many letters have to be added, removed or changed to turn one word into the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
