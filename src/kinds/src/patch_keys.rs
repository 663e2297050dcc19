use api::patch::Schema;

/// How the lists of the built-in kinds are merged: upstream's `patchMergeKey` tags, told by the field's place.
pub struct BuiltinKeys;

impl Schema for BuiltinKeys {
    fn merge_key(&self, path: &[&str]) -> Option<Option<&'static str>> {
        let (last, rest) = path.split_last()?;
        let within = rest.last().copied().unwrap_or_default();
        let by = |key| Some(Some(key));
        match (within, *last) {
            ("metadata", "ownerReferences") => by("uid"),
            ("metadata", "finalizers") => Some(None),
            ("containers" | "initContainers" | "ephemeralContainers", list) => match list {
                "env" => by("name"),
                "ports" => by("containerPort"),
                "volumeMounts" => by("mountPath"),
                "volumeDevices" => by("devicePath"),
                _ => None,
            },
            (
                "spec",
                "containers"
                | "initContainers"
                | "ephemeralContainers"
                | "volumes"
                | "imagePullSecrets"
                | "resourceClaims",
            ) => by("name"),
            ("spec", "hostAliases") => by("ip"),
            ("spec", "topologySpreadConstraints") => by("topologyKey"),
            ("spec", "ports") => by("port"),
            ("", "imagePullSecrets" | "secrets") => by("name"),
            ("status", "conditions") => by("type"),
            ("status", "addresses") => by("type"),
            ("status", "podIPs" | "hostIPs") => by("ip"),
            _ => None,
        }
    }
}
