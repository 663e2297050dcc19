//! The Service that pods find in their resolv.conf, and the endpoint behind it: this process.

use crate::{DnsConfig, DnsError};
use ::api::{ObjectKey, Reason, Status};
use cluster::roles::{ComponentRole, rule};
use cluster::{Actor, Client, Cluster, DeleteOptions, unless_gone};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kinds::TypedKind;
use kinds::endpoints::{MANAGED_BY, SERVICE_LABEL};
use std::collections::BTreeMap;
use std::net::SocketAddr;

const MANAGER: &str = "dns.monopod";
const NAMESPACE: &str = "kube-system";
const NAME: &str = "kube-dns";
/// Name and protocol: the same number twice.
const PORTS: [(&str, &str); 2] = [("dns", "UDP"), ("dns-tcp", "TCP")];
const PORT: i32 = 53;

pub fn role() -> ComponentRole {
    let rules = vec![
        rule(&["create", "get", "list", "update", "watch"], &[""], &["services"]),
        rule(
            &["create", "delete", "get", "list", "update", "watch"],
            &["discovery.k8s.io"],
            &["endpointslices"],
        ),
        rule(&["list", "watch"], &[""], &["namespaces"]),
    ];
    ComponentRole::service_account("system:kube-dns", NAME, rules)
}

/// Makes Service and EndpointSlice, or makes them right. A Service with a selector is somebody else's DNS (CoreDNS, put
/// there by a user): it is left alone, and no longer leads to us.
///
/// # Errors
/// Where they can not be written: the ClusterIP is held by another Service, for one.
pub async fn publish(cluster: &Cluster, config: &DnsConfig) -> Result<(), DnsError> {
    let client = cluster.acting_as(Actor::service_account("kube-system", NAME));
    let failed = |object| move |status| DnsError::Publish { object, status };
    let wanted = service(&config.service_ip.to_string());
    let present = client.api::<Service>().find(&key()).map_err(failed("service kube-system/kube-dns"))?;
    if present.as_ref().is_some_and(has_selector) {
        return withdraw(&client).await.map_err(failed("its endpoint slice"));
    }
    let outcome = match present {
        Some(present) => mend(&client, &present, wanted).await,
        None => create(&client, wanted).await,
    };
    outcome.map_err(failed("service kube-system/kube-dns"))?;
    let slice = endpoint_slice(config.listen);
    let present = client.api::<EndpointSlice>().find(&key()).map_err(failed("its endpoint slice"))?;
    let outcome = match present {
        Some(present) if same(&present, &slice) => Ok(()),
        Some(_) => client.api().update(slice).await.map(|_| ()),
        None => create(&client, slice).await,
    };
    outcome.map_err(failed("its endpoint slice"))
}

pub(crate) fn is_ours(key: &ObjectKey) -> bool {
    key.namespace.as_deref() == Some(NAMESPACE) && &*key.name == NAME
}

/// Puts back what the name stands for, and leaves what else was written to it.
async fn mend(client: &Client, present: &Service, wanted: Service) -> Result<(), Status> {
    let mut mended = present.clone();
    mended.metadata.labels.get_or_insert_default().extend(wanted.metadata.labels.unwrap_or_default());
    if let (Some(spec), Some(wanted)) = (mended.spec.as_mut(), wanted.spec) {
        if spec.cluster_ip != wanted.cluster_ip {
            // may be refused, and then the refusal says it best
            spec.cluster_ip = wanted.cluster_ip;
            spec.cluster_ips = None;
        }
        if !PORTS.iter().all(|port| spec.ports.iter().flatten().any(|p| is_port(p, *port))) {
            spec.ports = wanted.ports;
        }
    }
    if mended == *present { Ok(()) } else { client.api().update(mended).await.map(|_| ()) }
}

fn is_port(port: &ServicePort, (name, protocol): (&str, &str)) -> bool {
    port.name.as_deref() == Some(name) && port.protocol.as_deref() == Some(protocol) && port.port == PORT
}

async fn create<K: TypedKind>(client: &Client, object: K) -> Result<(), Status> {
    match client.api().create(object).await {
        Err(status) if !status.is(Reason::AlreadyExists) => Err(status),
        _ => Ok(()),
    }
}

async fn withdraw(client: &Client) -> Result<(), Status> {
    let slices = client.api::<EndpointSlice>();
    if slices.find(&key())?.is_none() {
        return Ok(());
    }
    unless_gone(slices.delete(&key(), DeleteOptions::default()).await).map(drop)
}

fn has_selector(service: &Service) -> bool {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| !selector.is_empty())
}

fn same(present: &EndpointSlice, wanted: &EndpointSlice) -> bool {
    present.endpoints == wanted.endpoints
        && present.ports == wanted.ports
        && present.metadata.labels == wanted.metadata.labels
}

fn key() -> ObjectKey {
    ObjectKey::namespaced(NAMESPACE, NAME)
}

fn metadata(labels: &[(&str, &str)]) -> ObjectMeta {
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    ObjectMeta {
        name: Some(NAME.to_owned()),
        namespace: Some(NAMESPACE.to_owned()),
        labels: Some(labels),
        ..ObjectMeta::default()
    }
}

fn service(cluster_ip: &str) -> Service {
    let port = |(name, protocol): (&str, &str)| ServicePort {
        name: Some(name.to_owned()),
        protocol: Some(protocol.to_owned()),
        port: PORT,
        target_port: Some(IntOrString::Int(PORT)),
        ..ServicePort::default()
    };
    Service {
        metadata: metadata(&[
            ("k8s-app", NAME),
            ("kubernetes.io/cluster-service", "true"),
            ("kubernetes.io/name", "CoreDNS"),
        ]),
        spec: Some(ServiceSpec {
            cluster_ip: Some(cluster_ip.to_owned()),
            ports: Some(PORTS.map(port).to_vec()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn endpoint_slice(listen: SocketAddr) -> EndpointSlice {
    let port = |(name, protocol): (&str, &str)| EndpointPort {
        name: Some(name.to_owned()),
        protocol: Some(protocol.to_owned()),
        port: Some(listen.port().into()),
        ..EndpointPort::default()
    };
    let conditions = EndpointConditions { ready: Some(true), serving: Some(true), terminating: Some(false) };
    EndpointSlice {
        metadata: metadata(&[(SERVICE_LABEL, NAME), (MANAGED_BY, MANAGER), ("k8s-app", NAME)]),
        address_type: if listen.is_ipv4() { "IPv4" } else { "IPv6" }.to_owned(),
        endpoints: Some(vec![Endpoint {
            addresses: vec![listen.ip().to_string()],
            conditions: Some(conditions),
            ..Endpoint::default()
        }]),
        ports: Some(PORTS.map(port).to_vec()),
    }
}
