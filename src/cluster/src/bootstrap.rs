//! What every cluster has from its first second: namespaces, priority classes, upstream's roles, the `kubernetes` service.

mod component_roles;
mod role_reconciliation;
mod roles;
mod user_roles;

use crate::roles::{ComponentRole, Holder, binding, role};
use crate::{Actor, Client, Cluster, admission};
use ::api::{Reason, Status};
use futures::future::try_join_all;
use futures::try_join;
use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort as CoreEndpointPort, EndpointSubset, Endpoints, Namespace, Service,
    ServicePort, ServiceSpec,
};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::api::networking::v1::{IngressClass, IngressClassSpec, ServiceCIDR, ServiceCIDRSpec};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kinds::builtin::flow_control;
use kinds::endpoints::SERVICE_LABEL;
use kinds::{TypedKind, key_of};
use std::net::Ipv4Addr;
use std::sync::Arc;
use store::Resource;

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
const INGRESS_CLASS: &str = "monopod";
/// Whose ingresses the cluster serves itself.
pub const INGRESS_CONTROLLER: &str = "monopod/ingress";
const STORAGE_CLASS: &str = "standard";
/// Who makes the volumes of the default class: minikube's name, so that people's own classes fit.
pub const STORAGE_PROVISIONER: &str = "k8s.io/minikube-hostpath";
const API_SERVICE: &str = "kubernetes";
const PRIORITIES: [(&str, i32, &str); 2] = [
    (
        "system-cluster-critical",
        2_000_000_000,
        "for pods that the cluster needs, and that may move to another node",
    ),
    ("system-node-critical", 2_000_001_000, "for pods that their node needs"),
];

impl Cluster {
    /// Makes what is missing; leaves alone what is there, but for roles that lack what this version needs of them. The roles of
    /// components are [`Cluster::bootstrap_components`]'.
    ///
    /// # Errors
    /// What the store says.
    pub async fn bootstrap(&self) -> Result<(), Status> {
        let root = self.acting_as(Actor::root());
        // at once: what is synced to the disk together costs as much as one
        try_join!(
            ensure(&root, PRIORITIES.map(priority_class)),
            ensure(&root, [ingress_class()]),
            ensure(&root, [storage_class()]),
            self.restore_flow_control(),
            self.reconcile_roles(roles::cluster_roles(), roles::cluster_role_bindings()),
            self.ensure_system_objects(),
        )?;
        let mut readers = vec![roles::extension_authentication_reader()];
        readers.extend(component_roles::roles());
        try_join!(ensure(&root, readers), ensure(&root, component_roles::role_bindings())).map(|_| ())
    }

    /// The flow schemas and priority levels that every cluster has, where they are missing: without them the administrator would
    /// wait behind everybody else.
    ///
    /// # Errors
    /// What the store says.
    pub async fn restore_flow_control(&self) -> Result<(), Status> {
        let root = self.acting_as(Actor::root());
        try_join!(
            ensure(&root, flow_control::priority_levels()),
            ensure(&root, flow_control::flow_schemas()),
        )?;
        Ok(())
    }

    /// Makes the roles and bindings of components that are missing, and gives those that lack something what this version needs. A
    /// component must have its role before it starts.
    ///
    /// # Errors
    /// What the store says.
    pub async fn bootstrap_components(
        &self,
        components: impl IntoIterator<Item = ComponentRole>,
    ) -> Result<(), Status> {
        let (mut roles, mut bindings) = (Vec::new(), Vec::new());
        for ComponentRole { name, holder, rules } in components {
            match holder {
                Holder::Bound(subject) => {
                    bindings.push(binding(&name, &name, vec![subject]));
                    roles.push(role(&name, rules));
                }
                Holder::OwnKubelet => self.0.kubelet_rules.store(Arc::new(rules)),
            }
        }
        self.reconcile_roles(roles, bindings).await
    }

    async fn reconcile_roles(
        &self,
        roles: Vec<ClusterRole>,
        bindings: Vec<ClusterRoleBinding>,
    ) -> Result<(), Status> {
        let root = self.acting_as(Actor::root());
        try_join!(
            reconcile(&root, roles, role_reconciliation::role),
            reconcile(&root, bindings, role_reconciliation::binding),
        )?;
        // whoever acts next must find its role, and not wait for the task that follows the changes
        self.0.rbac.refresh(self.store());
        Ok(())
    }

    /// The part of it without which pods do not find the API server, or users their namespaces.
    ///
    /// # Errors
    /// What the store says; a Service that holds the API server's address.
    pub async fn ensure_system_objects(&self) -> Result<(), Status> {
        let root = self.acting_as(Actor::root());
        let config = self.config();
        let first = Ipv4Addr::from(u32::from(config.service_cidr.network()) + 1);
        try_join!(
            ensure(&root, NAMESPACES.map(namespace)),
            ensure(&root, [service_cidr(config.service_cidr)])
        )?;
        ensure(&root, [api_service(first)]).await?;
        self.advertise(&root, config.advertise_address, config.secure_port).await
    }

    /// The machine's address may be another one than at the last start.
    async fn advertise(&self, root: &Client, address: Ipv4Addr, port: u16) -> Result<(), Status> {
        try_join!(replace(root, endpoints(address, port)), replace(root, endpoint_slice(address, port)))
            .map(|_| ())
    }
}

/// All at once, so that they share a few fsyncs.
async fn ensure<K: TypedKind>(root: &Client, objects: impl IntoIterator<Item = K>) -> Result<(), Status> {
    let snapshot = root.cluster().store().snapshot();
    let resource = Resource::from(&K::info().storage);
    let api = root.api::<K>();
    let missing =
        objects.into_iter().filter(|object| snapshot.get(&resource, &key_of(object.metadata())).is_none());
    let create = |object: K| {
        let api = api.clone();
        async move {
            match api.create(object).await {
                Err(status) if !status.is(Reason::AlreadyExists) => Err(status),
                _ => Ok(()),
            }
        }
    };
    try_join_all(missing.map(create)).await.map(|_| ())
}

/// `update` says what a stored one should become, if anything.
async fn reconcile<K: TypedKind>(
    root: &Client,
    objects: Vec<K>,
    update: fn(&K, &K) -> Option<K>,
) -> Result<(), Status> {
    let snapshot = root.cluster().store().snapshot();
    let resource = Resource::from(&K::info().storage);
    let api = root.api::<K>();
    let stored =
        |wanted: &K| -> Option<K> { snapshot.get(&resource, &key_of(wanted.metadata()))?.decode().ok() };
    let updated: Vec<K> = objects.iter().filter_map(|wanted| update(&stored(wanted)?, wanted)).collect();
    ensure(root, objects).await?;
    try_join_all(updated.into_iter().map(|object| api.update(object))).await.map(|_| ())
}

async fn replace<K: TypedKind>(root: &Client, object: K) -> Result<(), Status> {
    let api = root.api::<K>();
    match api.find(&key_of(object.metadata()))? {
        Some(_) => api.update(object).await.map(|_| ()),
        None => api.create(object).await.map(|_| ()),
    }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

fn in_default(name: &str) -> ObjectMeta {
    ObjectMeta { namespace: Some("default".to_owned()), ..named(name) }
}

fn namespace(name: &str) -> Namespace {
    Namespace { metadata: named(name), ..Namespace::default() }
}

fn priority_class((name, value, description): (&str, i32, &str)) -> PriorityClass {
    PriorityClass {
        metadata: named(name),
        value: Some(value),
        description: Some(description.to_owned()),
        ..PriorityClass::default()
    }
}

/// The class of ingresses that name none.
fn ingress_class() -> IngressClass {
    let mut metadata = named(INGRESS_CLASS);
    metadata.annotations = Some([(admission::DEFAULT_CLASS.to_owned(), "true".to_owned())].into());
    let spec = IngressClassSpec { controller: Some(INGRESS_CONTROLLER.to_owned()), parameters: None };
    IngressClass { metadata, spec: Some(spec) }
}

/// The class of claims that name none.
fn storage_class() -> StorageClass {
    let mut metadata = named(STORAGE_CLASS);
    metadata.annotations = Some([(admission::DEFAULT_STORAGE_CLASS.to_owned(), "true".to_owned())].into());
    StorageClass { metadata, provisioner: STORAGE_PROVISIONER.to_owned(), ..StorageClass::default() }
}

/// Where the addresses of Services come from.
fn service_cidr(range: ipnet::Ipv4Net) -> ServiceCIDR {
    let spec = ServiceCIDRSpec { cidrs: Some(vec![range.to_string()]) };
    ServiceCIDR { metadata: named(API_SERVICE), spec: Some(spec), status: None }
}

fn api_service(address: Ipv4Addr) -> Service {
    let port = ServicePort {
        name: Some("https".to_owned()),
        port: 443,
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    let mut metadata = in_default(API_SERVICE);
    let labels = [("component", "apiserver"), ("provider", "kubernetes")];
    metadata.labels = Some(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    Service {
        metadata,
        spec: Some(ServiceSpec {
            cluster_ip: Some(address.to_string()),
            ports: Some(vec![ServicePort { target_port: Some(IntOrString::Int(443)), ..port }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn endpoints(address: Ipv4Addr, port: u16) -> Endpoints {
    let mut metadata = in_default(API_SERVICE);
    // no controller mirrors it: the slice is made beside it
    metadata.labels =
        Some([("endpointslice.kubernetes.io/skip-mirror".to_owned(), "true".to_owned())].into());
    Endpoints {
        metadata,
        subsets: Some(vec![EndpointSubset {
            addresses: Some(vec![EndpointAddress { ip: address.to_string(), ..EndpointAddress::default() }]),
            ports: Some(vec![CoreEndpointPort {
                name: Some("https".to_owned()),
                port: port.into(),
                protocol: Some("TCP".to_owned()),
                ..CoreEndpointPort::default()
            }]),
            ..EndpointSubset::default()
        }]),
    }
}

fn endpoint_slice(address: Ipv4Addr, port: u16) -> EndpointSlice {
    let mut metadata = in_default(API_SERVICE);
    metadata.labels = Some([(SERVICE_LABEL.to_owned(), API_SERVICE.to_owned())].into());
    EndpointSlice {
        metadata,
        address_type: "IPv4".to_owned(),
        endpoints: Some(vec![Endpoint {
            addresses: vec![address.to_string()],
            conditions: Some(EndpointConditions { ready: Some(true), ..EndpointConditions::default() }),
            ..Endpoint::default()
        }]),
        ports: Some(vec![EndpointPort {
            name: Some("https".to_owned()),
            port: Some(port.into()),
            protocol: Some("TCP".to_owned()),
            ..EndpointPort::default()
        }]),
    }
}
