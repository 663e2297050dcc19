//! The objects that a binding takes its policy's parameters from (upstream's `CollectParams`).

use crate::admission_request::attributes::Admission;
use crate::admission_request::matching::selector;
use ::api::{Gvk, Object, ObjectKey};
use k8s_openapi::api::admissionregistration::v1::{ParamKind, ParamRef};
use kinds::Scope;
use serde_json::Value;
use store::Resource;

impl Admission<'_> {
    /// One evaluation for each; a policy without parameters has one, with null.
    ///
    /// # Errors
    /// In words: a kind that there is not, a namespace that is missing or too much, no object where one is needed.
    pub(super) async fn parameters(
        &self,
        kind: Option<&ParamKind>,
        reference: Option<&ParamRef>,
    ) -> Result<Vec<Value>, String> {
        let (Some(kind), Some(reference)) = (kind, reference) else { return Ok(vec![Value::Null]) };
        let version = gvk_of(kind).and_then(|gvk| self.cluster.registry().by_gvk(&gvk));
        let version = version.ok_or_else(|| {
            format!(
                "paramKind kind `&ParamKind{{APIVersion:{},Kind:{},}}` not known",
                kind.api_version.as_deref().unwrap_or_default(),
                kind.kind.as_deref().unwrap_or_default()
            )
        })?;
        let wanted = reference.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        let namespace = match (version.info().scope, wanted, self.target.namespace.as_deref()) {
            (Scope::Cluster, None, _) => None,
            (Scope::Cluster, Some(_), _) => {
                return Err(
                    "paramRef.namespace must not be provided for a cluster-scoped `paramKind`".to_owned()
                );
            }
            (Scope::Namespaced, Some(namespace), _) | (Scope::Namespaced, None, Some(namespace)) => {
                Some(namespace)
            }
            (Scope::Namespaced, None, None) => {
                let why =
                    "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources";
                return Err(why.to_owned());
            }
        };
        let snapshot = self.cluster.store().snapshot();
        let resource = Resource::from(&version.info().storage);
        let found: Vec<Object> = match reference.name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => snapshot.get(&resource, &ObjectKey::new(namespace, name)).into_iter().collect(),
            None => {
                let selector = selector(reference.selector.as_ref());
                let all = snapshot.list(&resource, namespace, None);
                all.filter(|object| selector.matches(&object.meta().labels)).cloned().collect()
            }
        };
        if found.is_empty() && reference.parameter_not_found_action.as_deref() == Some("Deny") {
            return Err("no params found for policy binding with `Deny` parameterNotFoundAction".to_owned());
        }
        let found = self.cluster.in_version(&version, found).await.map_err(|why| why.message)?;
        let shown = |object: &Object| {
            serde_json::from_slice(&version.present(object.bytes())).map_err(|why| why.to_string())
        };
        found.iter().map(shown).collect()
    }
}

/// `None` where it is not said in full.
pub(crate) fn gvk_of(kind: &ParamKind) -> Option<Gvk> {
    Some(Gvk::parse(kind.api_version.as_deref()?, kind.kind.as_deref()?))
}
