//! Objects as the rows that `kubectl get` prints, and as bare metadata.

use crate::parse_budget::{ParseBudget, read_in_turn};
use api::{Object, Status};
use bytes::Bytes;
use cluster::{List, YieldBudget};
use kinds::Version;
use serde_json::{Value, json};
use std::sync::Arc;

/// What a row carries beside its cells: kubectl sorts by the whole object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Include {
    Nothing,
    Metadata,
    Object,
}

pub(crate) fn list_meta(list: &List) -> Value {
    let mut meta = json!({"resourceVersion": list.revision.to_string()});
    if let Some(token) = &list.continue_token {
        meta["continue"] = token.as_str().into();
    }
    if let Some(remaining) = list.remaining {
        meta["remainingItemCount"] = remaining.into();
    }
    meta
}

/// # Errors
/// Stored objects that do not fit their kind.
pub(crate) fn of_object(version: &Version, object: &Object, include: Include) -> Result<Bytes, Status> {
    let meta = json!({"resourceVersion": object.revision().to_string()});
    let mut table = begin(version, meta)?;
    put_row(&mut table, &row(version, object, include)?);
    Ok(end(table))
}

/// Large objects are read in turns, where the request has none yet.
///
/// # Errors
/// As [`of_object`].
pub(crate) async fn of_list(
    version: &Arc<Version>,
    list: &List,
    include: Include,
    turns: Option<&ParseBudget>,
) -> Result<Bytes, Status> {
    let (mut table, mut budget) = (begin(version, list_meta(list))?, YieldBudget::default());
    for object in &list.objects {
        let version = version.clone();
        let row = move |object: &Object| row(&version, object, include);
        put_row(&mut table, &read_in_turn(turns, object, row).await?);
        budget.spend(object.bytes().len()).await;
    }
    Ok(end(table))
}

/// As [`partial`], of each.
///
/// # Errors
/// As [`partial`].
pub(crate) async fn partials(list: &List, turns: Option<&ParseBudget>) -> Result<Vec<Bytes>, Status> {
    let (mut shown, mut budget) = (Vec::with_capacity(list.objects.len()), YieldBudget::default());
    for object in &list.objects {
        shown.push(read_in_turn(turns, object, partial).await?);
        budget.spend(object.bytes().len()).await;
    }
    Ok(shown)
}

/// A table as far as its rows: those are written one by one, and never all there as values, which are many times as large.
fn begin(version: &Version, meta: Value) -> Result<Vec<u8>, Status> {
    let columns: Vec<Value> = version
        .columns()
        .iter()
        .map(|c| json!({"name": c.name, "type": c.kind, "format": c.format, "description": c.description, "priority": c.priority}))
        .collect();
    let table = json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "columnDefinitions": columns});
    let mut table = serde_json::to_vec(&table).map_err(Status::internal)?;
    // its closing brace comes at the end
    table.pop();
    table.extend_from_slice(br#","rows":["#);
    Ok(table)
}

fn put_row(table: &mut Vec<u8>, row: &[u8]) {
    if table.last() != Some(&b'[') {
        table.push(b',');
    }
    table.extend_from_slice(row);
}

fn end(mut table: Vec<u8>) -> Bytes {
    table.extend_from_slice(b"]}");
    table.into()
}

fn row(version: &Version, object: &Object, include: Include) -> Result<Vec<u8>, Status> {
    let cells = version.decode_stored(object)?.row(jiff::Timestamp::now());
    let mut row = json!({"cells": cells});
    match include {
        Include::Nothing => {}
        Include::Metadata => row["object"] = metadata_of(object)?,
        Include::Object => {
            row["object"] =
                serde_json::from_slice(&version.present(object.bytes())).map_err(Status::internal)?;
        }
    }
    serde_json::to_vec(&row).map_err(Status::internal)
}

fn metadata_of(object: &Object) -> Result<Value, Status> {
    let whole: Value = object.decode().map_err(Status::internal)?;
    Ok(
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": whole["metadata"]}),
    )
}

/// # Errors
/// A stored object that is no JSON.
pub(crate) fn partial(object: &Object) -> Result<Bytes, Status> {
    serde_json::to_vec(&metadata_of(object)?).map(Bytes::from).map_err(Status::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_carries_the_whole_object_where_somebody_sorts_by_it() {
        let registry = kinds::all();
        let gvk = api::Gvk::parse("v1", "ConfigMap");
        let version = registry.by_gvk(&gvk).unwrap();
        let map = json!({"metadata": {"name": "a", "resourceVersion": api::REVISION_PLACEHOLDER}, "data": {"k": "v"}});
        let stored =
            api::Unstamped::new(map.to_string().into_bytes()).unwrap().stamp(api::ResourceVersion(7));
        let object = |include| {
            let table = of_object(&version, &stored, include).unwrap();
            let table: Value = serde_json::from_slice(&table).unwrap();
            table["rows"][0]["object"].clone()
        };
        assert_eq!(object(Include::Object)["data"]["k"], "v");
        assert_eq!(object(Include::Metadata)["kind"], "PartialObjectMetadata");
        assert_eq!(object(Include::Metadata)["data"], Value::Null);
        assert_eq!(object(Include::Nothing), Value::Null);
    }

    fn list_of(maps: usize, bytes: usize) -> List {
        let stored = |number: usize| {
            let metadata =
                json!({"name": format!("m{number}"), "resourceVersion": api::REVISION_PLACEHOLDER});
            let map = json!({"metadata": metadata, "data": {"k": "v".repeat(bytes)}});
            api::Unstamped::new(map.to_string().into_bytes()).unwrap().stamp(api::ResourceVersion(7))
        };
        let objects = (0..maps).map(stored).collect();
        List { objects, revision: api::ResourceVersion(9), ..List::default() }
    }

    #[tokio::test]
    async fn a_list_has_a_row_for_each_object() {
        let registry = kinds::all();
        let version = registry.by_gvk(&api::Gvk::parse("v1", "ConfigMap")).unwrap();
        for rows in [0, 1, 3] {
            let table = of_list(&version, &list_of(rows, 10), Include::Metadata, None).await.unwrap();
            let table: Value = serde_json::from_slice(&table).unwrap();
            assert_eq!(
                (&table["kind"], &table["metadata"]["resourceVersion"]),
                (&json!("Table"), &json!("9"))
            );
            let names: Vec<&str> =
                table["rows"].as_array().unwrap().iter().filter_map(|row| row["cells"][0].as_str()).collect();
            assert_eq!(names, ["m0", "m1", "m2"][..rows]);
        }
    }

    #[tokio::test]
    async fn a_long_list_is_made_with_breaks_so_that_it_can_end_with_its_request() {
        let registry = kinds::all();
        let version = registry.by_gvk(&api::Gvk::parse("v1", "ConfigMap")).unwrap();
        for (name, list, is_long) in
            [("short", list_of(10, 100), false), ("long", list_of(12, 100_000), true)]
        {
            let is_made = tokio::select! {
                biased;
                table = of_list(&version, &list, Include::Nothing, None) => table.is_ok(),
                () = std::future::ready(()) => false,
            };
            assert_eq!(is_made, !is_long, "{name}");
        }
    }
}
