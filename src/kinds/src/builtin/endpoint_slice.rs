use super::name_of;
use crate::{Cell, Column, Errors, Kind, age};
use k8s_openapi::api::discovery::v1::EndpointSlice;

const MOST_ENDPOINTS: usize = 1000;

impl Kind for EndpointSlice {
    const SINGULAR: &'static str = "endpointslice";
    const PLURAL: &'static str = "endpointslices";
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("AddressType", "string", "Kind of the addresses"),
        Column::new("Ports", "string", "Ports of every endpoint"),
        Column::new("Endpoints", "string", "Addresses"),
        Column::AGE,
    ];

    fn set_defaults(&mut self) {
        for port in self.ports.iter_mut().flatten() {
            port.protocol.get_or_insert_with(|| "TCP".to_owned());
            port.name.get_or_insert_default();
        }
    }
    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
    }
    fn generation_changes(&self, old: &Self) -> bool {
        self.endpoints != old.endpoints || self.ports != old.ports
    }
    fn validate(&self, errors: &mut Errors) {
        if !["IPv4", "IPv6", "FQDN"].contains(&self.address_type.as_str()) {
            errors.not_supported("addressType", self.address_type.as_str(), &["FQDN", "IPv4", "IPv6"]);
        }
        let endpoints = self.endpoints.as_deref().unwrap_or_default();
        if endpoints.len() > MOST_ENDPOINTS {
            errors.invalid("endpoints", endpoints.len(), format!("must have at most {MOST_ENDPOINTS} items"));
        }
        for (index, endpoint) in endpoints.iter().enumerate() {
            if endpoint.addresses.is_empty() {
                errors.required(format!("endpoints[{index}].addresses"), "must contain at least 1 address");
            }
        }
    }
    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        if self.address_type != old.address_type {
            errors.invalid("addressType", self.address_type.as_str(), "field is immutable");
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let ports: Vec<String> =
            self.ports.iter().flatten().filter_map(|p| p.port.map(|port| port.to_string())).collect();
        let at: Vec<&str> =
            self.endpoints.iter().flatten().flat_map(|e| e.addresses.iter().map(String::as_str)).collect();
        let shorten = |each: &[&str]| match each.len() {
            0 => "<unset>".to_owned(),
            n if n > 3 => format!("{} + {} more...", each[..3].join(","), n - 3),
            _ => each.join(","),
        };
        let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
        vec![
            name_of(&self.metadata),
            self.address_type.clone().into(),
            shorten(&ports).into(),
            shorten(&at).into(),
            age(self.metadata.creation_timestamp.as_ref(), now),
        ]
    }
}
