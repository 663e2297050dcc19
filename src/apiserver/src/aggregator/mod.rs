//! API aggregation: a group and version that an APIService gives to a Service is answered by whoever is behind that.
//!
//! Whoever asks is authenticated and authorised here, and told in headers under the front proxy's certificate; nobody of the
//! cluster sees his credentials. `availability.rs` says in the APIService's status whether it can be asked, `documents.rs`
//! keeps what it told of itself for discovery. Read [`asked`] first.

mod availability;
mod client;
pub(crate) mod documents;

pub(crate) use availability::run as follow_availability;
pub use client::AggregatedClient;

use crate::authorization;
use crate::client_tls::{self, ClientIdentity, Trust};
use crate::proxy::{self, Secured};
use crate::request::Request;
use crate::request_info::ParsedPath;
use crate::responses::Verbatim;
use crate::server_state::ServerState;
use api::{ObjectKey, Reason, Status};
use cluster::{Actor, Attributes, Cluster};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{
    APIService, APIServiceSpec, ServiceReference,
};
use kinds::builtin::api_service::condition;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::sync::Arc;
use warp::reply::Response;

const REMOTE: &str = "x-remote-";
/// What no name of a header may hold, as upstream's `headerKeyEscape` has it.
const NOT_IN_NAMES: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'%')
    .add(b'(')
    .add(b')')
    .add(b',')
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'{')
    .add(b'}');

/// The APIService that has given a group and version to a Service.
pub(crate) fn given_away(cluster: &Cluster, group: &str, version: &str) -> Option<Arc<APIService>> {
    if group.is_empty() {
        return None;
    }
    let key = ObjectKey::cluster(&format!("{version}.{group}"));
    cluster.informer::<APIService>().get(&key).filter(|service| reference(service).is_some())
}

/// All of them.
pub(crate) fn all_given_away(cluster: &Cluster) -> Vec<Arc<APIService>> {
    let all = cluster.informer::<APIService>().list(None);
    all.into_iter().filter(|service| reference(service).is_some()).collect()
}

/// Who is to answer, where that is somebody else: everything below the path of its version, and the version's part of OpenAPI.
pub(crate) fn asked(edge: &ServerState, segments: &[String]) -> Option<Arc<APIService>> {
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["apis", group, version, ..] => given_away(&edge.cluster, group, version),
        ["openapi", "v3", "apis", group, version] => {
            let service = given_away(&edge.cluster, group, version)?;
            edge.aggregated.openapi_hash(group, version).map(|_| service)
        }
        _ => None,
    }
}

/// # Errors
/// `Forbidden`; `ServiceUnavailable` where it is known that nobody answers, or nobody does.
pub(crate) async fn answer(
    edge: &ServerState,
    actor: &Actor,
    request: &mut Request,
    service: &APIService,
) -> Result<Response, Status> {
    if !is_one_path(&request.segments) {
        return Err(Status::bad_request("the path leads out of itself"));
    }
    let attributes = match ParsedPath::parse(authorized_part(&request.segments)) {
        ParsedPath::Resource(info) => info.attributes(request),
        ParsedPath::Other => Attributes::non_resource(&request.method.as_str().to_lowercase(), &request.path),
    };
    if let Err(status) = authorization::authorize(edge, actor, request, &attributes).await {
        request.discard_body().await;
        return Err(status);
    }
    if !is_available(service) {
        request.discard_body().await;
        let why = "the server is currently unable to handle the request";
        return Err(Status::new(Reason::ServiceUnavailable, why));
    }
    let spec = service.spec.clone().unwrap_or_default();
    let secured = secured(&spec, edge.front_proxy.as_ref()).map_err(Status::internal)?;
    let (namespace, name, port) = place(&spec);
    let root = edge.cluster.acting_as(Actor::root());
    let address = proxy::behind_service(&root, &namespace, &name, port)?;
    tell_who(&mut request.headers, actor);
    if let Ok(host) = HeaderValue::from_str(&secured.host) {
        request.headers.insert(header::HOST, host);
    }
    let mut response = proxy::pass_on(request, address, secured).await?;
    response.extensions_mut().insert(Verbatim);
    Ok(response)
}

/// Whether it means the same to whoever reads it: what is allowed here and what is answered there must be one thing. The segments
/// are decoded, and go on as they came: one with a slash in it is two to most servers.
fn is_one_path(segments: &[String]) -> bool {
    !segments.iter().any(|segment| matches!(segment.as_str(), "." | "..") || segment.contains('/'))
}

/// What of a path says what must be allowed: as upstream's `RequestInfoFactory`, what is behind a subresource belongs to it. No
/// path below a version is one of discovery, which everybody may read.
fn authorized_part(segments: &[String]) -> &[String] {
    let is_namespaced = segments.get(3).is_some_and(|segment| segment == "namespaces") && segments.len() > 5;
    &segments[..segments.len().min(if is_namespaced { 8 } else { 6 })]
}

fn is_available(service: &APIService) -> bool {
    condition(service).is_some_and(|condition| condition.status == "True")
}

fn reference(service: &APIService) -> Option<&ServiceReference> {
    service.spec.as_ref()?.service.as_ref()
}

/// Namespace, name and port of the Service.
fn place(spec: &APIServiceSpec) -> (String, String, u16) {
    let service = spec.service.clone().unwrap_or_default();
    let port = service.port.and_then(|port| u16::try_from(port).ok()).unwrap_or(443);
    (service.namespace.unwrap_or_default(), service.name.unwrap_or_default(), port)
}

fn secured(spec: &APIServiceSpec, identity: Option<&ClientIdentity>) -> Result<Secured, String> {
    let bundle = spec.ca_bundle.as_ref().map(|bundle| bundle.0.as_slice()).unwrap_or_default();
    let trust = match spec.insecure_skip_tls_verify {
        Some(true) => Trust::Anyone,
        _ => Trust::Bundle(bundle),
    };
    let (namespace, name, _) = place(spec);
    Ok(Secured { config: client_tls::config(&trust, identity)?, host: format!("{name}.{namespace}.svc") })
}

/// Who asks, in the headers that only the front proxy may set, and that no word of the client's takes away again.
fn tell_who(headers: &mut HeaderMap, actor: &Actor) {
    proxy::settle_connection(headers);
    let forged: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(REMOTE)).cloned().collect();
    for name in forged {
        headers.remove(name);
    }
    let mut tell = |name: &str, value: &str| {
        let name = format!("{REMOTE}{name}").parse::<HeaderName>();
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            headers.append(name, value);
        }
    };
    tell("user", &actor.name);
    if !actor.uid.is_empty() {
        tell("uid", &actor.uid);
    }
    actor.groups.iter().for_each(|group| tell("group", group));
    for (key, values) in &actor.extra {
        let key = utf8_percent_encode(&key.to_lowercase(), NOT_IN_NAMES).to_string();
        values.iter().for_each(|value| tell(&format!("extra-{key}"), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_to_all_who_read_it() {
        for (path, is_one) in [
            ("apis/g/v1/namespaces/n/things/a", true),
            ("apis/g/v1/namespaces/n/things/a/part", true),
            ("apis/g/v1/namespaces/n/things/..", false),
            ("apis/g/v1/namespaces/n/things/.", false),
            ("apis/g/v1/namespaces/n/things/a%2Fpart", false),
            ("apis/g/v1/namespaces/n/things/%2F", false),
            ("apis/g/v1/namespaces/n/things/a%2f..%2f..%2fvictim", false),
        ] {
            let decoded = |segment: &str| segment.replace("%2F", "/").replace("%2f", "/");
            let segments: Vec<String> = path.split('/').map(decoded).collect();
            assert_eq!(is_one_path(&segments), is_one, "{path}");
        }
    }

    #[test]
    fn nothing_below_a_version_passes_for_discovery() {
        let cases = [
            ("/apis/g/v1", None),
            ("/apis/g/v1/things", Some("things - - -")),
            ("/apis/g/v1/things/a/part/x/y", Some("things - a part")),
            ("/apis/g/v1/namespaces/n/things/a/part/x/y", Some("things n a part")),
            ("/apis/g/v1/namespaces/n/things", Some("things n - -")),
            ("/apis/g/v1/namespaces/n", Some("namespaces - n -")),
        ];
        for (path, want) in cases {
            let segments: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
            let told = match ParsedPath::parse(authorized_part(&segments)) {
                ParsedPath::Other => None,
                ParsedPath::Resource(info) => {
                    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
                    let (at, name, part) =
                        (or_dash(info.namespace), or_dash(info.name), or_dash(info.subresource));
                    Some(format!("{} {at} {name} {part}", info.gvr.resource))
                }
            };
            assert_eq!(told.as_deref(), want, "{path}");
        }
    }

    #[test]
    fn who_asks_is_told_by_nobody_else() {
        let mut headers = HeaderMap::new();
        headers.insert("x-remote-user", HeaderValue::from_static("root"));
        headers.append("x-remote-group", HeaderValue::from_static("system:masters"));
        headers.insert("x-remote-extra-a", HeaderValue::from_static("b"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        let named = "X-Remote-User, x-remote-group, x-remote-extra-example.com%2fscope, Upgrade";
        headers.insert("connection", HeaderValue::from_static(named));
        headers.insert("upgrade", HeaderValue::from_static("websocket"));
        let mut actor = Actor::user("jane", &["dev", "ops"]);
        actor.uid = "7".to_owned();
        actor.extra.insert("example.com/Scope".to_owned(), vec!["x".to_owned(), "y".to_owned()]);
        tell_who(&mut headers, &actor);
        let mut shown: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        shown.sort();
        let want = [
            "accept: */*",
            "connection: Upgrade",
            "upgrade: websocket",
            "x-remote-extra-example.com%2fscope: x",
            "x-remote-extra-example.com%2fscope: y",
            "x-remote-group: dev",
            "x-remote-group: ops",
            "x-remote-uid: 7",
            "x-remote-user: jane",
        ];
        assert_eq!(shown, want);
    }
}
