//! ServiceCIDRs say whether Services get addresses from them: upstream's service-cidrs-controller. The machine's routes and
//! rules are made for the one range that the cluster was started with; of any other its condition says that it is not used.

use crate::status::write_status;
use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{Actor, Api, Cluster, Controller};
use k8s_openapi::api::networking::v1::{ServiceCIDR, ServiceCIDRStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use tokio_util::sync::CancellationToken;

const NAME: &str = "service-cidrs-controller";
const READY: &str = "Ready";

pub(crate) fn role() -> ComponentRole {
    let networking = &["networking.k8s.io"];
    ComponentRole::controller(
        NAME,
        vec![
            rule(&["get", "list", "patch", "update", "watch"], networking, &["servicecidrs"]),
            rule(&["patch", "update"], networking, &["servicecidrs/finalizers", "servicecidrs/status"]),
            rule(READ, networking, &["ipaddresses"]),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let ranges: Api<ServiceCIDR> = cluster.acting_as(Actor::controller(NAME)).api();
    let own = cluster.config().service_cidr.to_string();
    Controller::new(NAME, &cluster)
        .reconciles::<ServiceCIDR>()
        .run(stop, (ranges, own), |(ranges, own), key| async move { reconcile(&ranges, &own, &key).await })
        .await;
}

async fn reconcile(ranges: &Api<ServiceCIDR>, own: &str, key: &ObjectKey) -> Result<(), Status> {
    let Some(range) = ranges.find(key)? else { return Ok(()) };
    let wanted = status(&range, own, jiff::Timestamp::now());
    write_status(ranges, &range.metadata, range.status.as_ref(), wanted, |range| &mut range.status).await
}

/// With the other conditions as they are.
fn status(range: &ServiceCIDR, own: &str, now: jiff::Timestamp) -> ServiceCIDRStatus {
    let cidrs = range.spec.as_ref().and_then(|spec| spec.cidrs.as_deref()).unwrap_or_default();
    let (state, reason, message) = match cidrs {
        [one] if one == own => ("True", "", "Kubernetes Service CIDR is ready".to_owned()),
        _ => (
            "False",
            "NotUsed",
            format!("Services get their addresses from {own}, which the cluster was started with"),
        ),
    };
    let mut status = range.status.clone().unwrap_or_default();
    let conditions = status.conditions.get_or_insert_default();
    let before = conditions.iter().position(|c| c.type_ == READY).map(|at| conditions.remove(at));
    let since =
        before.as_ref().filter(|before| before.status == state).map(|b| b.last_transition_time.clone());
    let now = jiff::Timestamp::from_second(now.as_second()).unwrap_or(now);
    conditions.push(Condition {
        type_: READY.to_owned(),
        status: state.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: since.unwrap_or(Time(now)),
        observed_generation: None,
    });
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::networking::v1::ServiceCIDRSpec;

    #[test]
    fn only_the_range_that_is_used_is_ready() {
        let own = "10.96.0.0/16";
        for (cidrs, ready) in
            [(vec![own], "True"), (vec!["10.200.0.0/24"], "False"), (vec![own, "fd00::/112"], "False")]
        {
            let spec = ServiceCIDRSpec { cidrs: Some(cidrs.iter().map(ToString::to_string).collect()) };
            let mut range = ServiceCIDR { spec: Some(spec), ..ServiceCIDR::default() };
            let first = status(&range, own, jiff::Timestamp::from_second(100).unwrap());
            assert_eq!(first.conditions.as_ref().unwrap()[0].status, ready, "{cidrs:?}");
            // looked at again, nothing changes
            range.status = Some(first.clone());
            assert_eq!(status(&range, own, jiff::Timestamp::from_second(200).unwrap()), first, "{cidrs:?}");
        }
    }
}
