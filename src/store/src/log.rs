//! Where records are kept: a small trait, so that another back end can take the place of the file.

use crate::committer::{CommitError, Record};
use crate::root::Root;
use crate::Resource;
use api::{Object, ObjectKey, ResourceVersion};
use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Makes records durable, in order.
pub(crate) trait Log: Send {
    /// Both parts, all or nothing; they are on disk when it returns.
    fn append(&mut self, earlier: &[Record], records: &[Record]) -> Result<(), CommitError>;
    fn close(&mut self) {}
}

/// What opening the store found and did, in words; nothing where all was well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    pub notes: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path} is in use by another process", path = path.display())]
    InUse { path: PathBuf },
    /// Nothing was changed.
    #[error("{path} is damaged: {why}", path = path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("open {path}: {why}", path = path.display())]
    Failed { path: PathBuf, why: String },
}

pub(crate) struct MemoryLog;

impl Log for MemoryLog {
    fn append(&mut self, _earlier: &[Record], _records: &[Record]) -> Result<(), CommitError> {
        Ok(())
    }
}

const FILE: &str = "cluster.db";
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS objects (
        resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, json BLOB NOT NULL,
        PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;";
/// Revisions are handed out of a reserved range, so that none is used twice even when lazy writes were lost.
const RESERVED: u64 = 10_000;
const CACHE_KIB: i64 = 512; // everything is read once, at start

pub(crate) struct SqliteLog {
    connection: Connection,
    reserved_to: u64,
}

impl SqliteLog {
    pub(crate) fn open(dir: &Path) -> Result<(Self, Root, Recovery), OpenError> {
        let path = dir.join(FILE);
        let explain = |error: rusqlite::Error| explain(&path, &error);
        let mut folder = std::fs::DirBuilder::new();
        let made = folder.recursive(true).mode(0o700).create(dir);
        made.map_err(|e| OpenError::Failed { path: dir.to_owned(), why: e.to_string() })?;
        let left_over = std::fs::metadata(dir.join("cluster.db-wal")).is_ok_and(|wal| wal.len() > 0);
        let connection = connect(&path).map_err(explain)?;
        check(&connection, &path)?;
        let mut root = read_all(&connection, &path)?;
        let reserved: Option<u64> = read_reserved(&connection).map_err(explain)?;
        let mut recovery = Recovery::default();
        if let Some(reserved) = reserved.filter(|_| left_over) {
            root.revision = root.revision.max(ResourceVersion(reserved));
            recovery.notes.push(format!("{}: the last run did not end in order; its log was replayed", path.display()));
        }
        Ok((SqliteLog { connection, reserved_to: reserved.unwrap_or(0) }, root, recovery))
    }

    fn write(&mut self, earlier: &[Record], records: &[Record]) -> rusqlite::Result<()> {
        let newest = records.last().or(earlier.last()).map_or(0, |record| record.revision.0);
        let transaction = self.connection.transaction()?;
        for record in earlier.iter().chain(records) {
            write_record(&transaction, record)?;
        }
        let mut reserved_to = self.reserved_to;
        if newest + RESERVED / 2 > reserved_to {
            reserved_to = newest + RESERVED;
            set_meta(&transaction, "reserved", reserved_to)?;
        }
        set_meta(&transaction, "revision", newest)?;
        transaction.commit()?;
        self.reserved_to = reserved_to;
        Ok(())
    }
}

impl Log for SqliteLog {
    fn append(&mut self, earlier: &[Record], records: &[Record]) -> Result<(), CommitError> {
        self.write(earlier, records).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => CommitError::Full,
            _ => CommitError::Log(error.to_string()),
        })
    }

    fn close(&mut self) {
        let emptied = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = emptied {
            tracing::warn!(%error, "the store's log was not folded into its file; the next start does it");
        }
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    let only_mine = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    let _ = std::fs::set_permissions(path, only_mine);
    // one process has it, so SQLite needs no shared memory file and another opener fails at once
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let verdict: rusqlite::Result<String> = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match verdict {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(why) => Err(OpenError::Damaged { path: path.to_owned(), why }),
        Err(error) => Err(explain(path, &error)),
    }
}

fn read_all(connection: &Connection, path: &Path) -> Result<Root, OpenError> {
    let mut root = Root::default();
    let explain = |error: rusqlite::Error| explain(path, &error);
    let mut rows =
        connection.prepare("SELECT resource, namespace, name, revision, json FROM objects").map_err(explain)?;
    let mut rows = rows.query([]).map_err(explain)?;
    while let Some(row) = rows.next().map_err(explain)? {
        let (resource, key, object) = read_row(row).map_err(explain)?.map_err(|why| OpenError::Damaged {
            path: path.to_owned(),
            why,
        })?;
        root.revision = root.revision.max(object.revision());
        root.resources.entry(resource).or_default().insert(key, object);
    }
    let newest: u64 = connection
        .query_row("SELECT COALESCE(MAX(value), 0) FROM meta WHERE key = 'revision'", [], |row| row.get(0))
        .map_err(explain)?;
    root.revision = root.revision.max(ResourceVersion(newest));
    Ok(root)
}

type Row = (Resource, ObjectKey, Object);

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Row, String>> {
    let (resource, namespace, name): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (revision, json): (u64, Vec<u8>) = (row.get(3)?, row.get(4)?);
    let key = ObjectKey::new((!namespace.is_empty()).then_some(&namespace), &name);
    let object = Object::from_stored(Bytes::from(json), ResourceVersion(revision));
    Ok(object.map_err(|e| format!("{resource} {key}: {e}")).map(|object| (Resource::from(resource.as_str()), key, object)))
}

fn read_reserved(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    let mut found = connection.prepare("SELECT value FROM meta WHERE key = 'reserved'")?;
    let mut rows = found.query([])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}

fn write_record(transaction: &rusqlite::Transaction<'_>, record: &Record) -> rusqlite::Result<()> {
    let (resource, name) = (record.resource.as_str(), &*record.key.name);
    let namespace = record.key.namespace.as_deref().unwrap_or_default();
    match &record.object {
        Some(object) => transaction
            .prepare_cached("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)")?
            .execute(params![resource, namespace, name, record.revision.0, &object.bytes()[..]])?,
        None => transaction
            .prepare_cached("DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?")?
            .execute(params![resource, namespace, name])?,
    };
    Ok(())
}

fn set_meta(transaction: &rusqlite::Transaction<'_>, key: &str, value: u64) -> rusqlite::Result<()> {
    transaction.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?, ?)")?.execute(params![key, value])?;
    Ok(())
}

fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse { path },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            OpenError::Damaged { path, why: error.to_string() }
        }
        _ => OpenError::Failed { path, why: error.to_string() },
    }
}
