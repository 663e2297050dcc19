//! The API proxy: `pods/NAME/proxy`, `services/NAME/proxy` and `nodes/NAME/proxy` lead an HTTP request of any method, or an
//! upgrade, to whoever listens there.
//!
//! `target.rs` says where a name leads, `headers.rs` what of the client is told, `forward.rs` carries it, `links.rs`, `html.rs` and
//! `pages.rs` keep the reader of a page behind the proxy. Nothing is kept of one request for the next. Read [`answer`] first.

mod forward;
mod headers;
mod html;
mod links;
pub(crate) mod pages;
mod target;
mod tls;

use crate::authorization;
use crate::connect_options::ProxyOptions;
use crate::kubelet_server::{self, reaches_into_pods};
use crate::objects::admit_connection;
use crate::request::{Chunks, Request, Upgrading};
use crate::request_info::RequestInfo;
use crate::responses::{self, Verbatim, not_found};
use crate::server_state::ServerState;
use api::{ObjectKey, Reason, Status};
use cluster::{Actor, Attributes, Client, ListParams, Target as Stored};
use forward::Outgoing;
pub(crate) use forward::Secured;
use futures::StreamExt;
pub(crate) use headers::sanitize_connection;
use http::{HeaderValue, Method, header};
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kinds::TypedKind;
use kinds::endpoints::SERVICE_LABEL;
use links::Origin;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rand::seq::IndexedRandom;
use std::net::SocketAddr;
use target::{Endpoints, Name, Target};
use warp::reply::Response;

/// Why nobody is behind a Service.
#[derive(Debug)]
pub(crate) enum NoEndpoint {
    NoService,
    NoPort,
    NoSlices,
    NoneReady { port: String },
    Unknown(Status),
}

/// What a path has only encoded (RFC 3986, `pchar`); `/` parts it.
const NOT_IN_PATHS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

pub(crate) fn is_asked(info: &RequestInfo) -> bool {
    info.gvr.group.is_empty()
        && info.gvr.version == "v1"
        && matches!(info.gvr.resource.as_ref(), "pods" | "services" | "nodes")
        && info.subresource.as_deref() == Some("proxy")
}

/// Whoever asks may do it: that was decided by the method (as for objects), and by the name as the path has it.
///
/// # Errors
/// `NotFound`, `BadRequest` for a name or an address that leads nowhere, `ServiceUnavailable` where nobody
/// answers.
pub(crate) async fn answer(
    state: &ServerState,
    actor: &Actor,
    request: &mut Request,
    info: &RequestInfo,
) -> Result<Response, Status> {
    let Some(name) = info.name.as_deref() else { return Err(not_found()) };
    if (info.gvr.resource == "nodes") != info.namespace.is_none() {
        return Err(not_found());
    }
    // who may use the proxy may see that there is no such object
    let root = state.cluster.acting_as(Actor::root());
    let (target, kind) = match (info.gvr.resource.as_ref(), info.namespace.as_deref()) {
        ("pods", Some(namespace)) => (pod(&root, namespace, name)?, "PodProxyOptions"),
        ("services", Some(namespace)) => (service(&root, namespace, name)?, "ServiceProxyOptions"),
        _ => (node(&root, name)?, "NodeProxyOptions"),
    };
    let asked = ProxyOptions { path: decoded(request, info) };
    let (options, warnings) = admit_connection(state, actor, request, info, kind, asked.clone()).await?;
    let (prefix, behind) = split(&request.path, depth(info));
    let behind = if options == asked { behind.to_owned() } else { encoded(&options.path) };
    let prefix = prefix.to_owned();
    let answer = match of_own_kubelet(state, actor, request, info, &behind).await? {
        Some(answer) => answer,
        None => lead(state, request, prefix, &behind, target).await?,
    };
    let mut response = responses::with_warnings(answer, &warnings);
    response.extensions_mut().insert(Verbatim);
    Ok(response)
}

/// How many segments there are up to `proxy`: `api/v1/namespaces/NS/pods/NAME/proxy`, `api/v1/nodes/NAME/proxy`.
fn depth(info: &RequestInfo) -> usize {
    if info.namespace.is_some() { 7 } else { 5 }
}

/// The path behind `proxy` as a backend will understand it: who judges it must not be walked round by another way to write it.
fn decoded(request: &Request, info: &RequestInfo) -> String {
    let behind = request.segments.iter().skip(depth(info));
    let path: String = behind.flat_map(|segment| ["/", segment]).collect();
    let ends = request.path.ends_with('/') || path.is_empty();
    if ends { path + "/" } else { path }
}

/// A path that somebody who was asked has put in the place of the client's, as it is sent.
fn encoded(path: &str) -> String {
    format!("/{}", utf8_percent_encode(path.trim_start_matches('/'), NOT_IN_PATHS))
}

/// What this process' kubelet answers. Nobody is led to its port for it: what is not here is not there either.
async fn of_own_kubelet(
    state: &ServerState,
    actor: &Actor,
    request: &mut Request,
    info: &RequestInfo,
    path: &str,
) -> Result<Option<Response>, Status> {
    let (Some(kubelet), "nodes") = (&state.pods, info.gvr.resource.as_ref()) else { return Ok(None) };
    let name = Name::parse(info.name.as_deref().unwrap_or_default(), "node")?;
    if !matches!(name.port, "" | target::KUBELET_PORT) {
        return Ok(None);
    }
    // another's node has no page of ours
    if kubelet.page(name.name, "/healthz").await.map_err(Status::internal)?.is_none() {
        return Ok(None);
    }
    // as at the kubelet's own port: who may read nodes runs nothing by it
    if request.method == Method::GET && reaches_into_pods(path) {
        let asked = Attributes {
            verb: "create".to_owned(),
            resource: "nodes".to_owned(),
            subresource: "proxy".to_owned(),
            name: info.name.clone(),
            ..Attributes::default()
        };
        authorization::authorize(state, actor, request, &asked).await?;
    }
    Ok(Some(kubelet_server::answer(state, kubelet, request, name.name, path).await))
}

async fn lead(
    state: &ServerState,
    request: &mut Request,
    prefix: String,
    behind: &str,
    target: Target,
) -> Result<Response, Status> {
    let query = if request.raw_query.is_empty() { String::new() } else { format!("?{}", request.raw_query) };
    let upgrade = upgrade_of(request)?;
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    if behind.is_empty() && reads && upgrade.is_none() {
        return moved(&format!("{prefix}/{query}"));
    }
    let path = if behind.is_empty() { "/" } else { behind };
    let origin =
        Origin { prefix, backend: target.address.to_string(), host: request.header(header::HOST).to_owned() };
    let outgoing = Outgoing {
        method: request.method.clone(),
        path: format!("{path}{query}"),
        headers: request.headers.clone(),
        body: body_of(request).await,
        upgrade,
        origin: Some((origin, state.pages.clone())),
    };
    forward::send(outgoing, target, None).await
}

/// The whole request, as it is, to one who is a part of the API: nothing of its answer is changed.
///
/// # Errors
/// `ServiceUnavailable` where nobody answers.
pub(crate) async fn pass_on(
    request: &mut Request,
    address: SocketAddr,
    secured: Secured,
) -> Result<Response, Status> {
    let query = if request.raw_query.is_empty() { String::new() } else { format!("?{}", request.raw_query) };
    let upgrade = upgrade_of(request)?;
    let outgoing = Outgoing {
        method: request.method.clone(),
        path: format!("{}{query}", request.path),
        headers: request.headers.clone(),
        body: body_of(request).await,
        upgrade,
        origin: None,
    };
    forward::send(outgoing, Target { scheme: target::Scheme::Https, address }, Some(secured)).await
}

/// The connection, and the protocol to which the client wants it changed.
///
/// # Errors
/// `TooManyRequests` for a user who has many streams already.
fn upgrade_of(request: &mut Request) -> Result<Option<(Upgrading, HeaderValue)>, Status> {
    let Some(protocol) = headers::upgrade_of(&request.headers) else { return Ok(None) };
    Ok(request.take_upgrade()?.map(|upgrade| (upgrade, protocol)))
}

/// `None` where the client sends none: a backend that is told of a body to come need not read it, and a connection that is closed
/// on what nobody read loses the answer.
async fn body_of(request: &mut Request) -> Option<Chunks> {
    let headers = &request.headers;
    let says_so =
        headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING);
    let mut chunks = request.take_body();
    if says_so {
        return Some(chunks);
    }
    // over HTTP/2 nothing needs to say so
    let first = chunks.next().await?;
    Some(Box::pin(futures::stream::iter([first]).chain(chunks)))
}

/// The path up to its segment of this number, and what is behind it, neither of them decoded: what the client has
/// encoded, the backend decodes.
fn split(path: &str, segments: usize) -> (&str, &str) {
    let mut seen = 0;
    let mut is_inside = false;
    for (at, byte) in path.bytes().enumerate() {
        if byte == b'/' && is_inside {
            seen += 1;
            if seen == segments {
                return path.split_at(at);
            }
        }
        is_inside = byte != b'/';
    }
    (path, "")
}

/// So that what a page links to relatively is found.
fn moved(to: &str) -> Result<Response, Status> {
    let mut response = responses::text(301, "");
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(to).map_err(Status::internal)?);
    Ok(response)
}

fn pod(root: &Client, namespace: &str, name: &str) -> Result<Target, Status> {
    let name = Name::parse(name, "pod")?;
    let pod: Pod = root.api().get(&ObjectKey::namespaced(namespace, name.name))?;
    target::of_pod(&name, &pod)
}

fn node(root: &Client, name: &str) -> Result<Target, Status> {
    let name = Name::parse(name, "node")?;
    let node: Node = root.api().get(&ObjectKey::cluster(name.name))?;
    target::of_node(&name, &node)
}

/// Any of those who answer: the proxy balances as a Service does.
fn service(root: &Client, namespace: &str, text: &str) -> Result<Target, Status> {
    let name = Name::parse(text, "service")?;
    let found = endpoints(root, namespace, &name, Endpoints::OfPods)?;
    let words =
        || Status::new(Reason::ServiceUnavailable, format!("no endpoints available for service {text:?}"));
    found.choose(&mut rand::rng()).copied().ok_or_else(words)
}

/// Where a webhook's Service leads, by the number of its port.
///
/// # Errors
/// `NotFound`, `ServiceUnavailable`: in the words of upstream's resolver.
pub(crate) fn behind_service(
    root: &Client,
    namespace: &str,
    name: &str,
    port: u16,
) -> Result<SocketAddr, Status> {
    let port = port.to_string();
    let asked = Name { scheme: target::Scheme::Https, name, port: &port };
    let found = endpoints(root, namespace, &asked, Endpoints::Any)?;
    let words =
        || Status::new(Reason::ServiceUnavailable, format!("no endpoints available for service {name:?}"));
    found.choose(&mut rand::rng()).map(|target| target.address).ok_or_else(words)
}

/// One who answers for a Service, by the number of its port, or why nobody does.
///
/// # Errors
/// [`NoEndpoint`]
pub(crate) fn endpoint_of_service(
    root: &Client,
    namespace: &str,
    name: &str,
    port: u16,
) -> Result<SocketAddr, NoEndpoint> {
    let found = root.api::<Service>().find(&ObjectKey::namespaced(namespace, name));
    let service = found.map_err(NoEndpoint::Unknown)?.ok_or(NoEndpoint::NoService)?;
    let number = port.to_string();
    let asked = Name { scheme: target::Scheme::Https, name, port: &number };
    let port = target::port_of_service(&asked, &service).map_err(|_| NoEndpoint::NoPort)?;
    if slices_of(root, namespace, name).map_err(NoEndpoint::Unknown)?.is_empty() {
        return Err(NoEndpoint::NoSlices);
    }
    let found = endpoints(root, namespace, &asked, Endpoints::Any).map_err(NoEndpoint::Unknown)?;
    let ready = found.choose(&mut rand::rng()).map(|target| target.address);
    ready.ok_or_else(|| NoEndpoint::NoneReady { port: port.to_owned() })
}

fn endpoints(
    root: &Client,
    namespace: &str,
    name: &Name<'_>,
    which: Endpoints,
) -> Result<Vec<Target>, Status> {
    let service: Service = root.api().get(&ObjectKey::namespaced(namespace, name.name))?;
    let port = target::port_of_service(name, &service)?;
    let slices = slices_of(root, namespace, name.name)?;
    let addresses_of = |pod: &str| {
        let pod = root.api::<Pod>().find(&ObjectKey::namespaced(namespace, pod)).ok().flatten();
        pod.iter().flat_map(target::addresses_of).map(str::to_owned).collect()
    };
    Ok(target::of_service(name, port, namespace, &slices, which, addresses_of))
}

fn slices_of(root: &Client, namespace: &str, service: &str) -> Result<Vec<EndpointSlice>, Status> {
    let version = root.cluster().registry().by_gvr(&EndpointSlice::info().gvr);
    let version = version.ok_or_else(not_found)?;
    let labels = kinds::selectors::from_map(&[(SERVICE_LABEL.to_owned(), service.to_owned())].into());
    let params = ListParams { labels, ..ListParams::default() };
    let list = root.cluster().list(root.actor(), &Stored::collection(&version, Some(namespace)), &params)?;
    list.objects.iter().map(|object| object.decode().map_err(Status::internal)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_the_proxy_is_not_decoded() {
        let cases = [
            ("/api/v1/namespaces/a/pods/web/proxy", 7, "/api/v1/namespaces/a/pods/web/proxy", ""),
            ("/api/v1/namespaces/a/pods/web/proxy/", 7, "/api/v1/namespaces/a/pods/web/proxy", "/"),
            (
                "/api/v1/namespaces/a/pods/web/proxy/x%2Fy//z/",
                7,
                "/api/v1/namespaces/a/pods/web/proxy",
                "/x%2Fy//z/",
            ),
            ("//api/v1/namespaces//a/pods/web/proxy/x", 7, "//api/v1/namespaces//a/pods/web/proxy", "/x"),
            ("/api/v1/nodes/n:10250/proxy/logs/", 5, "/api/v1/nodes/n:10250/proxy", "/logs/"),
        ];
        for (path, segments, prefix, behind) in cases {
            assert_eq!(split(path, segments), (prefix, behind), "{path}");
        }
    }

    #[test]
    fn a_path_that_was_changed_is_encoded() {
        let cases = [
            ("", "/"),
            ("metrics", "/metrics"),
            ("//a/b/", "/a/b/"),
            ("/a b?c=d#e%2F", "/a%20b%3Fc=d%23e%252F"),
            ("/ä:@!$&'()*+,;=~-._", "/%C3%A4:@!$&'()*+,;=~-._"),
        ];
        for (path, want) in cases {
            assert_eq!(encoded(path), want);
        }
    }
}
