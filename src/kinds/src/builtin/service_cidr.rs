//! ServiceCIDRs: ranges that the addresses of Services come from.

use super::checks::{IMMUTABLE, list};
use super::name_of;
use crate::{Cell, Column, ErrorList, Scope, Subresource, TypedKind, age};
use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{ServiceCIDR, ServiceCIDRStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

impl TypedKind for ServiceCIDR {
    const SINGULAR: &'static str = "servicecidr";
    const PLURAL: &'static str = "servicecidrs";
    const SCOPE: Scope = Scope::Cluster;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("CIDRs", "string", "The ranges of addresses"), Column::AGE];

    fn prepare_create(&mut self) {
        self.status = Some(ServiceCIDRStatus::default());
    }
    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
    }
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
    }
    fn keep_metadata(new: &mut ObjectMeta, old: &ObjectMeta) {
        crate::keep_all_metadata(new, old);
    }
    fn validate(&self, errors: &mut ErrorList) {
        let at = "spec.cidrs";
        let cidrs = self.cidrs();
        match cidrs {
            [] => return errors.required(at, "at least one CIDR required"),
            [_] | [_, _] => {}
            _ => return errors.invalid(at, json!(self.spec), "may only hold up to 2 values"),
        }
        for (index, cidr) in cidrs.iter().enumerate() {
            range(cidr, &format!("{at}[{index}]"), errors);
        }
        let families =
            cidrs.iter().filter_map(|cidr| cidr.parse::<IpNet>().ok()).map(|net| net.addr().is_ipv4());
        if let [first, second] = families.collect::<Vec<_>>()[..]
            && first == second
        {
            let why =
                "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
            errors.invalid(at, json!(self.spec), why);
        }
    }
    /// A second family may be added, and nothing else changed.
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        let (new, old) = (self.cidrs(), old.cidrs());
        if new == old {
            return;
        }
        let grew = old.len() == 1 && new.len() == 2 && new[0] == old[0];
        if !grew {
            errors.invalid("spec.cidrs", json!(new), IMMUTABLE);
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let age = age(self.metadata.creation_timestamp.as_ref(), now);
        vec![name_of(&self.metadata), self.cidrs().join(",").into(), age]
    }
}

/// Upstream takes no range in two ways of writing.
fn range(cidr: &str, field: &str, errors: &mut ErrorList) {
    match cidr.parse::<IpNet>() {
        Err(_) => {
            let why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
            errors.invalid(field, cidr, why);
        }
        Ok(net) if net.trunc() != net => {
            errors.invalid(field, cidr, "must not have bits set beyond the prefix length");
        }
        Ok(net) if net.to_string() != cidr => {
            errors.invalid(field, cidr, format_args!("must be in canonical form ({:?})", net.to_string()));
        }
        Ok(_) => {}
    }
}

trait Ask {
    fn cidrs(&self) -> &[String];
}

impl Ask for ServiceCIDR {
    fn cidrs(&self) -> &[String] {
        self.spec.as_ref().map_or(&[], |spec| list(&spec.cidrs))
    }
}
