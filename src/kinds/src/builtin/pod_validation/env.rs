//! Environment variables, and where they come from.

use super::super::checks::{judged, optional, required, text};
use super::super::names;
use super::files::descends;
use super::{Around, downward};
use crate::ErrorList;
use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, EnvVarSource, FileKeySelector};

pub(super) fn variables(variables: &[EnvVar], around: &Around<'_>, at: &str, errors: &mut ErrorList) {
    for (index, variable) in variables.iter().enumerate() {
        let at = format!("{at}[{index}]");
        required(names::environment_variable, &variable.name, format_args!("{at}.name"), errors);
        if let Some(source) = &variable.value_from {
            value_from(source, text(&variable.value), around, &format!("{at}.valueFrom"), errors);
        }
    }
}

fn value_from(source: &EnvVarSource, value: &str, around: &Around<'_>, at: &str, errors: &mut ErrorList) {
    let mut sources = 0;
    if let Some(field) = &source.field_ref {
        sources += 1;
        downward::field(field, &downward::ENV_FIELDS, &format!("{at}.fieldRef"), errors);
    }
    if let Some(resource) = &source.resource_field_ref {
        sources += 1;
        downward::resource(resource, false, &format!("{at}.resourceFieldRef"), errors);
    }
    if let Some(key) = &source.config_map_key_ref {
        sources += 1;
        key_of(&key.name, &key.key, &format!("{at}.configMapKeyRef"), errors);
    }
    if let Some(key) = &source.secret_key_ref {
        sources += 1;
        key_of(&key.name, &key.key, &format!("{at}.secretKeyRef"), errors);
    }
    if let Some(file) = &source.file_key_ref {
        sources += 1;
        file_key(file, around, &format!("{at}.fileKeyRef"), errors);
    }
    let why = match sources {
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        _ if !value.is_empty() => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.invalid(at, "", why);
}

/// KEP-3721: a file that another container writes into a volume that lives as long as the pod.
fn file_key(file: &FileKeySelector, around: &Around<'_>, at: &str, errors: &mut ErrorList) {
    required(names::environment_variable, &file.key, format_args!("{at}.key"), errors);
    match file.volume_name.as_str() {
        "" => errors.required(format_args!("{at}.volumeName"), ""),
        name => match around.volumes.get(name) {
            None => errors.not_found(format_args!("{at}.volumeName"), name),
            Some(volume) if volume.empty_dir.is_none() => {
                errors.invalid(
                    format_args!("{at}.volumeName"),
                    name,
                    "referenced volume must be of type emptyDir",
                );
            }
            Some(_) => {}
        },
    }
    match file.path.as_str() {
        "" => errors.required(format_args!("{at}.path"), ""),
        path => descends(path, format_args!("{at}.path"), errors),
    }
}

fn key_of(name: &str, key: &str, at: &str, errors: &mut ErrorList) {
    judged(names::dns_subdomain, name, format_args!("{at}.name"), errors);
    required(names::config_key, key, format_args!("{at}.key"), errors);
}

pub(super) fn from(sources: &[EnvFromSource], at: &str, errors: &mut ErrorList) {
    for (index, source) in sources.iter().enumerate() {
        let list_at = at;
        let at = format!("{at}[{index}]");
        optional(names::environment_variable, text(&source.prefix), format_args!("{at}.prefix"), errors);
        if let Some(map) = &source.config_map_ref {
            required(names::dns_subdomain, &map.name, format_args!("{at}.configMapRef.name"), errors);
        }
        if let Some(secret) = &source.secret_ref {
            required(names::dns_subdomain, &secret.name, format_args!("{at}.secretRef.name"), errors);
        }
        let why = match (&source.config_map_ref, &source.secret_ref) {
            (None, None) => "must specify one of: `configMapRef` or `secretRef`",
            (Some(_), Some(_)) => "may not have more than one field specified at a time",
            _ => continue,
        };
        errors.invalid(list_at, "", why);
    }
}
