//! Reads everything, once.

use super::file::explain;
use crate::Resource;
use crate::log::{OpenError, Recovery};
use crate::root::Root;
use api::{Object, ObjectKey, ResourceVersion};
use bytes::Bytes;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, Row};
use std::path::Path;

pub(super) fn load(connection: &Connection, path: &Path, recovery: &mut Recovery) -> Result<Root, OpenError> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    let damaged = |why: String| OpenError::Damaged { path: path.to_owned(), why };
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(explain)?;
    if verdict != "ok" {
        return Err(damaged(verdict));
    }
    let mut root = Root::default();
    let mut found = connection
        .prepare("SELECT resource, namespace, name, revision, json FROM objects")
        .map_err(explain)?;
    let mut rows = found.query([]).map_err(explain)?;
    while let Some(row) = rows.next().map_err(explain)? {
        let (resource, key, object) = read_row(row).map_err(damaged)?;
        root.revision = root.revision.max(object.revision());
        root.resources.entry(resource).or_default().insert(key, object);
    }
    let meta = |key: &str| read_meta(connection, key).map_err(damaged);
    root.revision = root.revision.max(ResourceVersion(meta("revision")?));
    if meta("clean")? == 0 {
        root.revision = root.revision.max(ResourceVersion(meta("reserved")?));
        recovery.notes.push(format!(
            "{}: the last run did not end in order; everything acknowledged is there, events and leases of its last second \
             may be missing, revisions go on from {}",
            path.display(),
            root.revision
        ));
    }
    Ok(root)
}

fn read_row(row: &Row<'_>) -> Result<(Resource, ObjectKey, Object), String> {
    let (resource, key, revision, json) = columns(row).map_err(|e| format!("a row of objects: {e}"))?;
    match Object::from_stored(json, revision) {
        Ok(object) => Ok((resource, key, object)),
        Err(error) => Err(format!("{resource} {key}: {error}")),
    }
}

fn columns(row: &Row<'_>) -> rusqlite::Result<(Resource, ObjectKey, ResourceVersion, Bytes)> {
    let text = |column: usize| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
    let namespace = Some(text(1)?).filter(|namespace| !namespace.is_empty());
    let key = ObjectKey::new(namespace, text(2)?);
    let json = row.get_ref(4)?.as_bytes().map_err(|error: FromSqlError| rusqlite::Error::from(error))?;
    Ok((Resource::from(text(0)?), key, ResourceVersion(row.get(3)?), Bytes::copy_from_slice(json)))
}

fn read_meta(connection: &Connection, key: &str) -> Result<u64, String> {
    connection
        .query_row("SELECT value FROM meta WHERE key = ?", [key], |row| row.get(0))
        .map_err(|error| format!("meta {key}: {error}"))
}
