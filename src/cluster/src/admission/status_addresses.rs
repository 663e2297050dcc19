//! Who says by a status which addresses something has. NetworkPolicies, Ingresses and the API proxy go by the addresses of a pod's
//! status, and the service proxy by those of a Service's: who could write the address of somebody else's pod into that of his own
//! would close it by his own policies, and be led to it past those that keep him away; and who could write a balancer's address of
//! somebody else's Service there would take what its clients send. So an address comes into a status by a node, or by who may
//! write the status of all pods, or all Services. Upstream has no such rule: there network plug-ins know their pods without the
//! API, and every balancer's address is in the hands of what is outside of the cluster.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::admission_request::attributes::Admission;
use crate::reservations::Reservations;
use crate::{Actor, Attributes, Cluster};
use ::api::Status;
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Pod, Service};
use kinds::{Instance, Subresource};

pub(super) struct StatusAddresses;

#[async_trait]
impl Plugin for StatusAddresses {
    fn name(&self) -> &'static str {
        "StatusAddresses"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Begin
            && review.asked.target.subresource == Some(Subresource::Status)
            && (review.writes::<Pod>() || review.writes::<Service>())
    }

    async fn begin(&self, review: &mut Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        let Admission { cluster, actor, target, .. } = *review.asked;
        let Some(new) = review.new_object() else { return Ok(()) };
        let known =
            review.old_object().filter(|old| !is_revived(*old, new)).map(addresses).unwrap_or_default();
        let is_new = addresses(new).iter().any(|address| !known.contains(address));
        let resource = target.group_resource();
        if !is_new || may_say(cluster, actor, &resource.resource) {
            return Ok(());
        }
        let name = new.meta().name.as_deref().unwrap_or_default();
        let why = format!(
            "addresses in a status are given by who may write the status of {} in all namespaces",
            resource.resource
        );
        Err(Status::forbidden(&resource, name, why))
    }
}

/// Whether a pod that has ended runs again by what is written: nobody was led to the address that it had, which may be another's by now.
fn is_revived(old: &dyn Instance, new: &dyn Instance) -> bool {
    let has_ended = |object: &dyn Instance| object.downcast_ref::<Pod>().is_some_and(kinds::pod::is_terminal);
    has_ended(old) && !has_ended(new)
}

/// Those that others are led by.
fn addresses(object: &dyn Instance) -> Vec<&str> {
    let mut all = Vec::new();
    if let Some(status) = object.downcast_ref::<Pod>().and_then(|pod| pod.status.as_ref()) {
        all.extend(status.pod_ip.as_deref());
        all.extend(status.pod_ips.iter().flatten().map(|address| address.ip.as_str()));
    }
    if let Some(status) = object.downcast_ref::<Service>().and_then(|service| service.status.as_ref()) {
        let ingress = status.load_balancer.iter().flat_map(|balancer| balancer.ingress.iter().flatten());
        all.extend(ingress.filter_map(|ingress| ingress.ip.as_deref()));
    }
    all.retain(|address| !address.is_empty());
    all
}

/// Which pods a node that comes as a client may write is [`super::node_restriction`]'s.
fn may_say(cluster: &Cluster, actor: &Actor, resource: &str) -> bool {
    let everywhere = |verb: &str| Attributes {
        verb: verb.to_owned(),
        resource: resource.to_owned(),
        subresource: "status".to_owned(),
        ..Attributes::default()
    };
    actor.is_own_kubelet()
        || actor.client_node().is_some()
        || ["update", "patch"].iter().any(|verb| cluster.decide(actor, &everywhere(verb)).is_allowed())
}
