//! Upstream's RuntimeClass admission: a pod that names a class which is not there is refused. The kind is not served, so no
//! class ever is.

use ::api::{GroupResource, Status};
use k8s_openapi::api::core::v1::Pod;
use kinds::Instance;

pub(super) fn admit(object: &dyn Instance) -> Result<(), Status> {
    let Some(pod) = object.downcast_ref::<Pod>() else { return Ok(()) };
    let class = pod.spec.as_ref().and_then(|spec| spec.runtime_class_name.as_deref());
    let Some(class) = class.filter(|class| !class.is_empty()) else { return Ok(()) };
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let why = format!("pod rejected: RuntimeClass {class:?} not found");
    Err(Status::forbidden(&GroupResource::new("", "pods"), name, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_class_that_is_not_there_is_refused() {
        for (class, want) in [
            (json!(null), None),
            (json!(""), None),
            (
                json!("gvisor"),
                Some("pods \"p\" is forbidden: pod rejected: RuntimeClass \"gvisor\" not found"),
            ),
        ] {
            let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"},
                "spec": {"containers": [], "runtimeClassName": class}}))
            .unwrap();
            let said = admit(&pod).err().map(|status| status.message);
            assert_eq!(said.as_deref(), want, "{class}");
        }
    }
}
