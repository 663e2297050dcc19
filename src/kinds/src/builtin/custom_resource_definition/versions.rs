//! The versions of a definition: one is stored; each has a schema, and may have columns, a scale and a warning.

use super::super::names;
use super::{defaults, selectable_fields};
use crate::ErrorList;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionVersion;
use std::collections::HashSet;

const LONGEST_WARNING: usize = 256; // bytes, upstream's bound
const COLUMN_TYPES: [&str; 5] = ["integer", "number", "string", "boolean", "date"];
const COLUMN_FORMATS: [&str; 8] =
    ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

pub(super) fn validate(all: &[CustomResourceDefinitionVersion], errors: &mut ErrorList) {
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
