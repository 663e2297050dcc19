//! The log as one SQLite file that its user can read with `sqlite3` while the daemon is stopped.
//!
//! `objects` holds the newest version of each object, `meta` the bookkeeping: `revision` is the newest that is on disk,
//! `reserved` the highest that may have been seen, `clean` whether the last run ended in order. After a disorderly end
//! counting goes on above `reserved`, so a revision is never used twice even where lazy writes were lost.

mod file;
mod load;

use super::{Log, OpenError, Record, Recovery};
use crate::root::Root;
use crate::write::CommitError;
use api::ResourceVersion;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, Transaction, params};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Revisions are reserved so many at a time. The log is not touched for a lazy write within them.
const RESERVE: u64 = 10_000;

pub(crate) struct SqliteLog {
    connection: Connection,
    reserved: u64,
    path: PathBuf,
    /// Held for as long as the file is open.
    _lock: File,
}

impl SqliteLog {
    pub(crate) fn open(dir: &Path) -> Result<(Self, Root, Recovery), OpenError> {
        let mut recovery = Recovery::default();
        let lock = file::lock(dir)?;
        let path = file::find_or_make(dir, &mut recovery)?;
        let connection = file::connect(&path)?;
        let root = load::load(&connection, &path, &mut recovery)?;
        // nothing is reserved until the first write does it, so a start that changes nothing writes nothing
        Ok((SqliteLog { connection, reserved: 0, path, _lock: lock }, root, recovery))
    }

    fn write(&mut self, earlier: &[Record], records: &[Record], newest: u64) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for record in earlier.iter().chain(records) {
            write_record(&transaction, record)?;
        }
        let mut reserved = self.reserved;
        if newest + RESERVE / 2 > reserved {
            reserved = newest + RESERVE;
            set_meta(&transaction, "reserved", reserved)?;
            set_meta(&transaction, "clean", 0)?;
        }
        set_meta(&transaction, "revision", newest)?;
        transaction.commit()?;
        self.reserved = reserved;
        Ok(())
    }

    fn end_in_order(&mut self, newest: u64) -> rusqlite::Result<()> {
        if self.reserved > 0 {
            let transaction = self.connection.transaction()?;
            set_meta(&transaction, "revision", newest)?;
            set_meta(&transaction, "clean", 1)?;
            transaction.commit()?;
        }
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }
}

impl Log for SqliteLog {
    fn reserved(&self) -> ResourceVersion {
        ResourceVersion(self.reserved)
    }

    fn append(
        &mut self,
        earlier: &[Record],
        records: &[Record],
        newest: ResourceVersion,
    ) -> Result<(), CommitError> {
        self.write(earlier, records, newest.0).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => CommitError::Full,
            _ => CommitError::Log(format!("{}: {error}", self.path.display())),
        })
    }

    fn close(&mut self, newest: ResourceVersion) {
        if let Err(error) = self.end_in_order(newest.0) {
            tracing::warn!(%error, path = %self.path.display(), "store not closed in order; the next start mends it");
        }
    }
}

fn write_record(transaction: &Transaction<'_>, record: &Record) -> rusqlite::Result<()> {
    let (resource, name) = (record.resource.as_str(), &*record.key.name);
    let namespace = record.key.namespace.as_deref().unwrap_or_default();
    let Some(object) = &record.object else {
        transaction
            .prepare_cached("DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?")?
            .execute(params![resource, namespace, name])?;
        return Ok(());
    };
    // as text, though it is held as bytes: for people who read the file with a tool
    let json = ToSqlOutput::Borrowed(ValueRef::Text(object.bytes()));
    transaction
        .prepare_cached(
            "INSERT INTO objects (resource, namespace, name, revision, json) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET revision = excluded.revision, json = excluded.json",
        )?
        .execute(params![resource, namespace, name, record.revision.0, json])?;
    Ok(())
}

fn set_meta(transaction: &Transaction<'_>, key: &str, value: u64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        )?
        .execute(params![key, value])?;
    Ok(())
}
