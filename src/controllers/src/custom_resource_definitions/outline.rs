//! A definition as the controller follows it: without its schemas, of which each field would take a kilobyte and a half for as long as
//! the definition is there. Who needs them reads what is stored.

use api::GroupResource;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionNames, CustomResourceDefinitionSpec,
    CustomResourceDefinitionStatus, CustomResourceDefinitionVersion,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{Metadata, Resource};
use kinds::StoredKind;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Written")]
pub(super) struct Outline(pub(super) CustomResourceDefinition);

/// What is read of it; all else is passed over.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    metadata: ObjectMeta,
    spec: Spec,
    status: Option<CustomResourceDefinitionStatus>,
}

#[derive(Deserialize)]
struct Spec {
    group: String,
    names: CustomResourceDefinitionNames,
    scope: String,
    versions: Option<Vec<Version>>,
}

#[derive(Deserialize)]
struct Version {
    name: String,
    #[serde(default)]
    served: bool,
    #[serde(default)]
    storage: bool,
}

impl From<Written> for Outline {
    fn from(written: Written) -> Self {
        let Written { metadata, spec, status } = written;
        let versions = spec.versions.into_iter().flatten().map(|version| CustomResourceDefinitionVersion {
            name: version.name,
            served: version.served,
            storage: version.storage,
            ..CustomResourceDefinitionVersion::default()
        });
        let spec = CustomResourceDefinitionSpec {
            versions: versions.collect(),
            group: spec.group,
            names: spec.names,
            scope: spec.scope,
            ..CustomResourceDefinitionSpec::default()
        };
        Outline(CustomResourceDefinition { metadata, spec, status })
    }
}

impl Resource for Outline {
    const API_VERSION: &'static str = CustomResourceDefinition::API_VERSION;
    const GROUP: &'static str = CustomResourceDefinition::GROUP;
    const KIND: &'static str = CustomResourceDefinition::KIND;
    const VERSION: &'static str = CustomResourceDefinition::VERSION;
    const URL_PATH_SEGMENT: &'static str = CustomResourceDefinition::URL_PATH_SEGMENT;
    type Scope = <CustomResourceDefinition as Resource>::Scope;
}

impl Metadata for Outline {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        &self.0.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.0.metadata
    }
}

impl StoredKind for Outline {
    fn storage() -> GroupResource {
        <CustomResourceDefinition as StoredKind>::storage()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_outline_has_all_but_the_schemas() {
        let definition = json!({
            "metadata": {"name": "things.example.com", "generation": 3},
            "spec": {"group": "example.com", "scope": "Cluster", "names": {"plural": "things", "kind": "Thing"},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "string"}}}}}]},
            "status": {"conditions": [{"type": "Established", "status": "True"}], "storedVersions": ["v1"]}});
        let mut want: CustomResourceDefinition = serde_json::from_value(definition.clone()).unwrap();
        want.spec.versions[0].schema = None;
        let outline: Outline = serde_json::from_value(definition).unwrap();
        assert_eq!(outline.0, want);
    }
}
