use api::apply::{ListType, Structure};
use serde_json::Value;

/// Which parts of the built-in kinds may have owners of their own: upstream's `listType`, `listMapKey` and `mapType`
/// tags, told by the field's place. What is not here is a granular object or an atomic list.
pub struct BuiltinStructure;

impl Structure for BuiltinStructure {
    fn list(&self, path: &[&str]) -> ListType {
        let Some((last, rest)) = path.split_last() else { return ListType::Atomic };
        let within = rest.last().copied().unwrap_or_default();
        let by = |keys: &'static [&'static str]| ListType::map(keys);
        match (within, *last) {
            ("metadata", "ownerReferences") => by(&["uid"]),
            ("metadata", "finalizers") => ListType::Set,
            ("containers" | "initContainers" | "ephemeralContainers", list) => match list {
                "env" => by(&["name"]),
                "ports" => by(&["containerPort", "protocol"]),
                "volumeMounts" => by(&["mountPath"]),
                "volumeDevices" => by(&["devicePath"]),
                _ => ListType::Atomic,
            },
            (
                "spec",
                "containers"
                | "initContainers"
                | "ephemeralContainers"
                | "volumes"
                | "imagePullSecrets"
                | "resourceClaims"
                | "schedulingGates",
            ) => by(&["name"]),
            ("resources", "claims") => by(&["name"]),
            ("spec", "hostAliases") => by(&["ip"]),
            ("spec", "topologySpreadConstraints") => by(&["topologyKey", "whenUnsatisfiable"]),
            ("spec", "ports") => by(&["port", "protocol"]),
            ("spec", "podCIDRs") | ("endpoints", "addresses") => ListType::Set,
            ("", "secrets") => by(&["name"]),
            ("status", "conditions" | "addresses") => by(&["type"]),
            ("status", "podIPs" | "hostIPs") => by(&["ip"]),
            _ => ListType::Atomic,
        }
    }

    fn is_atomic(&self, path: &[&str]) -> bool {
        let Some((last, rest)) = path.split_last() else { return false };
        let within = rest.last().copied().unwrap_or_default();
        match (within, *last) {
            ("spec", "selector" | "nodeSelector")
            | ("", "roleRef" | "involvedObject" | "regarding" | "related") => true,
            (
                "valueFrom",
                "configMapKeyRef" | "secretKeyRef" | "fieldRef" | "resourceFieldRef" | "fileKeyRef",
            ) => true,
            // references to an object; the items of these lists are such
            ("spec", "imagePullSecrets") | ("metadata", "ownerReferences") | ("", "secrets") => true,
            ("nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution") => true,
            (_, "labelSelector" | "namespaceSelector" | "scaleTargetRef" | "targetRef") => true,
            _ => false,
        }
    }

    fn default_of(&self, _: &[&str], key: &str) -> Option<Value> {
        (key == "protocol").then(|| "TCP".into())
    }
}
