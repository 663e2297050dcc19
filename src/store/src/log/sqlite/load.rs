//! Reads everything, once, and compares it with what was written.

use super::file::explain;
use crate::Resource;
use crate::log::seal::Seal;
use crate::log::stored::{Found, Place, Reader};
use crate::log::{OpenError, names, row_sum};
use crate::root::Root;
use api::{ObjectKey, ResourceVersion};
use bytes::Bytes;
use encryption::Encryption;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::path::Path;
use std::sync::Arc;

/// What is in the file.
pub(super) struct Loaded {
    pub(super) root: Root,
    pub(super) now: Seal,
    /// The last run ended in order.
    pub(super) clean: bool,
    /// A file of an older version has none.
    pub(super) sum_on_record: Option<u64>,
    /// Of the encryption that the whole file is known to be stored by; 0 for none.
    pub(super) form: u64,
    pub(super) reader: Reader,
    /// What can not be read.
    unreadable: Vec<Place>,
    /// What is read, but is not what was written.
    changed: Vec<(Place, u32)>,
}

struct Columns {
    place: Place,
    revision: ResourceVersion,
    /// Its JSON, which may be encrypted.
    stored: Bytes,
    /// `None` in a row that an older version wrote.
    sum: Option<u64>,
}

pub(super) fn load(
    connection: &Connection,
    path: &Path,
    encryption: &Arc<Encryption>,
) -> Result<Loaded, OpenError> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    let damaged = |why: String| OpenError::Damaged { path: path.to_owned(), why };
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(explain)?;
    if verdict != "ok" {
        return Err(damaged(verdict));
    }
    let meta = |key: &str| {
        let value = read_meta(connection, key).map_err(|error| damaged(format!("meta {key}: {error}")))?;
        value.ok_or_else(|| damaged(format!("meta {key} is missing")))
    };
    let mut loaded = Loaded {
        root: Root::default(),
        now: Seal { revision: meta("revision")?, reserved: meta("reserved")?, ..Seal::default() },
        clean: meta("clean")? != 0,
        sum_on_record: read_meta(connection, "sum").map_err(explain)?,
        form: read_meta(connection, "encryption").map_err(explain)?.unwrap_or_default(),
        reader: Reader::new(encryption),
        unreadable: Vec::new(),
        changed: Vec::new(),
    };
    let mut found = connection
        .prepare("SELECT resource, namespace, name, revision, json, sum FROM objects")
        .map_err(explain)?;
    let mut rows = found.query([]).map_err(explain)?;
    while let Some(row) = rows.next().map_err(explain)? {
        loaded.take(columns(row).map_err(|e| damaged(format!("a row of objects: {e}")))?);
    }
    loaded.reader.refusal(&path.display())?;
    loaded.root.revision = loaded.root.revision.max(ResourceVersion(loaded.now.revision));
    loaded.now.revision = loaded.root.revision.0;
    Ok(loaded)
}

impl Loaded {
    fn take(&mut self, row: Columns) {
        let Columns { place, revision, stored, sum: on_record } = row;
        let Some(Found { sum, object }) = self.reader.read(&place, revision, stored) else { return };
        self.now.objects += 1;
        self.now.sum += u64::from(sum);
        let Some(object) = object else { return self.unreadable.push(place) };
        if on_record.is_some_and(|on_record| on_record != u64::from(sum)) {
            self.changed.push((place.clone(), sum));
        }
        self.root.revision = self.root.revision.max(revision);
        self.root.insert(place.0, place.1, object);
    }

    /// What was acknowledged and is not there, in words; nothing where all is well.
    pub(super) fn lost(&self, sealed: Option<Seal>) -> Vec<String> {
        let mut lost = Vec::new();
        let sealed = sealed.unwrap_or(self.now);
        if sealed.revision > self.now.revision {
            lost.push(format!(
                "what was acknowledged at the revisions {} to {} is not in it: its log cluster.db-wal is damaged or was taken \
                 away, or an older copy was put in its place",
                self.now.revision + 1,
                sealed.revision
            ));
        } else if self.unreadable.is_empty() && self.changed.is_empty() && !self.is_as_written(sealed) {
            let written = if sealed.revision == self.now.revision {
                format!("{} were written", sealed.objects)
            } else {
                "they are not those that were written".to_owned()
            };
            lost.push(format!(
                "{} objects are in it, {written}: some are missing, or older than they were",
                self.now.objects
            ));
        }
        if !self.unreadable.is_empty() {
            lost.push(format!("can not be read: {}", names(self.unreadable.iter().map(named))));
        }
        if !self.changed.is_empty() {
            lost.push(format!(
                "not as they were written: {}",
                names(self.changed.iter().map(|(place, _)| named(place)))
            ));
        }
        lost
    }

    fn is_as_written(&self, sealed: Seal) -> bool {
        self.sum_on_record.is_none_or(|sum| sum == self.now.sum)
            && (sealed.revision != self.now.revision || sealed.sum == self.now.sum)
    }

    /// Takes what is there for all that there is: what can not be read goes, and nothing is said of the rest again. `reserved`
    /// is the highest revision that may have been given out; the next run counts from there.
    pub(super) fn accept(
        &mut self,
        connection: &mut Connection,
        reserved: Option<u64>,
    ) -> rusqlite::Result<()> {
        let transaction = connection.transaction()?;
        if let Some(reserved) = reserved {
            self.now.reserved = self.now.reserved.max(reserved);
            self.clean = false;
            super::set_meta(&transaction, "reserved", self.now.reserved)?;
            super::set_meta(&transaction, "clean", 0)?;
        }
        for (resource, key) in &self.unreadable {
            let namespace = key.namespace.as_deref().unwrap_or_default();
            transaction.execute(
                "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
                params![resource.as_str(), namespace, &*key.name],
            )?;
        }
        for ((resource, key), sum) in &self.changed {
            let namespace = key.namespace.as_deref().unwrap_or_default();
            transaction.execute(
                "UPDATE objects SET sum = ? WHERE resource = ? AND namespace = ? AND name = ?",
                params![sum, resource.as_str(), namespace, &*key.name],
            )?;
        }
        let all = self
            .root
            .resources
            .iter()
            .flat_map(|(of, objects)| objects.iter().map(move |object| (of, object)));
        let sums =
            all.map(|(of, (key, object))| u64::from(row_sum(of, key, object.revision(), object.bytes())));
        let (objects, sum) = sums.fold((0, 0), |(count, sum), one| (count + 1, sum + one));
        (self.now.objects, self.now.sum) = (objects, sum);
        super::set_meta(&transaction, "sum", sum)?;
        transaction.commit()
    }
}

fn named((resource, key): &Place) -> String {
    format!("{resource} {key}")
}

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    let text = |column: usize| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
    let namespace = Some(text(1)?).filter(|namespace| !namespace.is_empty());
    let stored = row.get_ref(4)?.as_bytes().map_err(|error: FromSqlError| rusqlite::Error::from(error))?;
    Ok(Columns {
        place: (Resource::from(text(0)?), ObjectKey::new(namespace, text(2)?)),
        revision: ResourceVersion(row.get(3)?),
        stored: Bytes::copy_from_slice(stored),
        sum: row.get(5)?,
    })
}

fn read_meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<u64>> {
    connection.query_row("SELECT value FROM meta WHERE key = ?", [key], |row| row.get(0)).optional()
}
