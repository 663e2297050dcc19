//! Objects as the rows that `kubectl get` prints, and as bare metadata.

use api::{Object, Status};
use bytes::Bytes;
use cluster::List;
use kinds::Version;
use serde_json::{Value, json};

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
pub(crate) fn of_objects(
    version: &Version,
    objects: &[Object],
    list: Option<&List>,
    include: Include,
) -> Result<Bytes, Status> {
    let rows: Result<Vec<Value>, Status> =
        objects.iter().map(|object| row(version, object, include)).collect();
    let meta = match (list, objects) {
        (Some(list), _) => list_meta(list),
        (None, [one, ..]) => json!({"resourceVersion": one.revision().to_string()}),
        (None, []) => json!({}),
    };
    let columns: Vec<Value> = version
        .columns()
        .iter()
        .map(|c| json!({"name": c.name, "type": c.kind, "format": c.format, "description": c.description, "priority": c.priority}))
        .collect();
    let table = json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "columnDefinitions": columns, "rows": rows?});
    serde_json::to_vec(&table).map(Bytes::from).map_err(Status::internal)
}

fn row(version: &Version, object: &Object, include: Include) -> Result<Value, Status> {
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
    Ok(row)
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
            let table = of_objects(&version, std::slice::from_ref(&stored), None, include).unwrap();
            let table: Value = serde_json::from_slice(&table).unwrap();
            table["rows"][0]["object"].clone()
        };
        assert_eq!(object(Include::Object)["data"]["k"], "v");
        assert_eq!(object(Include::Metadata)["kind"], "PartialObjectMetadata");
        assert_eq!(object(Include::Metadata)["data"], Value::Null);
        assert_eq!(object(Include::Nothing), Value::Null);
    }
}
