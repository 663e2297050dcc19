//! A pod is put on a node: by `pods/binding`, and by the older collection `bindings`, where the body names the pod.

use crate::request::{Request, typed_body};
use crate::request_info::RequestInfo;
use crate::responses::{method_not_allowed, not_found};
use crate::server_state::ServerState;
use crate::{negotiate, params, responses};
use api::Status;
use cluster::{Actor, PodBinding, Remarks, WriteOptions};
use http::Method;
use k8s_openapi::api::core::v1::Binding;
use warp::reply::Response;

pub(crate) async fn answer(
    state: &ServerState,
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
    let remarks = Remarks::collected().audited(request.trail.is_kept());
    let options = WriteOptions { remarks: remarks.clone(), ..params::write(request)? };
    let object = placed(typed_body(request).await?, namespace)?;
    let binding = PodBinding { namespace: namespace.to_owned(), path: info.name.clone(), object };
    let bound = state.cluster.acting_as(actor.clone()).bind_as(binding, &options).await;
    request.trail.annotate(remarks.take_annotations());
    let warnings = remarks.take_warnings();
    match bound {
        Err(status) if warnings.is_empty() => Err(status),
        Err(status) => Ok(responses::with_warnings(responses::refusal(&status), &warnings)),
        Ok(()) => Ok(responses::with_warnings(responses::success(201), &warnings)),
    }
}

/// # Errors
/// `BadRequest` for one that is of another namespace than the path.
fn placed(mut binding: Binding, namespace: &str) -> Result<Binding, Status> {
    let own = binding.metadata.namespace.get_or_insert_default();
    if own.is_empty() {
        own.push_str(namespace);
    }
    match own.as_str() == namespace {
        true => Ok(binding),
        false => Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_binding_is_of_the_namespace_of_its_path() {
        let words = "the namespace of the provided object does not match the namespace sent on the request";
        let cases = [
            ("not said", json!({"name": "p"}), Ok("a")),
            ("empty", json!({"name": "p", "namespace": ""}), Ok("a")),
            ("said", json!({"name": "p", "namespace": "a"}), Ok("a")),
            ("another", json!({"name": "p", "namespace": "b"}), Err(words)),
        ];
        for (case, metadata, want) in cases {
            let binding = json!({"metadata": metadata, "target": {"name": "n"}});
            let placed = placed(serde_json::from_value(binding).unwrap(), "a");
            let placed = placed.map(|binding| binding.metadata.namespace.unwrap()).map_err(|why| why.message);
            assert_eq!(placed, want.map(str::to_owned).map_err(str::to_owned), "{case}");
        }
    }
}
