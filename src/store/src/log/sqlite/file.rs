//! The file itself: creation, settings, and what an error means.

use crate::Options;
use crate::log::seal::Seal;
use crate::log::{OpenError, Recovery};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const FILE: &str = "cluster.db";
pub(super) const WAL: &str = "cluster.db-wal";
/// What is left of a log whose loss was accepted: for who wants to rescue something out of it.
const LOST_WAL: &str = "cluster.db-wal.lost";
/// Made under this name and renamed when whole: so an empty or partial `cluster.db` is damage, never a first start.
const UNFINISHED: &str = "cluster.db.new";
/// 2: rows have a sum.
const FORMAT: i64 = 2;
const WITHOUT_SUMS: i64 = 1;
const ADD_SUMS: &str = "BEGIN; ALTER TABLE objects ADD COLUMN sum INTEGER; PRAGMA user_version = 2; COMMIT;";
const SCHEMA: &str = "
    CREATE TABLE objects (
        resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, json TEXT NOT NULL,
        sum INTEGER, PRIMARY KEY (resource, namespace, name));
    CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES ('revision', 0), ('reserved', 0), ('clean', 1), ('sum', 0);";
const CACHE_KIB: i64 = 512; // everything is read once, at the start
const WAL_KEPT: i64 = 8 << 20; // bytes; what a burst made larger is given back

/// The file's path, and whether it was made just now. Must be called under the lock. `was_there`: what is known of a file that must be there.
pub(super) fn find_or_make(
    dir: &Path,
    was_there: Option<Seal>,
    options: &Options,
    recovery: &mut Recovery,
) -> Result<(PathBuf, bool), OpenError> {
    let path = dir.join(FILE);
    let damaged = |why: String| Err(OpenError::Damaged { path: path.clone(), why });
    let size = |name: &str| std::fs::metadata(dir.join(name)).map(|file| file.len());
    match (size(FILE), size(WAL)) {
        (Ok(0), _) => return damaged("the file is empty".to_owned()),
        (Ok(_), wal) => {
            if options.accept_loss && wal.is_ok_and(|size| size > 0) {
                // what SQLite does not read of it is gone with the first write
                let _ = std::fs::copy(dir.join(WAL), dir.join(LOST_WAL));
            }
            return Ok((path, false));
        }
        // SQLite would take the log for a stranger's and remove it
        (Err(_), Ok(1..)) if !options.accept_loss => {
            return damaged("the file is missing, but its log cluster.db-wal is there".to_owned());
        }
        (Err(_), Ok(1..)) => {
            std::fs::rename(dir.join(WAL), dir.join(LOST_WAL)).map_err(|e| failed(&path, e))?;
        }
        (Err(_), _) => {}
    }
    let what = was_there.map(|seal| match seal {
        Seal { revision: 0, .. } => "the file is missing, though the cluster had one".to_owned(),
        Seal { revision, objects, .. } => {
            format!("the file is missing, though it held {objects} objects at revision {revision}")
        }
    });
    match what {
        Some(what) if !options.accept_loss => {
            return Err(OpenError::Lost { place: path.display().to_string(), what });
        }
        Some(what) => {
            recovery.notes.push(format!("{}: {what}: went on with an empty cluster", path.display()));
        }
        None => {}
    }
    if std::fs::remove_file(dir.join(UNFINISHED)).is_ok() && recovery.notes.is_empty() {
        recovery.notes.push(format!("{}: the first start was cut short; began anew", path.display()));
    }
    make(dir, &path).map_err(|why| failed(&path, why))?;
    Ok((path, true))
}

fn make(dir: &Path, path: &Path) -> Result<(), String> {
    let unfinished = dir.join(UNFINISHED);
    let made = fill(&unfinished).and_then(|file| {
        file.sync_all().map_err(|e| e.to_string())?;
        std::fs::rename(&unfinished, path).map_err(|e| e.to_string())?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| e.to_string())
    });
    if made.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    made
}

fn fill(path: &Path) -> Result<File, String> {
    // by us, so that it is never readable by others
    let file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|e| e.to_string())?;
    let make = || -> rusqlite::Result<()> {
        let connection = Connection::open(path)?;
        // no rollback file to leave behind: a half-made file is thrown away
        connection.pragma_update(None, "journal_mode", "MEMORY")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.execute_batch(SCHEMA)?;
        connection.pragma_update(None, "user_version", FORMAT)?;
        connection.close().map_err(|(_, error)| error)
    };
    make().map_err(|e| e.to_string())?;
    Ok(file)
}

/// Opens the file for this process alone. SQLite replays what its log holds.
pub(super) fn connect(path: &Path) -> Result<Connection, OpenError> {
    let _ = std::fs::set_permissions(path, Permissions::from_mode(0o600)); // a restored backup may be wider
    let connection = configure(path).map_err(|error| explain(path, &error))?;
    let found = connection.query_row("PRAGMA user_version", [], |row| row.get(0));
    match found.map_err(|error| explain(path, &error))? {
        FORMAT => Ok(connection),
        WITHOUT_SUMS => {
            // the rows get theirs as they are written
            connection.execute_batch(ADD_SUMS).map_err(|error| explain(path, &error))?;
            Ok(connection)
        }
        found if found > FORMAT => {
            Err(OpenError::Newer { place: path.display().to_string(), found, known: FORMAT })
        }
        found => Err(OpenError::Damaged { path: path.to_owned(), why: format!("format {found} is unknown") }),
    }
}

fn configure(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // a refusal leaves file and log as they were: what SQLite does not read of a damaged log, somebody may still rescue
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(Duration::ZERO)?; // nobody else may have it, so waiting helps nobody
    // we alone have it: no shared memory file, and no other writer behind our snapshots; must come before anything that
    // reads the file, or SQLite sets up for sharing
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

fn failed(path: &Path, why: impl std::fmt::Display) -> OpenError {
    OpenError::Failed { place: path.display().to_string(), why: why.to_string() }
}

pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    let place = path.display().to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            OpenError::InUse { place, holder: "another program that has it open".to_owned() }
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            OpenError::Damaged { path: path.to_owned(), why: error.to_string() }
        }
        Some(ErrorCode::DiskFull) => OpenError::Full { place },
        _ => OpenError::Failed { place, why: error.to_string() },
    }
}
