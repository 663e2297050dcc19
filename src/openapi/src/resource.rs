//! What documents are made of: each resource of the registry, built in or custom, that has a schema.

use api::Gvk;
use kinds::{Registry, ResourceInfo, Version};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) struct Resource {
    pub(crate) info: ResourceInfo,
    /// The name of its definition: `io.k8s.api.apps.v1.Deployment`, `com.example.stable.v1.CronTab`
    pub(crate) definition: String,
    /// Where a CustomResourceDefinition defines it.
    custom: Option<Arc<Version>>,
}

impl Resource {
    /// Those that have a schema; metrics have none.
    pub(crate) fn all(registry: &Registry) -> Vec<Arc<Resource>> {
        let each = registry.resources().filter_map(|info| {
            let custom = registry.by_gvr(&info.gvr).filter(|version| version.published_schema().is_some());
            let definition = match custom {
                Some(_) => custom_definition(&info.gvk),
                None => built_in_definition(&info.gvk)?.to_owned(),
            };
            Some(Arc::new(Resource { info: info.clone(), definition, custom }))
        });
        each.collect()
    }

    /// The schema of a custom kind, as its definition has it: JSON.
    pub(crate) fn schema(&self) -> Option<&str> {
        self.custom.as_ref()?.published_schema()
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.custom.is_some()
    }

    /// `api/v1`, `apis/apps/v1`
    pub(crate) fn root(&self) -> String {
        let prefix = if self.info.gvk.group.is_empty() { "api" } else { "apis" };
        format!("{prefix}/{}", self.info.gvk.api_version())
    }

    /// The definition of what is sent and answered at the resource or below it.
    pub(crate) fn definition_of(&self, gvk: &Gvk) -> Option<&str> {
        if *gvk == self.info.gvk { Some(&self.definition) } else { built_in_definition(gvk) }
    }
}

fn built_in_definition(gvk: &Gvk) -> Option<&'static str> {
    let names = (gvk.group.as_ref(), gvk.version.as_ref(), gvk.kind.as_ref());
    let found = crate::KINDS.iter().find(|(group, version, kind, _)| (*group, *version, *kind) == names);
    found.map(|(.., definition)| *definition)
}

fn custom_definition(gvk: &Gvk) -> String {
    let reversed: Vec<&str> = gvk.group.rsplit('.').collect();
    format!("{}.{}.{}", reversed.join("."), gvk.version, gvk.kind)
}

/// As `x-kubernetes-group-version-kind` names it.
pub(crate) fn mark(gvk: &Gvk) -> Value {
    json!({"group": gvk.group, "kind": gvk.kind, "version": gvk.version})
}
