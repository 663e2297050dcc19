//! What is asked of EndpointSlices in more than one place.

use api::ObjectKey;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

/// On a slice: the service that its endpoints are of.
pub const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// What an endpoint says of itself; what it does not say means ready, serving as ready, and not terminating.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    pub ready: bool,
    pub serving: bool,
    pub terminating: bool,
}

pub fn condition(endpoint: &Endpoint) -> Condition {
    let said = endpoint.conditions.as_ref();
    let ready = said.and_then(|c| c.ready).unwrap_or(true);
    Condition {
        ready,
        serving: said.and_then(|c| c.serving).unwrap_or(ready),
        terminating: said.and_then(|c| c.terminating).unwrap_or(false),
    }
}

/// The service that a slice is of.
pub fn service_of(slice: &EndpointSlice) -> Option<ObjectKey> {
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_LABEL)?;
    Some(ObjectKey::new(slice.metadata.namespace.as_deref(), name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_an_endpoint_does_not_say() {
        for (name, said, want) in [
            ("nothing", json!({}), (true, true, false)),
            ("not ready", json!({"ready": false}), (false, false, false)),
            (
                "on its way out",
                json!({"ready": false, "serving": true, "terminating": true}),
                (false, true, true),
            ),
        ] {
            let endpoint: Endpoint =
                serde_json::from_value(json!({"addresses": [], "conditions": said})).unwrap();
            let got = condition(&endpoint);
            assert_eq!((got.ready, got.serving, got.terminating), want, "{name}");
        }
    }

    #[test]
    fn a_slice_says_whose_it_is() {
        let slice = |labels| -> EndpointSlice {
            let metadata = json!({"name": "web-x", "namespace": "shop", "labels": labels});
            serde_json::from_value(json!({"metadata": metadata, "addressType": "IPv4", "endpoints": []}))
                .unwrap()
        };
        let of = |labels| service_of(&slice(labels)).map(|key| key.to_string());
        assert_eq!(of(json!({SERVICE_LABEL: "web"})).as_deref(), Some("shop/web"));
        assert_eq!(of(json!({})), None);
    }
}
