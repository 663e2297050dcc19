//! Files of volumes, and paths in general.

use super::downward;
use crate::ErrorList;
use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath};
use std::fmt::Display;

const MODE_HIGHEST: i32 = 0o777;

/// Upstream tells the volume, not the item.
pub(super) fn downward_file(file: &DownwardAPIVolumeFile, at: &str, errors: &mut ErrorList) {
    if file.path.is_empty() {
        errors.required(format_args!("{at}.path"), "");
    }
    local_path(&file.path, format_args!("{at}.path"), errors);
    match (&file.field_ref, &file.resource_field_ref) {
        (Some(field), other) => {
            downward::field(field, &downward::VOLUME_FIELDS, &format!("{at}.fieldRef"), errors);
            if other.is_some() {
                let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.invalid(at, "resource", why);
            }
        }
        (None, Some(resource)) => {
            downward::resource(resource, true, &format!("{at}.resourceFieldRef"), errors);
        }
        (None, None) => errors.required(at, "one of fieldRef and resourceFieldRef is required"),
    }
    mode(file.mode, format_args!("{at}.mode"), errors);
}

pub(super) fn keys(items: &[KeyToPath], at: &str, errors: &mut ErrorList) {
    for (index, item) in items.iter().enumerate() {
        let at = format!("{at}.items[{index}]");
        for (field, value) in [("key", &item.key), ("path", &item.path)] {
            if value.is_empty() {
                errors.required(format_args!("{at}.{field}"), "");
            }
        }
        local_path(&item.path, format_args!("{at}.path"), errors);
        mode(item.mode, format_args!("{at}.mode"), errors);
    }
}

pub(super) fn mode(mode: Option<i32>, field: impl Display, errors: &mut ErrorList) {
    if let Some(mode) = mode.filter(|mode| !(0..=MODE_HIGHEST).contains(mode)) {
        errors.invalid(field, mode, "must be a number between 0 and 0777 (octal), both inclusive");
    }
}

pub(in super::super) fn has_backsteps(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

/// Relative, and never upwards.
pub(super) fn descends(path: &str, field: impl Display, errors: &mut ErrorList) {
    let field = field.to_string();
    if path.starts_with('/') {
        errors.invalid(&field, path, "must be a relative path");
    }
    if has_backsteps(path) {
        errors.invalid(&field, path, "must not contain '..'");
    }
}

/// As [`descends`], and not one of the names that the kubelet keeps for itself (`..data`).
pub(super) fn local_path(path: &str, field: impl Display, errors: &mut ErrorList) {
    let field = field.to_string();
    descends(path, &field, errors);
    if path.starts_with("..") && !path.starts_with("../") && path != ".." {
        errors.invalid(&field, path, "must not start with '..'");
    }
}
