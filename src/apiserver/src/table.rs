//! Objects as the rows that `kubectl get` prints, and as bare metadata.

use api::{Object, Status};
use bytes::Bytes;
use cluster::List;
use kinds::Handler;
use serde_json::{Value, json};

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
pub(crate) fn of_objects(
    handler: &dyn Handler,
    objects: &[Object],
    list: Option<&List>,
) -> Result<Bytes, Status> {
    let rows: Result<Vec<Value>, Status> = objects.iter().map(|object| row(handler, object)).collect();
    let meta = match (list, objects) {
        (Some(list), _) => list_meta(list),
        (None, [one, ..]) => json!({"resourceVersion": one.revision().to_string()}),
        (None, []) => json!({}),
    };
    let columns: Vec<Value> = handler
        .columns()
        .iter()
        .map(|c| json!({"name": c.name, "type": c.kind, "format": c.format, "description": c.description, "priority": c.priority}))
        .collect();
    let table = json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "columnDefinitions": columns, "rows": rows?});
    serde_json::to_vec(&table).map(Bytes::from).map_err(Status::internal)
}

fn row(handler: &dyn Handler, object: &Object) -> Result<Value, Status> {
    let cells = handler.decode_stored(object)?.row(jiff::Timestamp::now());
    Ok(json!({"cells": cells, "object": metadata_of(object)?}))
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
