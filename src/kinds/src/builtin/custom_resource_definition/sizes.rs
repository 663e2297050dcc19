//! How large the schemas of a definition are.

use crate::ErrorList;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use schema::Allowance;

/// How large all schemas together may be. Those that stay as they are were accepted once, and whoever changes something else, or deletes
/// the definition, is not told of them.
pub(super) fn validate(
    definition: &CustomResourceDefinition,
    old: Option<&CustomResourceDefinition>,
    errors: &mut ErrorList,
) {
    let is_as_before = |version: &CustomResourceDefinitionVersion| {
        let known = old.and_then(|old| old.spec.versions.iter().find(|known| known.name == version.name));
        known.is_some_and(|known| known.schema == version.schema)
    };
    if definition.spec.versions.iter().all(is_as_before) {
        return;
    }
    let mut allowance = Allowance::default();
    for version in &definition.spec.versions {
        let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
        if let Some(Ok(schema)) = schema.map(api::json::to_value) {
            // what is wrong with it is said elsewhere
            let _ = schema::from_openapi_within(&schema, "", &mut allowance);
        }
        if let Some(why) = allowance.exceeded() {
            return errors.forbidden("spec.versions", why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{definition_with, told_by};
    use super::*;
    use serde_json::{Map, Value, json};

    fn of_fields(count: usize) -> CustomResourceDefinition {
        let fields: Map<String, Value> =
            (0..count).map(|number| (format!("f{number}"), json!({"type": "string"}))).collect();
        definition_with(json!({"type": "object", "properties": fields}))
    }

    fn told(new: &CustomResourceDefinition, old: Option<&CustomResourceDefinition>) -> Vec<String> {
        told_by(|errors| validate(new, old, errors))
    }

    #[test]
    fn a_definition_is_refused_for_its_size_and_not_where_it_stays() {
        let (small, large) = (of_fields(1000), of_fields(66_000));
        assert_eq!(told(&small, None), [""; 0]);
        let want = "spec.versions: Forbidden: must have at most 65536 schemas in all versions together";
        for old in [None, Some(&small)] {
            let refused = told(&large, old);
            assert!(refused.len() == 1 && refused[0].starts_with(want), "{refused:?}");
        }
        assert_eq!(told(&large, Some(&large)), [""; 0]);
        assert_eq!(told(&small, Some(&large)), [""; 0]);
    }
}
