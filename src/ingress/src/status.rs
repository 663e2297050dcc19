//! Writes into each ingress where it is reached: once for each address. Whoever writes another status after that (a test
//! suite, another controller, a user) is not fought with.

use api::Status;
use cluster::{Client, unless_gone};
use k8s_openapi::api::networking::v1::{
    Ingress, IngressLoadBalancerIngress, IngressLoadBalancerStatus, IngressStatus,
};
use kinds::key_of;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// What stands in which ingress, by uid, as far as it came from here or was seen to be so.
#[derive(Default)]
pub(crate) struct Written(HashMap<String, IpAddr>);

impl Written {
    /// Those whose status has to be written, and only those: forgets all others that are gone.
    pub(crate) fn due(&mut self, ingresses: &[Arc<Ingress>], address: IpAddr) -> Vec<Arc<Ingress>> {
        let before = std::mem::take(&mut self.0);
        let mut due = Vec::new();
        for ingress in ingresses {
            let uid = ingress.metadata.uid.clone().unwrap_or_default();
            if before.get(&uid) == Some(&address) || says(ingress, address) {
                self.0.insert(uid, address);
            } else {
                due.push(ingress.clone());
            }
        }
        due
    }

    pub(crate) fn done(&mut self, ingress: &Ingress, address: IpAddr) {
        self.0.insert(ingress.metadata.uid.clone().unwrap_or_default(), address);
    }
}

fn says(ingress: &Ingress, address: IpAddr) -> bool {
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
    unless_gone(written).map(drop)
}

fn at(address: IpAddr) -> IngressLoadBalancerIngress {
    IngressLoadBalancerIngress { ip: Some(address.to_string()), ..IngressLoadBalancerIngress::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ingress(uid: &str, says: &str) -> Arc<Ingress> {
        let status = json!({"loadBalancer": {"ingress": [{"ip": says}]}});
        Arc::new(serde_json::from_value(json!({"metadata": {"uid": uid}, "status": status})).unwrap())
    }

    #[test]
    fn a_status_is_written_once_for_each_address() {
        let (here, moved): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let due = |written: &mut Written, ingresses: &[Arc<Ingress>], address| {
            let due = written.due(ingresses, address);
            due.iter().for_each(|ingress| written.done(ingress, address));
            due.into_iter().filter_map(|ingress| ingress.metadata.uid.clone()).collect::<Vec<_>>().join(" ")
        };
        let mut written = Written::default();
        // (name, ingresses and what their status says, our address, who is written to)
        let cases = [
            ("one is new, one has it", vec![("new", ""), ("old", "10.0.0.1")], here, "new"),
            ("what was written is seen", vec![("new", "10.0.0.1"), ("old", "10.0.0.1")], here, ""),
            ("another has written", vec![("new", "169.1.1.1"), ("old", "")], here, ""),
            ("the address changes", vec![("new", "169.1.1.1"), ("old", "10.0.0.1")], moved, "new old"),
            ("it is gone", vec![("old", "10.0.0.2")], moved, ""),
            ("its name comes again", vec![("new", ""), ("old", "10.0.0.2")], moved, "new"),
        ];
        for (name, ingresses, address, want) in cases {
            let ingresses: Vec<_> = ingresses.iter().map(|(uid, says)| ingress(uid, says)).collect();
            assert_eq!(due(&mut written, &ingresses, address), want, "{name}");
        }
    }
}
