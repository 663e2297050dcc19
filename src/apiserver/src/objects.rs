//! The verbs on objects.

mod eviction;
mod scale;
mod token;

use crate::negotiate::{self, Chosen, Shape, Shown, View};
use crate::parse_budget::{ParseBudget, read_in_turn};
use crate::patch_body::{APPLY_YAML, Patch};
use crate::request::Request;
use crate::request_info::RequestInfo;
use crate::responses::{method_not_allowed, not_found};
use crate::server_state::ServerState;
use crate::table::{self, Include};
use crate::{bindings, body, params, responses, watch_stream};
use api::{Object, Status};
use bytes::{BufMut, Bytes, BytesMut};
use cluster::{
    Actor, Applied, DeleteOptions, Deleted, List, Remarks, Target, Verb, Wanted, WriteOptions, YieldBudget,
};
use http::Method;
use kinds::{FieldValidation, Instance, Scope, Subresource, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use warp::reply::Response;

/// One request for objects on its way.
struct Call<'a> {
    state: &'a ServerState,
    actor: &'a Actor,
    target: Target,
    chosen: Chosen,
    include: Include,
    /// Where large objects are read; what writes has its turn already.
    turns: Option<&'a ParseBudget>,
    /// What the client hears beside the answer, be it a refusal.
    remarks: Remarks,
}

pub(crate) async fn answer(
    state: &ServerState,
    actor: &Actor,
    request: &mut Request,
    info: &RequestInfo,
) -> Result<Response, Status> {
    let version = state.cluster.registry().by_gvr(&info.gvr).ok_or_else(not_found)?;
    let target = target_of(&version, info)?;
    let chosen = view_of(request, info, &target)?;
    let include = params::include(request, chosen.view)?;
    let remarks = Remarks::collected().audited(request.trail.is_kept());
    remarks.warn_all(version.deprecation().map(str::to_owned));
    let is_read = matches!(request.method, Method::GET | Method::HEAD);
    let turns = is_read.then_some(&state.parsing);
    let call = Call { state, actor, target, chosen, include, turns, remarks: remarks.clone() };
    let outcome = dispatch(&call, request, info).await;
    request.trail.annotate(remarks.take_annotations());
    let warnings = remarks.take_warnings();
    match outcome {
        Err(status) if warnings.is_empty() || request.method == Method::GET => Err(status),
        Err(status) => Ok(responses::with_warnings(responses::refusal(&status), &warnings)),
        Ok(response) => Ok(responses::with_warnings(chosen.format_of(response), &warnings)),
    }
}

/// # Errors
/// `NotAcceptable`.
fn view_of(request: &Request, info: &RequestInfo, target: &Target) -> Result<Chosen, Status> {
    let kind = target.version.info();
    let gvk = target.subresource.map(|subresource| subresource.kind(&kind.gvk));
    // a scale, an eviction, … of a custom kind is none itself
    let is_custom =
        target.version.published_schema().is_some() && gvk.as_ref().is_none_or(|gvk| *gvk == kind.gvk);
    let shape = match info.verb(request) {
        "watch" => Shape::Watch,
        "list" | "deletecollection" => Shape::List,
        _ => Shape::Object,
    };
    let shown = Shown { shape, gvk: gvk.as_ref().unwrap_or(&kind.gvk), is_custom };
    negotiate::view(request.header(http::header::ACCEPT), &shown)
}

async fn dispatch(call: &Call<'_>, request: &mut Request, info: &RequestInfo) -> Result<Response, Status> {
    use Subresource::{Approval, Binding, EphemeralContainers, Eviction, Resize, Scale, Status, Token};
    match (request.method.clone(), info.name.is_some(), call.target.subresource) {
        (Method::GET | Method::HEAD, true, None | Some(Approval | EphemeralContainers | Resize | Status))
            if !request.flag("watch")? =>
        {
            call.get().await
        }
        (Method::GET | Method::HEAD, true, Some(Scale)) => call.get_scale().await,
        (Method::GET | Method::HEAD, _, None) => call.list_or_watch(request).await,
        (Method::POST, false, None) => call.create(request).await,
        (Method::POST, true, Some(Binding)) => bindings::answer(call.state, call.actor, request, info).await,
        (Method::POST, true, Some(Eviction)) => call.evict(request).await,
        (Method::POST, true, Some(Token)) => call.token(request).await,
        (Method::PUT, true, Some(Scale)) => call.put_scale(request).await,
        (Method::PATCH, true, Some(Scale)) => call.patch_scale(request).await,
        (Method::PUT, true, _) => call.update(request).await,
        (Method::PATCH, true, _) => call.patch(request).await,
        (Method::DELETE, true, None) => call.delete(request).await,
        (Method::DELETE, false, None) => call.delete_collection(request).await,
        _ => Err(method_not_allowed()),
    }
}

/// Asks those who want to know before somebody connects to what the path names; gives how he is to be connected, and what the
/// client should hear of.
///
/// # Errors
/// What they refuse.
pub(crate) async fn admit_connection<O: Serialize + DeserializeOwned>(
    state: &ServerState,
    actor: &Actor,
    request: &Request,
    info: &RequestInfo,
    kind: &str,
    options: O,
) -> Result<(O, Vec<String>), Status> {
    let version = state.cluster.registry().by_gvr(&info.gvr).ok_or_else(not_found)?;
    let target = target_of(&version, info)?;
    let remarks = Remarks::collected().audited(request.trail.is_kept());
    let admitted = state.cluster.admit_connection(actor, &target, kind, options, &remarks).await;
    request.trail.annotate(remarks.take_annotations());
    Ok((admitted?, remarks.take_warnings()))
}

/// What a request for a named object finds there. Nothing is told of it here.
pub(crate) fn stored(state: &ServerState, version: &Arc<Version>, info: &RequestInfo) -> Option<Object> {
    info.name.as_ref()?;
    state.cluster.peek(&target_of(version, info).ok()?)
}

fn target_of(version: &Arc<Version>, info: &RequestInfo) -> Result<Target, Status> {
    let kind = version.info();
    let subresource = match info.subresource.as_deref() {
        Some(name) => {
            let known = Subresource::named(name).filter(|known| kind.has_subresource(*known));
            Some(known.ok_or_else(not_found)?)
        }
        None => None,
    };
    let placed = match kind.scope {
        Scope::Cluster => info.namespace.is_none(),
        // without a namespace only a collection can be asked for: that of all namespaces
        Scope::Namespaced => info.namespace.is_some() || info.name.is_none(),
    };
    if !placed {
        return Err(not_found());
    }
    Ok(Target {
        version: version.clone(),
        namespace: info.namespace.clone(),
        name: info.name.clone(),
        subresource,
    })
}

impl Call<'_> {
    /// With the call's list for warnings.
    fn heard(&self, options: WriteOptions) -> WriteOptions {
        WriteOptions { remarks: self.remarks.clone(), ..options }
    }

    async fn show(&self, code: u16, object: Object) -> Result<Response, Status> {
        let version = self.target.version.clone();
        let object = self.state.cluster.one_in_version(&version, object).await?;
        let include = self.include;
        let bytes = match self.chosen.view {
            View::Objects => version.present(object.bytes()),
            View::Table => {
                let row = move |object: &Object| table::of_object(&version, object, include);
                read_in_turn(self.turns, &object, row).await?
            }
            View::Partial => read_in_turn(self.turns, &object, table::partial).await?,
        };
        Ok(responses::json_bytes(code, bytes))
    }

    async fn get(&self) -> Result<Response, Status> {
        let object = self.state.cluster.get(self.actor, &self.target)?;
        self.show(200, object).await
    }

    async fn list_or_watch(&self, request: &Request) -> Result<Response, Status> {
        if request.flag("watch")? {
            return watch_stream::answer(self.state, self.actor, &self.target, self.chosen, request);
        }
        let params = params::list(request)?;
        let list = self.state.cluster.list_in_version(self.actor, &self.target, &params).await?;
        self.show_list(&list).await
    }

    /// Of objects in the version that is asked for.
    async fn show_list(&self, list: &List) -> Result<Response, Status> {
        let version = &self.target.version;
        let bytes = match self.chosen.view {
            View::Table => table::of_list(version, list, self.include, self.turns).await?,
            View::Partial => {
                let items = table::partials(list, self.turns).await?;
                list_bytes("PartialObjectMetadataList", "meta.k8s.io/v1", list, &items)
            }
            View::Objects => {
                let info = version.info();
                let (mut items, mut budget) =
                    (Vec::with_capacity(list.objects.len()), YieldBudget::default());
                for object in &list.objects {
                    items.push(version.present(object.bytes()));
                    budget.spend(object.bytes().len()).await;
                }
                list_bytes(&format!("{}List", info.gvk.kind), &info.gvk.api_version(), list, &items)
            }
        };
        Ok(responses::json_bytes(200, bytes))
    }

    /// The object in the body. What a strict reader would refuse is told, or refused.
    async fn decode(&self, request: &mut Request) -> Result<Box<dyn Instance>, Status> {
        let strictness = params::field_validation(request);
        let version = &self.target.version;
        let body = request.json_body().await?;
        check_kind(version, &body)?;
        let doubled = match strictness {
            FieldValidation::Ignore => Vec::new(),
            FieldValidation::Warn | FieldValidation::Strict => request.doubled_yaml_keys().await?,
        };
        if strictness == FieldValidation::Strict && !doubled.is_empty() {
            // one refusal for what stands twice and for what is unknown
            let others = version.decode(&body, FieldValidation::Warn)?.warnings;
            let faults = std::iter::once(body::unmarshal_errors(&doubled)).chain(others).collect();
            kinds::told(&version.info().gvk, faults, strictness)?;
        }
        let decoded = version.decode(&body, strictness)?;
        self.remarks.warn_all(doubled);
        self.remarks.warn_all(decoded.warnings);
        Ok(decoded.instance)
    }

    async fn create(&self, request: &mut Request) -> Result<Response, Status> {
        if self.target.version.info().scope == Scope::Namespaced && self.target.namespace.is_none() {
            return Err(method_not_allowed());
        }
        let options = self.heard(params::write(request)?);
        let new = self.decode(request).await?;
        let created = self.state.cluster.create(self.actor, &self.target, new, &options).await?;
        self.show(201, created).await
    }

    async fn update(&self, request: &mut Request) -> Result<Response, Status> {
        let options = self.heard(params::write(request)?);
        let new = self.decode(request).await?;
        let Applied { object, created } =
            self.state.cluster.replace(self.actor, &self.target, &*new, &options).await?;
        let code = if created { 201 } else { 200 };
        self.show(code, object).await
    }

    async fn patch(&self, request: &mut Request) -> Result<Response, Status> {
        if request.media_type() == APPLY_YAML {
            return self.apply(request).await;
        }
        let options = self.heard(params::patch(request)?);
        let strictness = params::field_validation(request);
        let patch = Patch::read(request).await?;
        let version = &self.target.version;
        let change = |current: &Object| {
            let (instance, unknown_fields) =
                patch.apply(version, &version.present(current.bytes()), strictness)?;
            self.remarks.warn_all(unknown_fields);
            Ok(instance)
        };
        let written =
            self.state.cluster.modify(self.actor, &self.target, Verb::Patch, &options, &change).await?;
        self.show(200, written).await
    }

    async fn apply(&self, request: &mut Request) -> Result<Response, Status> {
        let (options, force) = params::apply(request)?;
        let options = self.heard(options);
        let validation = params::field_validation(request);
        let config = request.yaml_body().await?;
        let doubled_keys = match validation {
            FieldValidation::Ignore => Vec::new(),
            FieldValidation::Warn | FieldValidation::Strict => body::doubled_keys(&request.body().await?)?,
        };
        let wanted = Wanted { config, force, validation, doubled_keys };
        let Applied { object, created } =
            self.state.cluster.apply(self.actor, &self.target, wanted, &options).await?;
        let code = if created { 201 } else { 200 };
        self.show(code, object).await
    }

    async fn delete(&self, request: &mut Request) -> Result<Response, Status> {
        let body = request.json_body().await?;
        let options = DeleteOptions { remarks: self.remarks.clone(), ..params::delete(request, &body)? };
        match self.state.cluster.delete(self.actor, &self.target, &options).await? {
            Deleted::Later(object) => self.show(200, object).await,
            Deleted::Now(object) if self.target.version.info().shows_deleted() => {
                self.show(200, object).await
            }
            Deleted::Now(object) => {
                let resource = self.target.group_resource();
                Ok(responses::json(
                    200,
                    &serde_json::json!({
                        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                        "details": {"name": object.meta().name, "group": resource.group, "kind": resource.resource, "uid": object.meta().uid},
                    }),
                ))
            }
        }
    }

    async fn delete_collection(&self, request: &mut Request) -> Result<Response, Status> {
        let info = self.target.version.info();
        let is_of_all_namespaces = info.scope == Scope::Namespaced && self.target.namespace.is_none();
        if is_of_all_namespaces || !info.verbs.contains(&"deletecollection") {
            return Err(method_not_allowed());
        }
        let body = request.json_body().await?;
        let options = DeleteOptions { remarks: self.remarks.clone(), ..params::delete(request, &body)? };
        let list = params::list(request)?;
        let cluster = &self.state.cluster;
        let mut deleted = cluster.delete_collection(self.actor, &self.target, &list, &options).await?;
        deleted.objects = cluster.in_version(&self.target.version, deleted.objects).await?;
        self.show_list(&deleted).await
    }
}

fn show_typed(code: u16, object: &impl serde::Serialize) -> Result<Response, Status> {
    Ok(responses::json_bytes(code, serde_json::to_vec(object).map_err(Status::internal)?))
}

/// The body may leave its kind out, but not name another.
fn check_kind(version: &Version, body: &[u8]) -> Result<(), Status> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct TypeMeta {
        #[serde(default)]
        api_version: String,
        #[serde(default)]
        kind: String,
    }
    let Ok(given) = serde_json::from_slice::<TypeMeta>(body) else { return Ok(()) };
    let want = &version.info().gvk;
    if !given.api_version.is_empty() && given.api_version != want.api_version() {
        return Err(Status::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            given.api_version,
            want.api_version()
        )));
    }
    if !given.kind.is_empty() && given.kind != want.kind {
        return Err(Status::bad_request(format!(
            "the kind in the data ({}) does not match the expected kind ({})",
            given.kind, want.kind
        )));
    }
    Ok(())
}

/// A list's JSON around the stored bytes of its items.
fn list_bytes(kind: &str, api_version: &str, list: &List, items: &[Bytes]) -> Bytes {
    let meta = table::list_meta(list);
    let size: usize = items.iter().map(|item| item.len() + 1).sum();
    let mut bytes = BytesMut::with_capacity(size + 256);
    bytes.put_slice(
        format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{meta},"items":["#).as_bytes(),
    );
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            bytes.put_u8(b',');
        }
        bytes.put_slice(item);
    }
    bytes.put_slice(b"]}");
    bytes.freeze()
}
