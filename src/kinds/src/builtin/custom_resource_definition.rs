//! CustomResourceDefinition: what of a definition is refused. `apiextensions` makes kinds of those that are not.

mod defaults;
mod extensions;
mod selectable_fields;
mod sizes;

use super::webhooks::validate_client;
use super::{name_of, names};
use crate::{Cell, Column, ErrorList, Scope, Subresource, TypedKind};
use k8s_openapi::api::admissionregistration::v1 as admission;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, CustomResourceDefinitionNames,
    CustomResourceDefinitionStatus, CustomResourceDefinitionVersion, JSONSchemaProps, WebhookClientConfig,
};
use std::collections::HashSet;

/// Groups of upstream's own: who defines a kind in one of them says where that was agreed.
const PROTECTED: [&str; 2] = ["k8s.io", "kubernetes.io"];
const LONGEST_WARNING: usize = 256; // bytes, upstream's bound
const APPROVAL: &str = "api-approved.kubernetes.io";
const COLUMN_TYPES: [&str; 5] = ["integer", "number", "string", "boolean", "date"];
const COLUMN_FORMATS: [&str; 8] =
    ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

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
        versions(&spec.versions, errors);
        all_names(&spec.names, errors);
        conversion(spec.conversion.as_ref(), errors);
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

fn versions(all: &[CustomResourceDefinitionVersion], errors: &mut ErrorList) {
    let mut seen = HashSet::new();
    for (index, version) in all.iter().enumerate() {
        let at = format!("spec.versions[{index}]");
        if let Err(why) = names::dns_label_1035(&version.name) {
            errors.invalid(format!("{at}.name"), version.name.as_str(), why);
        }
        if !seen.insert(version.name.as_str()) {
            errors.invalid("spec.versions", version.name.as_str(), "must contain unique version names");
        }
        if let Some(warning) = version.deprecation_warning.as_deref() {
            deprecation(
                warning,
                version.deprecated == Some(true),
                &format!("{at}.deprecationWarning"),
                errors,
            );
        }
        version_schema(version, &at, errors);
        columns(version, &at, errors);
        scale(version, &at, errors);
    }
    if all.iter().filter(|version| version.storage).count() != 1 {
        let names: Vec<&str> = all.iter().map(|version| version.name.as_str()).collect();
        // a list of none is none in Go
        let shown = if names.is_empty() { serde_json::Value::Null } else { names.into() };
        errors.invalid("spec.versions", shown, "must have exactly one version marked as storage version");
    }
}

/// It goes into a header of every answer.
fn deprecation(warning: &str, is_deprecated: bool, at: &str, errors: &mut ErrorList) {
    if !is_deprecated {
        return errors.invalid(at, warning, "can only be set for deprecated versions");
    }
    if warning.len() > LONGEST_WARNING {
        errors.invalid(at, warning, format_args!("must be <= {LONGEST_WARNING} characters long"));
    }
    if warning.is_empty() {
        errors.invalid(at, warning, "must not be an empty string");
    }
    if let Some((index, _)) = warning.char_indices().find(|(_, c)| c.is_control()) {
        let why = format_args!(
            "must only contain printable UTF-8 characters; non-printable character found at index {index}"
        );
        errors.invalid(at, warning, why);
    }
}

fn version_schema(version: &CustomResourceDefinitionVersion, at: &str, errors: &mut ErrorList) {
    let Some(schema) = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()) else {
        return errors.required(format!("{at}.schema.openAPIV3Schema"), "schemas are required");
    };
    let Ok(written) = api::json::to_value(schema) else { return };
    let place = format!("{at}.schema.openAPIV3Schema");
    let schema = match schema::from_openapi(&written, &place) {
        Ok(schema) => schema,
        Err(found) => return errors.append(found),
    };
    let (mut found, mut selecting) = (ErrorList::default(), ErrorList::default());
    let selectable = version.selectable_fields.as_deref().unwrap_or_default();
    selectable_fields::validate(selectable, &written, &format!("{at}.selectableFields"), &mut selecting);
    // of a large schema it takes tens of megabytes, which the rest needs as well
    drop(written);
    defaults::validate(&schema, &place, &mut found);
    if found.is_empty() {
        found.append(expressions::Rules::compile(&schema, &place).1);
    }
    errors.append(found);
    errors.append(selecting);
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

fn columns(version: &CustomResourceDefinitionVersion, at: &str, errors: &mut ErrorList) {
    for (index, column) in version.additional_printer_columns.iter().flatten().enumerate() {
        let at = format!("{at}.additionalPrinterColumns[{index}]");
        if column.name.is_empty() {
            errors.required(format!("{at}.name"), "");
        }
        if column.type_.is_empty() {
            errors.required(format!("{at}.type"), "must be one of boolean,date,integer,number,string");
        } else if !COLUMN_TYPES.contains(&column.type_.as_str()) {
            errors.invalid(
                format!("{at}.type"),
                column.type_.as_str(),
                "must be one of boolean,date,integer,number,string",
            );
        }
        let format = column.format.as_deref().unwrap_or_default();
        if !format.is_empty() && !COLUMN_FORMATS.contains(&format) {
            errors.invalid(
                format!("{at}.format"),
                format,
                format!("must be one of {}", COLUMN_FORMATS.join(",")),
            );
        }
        // upstream's messages name the field so
        simple_path(&format!("{at}.JSONPath"), &column.json_path, errors);
    }
}

fn scale(version: &CustomResourceDefinitionVersion, at: &str, errors: &mut ErrorList) {
    let Some(scale) = version.subresources.as_ref().and_then(|parts| parts.scale.as_ref()) else { return };
    let at = format!("{at}.subresources.scale");
    let mut below = |field: &str, path: &str, prefix: &[&str], why: &str| {
        let field = format!("{at}.{field}");
        let before = errors.len();
        simple_path(&field, path, errors);
        if errors.len() == before && !prefix.iter().any(|prefix| path.starts_with(prefix)) {
            errors.invalid(&field, path, why);
        }
    };
    let under = "should be a json path under";
    below("specReplicasPath", &scale.spec_replicas_path, &[".spec."], &format!("{under} .spec"));
    below("statusReplicasPath", &scale.status_replicas_path, &[".status."], &format!("{under} .status"));
    if let Some(path) = scale.label_selector_path.as_deref().filter(|path| !path.is_empty()) {
        let why = format!("{under} either .spec or .status");
        below("labelSelectorPath", path, &[".spec.", ".status."], &why);
    }
}

fn simple_path(field: &str, path: &str, errors: &mut ErrorList) {
    if path.is_empty() {
        errors.required(field, "");
    } else if !path.starts_with('.') {
        errors.invalid(field, path, "must be a simple json path starting with .");
    }
}

fn conversion(conversion: Option<&CustomResourceConversion>, errors: &mut ErrorList) {
    // upstream's own type has the webhook's parts here, and its messages name them so
    const CLIENT: &str = "spec.conversion.webhookClientConfig";
    const REVIEWS: &str = "spec.conversion.conversionReviewVersions";
    let Some(conversion) = conversion else { return };
    let webhook = conversion.webhook.as_ref();
    let client = webhook.and_then(|webhook| webhook.client_config.as_ref());
    let reviews = webhook.map(|webhook| webhook.conversion_review_versions.as_slice()).unwrap_or_default();
    match conversion.strategy.as_str() {
        "Webhook" => {}
        strategy => {
            if strategy != "None" {
                errors.not_supported("spec.conversion.strategy", strategy, &["None", "Webhook"]);
            }
            let why = "should not be set when strategy is not set to Webhook";
            if client.is_some() {
                errors.forbidden(CLIENT, why);
            }
            if !reviews.is_empty() {
                errors.forbidden(REVIEWS, why);
            }
            return;
        }
    }
    match client {
        None => errors.required(CLIENT, "required when strategy is set to Webhook"),
        Some(client) => validate_client(&as_of_admission(client), CLIENT, errors),
    }
    if reviews.is_empty() {
        return errors.required(REVIEWS, "");
    }
    for (index, version) in reviews.iter().enumerate() {
        let at = format!("{REVIEWS}[{index}]");
        if reviews[..index].contains(version) {
            errors.invalid(at, version.as_str(), "duplicate version");
        } else if let Err(why) = names::dns_label_1035(version) {
            errors.invalid(at, version.as_str(), why);
        }
    }
    if !reviews.iter().any(|version| matches!(version.as_str(), "v1" | "v1beta1")) {
        errors.invalid(REVIEWS, reviews, "must include at least one of v1, v1beta1");
    }
}

/// The same type, by the name that the other group has for it.
fn as_of_admission(client: &WebhookClientConfig) -> admission::WebhookClientConfig {
    let service = client.service.as_ref().map(|service| admission::ServiceReference {
        name: service.name.clone(),
        namespace: service.namespace.clone(),
        path: service.path.clone(),
        port: service.port,
    });
    admission::WebhookClientConfig { ca_bundle: client.ca_bundle.clone(), service, url: client.url.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn described(description: &str) -> CustomResourceDefinition {
        let words = json!({"type": "array", "items": {"type": "string"}, "description": description,
            "x-kubernetes-validations": [{"rule": "self.all(x, self.all(y, x == y))"}]});
        let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"words": words}}});
        serde_json::from_value(json!({
            "metadata": {"name": "things.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}}))
        .unwrap()
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
