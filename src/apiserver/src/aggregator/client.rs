//! Questions of the cluster's own components to extension API servers.

use super::{authorized_part, given_away, is_available, place, secured, tell_who};
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
        let path = format!("/apis/{group}/{version}/{path}");
        let plain = path.split('?').next().unwrap_or_default();
        let segments: Vec<String> = plain.split('/').skip(1).map(str::to_owned).collect();
        let attributes = match ParsedPath::parse(authorized_part(&segments)) {
            ParsedPath::Resource(info) => Attributes {
                verb: "get".to_owned(),
                group: group.to_owned(),
                version: version.to_owned(),
                resource: info.gvr.resource.to_string(),
                subresource: info.subresource.unwrap_or_default(),
                namespace: info.namespace,
                name: info.name,
                ..Attributes::default()
            },
            ParsedPath::Other => Attributes::non_resource("get", plain),
        };
        cluster.ask(actor, &attributes).await.permit(actor, &attributes)?;
        let asked = timeout(PATIENCE, self.exchange(cluster, actor, group, version, &path));
        asked.await.unwrap_or_else(|_| Err(Status::new(Reason::Timeout, "context deadline exceeded")))
    }
}

impl AggregatedClient {
    async fn exchange(
        &self,
        cluster: &Cluster,
        actor: &Actor,
        group: &str,
        version: &str,
        path: &str,
    ) -> Result<Bytes, Status> {
        let service = given_away(cluster, group, version).filter(|service| is_available(service));
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
            .method(Method::GET)
            .uri(path)
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
