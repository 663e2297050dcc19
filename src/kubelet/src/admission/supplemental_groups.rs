//! `supplementalGroupsPolicy: Strict` (KEP-3619): the groups that the image's own files give a user would have to be left
//! out. The runtime merges them always.

use super::refusal::Refusal;
use crate::pod;
use k8s_openapi::api::core::v1::Pod;

pub(super) fn check(pod: &Pod) -> Option<Refusal> {
    let policy = pod::spec(pod).security_context.as_ref()?.supplemental_groups_policy.as_deref()?;
    (policy == "Strict").then(|| Refusal {
        reason: "SupplementalGroupsPolicyNotSupported",
        message: format!("SupplementalGroupsPolicy={policy} is not supported in this node"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn strict_is_refused() {
        for (policy, refused) in [(json!(null), false), (json!("Merge"), false), (json!("Strict"), true)] {
            let security = json!({"supplementalGroupsPolicy": policy});
            let pod: Pod =
                serde_json::from_value(json!({"spec": {"containers": [], "securityContext": security}}))
                    .unwrap();
            assert_eq!(check(&pod).is_some(), refused, "{policy}");
        }
    }
}
