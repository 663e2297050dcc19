//! The log as one SQLite file that its user can read with `sqlite3` while the daemon is stopped.
//!
//! `objects` holds the newest version of each object with a sum over the row, `meta` the bookkeeping: `revision` is the newest
//! that is on disk, `reserved` the highest that may have been seen, `clean` whether the last run ended in order, `sum` that of
//! all rows, `encryption` the form that all of them are in. After a disorderly end counting goes on above `reserved`, so a revision
//! is never used twice even where lazy writes were lost. What the file has lost is found out by the record beside it (`seal.rs`),
//! and never passed over.

mod file;
mod load;

use super::seal::{self, OF_SQLITE, Seal, Sealer};
use super::stored::{self, Place};
use super::{Log, OpenError, Record, Recovery, lock, row_sum};
use crate::Options;
use crate::copy_error::CopyError;
use crate::root::Root;
use crate::write::CommitError;
use api::ResourceVersion;
use encryption::Encryption;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, Transaction, params};
use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Revisions are reserved so many at a time. The log is not touched for a lazy write within them.
const RESERVE: u64 = 10_000;
/// Bytes of empty pages that are worth a rebuild, where they are most of the file: the next burst may need them again.
const WORTH_GIVING_BACK: i64 = 16 << 20;
/// Bytes that stay, where they are few enough: a rebuild has a copy of them in memory (`temp_store`), beside all objects, and a daemon whose
/// memory is limited would be ended by it at each start.
const MOST_REBUILT: i64 = 128 << 20;

pub(crate) struct SqliteLog {
    connection: Connection,
    reserved: u64,
    /// As the file has it.
    now: Seal,
    sealer: Sealer,
    encryption: Arc<Encryption>,
    /// What is stored in another form.
    stale: Vec<Place>,
    /// Of the encryption that the whole file is known to be stored by.
    form: u64,
    path: PathBuf,
    /// Device and number of the file that is open; `None` where that could not be found out.
    id: Option<(u64, u64)>,
    /// Held for as long as the file is open.
    _lock: File,
}

impl SqliteLog {
    pub(crate) fn open(dir: &Path, options: &Options) -> Result<(Self, Root, Recovery), OpenError> {
        let mut recovery = Recovery::default();
        let lock = lock::lock(dir, &dir.join(file::FILE).display().to_string())?;
        let sealed = seal::read(dir, OF_SQLITE).unwrap_or_else(|why| {
            recovery
                .notes
                .push(format!("{why}: whether cluster.db holds all that was acknowledged can not be told"));
            None
        });
        let was_there = sealed.or(options.must_exist.then(Seal::default));
        let (path, is_new) = file::find_or_make(dir, was_there, options, &mut recovery)?;
        let mut connection = file::connect(&path)?;
        let mut loaded = load::load(&connection, &path, &options.encryption)?;
        let lost = if is_new { Vec::new() } else { loaded.lost(sealed) };
        if !lost.is_empty() && !options.accept_loss {
            return Err(OpenError::Lost { place: path.display().to_string(), what: lost.join("; ") });
        }
        let went_on = |what: &String| format!("{}: went on without what was lost: {what}", path.display());
        recovery.notes.extend(lost.iter().map(went_on));
        let is_behind = !lost.is_empty() || (is_new && sealed.is_some());
        if is_behind || loaded.sum_on_record.is_none() {
            // numbers that were given out stay so, also where what they stood for is lost
            let reserved = sealed.filter(|_| is_behind).map(|sealed| sealed.reserved);
            loaded.accept(&mut connection, reserved).map_err(|error| file::explain(&path, &error))?;
        }
        if !loaded.clean {
            loaded.root.revision = loaded.root.revision.max(ResourceVersion(loaded.now.reserved));
        }
        if !loaded.clean && !is_behind {
            recovery.notes.push(super::disorder(&path.display(), loaded.root.revision));
        }
        let sealer = Sealer::open(dir, OF_SQLITE, loaded.now);
        // nothing is reserved until the first write does it, so a start that changes nothing writes nothing to the file
        let log = SqliteLog {
            connection,
            reserved: 0,
            now: loaded.now,
            sealer,
            encryption: options.encryption.clone(),
            stale: loaded.reader.stale,
            form: loaded.form,
            id: std::fs::metadata(&path).ok().map(|found| id_of(&found)),
            path,
            _lock: lock,
        };
        Ok((log, loaded.root, recovery))
    }

    /// Makes the file in `dir`, where there is none, with all of this in it.
    pub(crate) fn fill(dir: &Path, root: &Root, encryption: &Arc<Encryption>) -> Result<(), CopyError> {
        let options = Options { encryption: encryption.clone(), ..Options::default() };
        let (mut log, _, _) = SqliteLog::open(dir, &options)?;
        let failed = |error: rusqlite::Error| CopyError::Write {
            place: dir.display().to_string(),
            why: error.to_string(),
        };
        log.write(&[], &super::records_of(root), root.revision.0).map_err(failed)?;
        log.end_in_order(root.revision.0).map_err(failed)
    }

    fn write(&mut self, earlier: &[Record], records: &[Record], newest: u64) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        let mut now = Seal { revision: newest, ..self.now };
        for record in earlier.iter().chain(records) {
            write_record(&transaction, record, &self.encryption, &mut now)?;
        }
        let mut reserved = self.reserved;
        let reserves = newest + RESERVE / 2 > reserved;
        if reserves {
            reserved = newest + RESERVE;
            now.reserved = reserved;
            set_meta(&transaction, "reserved", reserved)?;
            set_meta(&transaction, "clean", 0)?;
        }
        set_meta(&transaction, "revision", newest)?;
        set_meta(&transaction, "sum", now.sum)?;
        transaction.commit()?;
        self.reserved = reserved;
        self.now = now;
        // after the file has it, and before anybody is told
        self.sealer.write(now, reserves);
        Ok(())
    }

    /// Whether what is written can be found again. A file that was removed, or in whose place another was put, is still written to.
    fn is_in_its_place(&self) -> bool {
        match std::fs::metadata(&self.path) {
            Ok(found) => self.id.is_none_or(|id| id == id_of(&found)),
            // whoever may not look any more knows nothing
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// What was there in another form is in no page of the file any more, and in no part of its log.
    fn rebuild(&mut self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "secure_delete", true)?;
        self.compact()?;
        self.connection.pragma_update(None, "secure_delete", false)?;
        // last: a start that was cut short is made up for by the next one
        self.form = self.encryption.fingerprint().into();
        let transaction = self.connection.transaction()?;
        set_meta(&transaction, "encryption", self.form)?;
        transaction.commit()
    }

    /// What a burst has made large goes back to the disk, once most of the file is empty: SQLite uses its pages again, but the file, and
    /// each backup of it, stays as large as it ever was.
    fn give_back(&mut self) -> rusqlite::Result<()> {
        let number = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (free, all, bytes) = (number("freelist_count")?, number("page_count")?, number("page_size")?);
        match is_worth_compacting(free, all, bytes) {
            true => self.compact(),
            false => Ok(()),
        }
    }

    /// Writes the file anew, without what is empty of it.
    fn compact(&mut self) -> rusqlite::Result<()> {
        let rebuilt = self.connection.execute_batch("VACUUM");
        // what the log has become goes back in any case: where the disk had no room for the rebuild, it is what fills it
        let emptied = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        rebuilt.and(emptied)
    }

    fn end_in_order(&mut self, newest: u64) -> rusqlite::Result<()> {
        if self.reserved > 0 {
            let transaction = self.connection.transaction()?;
            set_meta(&transaction, "revision", newest)?;
            set_meta(&transaction, "clean", 1)?;
            transaction.commit()?;
            self.now.revision = newest;
        }
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        self.sealer.write(self.now, true);
        Ok(())
    }
}

pub(crate) fn file_is_there(dir: &Path) -> bool {
    dir.join(file::FILE).exists()
}

/// The file of `beside` takes the place of that in `dir`, with the record beside it. In an order in which a crash leaves either no
/// record, which is no loss, or all.
///
/// # Errors
/// What the file system says.
pub(crate) fn replace_file(dir: &Path, beside: &Path) -> io::Result<()> {
    for old in [OF_SQLITE.file, file::WAL] {
        match std::fs::remove_file(dir.join(old)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    for new in [file::FILE, OF_SQLITE.file] {
        std::fs::rename(beside.join(new), dir.join(new))?;
    }
    File::open(dir)?.sync_all()
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
        if !self.is_in_its_place() {
            // what is shown is all there is of it: it can still be read
            return Err(CommitError::Log(format!(
                "{}: the file was removed, or another put in its place, while it was in use: nothing is written any more; save what \
                 can be read, then stop and start to go on with what is there",
                self.path.display()
            )));
        }
        self.write(earlier, records, newest.0).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => CommitError::Full,
            _ => CommitError::Log(format!("{}: {error}", self.path.display())),
        })
    }

    fn renew(&mut self, root: &Root) -> Result<Option<String>, OpenError> {
        let stale = stored::records_at(root, std::mem::take(&mut self.stale));
        let written = match stale.is_empty() {
            true => Ok(()),
            false => self.write(&[], &stale, root.revision.0),
        };
        // what was deleted while the file was in another form is still in its free pages
        let is_as_before = stale.is_empty() && self.form == u64::from(self.encryption.fingerprint());
        let renewed = written.and_then(|()| if is_as_before { Ok(()) } else { self.rebuild() });
        renewed.map_err(|error| file::explain(&self.path, &error))?;
        // a disk that is too full for it keeps nobody from starting
        if let Err(error) = self.give_back() {
            tracing::warn!(%error, path = %self.path.display(), "what is empty of the store's file is not given back to the disk");
        }
        Ok(stored::note(&self.path.display(), stale.len()))
    }

    fn close(&mut self, newest: ResourceVersion) {
        if let Err(error) = self.end_in_order(newest.0) {
            tracing::warn!(%error, path = %self.path.display(), "store not closed in order; the next start mends it");
        }
    }
}

/// Of so many pages of so many bytes, some of them free.
fn is_worth_compacting(free: i64, all: i64, bytes: i64) -> bool {
    free * 2 >= all && free * bytes >= WORTH_GIVING_BACK && (all - free) * bytes <= MOST_REBUILT
}

fn id_of(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

fn write_record(
    transaction: &Transaction<'_>,
    record: &Record,
    encryption: &Encryption,
    now: &mut Seal,
) -> rusqlite::Result<()> {
    let (resource, name) = (record.resource.as_str(), &*record.key.name);
    let namespace = record.key.namespace.as_deref().unwrap_or_default();
    let sum_of =
        |object: &api::Object| row_sum(&record.resource, &record.key, object.revision(), object.bytes());
    if let Some(previous) = &record.previous {
        now.objects -= 1;
        now.sum -= u64::from(sum_of(previous));
    }
    let Some(object) = &record.object else {
        transaction
            .prepare_cached("DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?")?
            .execute(params![resource, namespace, name])?;
        return Ok(());
    };
    let sum = sum_of(object);
    now.objects += 1;
    now.sum += u64::from(sum);
    let stored = encryption.encrypt(resource, &record.key, object.bytes());
    let json = ToSqlOutput::Borrowed(match &stored {
        // as text, though it is held as bytes: for people who read the file with a tool
        Cow::Borrowed(json) => ValueRef::Text(json),
        Cow::Owned(encrypted) => ValueRef::Blob(encrypted),
    });
    transaction
        .prepare_cached(
            "INSERT INTO objects (resource, namespace, name, revision, json, sum) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET revision = excluded.revision, json = excluded.json, sum = excluded.sum",
        )?
        .execute(params![resource, namespace, name, record.revision.0, json, sum])?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_smaller_where_that_is_worth_it_and_costs_little_memory() {
        let mib = (1 << 20) / 4096;
        for (name, free, all, want) in [
            ("nothing is free", 0, 100 * mib, false),
            ("little is free", 15 * mib, 16 * mib, false),
            ("most is full", 20 * mib, 41 * mib, false),
            ("most is free", 20 * mib, 40 * mib, true),
            ("very much is free", 5000 * mib, 5128 * mib, true),
            ("very much stays", 5000 * mib, 5129 * mib, false),
        ] {
            assert_eq!(is_worth_compacting(free, all, 4096), want, "{name}");
        }
    }
}
