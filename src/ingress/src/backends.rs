//! From a port of a Service to the addresses of the pods behind it. Pure.

use crate::routes::{Backend, Port};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kinds::endpoints::{condition, holds_names, may_be_led_to};
use std::net::{IpAddr, SocketAddr};
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
            let Some(ip) = address(endpoint) else { continue };
            let at = SocketAddr::new(ip, number);
            if condition.ready {
                ready.push(at);
            } else if condition.serving {
                leaving.push(at);
            }
        }
    }
    let usable = if ready.is_empty() { leaving } else { ready };
    if usable.is_empty() { Err(NoBackend::Endpoint(shown)) } else { Ok(usable) }
}

/// Where requests to the endpoint go.
pub(crate) fn address(endpoint: &Endpoint) -> Option<IpAddr> {
    let at: IpAddr = endpoint.addresses.first()?.parse().ok()?;
    // whose it is, is asked of it in this form
    Some(at.to_canonical())
}

/// The slice without the endpoints that nobody is led to from here: requests leave as the machine's own, which may reach what
/// is kept from everybody else, and pods past every NetworkPolicy. `is_of_others` says whose an address is.
pub(crate) fn permitted(
    slice: Arc<EndpointSlice>,
    is_of_others: impl Fn(IpAddr) -> bool,
) -> Arc<EndpointSlice> {
    let holds_names = holds_names(&slice);
    let is_permitted = |endpoint: &Endpoint| {
        let at = address(endpoint).filter(|_| !holds_names);
        at.is_some_and(|at| may_be_led_to(at) && !is_of_others(at))
    };
    if slice.endpoints.iter().flatten().all(&is_permitted) {
        return slice;
    }
    let mut left = EndpointSlice::clone(&slice);
    left.endpoints.iter_mut().for_each(|endpoints| endpoints.retain(&is_permitted));
    Arc::new(left)
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

    #[test]
    fn nobody_is_led_to_the_machine_itself_or_to_the_pods_of_others() {
        let endpoints =
            ["10.244.0.5", "127.0.0.1", "169.254.169.254", "10.244.0.6", "::ffff:10.244.0.6", "web.example"];
        let endpoints: Vec<Value> = endpoints.iter().map(|at| json!({"addresses": [at]})).collect();
        let given = slice(&json!(endpoints));
        let left = |given: &Arc<EndpointSlice>| {
            let of_others: IpAddr = "10.244.0.6".parse().unwrap();
            let left = permitted(given.clone(), |at| at == of_others);
            let addresses = left.endpoints.iter().flatten().filter_map(address);
            (addresses.map(|at| at.to_string()).collect::<Vec<_>>(), Arc::ptr_eq(given, &left))
        };
        assert_eq!(left(&given), (vec!["10.244.0.5".to_owned()], false));
        // what reads as an address is a name there, and validated as one
        let names = EndpointSlice { address_type: "FQDN".to_owned(), ..EndpointSlice::clone(&given) };
        assert_eq!(left(&Arc::new(names)), (Vec::new(), false));
        let fine = slice(&json!([{"addresses": ["10.244.0.5"]}]));
        assert_eq!(left(&fine), (vec!["10.244.0.5".to_owned()], true), "what is fine is not copied");
    }
}
