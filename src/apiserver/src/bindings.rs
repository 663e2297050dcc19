//! A pod is put on a node: by `pods/binding`, and by the older collection `bindings`, where the body names the pod.

use crate::request::{Request, typed_body};
use crate::request_info::RequestInfo;
use crate::responses::{method_not_allowed, not_found};
use crate::server_state::ServerState;
use crate::{negotiate, params, responses};
use api::{Gvk, Status};
use cluster::{Actor, PodBinding};
use http::Method;
use k8s_openapi::api::core::v1::{Binding, Node};
use kinds::{ErrorList, TypedKind};
use serde_json::json;
use warp::reply::Response;

pub(crate) async fn answer(
    edge: &ServerState,
    actor: &Actor,
    request: &mut Request,
    info: &RequestInfo,
) -> Result<Response, Status> {
    let of_pod = info.gvr.resource.as_ref() == "pods";
    if info.name.is_some() != of_pod || info.subresource.is_some() != of_pod {
        return Err(not_found());
    }
    let (Some(namespace), &Method::POST) = (info.namespace.as_deref(), &request.method) else {
        return Err(method_not_allowed());
    };
    negotiate::no_table(request)?;
    let options = params::write(request)?;
    let binding = read(typed_body(request).await?, namespace, info.name.as_deref())?;
    edge.cluster.acting_as(actor.clone()).bind_as(&binding, &options).await?;
    Ok(responses::success(201))
}

/// `name` is the pod's, where the path has it.
///
/// # Errors
/// `BadRequest` for a body that is about another pod than the path; `Invalid` for a target that is no node. Upstream judges the
/// target alike, and then answers 500.
fn read(binding: Binding, namespace: &str, name: Option<&str>) -> Result<PodBinding, Status> {
    let Binding { metadata, target } = binding;
    let pod = metadata.name.unwrap_or_default();
    if name.is_some_and(|name| name != pod) {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    if metadata.namespace.is_some_and(|own| !own.is_empty() && own != namespace) {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let mut errors = ErrorList::default();
    if let Some(kind) = target.kind.as_deref().filter(|kind| !matches!(*kind, "" | "Node")) {
        errors.not_supported("target.kind", json!(kind), &["Node", "<empty>"]);
    }
    match target.name.as_deref().unwrap_or_default() {
        "" => errors.required("target.name", ""),
        name => {
            if let Err(why) = Node::validate_name(name) {
                errors.invalid("target.name", name, why);
            }
        }
    }
    if !errors.is_empty() {
        return Err(Status::invalid(&Gvk::new("", "v1", "Binding"), &pod, errors.into_causes()));
    }
    Ok(PodBinding {
        namespace: namespace.to_owned(),
        pod,
        node: target.name.unwrap_or_default(),
        uid: metadata.uid,
        resource_version: metadata.resource_version,
        annotations: metadata.annotations.unwrap_or_default(),
        labels: metadata.labels.unwrap_or_default(),
        to_collection: name.is_none(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_is_about_one_pod_and_one_node() {
        let good = r#"{"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}"#;
        let cases = [
            ("of the path", good, Some("p"), 0, ""),
            ("of the body", good, None, 0, ""),
            ("another pod", good, Some("q"), 400, "name in URL does not match name in Binding object"),
            ("no name", r#"{"target": {"name": "n"}}"#, Some("p"), 400, "name in URL does not match"),
            (
                "another namespace",
                r#"{"metadata": {"name": "p", "namespace": "b"}, "target": {"name": "n"}}"#,
                Some("p"),
                400,
                "the namespace of the provided object does not match",
            ),
            (
                "no node",
                r#"{"metadata": {"name": "p"}, "target": {}}"#,
                None,
                422,
                "target.name: Required value",
            ),
            (
                "what no node can be called",
                r#"{"metadata": {"name": "p"}, "target": {"name": "Node_1"}}"#,
                None,
                422,
                "target.name: Invalid value: \"Node_1\": a lowercase RFC 1123 subdomain must consist of",
            ),
            (
                "no node but something else",
                r#"{"metadata": {"name": "p"}, "target": {"kind": "Pod", "name": "n"}}"#,
                None,
                422,
                "target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\"",
            ),
        ];
        for (case, body, name, code, words) in cases {
            let read = read(serde_json::from_str(body).unwrap(), "a", name);
            let (said, message) =
                read.as_ref().err().map(|e| (e.code, e.message.clone())).unwrap_or_default();
            assert!(said == code && message.contains(words), "{case}: {said} {message}");
            if let Ok(binding) = read {
                assert_eq!((binding.pod.as_str(), binding.node.as_str()), ("p", "n"), "{case}");
                assert_eq!(binding.to_collection, name.is_none(), "{case}");
            }
        }
    }
}
