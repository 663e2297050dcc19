//! IPAddresses: who holds which address of the cluster. Those of Services are made and removed with their Services.

use super::checks::{immutable, judged, required, text};
use super::{name_of, names};
use crate::{Cell, Column, ErrorList, Scope, TypedKind, age};
use k8s_openapi::api::networking::v1::{IPAddress, ParentReference};
use std::net::IpAddr;

impl TypedKind for IPAddress {
    const SINGULAR: &'static str = "ipaddress";
    const PLURAL: &'static str = "ipaddresses";
    const SHORT_NAMES: &'static [&'static str] = &["ip"];
    const SCOPE: Scope = Scope::Cluster;
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("ParentRef", "string", "Who holds the address"), Column::AGE];

    fn validate_name(name: &str) -> Result<(), String> {
        match name.parse::<IpAddr>() {
            Err(_) => Err(format!("ParseAddr({name:?}): unable to parse IP")),
            Ok(address) if address.to_string() != name => {
                Err("must be a canonical format IP address".to_owned())
            }
            Ok(_) => Ok(()),
        }
    }
    fn validate(&self, errors: &mut ErrorList) {
        let at = "spec.parentRef";
        let parent = &self.spec.parent_ref;
        if *parent == ParentReference::default() {
            return errors.required(at, "");
        }
        let group = text(&parent.group);
        if !group.is_empty() {
            judged(names::dns_subdomain, group, format_args!("{at}.group"), errors);
        }
        required(names::path_segment, &parent.resource, format_args!("{at}.resource"), errors);
        required(names::path_segment, &parent.name, format_args!("{at}.name"), errors);
        let namespace = text(&parent.namespace);
        if !namespace.is_empty() {
            judged(names::path_segment, namespace, format_args!("{at}.namespace"), errors);
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        immutable(&self.spec.parent_ref, &old.spec.parent_ref, "spec.parentRef", errors);
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let age = age(self.metadata.creation_timestamp.as_ref(), now);
        vec![name_of(&self.metadata), holder(&self.spec.parent_ref).into(), age]
    }
}

/// `services/default/kubernetes`
fn holder(parent: &ParentReference) -> String {
    let resource = match text(&parent.group) {
        "" => parent.resource.to_lowercase(),
        group => format!("{}.{group}", parent.resource).to_lowercase(),
    };
    match text(&parent.namespace) {
        "" => format!("{resource}/{}", parent.name),
        namespace => format!("{resource}/{namespace}/{}", parent.name),
    }
}
