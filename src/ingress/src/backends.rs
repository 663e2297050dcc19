//! From a port of a Service to the addresses of the pods behind it. Pure.

use crate::routes::{Backend, Port};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kinds::endpoints::condition;
use std::net::SocketAddr;
use std::sync::Arc;

/// Why a request can not be answered, for its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoBackend {
    Service(String),
    Port(String),
    Endpoint(String),
}

/// Those that are ready; where none is, those that are on their way out and still serve.
pub(crate) fn addresses(
    backend: &Backend,
    service: Option<&Service>,
    slices: &[Arc<EndpointSlice>],
) -> Result<Vec<SocketAddr>, NoBackend> {
    let shown = backend.service.to_string();
    let service = service.ok_or_else(|| NoBackend::Service(shown.clone()))?;
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref());
    let port = ports.into_iter().flatten().find(|port| match &backend.port {
        Port::Number(number) => port.port == *number,
        Port::Name(name) => port.name.as_ref() == Some(name),
    });
    let port = port.ok_or_else(|| NoBackend::Port(shown.clone()))?;
    let name = port.name.as_deref().unwrap_or_default();
    let (mut ready, mut leaving) = (Vec::new(), Vec::new());
    for slice in slices {
        let number = slice.ports.iter().flatten().find(|p| p.name.as_deref().unwrap_or_default() == name);
        let Some(number) = number.and_then(|p| p.port).and_then(|p| u16::try_from(p).ok()) else { continue };
        for endpoint in slice.endpoints.iter().flatten() {
            let condition = condition(endpoint);
            let Some(ip) = endpoint.addresses.first().and_then(|address| address.parse().ok()) else {
                continue;
            };
            let address = SocketAddr::new(ip, number);
            if condition.ready {
                ready.push(address);
            } else if condition.serving {
                leaving.push(address);
            }
        }
    }
    let usable = if ready.is_empty() { leaving } else { ready };
    if usable.is_empty() { Err(NoBackend::Endpoint(shown)) } else { Ok(usable) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::ObjectKey;
    use serde_json::{Value, json};

    fn slice(endpoints: &Value) -> Arc<EndpointSlice> {
        let slice = json!({"metadata": {}, "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}], "endpoints": endpoints});
        Arc::new(serde_json::from_value(slice).unwrap())
    }

    #[test]
    fn who_answers_for_a_port() {
        let service: Service = serde_json::from_value(json!({"metadata": {"name": "web"},
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}))
        .unwrap();
        let backend = |port| Backend { service: ObjectKey::namespaced("shop", "web"), port };
        let endpoint = |ip: &str, ready: bool, serving: bool| json!({"addresses": [ip], "conditions": {"ready": ready, "serving": serving}});
        let two = slice(&json!([endpoint("10.0.0.1", true, true), endpoint("10.0.0.2", false, true)]));
        let leaving = slice(&json!([endpoint("10.0.0.2", false, true), endpoint("10.0.0.3", false, false)]));
        let at = |ip: &str| vec![format!("{ip}:8080").parse::<SocketAddr>().unwrap()];
        let shown = || "shop/web".to_owned();
        for (name, port, slices, want) in [
            ("ready ones", Port::Number(80), vec![two.clone()], Ok(at("10.0.0.1"))),
            ("by name", Port::Name("http".into()), vec![two.clone()], Ok(at("10.0.0.1"))),
            ("on their way out", Port::Number(80), vec![leaving], Ok(at("10.0.0.2"))),
            ("no such port", Port::Number(81), vec![two], Err(NoBackend::Port(shown()))),
            ("nobody", Port::Number(80), vec![], Err(NoBackend::Endpoint(shown()))),
        ] {
            assert_eq!(addresses(&backend(port), Some(&service), &slices), want, "{name}");
        }
        let gone = addresses(&backend(Port::Number(80)), None, &[]);
        assert_eq!(gone, Err(NoBackend::Service(shown())));
    }
}
