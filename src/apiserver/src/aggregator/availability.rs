//! Whether an extension API server can be asked: its Service is there, has an endpoint, and tells what it serves (upstream's
//! available controller). It is looked at when the APIService, its Service or its endpoints change, and by the clock: that a
//! server hangs nobody tells. One that does not answer is asked again with back-off.

use super::documents::Told;
use super::extension::{all_given_away, place, reference, secured, tell_who};
use crate::client_tls;
use crate::exchange::ask;
use crate::proxy::{self, NoEndpoint};
use crate::server_state::ServerState;
use api::ObjectKey;
use bytes::Bytes;
use cluster::{Actor, Controller, WorkQueue};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::Full;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{
    APIService, APIServiceCondition, APIServiceSpec, APIServiceStatus,
};
use kinds::builtin::api_service::{AVAILABLE, condition};
use kinds::endpoints::SERVICE_LABEL;
use kinds::key_of;
use openapi::Extension;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const NAME: &str = "apiservice-availability";
/// Upstream's for one discovery call.
const PATIENCE: Duration = Duration::from_secs(5);
/// Upstream's resync, after which it asks those that answered.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// Why it can not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unavailable {
    reason: &'static str,
    message: String,
    /// Nothing will say when that changes.
    again: bool,
}

pub(crate) async fn run(state: Arc<ServerState>, stop: CancellationToken) {
    let services = state.cluster.informer::<APIService>();
    let behind = move |namespace: Option<&str>, name: &str| -> Vec<ObjectKey> {
        let is_it = |service: &&Arc<APIService>| {
            reference(service)
                .is_some_and(|r| r.name.as_deref() == Some(name) && r.namespace.as_deref() == namespace)
        };
        services.list(None).iter().filter(is_it).map(|service| key_of(&service.metadata)).collect()
    };
    let of_slices = behind.clone();
    let (cluster, asked) = (state.cluster.clone(), Arc::new(Notify::new()));
    let of_clock = asked.clone();
    let all = move || -> Vec<ObjectKey> {
        all_given_away(&cluster).iter().map(|service| key_of(&service.metadata)).collect()
    };
    Controller::new(NAME, &state.cluster)
        .reconciles::<APIService>()
        .watches::<Service>(move |queue, change| {
            let meta = &change.object().metadata;
            let keys = behind(meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default());
            keys.into_iter().for_each(|key| queue.add(key));
        })
        .watches::<EndpointSlice>(move |queue, change| {
            let meta = &change.object().metadata;
            let service = meta.labels.as_ref().and_then(|labels| labels.get(SERVICE_LABEL));
            let Some(service) = service else { return };
            of_slices(meta.namespace.as_deref(), service).into_iter().for_each(|key| queue.add(key));
        })
        .listens(move |queue| Box::pin(ask_again(queue, of_clock, all)))
        .run(stop, (state, asked), |(state, asked), key: ObjectKey| async move {
            reconcile(&state, &asked, &key).await
        })
        .await;
}

/// Some time after one was asked, all are asked again. Where there is none no clock runs.
async fn ask_again(queue: WorkQueue<ObjectKey>, asked: Arc<Notify>, all: impl Fn() -> Vec<ObjectKey> + Send) {
    loop {
        asked.notified().await;
        tokio::time::sleep(ASK_AGAIN).await;
        all().into_iter().for_each(|key| queue.add(key));
    }
}

async fn reconcile(state: &ServerState, asked: &Notify, key: &ObjectKey) -> Result<(), String> {
    let root = state.cluster.acting_as(Actor::root());
    let found = root.api::<APIService>().find(key).map_err(|status| status.message)?;
    let Some(service) = found.filter(|service| reference(service).is_some()) else {
        if let Some((version, group)) = key.name.split_once('.') {
            state.aggregated.forget(group, version);
        }
        return Ok(());
    };
    asked.notify_one();
    let spec = service.spec.clone().unwrap_or_default();
    let verdict = check(state, &spec).await;
    let wanted = condition_of(&verdict);
    let differs = |known: &APIServiceCondition| {
        (&known.status, &known.reason, &known.message) != (&wanted.status, &wanted.reason, &wanted.message)
    };
    if condition(&service).is_none_or(differs) {
        if let (Some("True"), Err(why)) = (condition(&service).map(|known| known.status.as_str()), &verdict) {
            state.metrics.count_lost_service(&key.name, why.reason);
        }
        let set = |service: &mut APIService| {
            set_condition(service, &wanted);
            Ok(())
        };
        let written = root.api::<APIService>().modify_status(key, set).await;
        match written {
            Err(status) if !status.is(api::Reason::NotFound) => return Err(status.message),
            _ => {}
        }
    }
    match verdict {
        Err(why) if why.again => Err(why.message),
        _ => Ok(()),
    }
}

fn condition_of(verdict: &Result<(), Unavailable>) -> APIServiceCondition {
    let (status, reason, message) = match verdict {
        Ok(()) => ("True", "Passed", "all checks passed"),
        Err(why) => ("False", why.reason, why.message.as_str()),
    };
    APIServiceCondition {
        type_: AVAILABLE.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: None,
    }
}

/// The time is that of the last change between true and false.
fn set_condition(service: &mut APIService, wanted: &APIServiceCondition) {
    let now = kinds::whole_second(jiff::Timestamp::now());
    let conditions =
        service.status.get_or_insert_with(APIServiceStatus::default).conditions.get_or_insert_default();
    let known = conditions.iter().find(|known| known.type_ == wanted.type_);
    let since =
        known.filter(|known| known.status == wanted.status).and_then(|k| k.last_transition_time.clone());
    conditions.retain(|known| known.type_ != wanted.type_);
    conditions.push(APIServiceCondition { last_transition_time: since.or(Some(now)), ..wanted.clone() });
}

async fn check(state: &ServerState, spec: &APIServiceSpec) -> Result<(), Unavailable> {
    let (namespace, name, port) = place(spec);
    let root = state.cluster.acting_as(Actor::root());
    let address = proxy::endpoint_of_service(&root, &namespace, &name, port)
        .map_err(|why| without_endpoint(&why, &namespace, &name, port))?;
    let (group, version) = (spec.group.clone().unwrap_or_default(), spec.version.clone().unwrap_or_default());
    let path = format!("/apis/{group}/{version}");
    let failed = |why: String| Unavailable {
        reason: "FailedDiscoveryCheck",
        message: format!("failing or missing response from https://{address}{path}: {why}"),
        again: true,
    };
    let (status, body) = get(state, spec, address, &path).await.map_err(failed)?;
    if !status.is_success() {
        return Err(failed(format!("bad status from https://{address}{path}: {}", status.as_u16())));
    }
    let resources: Value = serde_json::from_slice(&body).unwrap_or_default();
    let openapi = get(state, spec, address, "/openapi/v3").await;
    let openapi_hash = openapi.ok().and_then(|(_, body)| openapi_hash(&body, &path));
    let openapi_v2 = openapi_v2(state, spec, address, [&group, &version]).await;
    state.aggregated.keep(&group, &version, Told { resources, openapi_hash, openapi_v2 });
    Ok(())
}

/// What it says in OpenAPI v2. A document that is as it was is not read again; where it does not come now, the last one stays.
async fn openapi_v2(
    state: &ServerState,
    spec: &APIServiceSpec,
    address: SocketAddr,
    [group, version]: [&str; 2],
) -> Option<Arc<Extension>> {
    let known = state.aggregated.openapi_v2_of(group, version);
    let Ok((status, document)) = get(state, spec, address, "/openapi/v2").await else { return known };
    if !status.is_success() {
        return None;
    }
    if known.as_ref().is_some_and(|known| known.is_of(&document)) {
        return known;
    }
    let root = format!("apis/{group}/{version}");
    // milliseconds for each megabyte
    let read = tokio::task::spawn_blocking(move || Extension::of(&document, &root)).await;
    read.ok().flatten().map(Arc::new)
}

fn without_endpoint(why: &NoEndpoint, namespace: &str, name: &str, port: u16) -> Unavailable {
    let service = format!("service/{name} in {namespace:?}");
    let (reason, message) = match why {
        NoEndpoint::NoService => ("ServiceNotFound", format!("{service} is not present")),
        NoEndpoint::NoPort => ("ServicePortError", format!("{service} is not listening on port {port}")),
        NoEndpoint::NoSlices => ("EndpointsNotFound", format!("cannot find endpointslices for {service}")),
        NoEndpoint::NoneReady { port } => (
            "MissingEndpoints",
            format!("endpointslices for {service} have no addresses with port name {port:?}"),
        ),
        NoEndpoint::Unknown(status) => {
            ("ServiceAccessError", format!("{service} cannot be accessed due to: {status}"))
        }
    };
    Unavailable { reason, message, again: matches!(why, NoEndpoint::Unknown(_)) }
}

async fn get(
    state: &ServerState,
    spec: &APIServiceSpec,
    address: SocketAddr,
    path: &str,
) -> Result<(StatusCode, Bytes), String> {
    let secured = secured(spec, state.front_proxy.as_ref())?;
    let mut headers = HeaderMap::new();
    tell_who(&mut headers, &Actor::user("system:kube-aggregator", &[Actor::MASTERS]));
    headers.insert(header::HOST, HeaderValue::from_str(&secured.host).map_err(|why| why.to_string())?);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let asking = async {
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|why| client_tls::dialed(&address.to_string(), &why))?;
        let stream = client_tls::connect(stream, secured.config, &secured.host).await?;
        let mut request = http::Request::new(Full::default());
        *request.uri_mut() = path.parse().map_err(|why: http::uri::InvalidUri| why.to_string())?;
        *request.headers_mut() = headers;
        ask(stream, request).await
    };
    tokio::time::timeout(PATIENCE, asking).await.map_err(|_| "context deadline exceeded".to_owned())?
}

/// `/openapi/v3/apis/GROUP/VERSION?hash=…` of its index.
fn openapi_hash(index: &[u8], path: &str) -> Option<String> {
    let index: Value = serde_json::from_slice(index).ok()?;
    let url = index["paths"][path.trim_start_matches('/')]["serverRelativeURL"].as_str()?;
    let hash = url.split_once("hash=")?.1;
    let plain = hash.chars().all(|c| c.is_ascii_alphanumeric() || "-_=%".contains(c));
    (plain && !hash.is_empty()).then(|| hash.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    #[test]
    fn why_it_can_not_be_asked_is_told_in_upstreams_words() {
        let cases = [
            (NoEndpoint::NoService, "ServiceNotFound", "service/api in \"a\" is not present"),
            (NoEndpoint::NoPort, "ServicePortError", "service/api in \"a\" is not listening on port 443"),
            (
                NoEndpoint::NoSlices,
                "EndpointsNotFound",
                "cannot find endpointslices for service/api in \"a\"",
            ),
            (
                NoEndpoint::NoneReady { port: "https".to_owned() },
                "MissingEndpoints",
                "endpointslices for service/api in \"a\" have no addresses with port name \"https\"",
            ),
        ];
        for (why, reason, message) in cases {
            let told = without_endpoint(&why, "a", "api", 443);
            assert_eq!((told.reason, told.message.as_str(), told.again), (reason, message, false));
        }
    }

    #[test]
    fn the_time_of_a_condition_is_that_of_its_last_turn() {
        let unavailable = |message: &str| Unavailable {
            reason: "MissingEndpoints",
            message: message.to_owned(),
            again: false,
        };
        let mut service = APIService::default();
        set_condition(&mut service, &condition_of(&Err(unavailable("a"))));
        let long_ago = Time("2020-01-01T00:00:00Z".parse().unwrap());
        service.status.as_mut().unwrap().conditions.as_mut().unwrap()[0].last_transition_time =
            Some(long_ago.clone());
        set_condition(&mut service, &condition_of(&Err(unavailable("b"))));
        let known = condition(&service).unwrap();
        assert_eq!(
            (known.message.as_deref(), known.last_transition_time.as_ref()),
            (Some("b"), Some(&long_ago))
        );
        set_condition(&mut service, &condition_of(&Ok(())));
        let known = condition(&service).unwrap();
        assert_eq!((known.status.as_str(), known.reason.as_deref()), ("True", Some("Passed")));
        assert_ne!(known.last_transition_time.as_ref(), Some(&long_ago));
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_asked_is_asked_again_and_nobody_else() {
        let (queue, asked) = (WorkQueue::new(), Arc::new(Notify::new()));
        let key = ObjectKey::cluster("v1.example.com");
        let all = {
            let key = key.clone();
            move || vec![key.clone()]
        };
        let clock = tokio::spawn(ask_again(queue.clone(), asked.clone(), all));
        let within = Duration::from_secs(3600);
        assert!(tokio::time::timeout(within, queue.next()).await.is_err(), "nobody was asked");
        for _ in 0..2 {
            asked.notify_one();
            let began = tokio::time::Instant::now();
            assert_eq!(queue.next().await, key);
            assert_eq!(began.elapsed().as_secs(), ASK_AGAIN.as_secs());
            queue.done(&key);
        }
        assert!(tokio::time::timeout(within, queue.next()).await.is_err(), "it is not there any more");
        clock.abort();
    }

    #[test]
    fn the_hash_of_its_openapi() {
        let index = br#"{"paths": {"apis/example.com/v1": {"serverRelativeURL": "/openapi/v3/apis/example.com/v1?hash=AB12"}}}"#;
        assert_eq!(openapi_hash(index, "/apis/example.com/v1").as_deref(), Some("AB12"));
        assert_eq!(openapi_hash(index, "/apis/example.com/v2"), None);
        assert_eq!(openapi_hash(b"404 page not found", "/apis/example.com/v1"), None);
    }
}
