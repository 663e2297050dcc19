//! CustomResourceDefinition: what of a definition is refused. `apiextensions` makes kinds of those that are not.

mod conversion;
mod defaults;
mod extensions;
mod selectable_fields;
mod sizes;
#[cfg(test)]
mod testing;
mod versions;

use super::{name_of, names};
use crate::{Cell, Column, ErrorList, Scope, Subresource, TypedKind};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, CustomResourceDefinitionNames,
    CustomResourceDefinitionStatus, JSONSchemaProps,
};

/// Groups of upstream's own: who defines a kind in one of them says where that was agreed.
const PROTECTED: [&str; 2] = ["k8s.io", "kubernetes.io"];
const APPROVAL: &str = "api-approved.kubernetes.io";

impl TypedKind for CustomResourceDefinition {
    const SINGULAR: &'static str = "customresourcedefinition";
    const PLURAL: &'static str = "customresourcedefinitions";
    const UPDATED_UNCONDITIONALLY: bool = false;
    const SHORT_NAMES: &'static [&'static str] = &["crd", "crds"];
    const CATEGORIES: &'static [&'static str] = &["api-extensions"];
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("Group", "string", "The group that it defines a kind of"),
        Column::new("Scope", "string", "Whether the objects are in namespaces"),
        Column::new("Versions", "string", "The versions of the kind"),
        Column::new("Created At", "date", "When the definition was made"),
    ];

    fn set_defaults(&mut self) {
        let names = &mut self.spec.names;
        if names.singular.as_deref().unwrap_or_default().is_empty() {
            names.singular = Some(names.kind.to_lowercase());
        }
        if names.list_kind.as_deref().unwrap_or_default().is_empty() && !names.kind.is_empty() {
            names.list_kind = Some(format!("{}List", names.kind));
        }
        let none = || CustomResourceConversion { strategy: "None".to_owned(), webhook: None };
        let conversion = self.spec.conversion.get_or_insert_with(none);
        let service = conversion
            .webhook
            .as_mut()
            .and_then(|webhook| webhook.client_config.as_mut())
            .and_then(|client| client.service.as_mut());
        if let Some(service) = service {
            service.port.get_or_insert(443);
        }
    }

    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
        self.status = Some(CustomResourceDefinitionStatus::default());
    }
    super::spec_and_status!();

    fn validate_name(name: &str) -> Result<(), String> {
        names::dns_subdomain(name)
    }

    fn validate(&self, errors: &mut ErrorList) {
        let spec = &self.spec;
        let name = self.metadata.name.as_deref().unwrap_or_default();
        if name != format!("{}.{}", spec.names.plural, spec.group) {
            errors.invalid("metadata.name", name, "must be spec.names.plural+\".\"+spec.group");
        }
        group(&spec.group, self.metadata.annotations.as_ref(), errors);
        match spec.scope.as_str() {
            "Cluster" | "Namespaced" => {}
            "" => errors.required("spec.scope", ""),
            other => errors.not_supported("spec.scope", other, &["Cluster", "Namespaced"]),
        }
        if spec.preserve_unknown_fields == Some(true) {
            errors.invalid(
                "spec.preserveUnknownFields",
                true,
                "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
            );
        }
        versions::validate(&spec.versions, errors);
        all_names(&spec.names, errors);
        conversion::validate(spec.conversion.as_ref(), errors);
    }

    fn validate_create(&self, errors: &mut ErrorList) {
        sizes::validate(self, None, errors);
        extensions::validate(self, None, errors);
        rule_costs(self, None, errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        sizes::validate(self, Some(old), errors);
        extensions::validate(self, Some(old), errors);
        rule_costs(self, Some(old), errors);
        let (new, before) = (&self.spec, &old.spec);
        let mut stays = |field: &str, new: &str, old: &str| {
            if new != old {
                errors.invalid(field, new, "field is immutable");
            }
        };
        stays("spec.group", &new.group, &before.group);
        stays("spec.names.plural", &new.names.plural, &before.names.plural);
        if is_established(old) {
            stays("spec.scope", &new.scope, &before.scope);
            stays("spec.names.kind", &new.names.kind, &before.names.kind);
        }
        let stored =
            self.status.iter().flat_map(|status| status.stored_versions.iter().flatten()).enumerate();
        for (index, version) in stored {
            if !new.versions.iter().any(|known| known.name == *version) {
                errors.invalid(
                    format!("status.storedVersions[{index}]"),
                    version.as_str(),
                    format!(
                        "missing from spec.versions; {version} was previously a storage version, and must remain in \
                         spec.versions until a storage migration ensures no data remains persisted in {version} and \
                         removes {version} from status.storedVersions"
                    ),
                );
            }
        }
    }

    fn row(&self, _now: jiff::Timestamp) -> Vec<Cell> {
        let created = self.metadata.creation_timestamp.as_ref().map(|at| at.0.to_string());
        let mut versions: Vec<&str> =
            self.spec.versions.iter().map(|version| version.name.as_str()).collect();
        versions.sort_unstable();
        vec![
            name_of(&self.metadata),
            self.spec.group.as_str().into(),
            self.spec.scope.as_str().into(),
            versions.join(",").into(),
            created.map_or(Cell::Null, Cell::from),
        ]
    }
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|c| c.type_ == "Established" && c.status == "True")
}

fn group(
    group: &str,
    annotations: Option<&std::collections::BTreeMap<String, String>>,
    errors: &mut ErrorList,
) {
    if group.is_empty() {
        return errors.required("spec.group", "");
    }
    if let Err(why) = names::dns_subdomain(group) {
        return errors.invalid("spec.group", group, why);
    }
    if !group.contains('.') {
        return errors.invalid("spec.group", group, "should be a domain with at least one dot");
    }
    let is_protected = PROTECTED.iter().any(|own| group == *own || group.ends_with(&format!(".{own}")));
    let approval = annotations.and_then(|all| all.get(APPROVAL)).map(String::as_str).unwrap_or_default();
    let is_approval = approval.starts_with("https://") || approval.starts_with("unapproved");
    let field = format!("metadata.annotations[{APPROVAL}]");
    match (is_protected, approval) {
        (true, "") => errors.required(
            field,
            "protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111",
        ),
        (true, given) if !is_approval => errors.invalid(
            field,
            given,
            "protected groups must have approval annotation \"api-approved.kubernetes.io\" with either a URL or a reason starting with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111",
        ),
        _ => {}
    }
}

fn all_names(all: &CustomResourceDefinitionNames, errors: &mut ErrorList) {
    let mut label = |field: &str, name: &str, mixed: bool| match name {
        "" => errors.required(field, ""),
        name if mixed => {
            if let Err(why) = names::dns_label_1035(&name.to_lowercase()) {
                let why = format_args!("may have mixed case, but should otherwise match: {why}");
                errors.invalid(field, name, why);
            }
        }
        name => {
            if let Err(why) = names::dns_label_1035(name) {
                errors.invalid(field, name, why);
            }
        }
    };
    label("spec.names.plural", &all.plural, false);
    label("spec.names.singular", all.singular.as_deref().unwrap_or_default(), false);
    label("spec.names.kind", &all.kind, true);
    label("spec.names.listKind", all.list_kind.as_deref().unwrap_or_default(), true);
    for (index, short) in all.short_names.iter().flatten().enumerate() {
        label(&format!("spec.names.shortNames[{index}]"), short, false);
    }
    for (index, category) in all.categories.iter().flatten().enumerate() {
        label(&format!("spec.names.categories[{index}]"), category, false);
    }
    let list_kind = all.list_kind.as_deref().unwrap_or_default();
    if !list_kind.is_empty() && list_kind == all.kind {
        errors.invalid("spec.names.listKind", list_kind, "kind and listKind may not be the same");
    }
}

/// What the rules may cost. A schema that stays as it is was accepted once, and is not refused for an estimate.
fn rule_costs(
    definition: &CustomResourceDefinition,
    old: Option<&CustomResourceDefinition>,
    errors: &mut ErrorList,
) {
    for (index, version) in definition.spec.versions.iter().enumerate() {
        let before = old.and_then(|old| old.spec.versions.iter().find(|known| known.name == version.name));
        if before.is_some_and(|before| before.schema == version.schema) {
            continue;
        }
        let Some(schema) = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref())
        else {
            continue;
        };
        let at = format!("spec.versions[{index}].schema.openAPIV3Schema");
        let Some(written) = with_rules(schema) else { continue };
        let structural = schema::from_stored(&written, &at);
        drop(written);
        if let Ok(schema) = structural {
            errors.append(expressions::Rules::compile(&schema, &at).0.costs(&schema, &at));
        }
    }
}

/// As it is written. Of most schemas the text is enough to see that there are no rules, and takes a tenth of the tree.
fn with_rules(schema: &JSONSchemaProps) -> Option<serde_json::Value> {
    let text = serde_json::to_string(schema).ok()?;
    text.contains("\"x-kubernetes-validations\"").then(|| serde_json::from_str(&text).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn described(description: &str) -> CustomResourceDefinition {
        let words = json!({"type": "array", "items": {"type": "string"}, "description": description,
            "x-kubernetes-validations": [{"rule": "self.all(x, self.all(y, x == y))"}]});
        testing::definition_with(json!({"type": "object", "properties": {"words": words}}))
    }

    #[test]
    fn a_stored_schema_is_not_refused_for_what_its_rules_cost() {
        let is_refused = |new: &CustomResourceDefinition, old: Option<&CustomResourceDefinition>| {
            let mut errors = ErrorList::default();
            match old {
                Some(old) => new.validate_update(old, &mut errors),
                None => new.validate_create(&mut errors),
            }
            !errors.is_empty()
        };
        let stored = described("as it was");
        assert!(is_refused(&stored, None));
        let mut with_short_name = stored.clone();
        with_short_name.spec.names.short_names = Some(vec!["th".to_owned()]);
        assert!(!is_refused(&with_short_name, Some(&stored)));
        assert!(is_refused(&described("another"), Some(&stored)));
        let mut renamed = stored.clone();
        renamed.spec.versions[0].name = "v2".to_owned();
        assert!(is_refused(&renamed, Some(&stored)));
    }
}
