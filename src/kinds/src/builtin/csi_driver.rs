//! CSIDrivers: what a storage driver can do. Drivers register themselves; none is built in.

use super::checks::{IMMUTABLE, among, among_if_set, list};
use super::{fill, name_of, names};
use crate::{Cell, Column, ErrorList, Scope, TypedKind, age};
use k8s_openapi::api::storage::v1::CSIDriver;
use serde_json::json;

const LONGEST_NAME: usize = 63;
const FS_GROUP_POLICIES: [&str; 3] = ["File", "None", "ReadWriteOnceWithFSType"];
const LIFECYCLES: [&str; 2] = ["Ephemeral", "Persistent"];
const TOKEN_LEAST: i64 = 600; // seconds

impl TypedKind for CSIDriver {
    const SINGULAR: &'static str = "csidriver";
    const PLURAL: &'static str = "csidrivers";
    const UPDATED_UNCONDITIONALLY: bool = false;
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("AttachRequired", "boolean", "Whether volumes are attached before they are mounted"),
        Column::new("PodInfoOnMount", "boolean", "Whether it is told of the pod"),
        Column::new("StorageCapacity", "boolean", "Whether the scheduler asks for its capacity"),
        Column::new("TokenRequests", "string", "The audiences of the tokens that it is given"),
        Column::new("RequiresRepublish", "boolean", "Whether it is asked again and again"),
        Column::new("Modes", "string", "How long its volumes live"),
        Column::AGE,
    ];

    fn set_defaults(&mut self) {
        let spec = &mut self.spec;
        spec.attach_required.get_or_insert(true);
        spec.pod_info_on_mount.get_or_insert(false);
        spec.storage_capacity.get_or_insert(false);
        spec.requires_republish.get_or_insert(false);
        spec.se_linux_mount.get_or_insert(false);
        fill::text(&mut spec.fs_group_policy, "ReadWriteOnceWithFSType");
        if list(&spec.volume_lifecycle_modes).is_empty() {
            spec.volume_lifecycle_modes = Some(vec!["Persistent".to_owned()]);
        }
    }
    fn validate_name(name: &str) -> Result<(), String> {
        match name.len() {
            length if length > LONGEST_NAME => Err(format!("must be no more than {LONGEST_NAME} characters")),
            _ => names::dns_subdomain(name),
        }
    }
    fn validate(&self, errors: &mut ErrorList) {
        for (field, is_missing) in [
            ("attachRequired", self.spec.attach_required.is_none()),
            ("podInfoOnMount", self.spec.pod_info_on_mount.is_none()),
            ("storageCapacity", self.spec.storage_capacity.is_none()),
        ] {
            if is_missing {
                errors.required(format_args!("spec.{field}"), "");
            }
        }
        among_if_set(self.spec.fs_group_policy.as_deref(), &FS_GROUP_POLICIES, "spec.fsGroupPolicy", errors);
        for mode in list(&self.spec.volume_lifecycle_modes) {
            among(mode, &LIFECYCLES, "spec.volumeLifecycleModes", errors);
        }
        let tokens = list(&self.spec.token_requests);
        for (index, token) in tokens.iter().enumerate() {
            let at = format!("spec.tokenRequests[{index}]");
            if tokens[..index].iter().any(|other| other.audience == token.audience) {
                errors.duplicate(format_args!("{at}.audience"), token.audience.as_str());
            }
            if let Some(seconds) = token.expiration_seconds.filter(|seconds| *seconds < TOKEN_LEAST) {
                let why = "may not specify a duration less than 10 minutes";
                errors.invalid(format_args!("{at}.expirationSeconds"), seconds, why);
            }
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        if self.spec.attach_required != old.spec.attach_required {
            errors.invalid("spec.attachedRequired", json!(self.spec.attach_required), IMMUTABLE);
        }
        if self.spec.volume_lifecycle_modes != old.spec.volume_lifecycle_modes {
            errors.invalid("spec.volumeLifecycleModes", json!(self.spec.volume_lifecycle_modes), IMMUTABLE);
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let tokens: Vec<&str> =
            list(&self.spec.token_requests).iter().map(|token| token.audience.as_str()).collect();
        let tokens = if tokens.is_empty() { "<unset>".to_owned() } else { tokens.join(",") };
        let modes = list(&self.spec.volume_lifecycle_modes).join(",");
        vec![
            name_of(&self.metadata),
            self.spec.attach_required.unwrap_or(true).into(),
            self.spec.pod_info_on_mount.unwrap_or(false).into(),
            self.spec.storage_capacity.unwrap_or(false).into(),
            tokens.into(),
            self.spec.requires_republish.unwrap_or(false).into(),
            if modes.is_empty() { "<none>".into() } else { modes.into() },
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}

/// Upstream's `ValidateCSIDriverName`.
pub(super) fn driver_name(name: &str, field: &str, errors: &mut ErrorList) {
    if name.is_empty() {
        errors.required(field, "");
    }
    if name.len() > LONGEST_NAME {
        errors.too_long(field, LONGEST_NAME);
    }
    if let Err(why) = names::dns_subdomain(&name.to_lowercase()) {
        errors.invalid(field, name, why);
    }
}
