//! A pod that names an AppArmor profile runs under it or not at all (upstream's `appArmorAdmitHandler`). The runtime loads
//! and applies no profiles, so a kernel that has AppArmor helps nobody here.

use super::refusal::Refusal;
use crate::pod;
use k8s_openapi::api::core::v1::{AppArmorProfile, Container, Pod};
use kinds::annotations::APP_ARMOR;

pub(super) fn check(pod: &Pod, host_has_it: bool) -> Option<Refusal> {
    if !pod::all_containers(pod::spec(pod)).any(|container| is_confined(pod, container)) {
        return None;
    }
    let why = match host_has_it {
        false => "AppArmor is not enabled on the host",
        true => "the container runtime does not apply AppArmor profiles",
    };
    Some(Refusal { reason: "AppArmor", message: format!("Cannot enforce AppArmor: {why}") })
}

/// The container's own profile wins over the pod's, and both over an annotation.
fn is_confined(pod: &Pod, container: &Container) -> bool {
    let own = container.security_context.as_ref().and_then(|s| s.app_armor_profile.as_ref());
    let whole = pod::spec(pod).security_context.as_ref().and_then(|s| s.app_armor_profile.as_ref());
    let annotations = pod.metadata.annotations.as_ref();
    let annotation = annotations.and_then(|all| all.get(&format!("{APP_ARMOR}{}", container.name)));
    let confines = |profile: &AppArmorProfile| profile.type_ != "Unconfined";
    let named = |profile: &String| !profile.is_empty() && profile != "unconfined";
    own.or(whole).map(confines).or_else(|| annotation.map(named)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_is_refused() {
        let profile = |kind: &str| json!({"appArmorProfile": {"type": kind}});
        let none = json!({});
        let cases = [
            ("nobody asks", none.clone(), none.clone(), none.clone(), false),
            ("the pod asks", profile("RuntimeDefault"), none.clone(), none.clone(), true),
            ("the container asks", none.clone(), profile("Localhost"), none.clone(), true),
            (
                "the container has its own",
                profile("RuntimeDefault"),
                profile("Unconfined"),
                none.clone(),
                false,
            ),
            (
                "an annotation asks",
                none.clone(),
                none.clone(),
                json!({"container.apparmor.security.beta.kubernetes.io/c": "runtime/default"}),
                true,
            ),
            (
                "an annotation for another",
                none.clone(),
                none.clone(),
                json!({"container.apparmor.security.beta.kubernetes.io/d": "runtime/default"}),
                false,
            ),
            (
                "an annotation asks for none",
                none.clone(),
                none,
                json!({"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}),
                false,
            ),
        ];
        for (name, whole, own, annotations, refused) in cases {
            let pod: Pod = serde_json::from_value(json!({"metadata": {"annotations": annotations},
                "spec": {"securityContext": whole, "containers": [{"name": "c", "securityContext": own}]}}))
            .unwrap();
            let said = check(&pod, false).map(|r| r.message);
            let want =
                refused.then(|| "Cannot enforce AppArmor: AppArmor is not enabled on the host".to_owned());
            assert_eq!(said, want, "{name}");
            assert_eq!(check(&pod, true).is_some(), refused, "{name}, on a host that has it");
        }
    }
}
