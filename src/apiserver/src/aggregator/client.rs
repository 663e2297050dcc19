//! Questions of the cluster's own components to extension API servers.

use super::extension::{authorized_part, given_away, is_available, place, secured, tell_who};
use crate::client_tls::{self, ClientIdentity};
use crate::exchange::ask;
use crate::proxy;
use crate::request_info::ParsedPath;
use api::{Reason, Status};
use async_trait::async_trait;
use bytes::Bytes;
use cluster::{Actor, AggregatedCaller, Attributes, Cluster};
use http::{HeaderMap, Method, header};
use http_body_util::Full;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Whoever asks works on nothing else meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks under the front proxy's certificate, in the name of whoever asks.
pub struct AggregatedClient {
    pub front_proxy: ClientIdentity,
}

#[async_trait]
impl AggregatedCaller for AggregatedClient {
    async fn get(
        &self,
        cluster: &Cluster,
        actor: &Actor,
        group: &str,
        version: &str,
        path: &str,
    ) -> Result<Bytes, Status> {
        let asked = Asked::new(Method::GET, group, version, path);
        self.permitted(cluster, actor, &asked).await
    }

    async fn delete(
        &self,
        cluster: &Cluster,
        actor: &Actor,
        group: &str,
        version: &str,
        path: &str,
    ) -> Result<(), Status> {
        let asked = Asked::new(Method::DELETE, group, version, path);
        self.permitted(cluster, actor, &asked).await.map(drop)
    }
}

/// One question.
struct Asked<'a> {
    method: Method,
    group: &'a str,
    version: &'a str,
    /// From the root, with its query.
    path: String,
}

impl<'a> Asked<'a> {
    /// An empty path is the version itself, where it tells what it serves.
    fn new(method: Method, group: &'a str, version: &'a str, path: &str) -> Self {
        let below = if path.is_empty() { "" } else { "/" };
        Asked { method, group, version, path: format!("/apis/{group}/{version}{below}{path}") }
    }

    /// What must be allowed for it.
    fn attributes(&self) -> Attributes {
        let plain = self.path.split('?').next().unwrap_or_default();
        let segments: Vec<String> = plain.split('/').skip(1).map(str::to_owned).collect();
        match ParsedPath::parse(authorized_part(&segments)) {
            ParsedPath::Resource(info) => Attributes {
                verb: match (&self.method, &info.name) {
                    (&Method::DELETE, None) => "deletecollection",
                    (&Method::DELETE, Some(_)) => "delete",
                    _ => "get",
                }
                .to_owned(),
                group: self.group.to_owned(),
                version: self.version.to_owned(),
                resource: info.gvr.resource.to_string(),
                subresource: info.subresource.unwrap_or_default(),
                namespace: info.namespace,
                name: info.name,
                ..Attributes::default()
            },
            ParsedPath::Other => Attributes::non_resource(&self.method.as_str().to_lowercase(), plain),
        }
    }
}

impl AggregatedClient {
    async fn permitted(&self, cluster: &Cluster, actor: &Actor, asked: &Asked<'_>) -> Result<Bytes, Status> {
        let attributes = asked.attributes();
        cluster.ask(actor, &attributes).await.permit(actor, &attributes)?;
        let answered = timeout(PATIENCE, self.exchange(cluster, actor, asked));
        answered.await.unwrap_or_else(|_| Err(Status::new(Reason::Timeout, "context deadline exceeded")))
    }

    async fn exchange(&self, cluster: &Cluster, actor: &Actor, asked: &Asked<'_>) -> Result<Bytes, Status> {
        let service = given_away(cluster, asked.group, asked.version).filter(|service| is_available(service));
        let service = service.ok_or_else(|| {
            let why = "the server is currently unable to handle the request";
            Status::new(Reason::ServiceUnavailable, why)
        })?;
        let spec = service.spec.clone().unwrap_or_default();
        let secured = secured(&spec, Some(&self.front_proxy)).map_err(Status::internal)?;
        let (namespace, name, port) = place(&spec);
        let address = proxy::behind_service(&cluster.acting_as(Actor::root()), &namespace, &name, port)?;
        let unreachable = |why: String| Status::new(Reason::ServiceUnavailable, why);
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|why| unreachable(client_tls::dialed(&address.to_string(), &why)))?;
        let stream = client_tls::connect(stream, secured.config, &secured.host).await.map_err(unreachable)?;
        let mut headers = HeaderMap::new();
        tell_who(&mut headers, actor);
        let mut request = http::Request::builder()
            .method(asked.method.clone())
            .uri(asked.path.as_str())
            .header(header::HOST, &secured.host)
            .header(header::ACCEPT, "application/json")
            .body(Full::default())
            .map_err(Status::internal)?;
        request.headers_mut().extend(headers);
        let (code, body) = ask(stream, request).await.map_err(unreachable)?;
        match code.is_success() {
            true => Ok(body),
            false => Err(refusal(code, &body)),
        }
    }
}

/// In the words of whoever refuses.
fn refusal(code: http::StatusCode, body: &[u8]) -> Status {
    let told: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let message = told["message"].as_str().map_or_else(|| format!("it answers {code}"), str::to_owned);
    let mut status = Status::new(Reason::ServiceUnavailable, message);
    status.code = code.as_u16();
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_be_allowed_is_what_is_asked() {
        // (method, path below the version, verb, resource, namespace, name, path that is no resource's)
        let cases = [
            (Method::GET, "", "get", "", None, None, Some("/apis/example.com/v1")),
            (Method::GET, "namespaces/a/flunders", "get", "flunders", Some("a"), None, None),
            (
                Method::DELETE,
                "namespaces/a/flunders?propagationPolicy=Background",
                "deletecollection",
                "flunders",
                Some("a"),
                None,
                None,
            ),
            (Method::DELETE, "namespaces/a/flunders/one", "delete", "flunders", Some("a"), Some("one"), None),
        ];
        for (method, path, verb, resource, namespace, name, plain) in cases {
            let asked = Asked::new(method, "example.com", "v1", path).attributes();
            assert_eq!((asked.verb.as_str(), asked.resource.as_str()), (verb, resource), "{path}");
            let place = (asked.namespace.as_deref(), asked.name.as_deref(), asked.path.as_deref());
            assert_eq!(place, (namespace, name, plain), "{path}");
        }
    }
}
