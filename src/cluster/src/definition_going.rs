//! Of a definition that goes there are no new objects: whoever made them anew, as operators do, would hold it forever.

use crate::{Cluster, Target};
use ::api::{ObjectKey, Reason, Status};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kinds::TypedKind;
use store::Resource;

const REFUSAL: &str = "create not allowed while custom resource definition is terminating";

impl Cluster {
    /// In upstream's words, and before admission. What is created by being applied or put is let through, as there; it goes with
    /// the others.
    ///
    /// # Errors
    /// `MethodNotAllowed`
    pub(crate) fn check_definition_stays(&self, target: &Target) -> Result<(), Status> {
        if target.version.stored_version().is_none() {
            // built in
            return Ok(());
        }
        let kind = &target.version.info().storage;
        let name = ObjectKey::cluster(&format!("{}.{}", kind.resource, kind.group));
        let definitions = Resource::from(&CustomResourceDefinition::info().storage);
        match self.store().snapshot().get(&definitions, &name) {
            Some(definition) if definition.meta().is_deleting() => {
                Err(Status::new(Reason::MethodNotAllowed, REFUSAL))
            }
            _ => Ok(()),
        }
    }
}
