//! Paths below another one.

use crate::ErrorList;
use std::fmt::Display;

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
