//! Managed fields: who set which field, in `metadata.managedFields`.

use super::Structure;
use super::applied::fields_of;
use super::compare::{compare, fields_of_new};
use super::element::Element;
use super::entry::{Entry, Operation};
use super::fields::Fields;
use super::merge::{merge, prune};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The owner of everything in an object that had no managed fields until it was applied.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// Upstream keeps as many who update apart; the oldest beyond them are one.
const MOST_UPDATERS: usize = 10;
const ANCIENT: &str = "ancient-changes";
/// In bytes, of conflicts that are told. Names of managers, their versions and keys of lists are what clients make of them, and each
/// conflict has its manager's and all that is above its field.
const MOST_TOLD: usize = 256 << 10;
const KUBECTL: &str = "kubectl";
/// Where kubectl keeps what it applied from the client's side.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// What nobody owns: the object's identity, and what the system says of it.
const UNOWNED: [&[&str]; 11] = [
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "uid"],
    &["metadata", "generation"],
    &["metadata", "creationTimestamp"],
    &["metadata", "resourceVersion"],
    &["metadata", "selfLink"],
    &["metadata", "managedFields"],
    &["metadata", "clusterName"],
];

/// Who writes, and by which kind of request.
#[derive(Debug, Clone, Copy)]
pub struct Who<'w> {
    /// `fieldManager`
    pub manager: &'w str,
    pub subresource: Option<&'w str>,
    /// The version of the object as it was written: `apps/v1`.
    pub api_version: &'w str,
    /// RFC 3339, in whole seconds.
    pub now: &'w str,
}

/// An entry whose fields are read.
#[derive(Debug, Clone)]
struct Manager {
    entry: Entry,
    fields: Fields,
}

/// Fields that another manager has, and wants otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// As upstream names it: `"kubectl-edit" using apps/v1`.
    pub manager: String,
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyError {
    /// The first of them.
    Conflicts(Vec<Conflict>),
    /// The object does not have the structure of its kind.
    Malformed(String),
}

impl Manager {
    fn new(entry: Entry) -> Manager {
        Manager { entry, fields: Fields::default() }
    }

    fn written(self) -> Entry {
        Entry { fields_v1: self.fields.encode(), ..self.entry }
    }
}

/// Whether somebody manages fields of this object.
fn has_managed_fields(object: &Value) -> bool {
    managed_fields_of(object).as_array().is_some_and(|all| !all.is_empty())
}

fn managed_fields_of(object: &Value) -> &Value {
    object.pointer("/metadata/managedFields").unwrap_or(&Value::Null)
}

fn read(managed: &Value) -> Vec<Manager> {
    let entries = managed.as_array().into_iter().flatten().filter_map(|entry| Entry::deserialize(entry).ok());
    entries.map(|entry| Manager { fields: entry.fields(), entry }).collect()
}

/// As upstream sorts them, and without those who have nothing.
fn in_order(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.retain(Entry::has_fields);
    entries.sort_by(|a, b| a.place().cmp(&b.place()));
    entries
}

/// What an applier has who says this.
fn applied_fields(config: &Value, structure: &dyn Structure) -> Result<Fields, ApplyError> {
    let fields = fields_of(config, &mut Vec::new(), structure).map_err(ApplyError::Malformed)?;
    Ok(owned(fields))
}

/// What somebody has who made the object otherwise.
fn created_fields(object: &Value, structure: &dyn Structure) -> Result<Fields, ApplyError> {
    fields_of_new(object, structure).map(owned).map_err(ApplyError::Malformed)
}

fn owned(mut fields: Fields) -> Fields {
    fields.member = false;
    UNOWNED.iter().for_each(|path| fields.take(path));
    fields
}

/// Puts `wanted` (an object, of which it may say little) over the stored one, `{}` where there is none yet. The result has
/// its new managed fields.
///
/// # Errors
/// [`ApplyError::Conflicts`] for fields that others set to something else, unless it is forced: then they are taken.
pub fn apply(
    live: &Value,
    wanted: &Value,
    who: Who<'_>,
    force: bool,
    structure: &dyn Structure,
) -> Result<Value, ApplyError> {
    let mut managers = match has_managed_fields(live) {
        true => read(managed_fields_of(live)),
        false => first_owner(live, who, structure)?,
    };
    let set = applied_fields(wanted, structure)?;
    let mut object = merge(live, wanted, &mut Vec::new(), structure).map_err(ApplyError::Malformed)?;
    let at = managers.iter().position(|manager| manager.entry.is(who, Operation::Apply));
    let mut mine =
        at.map_or_else(|| Manager::new(Entry::new(who, Operation::Apply)), |at| managers.remove(at));
    let last = std::mem::replace(&mut mine.fields, set);
    let mut owned = mine.fields.clone();
    managers.iter().for_each(|manager| owned.unite(&manager.fields));
    // whoever applies says the object's name: with the last of his labels the rest of the metadata does not go
    owned.children.entry(Element::Field("metadata".to_owned())).or_default();
    prune(&mut object, &last, &owned, &mut Vec::new(), structure);

    let mut difference = compare(live, &object, structure).map_err(ApplyError::Malformed)?;
    UNOWNED.iter().for_each(|path| difference.removed.take(path));
    let set = difference.set();
    let (mut conflicts, mut contested, mut left) = (Vec::new(), Fields::default(), MOST_TOLD);
    for manager in &mut managers {
        let taken = manager.fields.intersection(&set);
        if !taken.is_empty() && !force {
            conflicts.extend(told(&taken, &manager.entry.title(), &mut left));
        }
        contested.unite(&taken);
        manager.fields.subtract(&taken);
        manager.fields.subtract(&difference.removed);
    }
    if !force && !contested.is_empty() && !all_by_kubectl(&contested, live, who, structure) {
        return Err(ApplyError::Conflicts(conflicts));
    }
    let is_changed = !set.is_empty() || !difference.removed.is_empty();
    if is_changed || last != mine.fields || mine.entry.api_version != who.api_version {
        mine.entry.time = Some(who.now.to_owned());
        mine.entry.api_version = who.api_version.to_owned();
    }
    managers.push(mine);
    // nobody's change: it says what the applier himself has just said
    remember_for_kubectl(&mut object, live, wanted, who);
    set_managed_fields(&mut object, managers);
    Ok(object)
}

/// As many conflicts as there is room for.
fn told(taken: &Fields, manager: &str, left: &mut usize) -> Vec<Conflict> {
    let paths = taken.paths(*left);
    let conflict = |path: String| {
        let is_told = *left > 0;
        *left = left.saturating_sub(manager.len() + path.len());
        is_told.then(|| Conflict { manager: manager.to_owned(), path })
    };
    paths.into_iter().map_while(conflict).collect()
}

/// Where kubectl has applied from the client's side before, it finds there what it applied last, also from the server's side.
fn remember_for_kubectl(object: &mut Value, live: &Value, wanted: &Value, who: Who<'_>) {
    let annotation = |object: &Value| {
        object.pointer("/metadata/annotations").and_then(|all| all.get(LAST_APPLIED)).cloned()
    };
    if who.manager != KUBECTL || annotation(live).is_none() || annotation(wanted).is_some() {
        return;
    }
    if let Some(all) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        all.insert(LAST_APPLIED.to_owned(), format!("{wanted}\n").into());
    }
}

/// kubectl takes over what kubectl itself applied from the client's side, as upstream lets it.
fn all_by_kubectl(contested: &Fields, live: &Value, who: Who<'_>, structure: &dyn Structure) -> bool {
    let annotations = live.pointer("/metadata/annotations");
    let last = annotations.and_then(|all| all.get(LAST_APPLIED)).and_then(Value::as_str);
    let last: Option<Value> = last.and_then(|text| serde_json::from_str(text).ok());
    let (true, Some(last)) = (who.manager == KUBECTL, last) else { return false };
    let Ok(fields) = applied_fields(&last, structure) else { return false };
    let mut others = contested.clone();
    others.subtract(&fields);
    others.is_empty()
}

/// For an object that is there, but has no managed fields.
fn first_owner(live: &Value, who: Who<'_>, structure: &dyn Structure) -> Result<Vec<Manager>, ApplyError> {
    let fields = created_fields(live, structure)?;
    if live.pointer("/metadata/uid").is_none() {
        return Ok(Vec::new());
    }
    let unknown = Who { manager: BEFORE_FIRST_APPLY, subresource: None, ..who };
    Ok(vec![Manager { fields, entry: Entry::new(unknown, Operation::Update) }])
}

/// The managed fields of a new object that was created by other means than being applied: all of it is the creator's.
///
/// # Errors
/// [`ApplyError::Malformed`]
pub fn create(object: &Value, who: Who<'_>, structure: &dyn Structure) -> Result<Vec<Entry>, ApplyError> {
    let fields_v1 = created_fields(object, structure)?.encode();
    Ok(in_order(vec![Entry { fields_v1, ..Entry::new(who, Operation::Update) }]))
}

/// The managed fields of `new`, which took the place of `old` in another way than by being applied: whoever changed a field has
/// it. `managed` are those until now.
///
/// # Errors
/// [`ApplyError::Malformed`]
pub fn update(
    old: &Value,
    new: &Value,
    mut managed: Vec<Entry>,
    who: Who<'_>,
    structure: &dyn Structure,
) -> Result<Vec<Entry>, ApplyError> {
    let mut difference = compare(old, new, structure).map_err(ApplyError::Malformed)?;
    for fields in [&mut difference.added, &mut difference.changed, &mut difference.removed] {
        UNOWNED.iter().for_each(|path| fields.take(path));
    }
    let (set, removed) = (difference.set(), difference.removed);
    let at = managed.iter().position(|entry| entry.is(who, Operation::Update));
    let mut mine = at.map_or_else(|| Entry::new(who, Operation::Update), |at| managed.remove(at));
    let mut lost = set.clone();
    lost.unite(&removed);
    managed.iter_mut().for_each(|other| other.lose(&lost));
    mine.change(&set, &removed, who.now);
    managed.push(mine);
    cap(&mut managed);
    Ok(in_order(managed))
}

/// The oldest of too many updaters become one for each version that they wrote.
fn cap(entries: &mut Vec<Entry>) {
    entries.retain(Entry::has_fields);
    let is_updater = |entry: &Entry| entry.operation == Operation::Update;
    let mut updaters: Vec<usize> = (0..entries.len()).filter(|at| is_updater(&entries[*at])).collect();
    let too_many = updaters.len().saturating_sub(MOST_UPDATERS);
    if too_many == 0 {
        return;
    }
    updaters.sort_by_key(|at| entries[*at].time.clone());
    // a client may write thousands of entries: what becomes one is read and written once
    let mut gone = BTreeSet::new();
    let mut buckets: BTreeMap<String, (usize, Option<Fields>)> = BTreeMap::new();
    for at in updaters {
        if gone.len() == too_many {
            break;
        }
        let api_version = entries[at].api_version.clone();
        let (bucket, fields) = buckets.entry(api_version).or_insert((at, None));
        if *bucket == at {
            continue;
        }
        fields.get_or_insert_with(|| entries[*bucket].fields()).unite(&entries[at].fields());
        let time = entries[at].time.clone();
        let ancient = &mut entries[*bucket];
        ancient.manager = ANCIENT.to_owned();
        ancient.subresource.clear();
        ancient.time = time;
        gone.insert(at);
    }
    for (bucket, fields) in buckets.into_values() {
        if let Some(fields) = fields {
            entries[bucket].fields_v1 = fields.encode();
        }
    }
    let mut at = 0..entries.len();
    entries.retain(|_| at.next().is_none_or(|at| !gone.contains(&at)));
}

fn set_managed_fields(object: &mut Value, managers: Vec<Manager>) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let entries = managers.into_iter().map(Manager::written).collect();
        metadata.insert("managedFields".to_owned(), json!(in_order(entries)));
    }
}

#[cfg(test)]
mod tests;
