//! A ValidatingAdmissionPolicy's status says which generation of it was seen, and what is suspect in its expressions, given
//! the kinds that it names (`kinds::builtin::policy_types`). As upstream's controller, it looks once at each generation: a kind
//! that is defined later changes nothing.

use crate::status::write_status;
use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{Actor, Client, Cluster, Controller};
use k8s_openapi::api::admissionregistration::v1::{
    TypeChecking, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyStatus,
};
use kinds::builtin::policy_types;
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
    if policy.metadata.generation <= seen.and_then(|status| status.observed_generation) {
        return Ok(());
    }
    // every expression is compiled, and looked at for every kind
    let (asked, registry) = (policy.clone(), client.cluster().registry());
    let warnings = tokio::task::spawn_blocking(move || policy_types::warnings(&asked, &registry));
    let warnings = warnings.await.map_err(Status::internal)?;
    let wanted = ValidatingAdmissionPolicyStatus {
        observed_generation: policy.metadata.generation,
        type_checking: Some(TypeChecking {
            expression_warnings: Some(warnings).filter(|all| !all.is_empty()),
        }),
        ..seen.cloned().unwrap_or_default()
    };
    write_status(&client.api(), &policy.metadata, seen, wanted, |policy: &mut ValidatingAdmissionPolicy| {
        &mut policy.status
    })
    .await
}
