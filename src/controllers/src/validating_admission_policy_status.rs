//! A ValidatingAdmissionPolicy's status says which generation of it was seen. Upstream's controller checks the types of its
//! expressions as well, and tells what it suspects; here nothing is suspected, and `typeChecking` is left out.

use crate::status::write_status;
use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{Actor, Client, Cluster, Controller};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyStatus,
};
use tokio_util::sync::CancellationToken;

const NAME: &str = "validatingadmissionpolicy-status-controller";

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(READ, &["admissionregistration.k8s.io"], &["validatingadmissionpolicies"]),
            rule(
                &["get", "patch", "update"],
                &["admissionregistration.k8s.io"],
                &["validatingadmissionpolicies/status"],
            ),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    Controller::new(NAME, &cluster)
        .reconciles::<ValidatingAdmissionPolicy>()
        .run(stop, client, |client, policy: ObjectKey| async move { reconcile(&client, &policy).await })
        .await;
}

async fn reconcile(client: &Client, key: &ObjectKey) -> Result<(), Status> {
    let Some(policy) = client.cluster().informer::<ValidatingAdmissionPolicy>().get(key) else {
        return Ok(());
    };
    let seen = policy.status.as_ref();
    let wanted = ValidatingAdmissionPolicyStatus {
        observed_generation: policy.metadata.generation,
        ..seen.cloned().unwrap_or_default()
    };
    write_status(&client.api(), key, seen, wanted, |policy: &mut ValidatingAdmissionPolicy| {
        &mut policy.status
    })
    .await
}
