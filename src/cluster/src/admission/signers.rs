//! Who may decide for a signer: `signers` is a resource that only rules know.

use crate::{Actor, Attributes, Cluster};

/// By the signer's name, or its domain with a star.
pub(super) fn may(cluster: &Cluster, actor: &Actor, verb: &str, signer: &str) -> bool {
    let domain = signer.split('/').next().unwrap_or_default();
    [signer.to_owned(), format!("{domain}/*")].into_iter().any(|name| {
        let attributes = Attributes {
            verb: verb.to_owned(),
            group: "certificates.k8s.io".to_owned(),
            resource: "signers".to_owned(),
            name: Some(name),
            ..Attributes::default()
        };
        cluster.decide(actor, &attributes).is_allowed()
    })
}
