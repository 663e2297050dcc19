//! ComponentStatuses: what `kubectl get componentstatuses` asks. The components are parts of this process: they are well when
//! it is ready.

use crate::negotiate::{self, Shape, Shown, View};
use crate::request::Request;
use crate::request_info::RequestInfo;
use crate::responses;
use crate::responses::{method_not_allowed, not_found};
use crate::server_state::ServerState;
use api::{GroupResource, Gvk, Status};
use http::Method;
use serde_json::{Value, json};
use warp::reply::Response;

/// Upstream's names, also where the store is another one.
const COMPONENTS: [&str; 3] = ["controller-manager", "etcd-0", "scheduler"];
const DEPRECATED: &str = "v1 ComponentStatus is deprecated in v1.19+";

pub(crate) fn answer(state: &ServerState, request: &Request, info: &RequestInfo) -> Result<Response, Status> {
    let is_read = request.method == Method::GET || request.method == Method::HEAD;
    if !is_read || request.flag("watch")? {
        return Err(method_not_allowed());
    }
    if info.subresource.is_some() || info.namespace.is_some() {
        return Err(not_found());
    }
    let ready = *state.ready.borrow();
    let gvk = Gvk::new("", "v1", "ComponentStatus");
    let shape = if info.name.is_some() { Shape::Object } else { Shape::List };
    let shown = Shown { shape, gvk: &gvk, is_custom: false };
    let chosen = negotiate::view(request.header(http::header::ACCEPT), &shown)?;
    let answer = document(info.name.as_deref(), ready, chosen.view)?;
    let answer = chosen.format_of(responses::json(200, &answer));
    Ok(responses::with_warnings(answer, &[DEPRECATED.to_owned()]))
}

fn document(name: Option<&str>, ready: bool, view: View) -> Result<Value, Status> {
    let known: Vec<&str> =
        COMPONENTS.into_iter().filter(|known| name.is_none_or(|name| name == *known)).collect();
    Ok(match (view, name, known.as_slice()) {
        (_, Some(name), []) => {
            let resource = GroupResource { group: "".into(), resource: "componentstatuses".into() };
            return Err(Status::not_found(&resource, name));
        }
        (View::Table, ..) => table(&known, ready),
        (_, Some(_), [one, ..]) => object(one, ready),
        _ => json!({
            "kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {},
            "items": known.iter().map(|name| object(name, ready)).collect::<Vec<_>>(),
        }),
    })
}

fn object(name: &str, ready: bool) -> Value {
    let condition = match ready {
        true => json!({"type": "Healthy", "status": "True", "message": "ok"}),
        false => {
            json!({"type": "Healthy", "status": "False", "message": "", "error": "the cluster is not ready"})
        }
    };
    json!({"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name}, "conditions": [condition]})
}

fn table(names: &[&str], ready: bool) -> Value {
    let column = |name: &str, format: &str, description: &str| json!({"name": name, "type": "string", "format": format, "description": description, "priority": 0});
    let row = |name: &&str| {
        let (state, message, error) =
            if ready { ("Healthy", "ok", "") } else { ("Unhealthy", "", "the cluster is not ready") };
        json!({"cells": [name, state, message, error], "object": {
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": name},
        }})
    };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {},
        "columnDefinitions": [
            column("Name", "name", "Name of the object"), column("Status", "", "Whether the component is well"),
            column("Message", "", "What it says"), column("Error", "", "What is wrong with it"),
        ],
        "rows": names.iter().map(row).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_as_well_as_the_process() {
        let list = document(None, true, View::Objects).unwrap();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(3));
        assert_eq!(list["items"][2]["conditions"][0]["status"], "True");
        let one = document(Some("etcd-0"), false, View::Objects).unwrap();
        assert_eq!(one["conditions"][0]["status"], "False");
        assert_eq!(document(Some("scheduler"), true, View::Table).unwrap()["rows"][0]["cells"][1], "Healthy");
        assert_eq!(document(Some("kubelet"), true, View::Objects).unwrap_err().code, 404);
    }
}
