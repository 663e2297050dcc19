//! What a pod is given of ClusterTrustBundles: the certificates of those that its projection chooses, each once. Pure.

use crate::pem;
use crate::sources::Sources;
use k8s_openapi::api::certificates::v1::ClusterTrustBundle;
use k8s_openapi::api::core::v1::ClusterTrustBundleProjection;
use std::collections::BTreeSet;
use std::sync::Arc;

/// PEM. Empty where nothing fits and nothing need be there.
///
/// # Errors
/// Which bundle is missing.
pub(super) fn anchors(
    projection: &ClusterTrustBundleProjection,
    sources: &dyn Sources,
) -> Result<String, String> {
    let chosen = chosen(projection, sources.trust_bundles())?;
    if chosen.is_empty() && projection.optional != Some(true) {
        return Err(match (&projection.name, &projection.signer_name) {
            (Some(name), _) => format!("clustertrustbundle {name:?} not found"),
            (None, signer) => {
                let signer = signer.as_deref().unwrap_or_default();
                format!(
                    "combination of signerName {signer:?} and labelSelector matched zero ClusterTrustBundles"
                )
            }
        });
    }
    // they are read as they were when the bundle was written
    let certificates: BTreeSet<String> =
        chosen.iter().flat_map(|bundle| pem::certificates(&bundle.spec.trust_bundle)).collect();
    Ok(certificates.into_iter().collect())
}

fn chosen(
    projection: &ClusterTrustBundleProjection,
    all: Vec<Arc<ClusterTrustBundle>>,
) -> Result<Vec<Arc<ClusterTrustBundle>>, String> {
    if let Some(name) = &projection.name {
        return Ok(all.into_iter().filter(|bundle| bundle.metadata.name.as_ref() == Some(name)).collect());
    }
    // no selector selects nothing, and an empty one everything
    let Some(selector) = &projection.label_selector else { return Ok(Vec::new()) };
    let selector = kinds::selectors::from_object(selector)?;
    let fits = |bundle: &Arc<ClusterTrustBundle>| {
        bundle.spec.signer_name == projection.signer_name
            && selector.matches(&bundle.metadata.labels.clone().unwrap_or_default())
    };
    Ok(all.into_iter().filter(fits).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::tests::Fixed;
    use serde_json::{Value, json};

    fn pem(letters: &str) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{letters}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn a_projection_gets_what_it_chooses() {
        let bundle = |name: &str, signer: Option<&str>, labels: Value, pem: String| json!({"metadata": {"name": name, "labels": labels}, "spec": {"signerName": signer, "trustBundle": pem}});
        let sources = Fixed::default()
            .trust_bundle(bundle("own", None, json!({}), format!("words\n{}{}", pem("Bw=="), pem("Aw=="))))
            // a beginning that does not begin its line is none, here as where the bundle was checked
            .trust_bundle(bundle("odd", None, json!({}), format!("x{}{}", pem("Cw=="), pem("Aw=="))))
            .trust_bundle(bundle("s:1", Some("a.b/s"), json!({"live": "yes"}), pem("Cw==")))
            .trust_bundle(bundle("s:2", Some("a.b/s"), json!({}), format!("{}{}", pem("Cw=="), pem("Dw=="))));
        let none = "combination of signerName \"a.b/s\" and labelSelector matched zero ClusterTrustBundles";
        let cases = [
            ("by name", json!({"name": "own"}), Ok(pem("Aw==") + &pem("Bw=="))),
            ("what looks like one", json!({"name": "odd"}), Ok(pem("Aw=="))),
            ("none of the name", json!({"name": "x"}), Err("clustertrustbundle \"x\" not found".to_owned())),
            ("that need not be", json!({"name": "x", "optional": true}), Ok(String::new())),
            (
                "all of a signer",
                json!({"signerName": "a.b/s", "labelSelector": {}}),
                Ok(pem("Cw==") + &pem("Dw==")),
            ),
            (
                "some of a signer",
                json!({"signerName": "a.b/s", "labelSelector": {"matchLabels": {"live": "yes"}}}),
                Ok(pem("Cw==")),
            ),
            ("no selector", json!({"signerName": "a.b/s"}), Err(none.to_owned())),
        ];
        for (name, mut projection, want) in cases {
            projection["path"] = "ca.pem".into();
            let projection = serde_json::from_value(projection).unwrap();
            assert_eq!(anchors(&projection, &sources), want, "{name}");
        }
    }
}
