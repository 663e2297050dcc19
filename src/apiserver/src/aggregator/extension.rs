//! An extension API server, to whoever asks it: which versions are its own and by which Service it is reached, what must be allowed
//! for a path below one, and how it is told who asks.

use crate::client_tls::{self, ClientIdentity, Trust};
use crate::proxy::{self, Secured};
use api::ObjectKey;
use cluster::{Actor, Cluster};
use http::{HeaderMap, HeaderName, HeaderValue};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{
    APIService, APIServiceSpec, ServiceReference,
};
use kinds::builtin::api_service::condition;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::sync::Arc;

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
pub(super) fn given_away(cluster: &Cluster, group: &str, version: &str) -> Option<Arc<APIService>> {
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

/// What of a path says what must be allowed: as upstream's `RequestInfoFactory`, what is behind a subresource belongs to it. No
/// path below a version is one of discovery, which everybody may read.
pub(super) fn authorized_part(segments: &[String]) -> &[String] {
    let is_namespaced = segments.get(3).is_some_and(|segment| segment == "namespaces") && segments.len() > 5;
    &segments[..segments.len().min(if is_namespaced { 8 } else { 6 })]
}

pub(super) fn is_available(service: &APIService) -> bool {
    condition(service).is_some_and(|condition| condition.status == "True")
}

pub(super) fn reference(service: &APIService) -> Option<&ServiceReference> {
    service.spec.as_ref()?.service.as_ref()
}

/// Namespace, name and port of the Service.
pub(super) fn place(spec: &APIServiceSpec) -> (String, String, u16) {
    let service = spec.service.clone().unwrap_or_default();
    let port = service.port.and_then(|port| u16::try_from(port).ok()).unwrap_or(443);
    (service.namespace.unwrap_or_default(), service.name.unwrap_or_default(), port)
}

pub(super) fn secured(spec: &APIServiceSpec, identity: Option<&ClientIdentity>) -> Result<Secured, String> {
    let bundle = spec.ca_bundle.as_ref().map(|bundle| bundle.0.as_slice()).unwrap_or_default();
    let trust = match spec.insecure_skip_tls_verify {
        Some(true) => Trust::Anyone,
        _ => Trust::Bundle(bundle),
    };
    let (namespace, name, _) = place(spec);
    Ok(Secured { config: client_tls::config(&trust, identity)?, host: format!("{name}.{namespace}.svc") })
}

/// Who asks, in the headers that only the front proxy may set, and that no word of the client's takes away again.
pub(super) fn tell_who(headers: &mut HeaderMap, actor: &Actor) {
    proxy::sanitize_connection(headers);
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
    use crate::request_info::ParsedPath;

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
