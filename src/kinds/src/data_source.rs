//! What a claim's volume is made from, as the claim says it: asked by whoever makes the volume, and by whoever holds the
//! source meanwhile. Pure.

use crate::snapshot;
use api::ObjectKey;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;

/// The object that a claim names in `dataSource` or `dataSourceRef`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataSource<'c> {
    /// `""` for the core group.
    pub group: &'c str,
    pub kind: &'c str,
    /// The claim's own, unless it names another one.
    pub namespace: Option<&'c str>,
    pub name: &'c str,
}

impl<'c> DataSource<'c> {
    /// `None` where the volume begins empty.
    pub fn of(claim: &'c PersistentVolumeClaim) -> Option<Self> {
        let spec = claim.spec.as_ref()?;
        // the API server keeps the two alike, but for a namespace, which only the reference can have
        let (group, kind, namespace, name) = match (&spec.data_source, &spec.data_source_ref) {
            (Some(of), _) => (&of.api_group, &of.kind, None, &of.name),
            (None, Some(of)) => (&of.api_group, &of.kind, of.namespace.as_deref(), &of.name),
            (None, None) => return None,
        };
        let namespace = namespace.filter(|named| !named.is_empty());
        Some(DataSource {
            group: group.as_deref().unwrap_or_default(),
            kind,
            namespace: namespace.or(claim.metadata.namespace.as_deref()),
            name,
        })
    }

    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(self.namespace, self.name)
    }
}

/// The snapshot of the claim's namespace that its volume is to be made of.
pub fn restored_from(claim: &PersistentVolumeClaim) -> Option<ObjectKey> {
    let source = DataSource::of(claim)?;
    let is_snapshot = source.group == snapshot::GROUP && source.kind == snapshot::KIND;
    (is_snapshot && source.namespace == claim.metadata.namespace.as_deref()).then(|| source.key())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_claim_is_restored_from_a_snapshot_of_its_namespace() {
        let of = |kind: &str| json!({"apiGroup": snapshot::GROUP, "kind": kind, "name": "s"});
        let in_namespace = |namespace: &str| {
            let mut reference = of(snapshot::KIND);
            reference["namespace"] = json!(namespace);
            json!({"dataSourceRef": reference})
        };
        let cases = [
            ("nothing", json!({}), false),
            ("the old field", json!({"dataSource": of(snapshot::KIND)}), true),
            ("both", json!({"dataSource": of(snapshot::KIND), "dataSourceRef": of(snapshot::KIND)}), true),
            ("a reference", json!({"dataSourceRef": of(snapshot::KIND)}), true),
            ("a reference without a namespace", in_namespace(""), true),
            ("a reference with its namespace", in_namespace("d"), true),
            ("a reference to another namespace", in_namespace("o"), false),
            ("another kind", json!({"dataSource": of("VolumeGroupSnapshot")}), false),
            ("a claim", json!({"dataSource": {"kind": "PersistentVolumeClaim", "name": "s"}}), false),
        ];
        for (name, spec, want) in cases {
            let claim: PersistentVolumeClaim =
                serde_json::from_value(json!({"metadata": {"name": "c", "namespace": "d"}, "spec": spec}))
                    .unwrap();
            let want = want.then(|| ObjectKey::namespaced("d", "s"));
            assert_eq!(restored_from(&claim), want, "{name}");
        }
    }
}
