//! A pod that names another operating system is refused by the node.

use super::refusal::Refusal;
use crate::pod;
use k8s_openapi::api::core::v1::Pod;

pub(super) fn check(pod: &Pod) -> Option<Refusal> {
    let named = pod::spec(pod).os.as_ref().map(|os| os.name.as_str());
    named.filter(|name| *name != "linux").map(|_| Refusal {
        reason: "PodOSNotSupported",
        message: "Failed to admit pod as the OS field doesn't match node OS".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_linux_runs_here() {
        let cases =
            [(json!(null), false), (json!({"name": "linux"}), false), (json!({"name": "windows"}), true)];
        for (os, refused) in cases {
            let pod: Pod = serde_json::from_value(json!({"spec": {"containers": [], "os": os}})).unwrap();
            assert_eq!(check(&pod).is_some(), refused, "{os}");
        }
    }
}
