//! Annotations of pods that have a meaning, and those that were there before the fields of the same meaning.

use super::super::checks::text;
use super::{each_container, security, tolerations};
use crate::ErrorList;
use crate::annotations::{APP_ARMOR, SECCOMP_OF_CONTAINER, SECCOMP_OF_POD};
use k8s_openapi::api::core::v1::{AppArmorProfile, PodSpec, SeccompProfile, Toleration};
use std::collections::BTreeMap;

type Annotations = BTreeMap<String, String>;

pub(super) const MIRROR: &str = "kubernetes.io/config.mirror";
const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Upstream's `ValidatePodSpecificAnnotations`.
pub(super) fn specific(notes: Option<&Annotations>, spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    for (key, value) in notes.into_iter().flatten() {
        match key.as_str() {
            MIRROR if text(&spec.node_name).is_empty() => errors.invalid(
                format_args!("{at}[{key}]"),
                value.as_str(),
                "must set spec.nodeName if mirror pod annotation is set",
            ),
            TOLERATIONS if !value.is_empty() => match serde_json::from_str::<Vec<Toleration>>(value) {
                Ok(given) => tolerations::tolerations(&given, &format!("{at}.{key}"), errors),
                Err(why) => errors.invalid(at, key.as_str(), why),
            },
            DELETION_COST if !is_cost(value) => {
                errors.invalid(format_args!("{at}[{key}]"), value.as_str(), "must be a 32bit integer");
            }
            SECCOMP_OF_POD => security::seccomp_annotation(value, &format!("{at}.{key}"), errors),
            key if key.starts_with(SECCOMP_OF_CONTAINER) => {
                security::seccomp_annotation(value, &format!("{at}.{key}"), errors);
            }
            key => {
                if let Some(container) = key.strip_prefix(APP_ARMOR) {
                    app_armor(container, value, spec, &format!("{at}[{key}]"), errors);
                }
            }
        }
    }
}

/// `0`, `-5`, `12`; not `+5`, not `007`.
fn is_cost(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let first_is_good =
        value.starts_with('-') || value == "0" || digits.starts_with(|c| ('1'..='9').contains(&c));
    first_is_good && value.parse::<i32>().is_ok()
}

fn app_armor(container: &str, profile: &str, spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    if !each_container(spec, "").any(|(known, _)| known.name == container) {
        errors.invalid(at, container, "container not found");
    }
    let known = matches!(profile, "" | "runtime/default" | "unconfined") || profile.starts_with("localhost/");
    if !known {
        errors.invalid(at, profile, format_args!("invalid AppArmor profile name: {profile:?}"));
    }
}

/// Where field and annotation both speak, they say the same.
pub(super) fn agree(notes: Option<&Annotations>, spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    let Some(notes) = notes else { return };
    let of_pod = spec.security_context.as_ref();
    if let Some((note, profile)) =
        notes.get(SECCOMP_OF_POD).zip(of_pod.and_then(|c| c.seccomp_profile.as_ref()))
    {
        seccomp_agrees(note, profile, &format!("{at}.securityContext.seccompProfile"), errors);
    }
    let windows = spec.os.as_ref().is_some_and(|os| os.name == "windows");
    for (container, at) in each_container(spec, at) {
        let context = container.security_context.as_ref();
        let note = notes.get(&format!("{SECCOMP_OF_CONTAINER}{}", container.name));
        if let Some((note, profile)) = note.zip(context.and_then(|c| c.seccomp_profile.as_ref())) {
            seccomp_agrees(note, profile, &format!("{at}.securityContext.seccompProfile"), errors);
        }
        let inherited = of_pod.and_then(|c| c.app_armor_profile.as_ref());
        let profile = context.and_then(|c| c.app_armor_profile.as_ref()).or(inherited);
        let note = notes.get(&format!("{APP_ARMOR}{}", container.name)).filter(|_| !windows);
        if let Some((note, profile)) = note.zip(profile) {
            app_armor_agrees(note, profile, &format!("{at}.securityContext.appArmorProfile"), errors);
        }
    }
}

fn seccomp_agrees(note: &str, profile: &SeccompProfile, at: &str, errors: &mut ErrorList) {
    let said = match note {
        "unconfined" => ("Unconfined", ""),
        "runtime/default" | "docker/default" => ("RuntimeDefault", ""),
        note => ("Localhost", note.strip_prefix("localhost/").unwrap_or_default()),
    };
    let field = (profile.type_.as_str(), security::profile_name(profile));
    disagree(said, field, note, "seccomp", at, errors);
}

fn app_armor_agrees(note: &str, profile: &AppArmorProfile, at: &str, errors: &mut ErrorList) {
    let said = match note {
        "unconfined" => ("Unconfined", ""),
        "runtime/default" => ("RuntimeDefault", ""),
        note => ("Localhost", note.strip_prefix("localhost/").unwrap_or_default()),
    };
    let field = (profile.type_.as_str(), text(&profile.localhost_profile));
    disagree(said, field, note, "apparmor", at, errors);
}

fn disagree(
    said: (&str, &str),
    field: (&str, &str),
    note: &str,
    what: &str,
    at: &str,
    errors: &mut ErrorList,
) {
    // a type that there is not has been told already
    if !["Localhost", "RuntimeDefault", "Unconfined"].contains(&field.0) {
        return;
    }
    let is_local = note.starts_with("localhost/");
    if said.0 != field.0 || (field.0 == "Localhost" && !is_local) {
        errors.forbidden(
            format_args!("{at}.type"),
            format_args!("{what} type in annotation and field must match"),
        );
    } else if said.1 != field.1 && field.0 == "Localhost" {
        errors.forbidden(
            format_args!("{at}.localhostProfile"),
            format_args!("{what} profile in annotation and field must match"),
        );
    }
}
