//! The older Endpoints beside the slices: upstream's endpoints controller. They have no owner, and go when their Service does.

use super::groups::{Group, ports_at};
use super::{is_headless, protocol_of, publishes_not_ready, trigger_time};
use api::{ObjectKey, Status};
use cluster::{Client, DeleteOptions, unless_replaced};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Service, ServicePort,
};
use k8s_openapi::api::discovery::v1::EndpointConditions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::endpoints::HEADLESS;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const MANAGED_LABEL: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
/// Upstream's `maxCapacity`: more are in slices only.
const MOST_ADDRESSES: usize = 1000;
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const TRUNCATED: &str = "truncated";

/// Services that were deleted, and whose Endpoints nobody has removed yet: those that somebody wrote for them go too, and such that
/// are written before their Service stay.
#[derive(Clone, Default)]
pub(super) struct Gone(Arc<Mutex<BTreeSet<ObjectKey>>>);

impl Gone {
    pub(super) fn locked(&self) -> MutexGuard<'_, BTreeSet<ObjectKey>> {
        self.0.lock()
    }
}

pub(super) fn plan(service: &Service, groups: Vec<Group>) -> Endpoints {
    let mut subsets: Vec<EndpointSubset> =
        groups.into_iter().filter_map(|group| subset(service, group)).collect();
    let annotations = truncate(&mut subsets, MOST_ADDRESSES)
        .then(|| BTreeMap::from([(OVER_CAPACITY.to_owned(), TRUNCATED.to_owned())]));
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.insert(MANAGED_LABEL.into(), MANAGER.into());
    if is_headless(service) {
        labels.insert(HEADLESS.into(), String::new());
    }
    Endpoints {
        metadata: ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            annotations,
            ..ObjectMeta::default()
        },
        subsets: (!subsets.is_empty()).then_some(subsets),
    }
}

/// `None` where none of the pods is published.
fn subset(service: &Service, group: Group) -> Option<EndpointSubset> {
    let (mut ready, mut not_ready) = (Vec::new(), Vec::new());
    for endpoint in group.endpoints {
        let said = |which: fn(&EndpointConditions) -> Option<bool>| {
            endpoint.conditions.as_ref().and_then(which) == Some(true)
        };
        if said(|conditions| conditions.terminating) && !publishes_not_ready(service) {
            continue;
        }
        let addresses = if said(|conditions| conditions.ready) { &mut ready } else { &mut not_ready };
        addresses.push(EndpointAddress {
            ip: endpoint.addresses.into_iter().next().unwrap_or_default(),
            hostname: endpoint.hostname,
            node_name: endpoint.node_name,
            target_ref: endpoint.target_ref,
        });
    }
    if ready.is_empty() && not_ready.is_empty() {
        return None;
    }
    let some = |mut list: Vec<EndpointAddress>| {
        list.sort_by(|a, b| a.ip.cmp(&b.ip));
        (!list.is_empty()).then_some(list)
    };
    let port = |(port, number): (&ServicePort, i32)| EndpointPort {
        name: port.name.clone().filter(|name| !name.is_empty()),
        protocol: Some(protocol_of(port)),
        port: number,
        app_protocol: port.app_protocol.clone(),
    };
    Some(EndpointSubset {
        addresses: some(ready),
        not_ready_addresses: some(not_ready),
        ports: Some(ports_at(service, &group.targets).map(port).collect()),
    })
}

/// Leaves `most` addresses, those that are ready before others, and of each subset its part. Whether there were more.
fn truncate(subsets: &mut Vec<EndpointSubset>, most: usize) -> bool {
    let count = |list: &Option<Vec<EndpointAddress>>| list.as_ref().map_or(0, Vec::len);
    let ready: usize = subsets.iter().map(|subset| count(&subset.addresses)).sum();
    let not_ready: usize = subsets.iter().map(|subset| count(&subset.not_ready_addresses)).sum();
    if ready + not_ready <= most {
        return false;
    }
    share(subsets.iter_mut().map(|subset| &mut subset.addresses), ready, ready.min(most));
    let rest = most.saturating_sub(ready);
    share(subsets.iter_mut().map(|subset| &mut subset.not_ready_addresses), not_ready, rest);
    // one must have an address
    subsets.retain(|subset| subset.addresses.is_some() || subset.not_ready_addresses.is_some());
    true
}

/// Leaves `room` of the `all` addresses; upstream rounds up, so that the last has fewer.
fn share<'l>(lists: impl Iterator<Item = &'l mut Option<Vec<EndpointAddress>>>, all: usize, room: usize) {
    let mut left = room;
    for list in lists {
        let Some(addresses) = list.as_mut() else { continue };
        let part = (addresses.len() * room).div_ceil(all.max(1)).min(left);
        addresses.truncate(part);
        left -= part;
        if addresses.is_empty() {
            *list = None;
        }
    }
}

fn is_truncated(endpoints: &Endpoints) -> bool {
    let annotations = endpoints.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(OVER_CAPACITY)).is_some_and(|value| value == TRUNCATED)
}

pub(super) async fn write(
    client: &Client,
    key: &ObjectKey,
    mut wanted: Endpoints,
    since: Option<Timestamp>,
) -> Result<(), Status> {
    let api = client.api::<Endpoints>();
    match api.find(key)? {
        None => {
            trigger_time::stamp(&mut wanted.metadata, since);
            api.create(wanted).await.map(|_| ())
        }
        Some(old)
            if old.subsets == wanted.subsets
                && old.metadata.labels == wanted.metadata.labels
                && is_truncated(&old) == is_truncated(&wanted) =>
        {
            Ok(())
        }
        Some(old) => {
            wanted.metadata.resource_version = old.metadata.resource_version;
            let mut annotations = old.metadata.annotations.unwrap_or_default();
            annotations.remove(OVER_CAPACITY);
            annotations.extend(wanted.metadata.annotations.take().unwrap_or_default());
            wanted.metadata.annotations = Some(annotations);
            trigger_time::stamp(&mut wanted.metadata, since);
            api.update(wanted).await.map(|_| ())
        }
    }
}

/// The Service is gone; its slices go with their owner.
pub(super) async fn remove(client: &Client, gone: &Gone, key: &ObjectKey) -> Result<(), Status> {
    let api = client.api::<Endpoints>();
    let was_here = gone.locked().contains(key);
    if let Some(there) = api.find(key)? {
        let labels = there.metadata.labels.as_ref();
        let manager = labels.and_then(|labels| labels.get(MANAGED_LABEL));
        if was_here || manager.is_some_and(|manager| manager == MANAGER) {
            let options = DeleteOptions { uid: there.metadata.uid.clone(), ..DeleteOptions::default() };
            unless_replaced(api.delete(key, options).await)?;
        }
    }
    gone.locked().remove(key);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(count: usize) -> Option<Vec<EndpointAddress>> {
        let address = |n: usize| EndpointAddress { ip: n.to_string(), ..EndpointAddress::default() };
        (count > 0).then(|| (0..count).map(address).collect())
    }

    #[test]
    fn of_too_many_addresses_those_that_are_ready_stay() {
        // (name, ready and not ready of each subset, what is left, whether it is told)
        for (name, all, want, is_told) in [
            ("none", &[][..], &[][..], false),
            ("few", &[(3, 3), (4, 0)], &[(3, 3), (4, 0)], false),
            ("not ready ones go first", &[(4, 4), (4, 4)], &[(4, 1), (4, 1)], true),
            ("of each subset its part", &[(12, 1), (4, 1)], &[(8, 0), (2, 0)], true),
            ("rounded up, the last has fewer", &[(5, 0), (5, 0), (5, 0)], &[(4, 0), (4, 0), (2, 0)], true),
            ("a subset of which none is left goes", &[(10, 0), (0, 5)], &[(10, 0)], true),
        ] {
            let subset = |(ready, not_ready): &(usize, usize)| EndpointSubset {
                addresses: addresses(*ready),
                not_ready_addresses: addresses(*not_ready),
                ports: None,
            };
            let mut subsets: Vec<EndpointSubset> = all.iter().map(subset).collect();
            assert_eq!(truncate(&mut subsets, 10), is_told, "{name}");
            let want: Vec<EndpointSubset> = want.iter().map(subset).collect();
            assert_eq!(subsets, want, "{name}");
        }
    }
}
