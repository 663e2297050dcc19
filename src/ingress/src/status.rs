//! Writes into each ingress where it is reached.

use api::{Reason, Status};
use cluster::Client;
use k8s_openapi::api::networking::v1::{
    Ingress, IngressLoadBalancerIngress, IngressLoadBalancerStatus, IngressStatus,
};
use kinds::key_of;
use std::net::IpAddr;

pub(crate) fn says(ingress: &Ingress, address: IpAddr) -> bool {
    let status = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let given = status.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default();
    given == [at(address)]
}

/// # Errors
/// What the cluster says; that it is gone is none.
pub(crate) async fn write(client: &Client, ingress: &Ingress, address: IpAddr) -> Result<(), Status> {
    let balancer = IngressLoadBalancerStatus { ingress: Some(vec![at(address)]) };
    let written = client
        .api::<Ingress>()
        .modify_status(&key_of(&ingress.metadata), |ingress| {
            ingress.status = Some(IngressStatus { load_balancer: Some(balancer.clone()) });
            Ok(())
        })
        .await;
    match written {
        Err(status) if !status.is(Reason::NotFound) => Err(status),
        _ => Ok(()),
    }
}

fn at(address: IpAddr) -> IngressLoadBalancerIngress {
    IngressLoadBalancerIngress { ip: Some(address.to_string()), ..IngressLoadBalancerIngress::default() }
}
