//! The image of a database: what a server can tell of it without reading its tables, and how two images differ.
//!
//! Nothing here asks a server; so it can be said in one place what proves that a database is as it was.

use std::collections::BTreeMap;

use crate::pg::server::Rows;

/// The comment of a database that is as its template.
pub(super) const CLEAN: &str = "ptest: as its template";

/// The comment of one that a test has, or has had.
pub(super) const IN_USE: &str = "ptest: in use";

/// Prepares the statements that [`ASK`] runs: parsed and planned once for a session.
///
/// What a vacuum changes of a database's row is left out. Relations that all databases share are not a database's own.
pub(super) const PREPARE: &str = "\
    PREPARE ptest_database AS SELECT 'database', d.oid, pg_catalog.shobj_description(d.oid, 'pg_database'), \
      pg_catalog.pg_stat_get_db_numbackends(d.oid), \
      pg_catalog.pg_stat_get_db_tuples_inserted(d.oid) + pg_catalog.pg_stat_get_db_tuples_updated(d.oid) \
        + pg_catalog.pg_stat_get_db_tuples_deleted(d.oid), \
      pg_catalog.current_setting('track_counts'), \
      extract(epoch FROM pg_catalog.pg_stat_get_db_stat_reset_time(d.oid)), \
      datdba, datcollate, datctype, datistemplate, datallowconn, datconnlimit, dattablespace, datacl, \
      (SELECT string_agg(concat(setrole, setconfig), ' ' ORDER BY setrole) FROM pg_catalog.pg_db_role_setting \
        WHERE setdatabase = d.oid), \
      (SELECT count(*) FROM pg_catalog.pg_prepared_xact() WHERE dbid = d.oid), \
      (SELECT count(*) FROM pg_catalog.pg_get_replication_slots() WHERE datoid = d.oid), \
      (SELECT count(*) FROM pg_catalog.pg_shseclabel WHERE objoid = d.oid AND classoid = 1262), \
      (SELECT count(*) FROM pg_catalog.pg_subscription WHERE subdbid = d.oid) \
    FROM pg_catalog.pg_database d WHERE datname = pg_catalog.current_database();\
    PREPARE ptest_tables AS SELECT 'table', oid, relkind, oid::regclass, \
      pg_catalog.pg_stat_get_tuples_inserted(oid) + pg_catalog.pg_stat_get_tuples_updated(oid) \
        + pg_catalog.pg_stat_get_tuples_deleted(oid) \
    FROM pg_catalog.pg_class WHERE relkind IN ('r', 't', 'm') AND NOT relisshared \
      AND pg_catalog.pg_stat_get_tuples_inserted(oid) + pg_catalog.pg_stat_get_tuples_updated(oid) \
        + pg_catalog.pg_stat_get_tuples_deleted(oid) > 0;\
    PREPARE ptest_sequences AS SELECT 'sequence', seqrelid, pg_catalog.pg_stat_get_blocks_fetched(seqrelid) \
    FROM pg_catalog.pg_sequence WHERE pg_catalog.pg_stat_get_blocks_fetched(seqrelid) > 0";

/// Asks for what [`Image::read`] reads.
pub(super) const ASK: &str = "EXECUTE ptest_database;EXECUTE ptest_tables;EXECUTE ptest_sequences";

/// The same without tables and sequences.
pub(super) const GLANCE: &str = "EXECUTE ptest_database";

/// What a server tells of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) oid: u32,
    pub(super) comment: Option<String>,
    /// How many are connected.
    pub(super) backends: usize,
    /// How many rows were written in all.
    pub(super) written: u64,
    /// What the server keeps of the database outside of it, and whether it counts.
    kept: Vec<Option<String>>,
    pub(super) tables: BTreeMap<u32, Table>,
    /// How many blocks of each sequence were read.
    sequences: BTreeMap<u32, u64>,
}

/// A relation with rows that were ever written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) kind: String,
    /// As SQL writes it.
    pub(super) name: String,
    pub(super) written: u64,
}

/// What has moved between two images of a database that is the same otherwise.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) tables: BTreeMap<u32, Table>,
    pub(super) sequences: Vec<u32>,
}

impl Image {
    /// Reads the answer to [`ASK`] or [`GLANCE`]; `None`: it is none.
    pub(super) fn read(rows: Rows) -> Option<Image> {
        let mut image = Image::default();
        for row in rows {
            let text = |i: usize| row.get(i).cloned().flatten();
            let number = |i: usize| text(i)?.parse::<u64>().ok();
            let oid = text(1).and_then(|oid| oid.parse::<u32>().ok());
            match text(0).as_deref() {
                Some("database") => {
                    image.oid = oid?;
                    image.comment = text(2);
                    image.backends = number(3)? as usize;
                    image.written = number(4)?;
                    image.kept = row[5..].to_vec();
                }
                Some("table") => {
                    let table = Table { kind: text(2)?, name: text(3)?, written: number(4)? };
                    image.tables.insert(oid?, table);
                }
                Some("sequence") => drop(image.sequences.insert(oid?, number(2)?)),
                _ => {}
            }
        }
        (image.oid != 0).then_some(image)
    }

    /// Whether the server counts what is written, and nothing of the database stands outside of it that a drop would not take.
    pub(super) fn is_sound(&self) -> bool {
        let nothing = |i: usize| self.kept.get(i).is_some_and(|count| count.as_deref() == Some("0"));
        self.kept.first().is_some_and(|counts| counts.as_deref() == Some("on")) && (11..15).all(nothing)
    }

    /// Whether nothing was written since, and nothing changed outside of the database.
    pub(super) fn stands(&self, later: &Image) -> bool {
        self.oid == later.oid && self.kept == later.kept && self.written == later.written
    }

    /// What has moved since; `None`: what the server keeps of the database outside of it, or somebody has set its counters back.
    pub(super) fn moved(&self, later: &Image) -> Option<Moved> {
        if self.oid != later.oid || self.kept != later.kept || later.comment.as_deref() != Some(IN_USE) {
            return None;
        }
        let mut moved = Moved::default();
        for (oid, table) in &later.tables {
            let before = self.tables.get(oid).map_or(0, |table| table.written);
            if table.written < before {
                return None;
            }
            if table.written > before {
                moved.tables.insert(*oid, Table { written: table.written - before, ..table.clone() });
            }
        }
        let is_gone = |oid: &u32| !later.tables.contains_key(oid);
        if self.tables.keys().any(is_gone) {
            return None;
        }
        for (oid, read) in &later.sequences {
            if self.sequences.get(oid) != Some(read) {
                moved.sequences.push(*oid);
            }
        }
        Some(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(rows: &[&str]) -> Rows {
        let column = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        rows.iter().map(|row| row.split('|').map(column).collect()).collect()
    }

    fn rows() -> Vec<String> {
        let database = format!("database|30001|{IN_USE}|1|7|on||10|C|C|f|t|-1|1663||30001{{a=1}}|0|0|0|0");
        [database.as_str(), "table|20003|r|items|3", "table|1259|r|pg_class|4", "sequence|20001|5"]
            .map(str::to_owned)
            .into()
    }

    fn image(rows: &[String]) -> Image {
        Image::read(said(&rows.iter().map(String::as_str).collect::<Vec<_>>())).unwrap()
    }

    #[test]
    fn what_moved_is_what_was_counted_since() {
        let before = image(&rows());
        assert_eq!(before.moved(&before), Some(Moved::default()));
        let mut later = rows();
        later[1] = "table|20003|r|items|5".to_owned();
        later[3] = "sequence|20001|6".to_owned();
        later.push("table|20004|r|others|1".to_owned());
        let moved = before.moved(&image(&later)).unwrap();
        assert_eq!(moved.tables.keys().copied().collect::<Vec<_>>(), [20003, 20004]);
        assert_eq!((moved.tables[&20003].written, &*moved.sequences), (2, &[20001][..]));
    }

    #[test]
    fn whatever_else_changes_is_seen() {
        let before = image(&rows());
        let columns = rows()[0].split('|').count();
        for column in (1..columns).filter(|column| ![3, 4].contains(column)) {
            let mut later = rows();
            let mut database: Vec<&str> = later[0].split('|').collect();
            database[column] = if column == 1 { "9" } else { "other" };
            later[0] = database.join("|");
            assert_eq!(before.moved(&image(&later)), None, "column {column}");
        }
        let mut reset = rows();
        reset[1] = "table|20003|r|items|1".to_owned();
        assert_eq!(before.moved(&image(&reset)), None);
        reset.remove(1);
        assert_eq!(before.moved(&image(&reset)), None);
    }

    #[test]
    fn a_database_is_sound_without_what_no_drop_takes() {
        assert!(image(&rows()).is_sound());
        for (from, to) in
            [("|on|", "|off|"), ("|0|0|0|0", "|1|0|0|0"), ("|0|0|0|0", "|0|1|0|0"), ("|0|0|0|0", "|0|0|0|1")]
        {
            let changed: Vec<String> = rows().iter().map(|row| row.replace(from, to)).collect();
            assert!(!image(&changed).is_sound(), "{to}");
        }
    }
}
