//! What is asked of EndpointSlices in more than one place.

use api::ObjectKey;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use std::net::IpAddr;

/// On a slice: the service that its endpoints are of.
pub const SERVICE_LABEL: &str = "kubernetes.io/service-name";
/// On a slice: who keeps it. Nobody else touches it.
pub const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// On Endpoints and slices of a Service without an address of its own, and on a Service that no proxy is to serve.
pub const HEADLESS: &str = "service.kubernetes.io/headless";

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

/// Whether the slice holds names of hosts, which nobody here looks up. `127.0.0.1` is a name as well, so that a validated slice
/// holds what reads as any address at all: whoever parses addresses asks this first.
pub fn holds_names(slice: &EndpointSlice) -> bool {
    slice.address_type == "FQDN"
}

/// Whether the program itself may connect to an endpoint at this address. It has the machine's own loopback and link, where
/// whatever listens trusts the machine; the rest that is refused is no host.
pub fn may_be_led_to(address: IpAddr) -> bool {
    match address.to_canonical() {
        // 0.0.0.0/8: the kernel takes 0.0.0.0 for the machine itself
        IpAddr::V4(v4) => !(matches!(v4.octets()[0], 0 | 127 | 224..) || v4.is_link_local()),
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn where_the_machine_itself_is_reached_nobody_is_led() {
        for (address, may) in [
            ("10.244.0.7", true),
            ("192.168.1.5", true),
            ("223.255.255.255", true),
            ("fd00::7", true),
            ("127.0.0.1", false),
            ("127.8.8.8", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("169.254.169.254", false),
            ("::ffff:169.254.169.254", false),
            ("fe80::1", false),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("::", false),
            ("224.0.0.1", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("ff02::1", false),
        ] {
            assert_eq!(may_be_led_to(address.parse().unwrap()), may, "{address}");
        }
    }

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
