use super::name_of;
use crate::{Cell, Column, Kind, age};
use k8s_openapi::api::core::v1::Endpoints;

const SHOWN: usize = 3;

impl Kind for Endpoints {
    const SINGULAR: &'static str = "endpoints";
    const PLURAL: &'static str = "endpoints";
    const SHORT_NAMES: &'static [&'static str] = &["ep"];
    const DEPRECATION: Option<&'static str> =
        Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice");
    const COLUMNS: &'static [Column] =
        &[Column::NAME, Column::new("Endpoints", "string", "Addresses and ports"), Column::AGE];

    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let subsets = || self.subsets.iter().flatten();
        let mut each: Vec<String> = Vec::new();
        for subset in subsets() {
            for port in subset.ports.iter().flatten() {
                let at = subset.addresses.iter().flatten();
                each.extend(at.map(|address| format!("{}:{}", address.ip, port.port)));
            }
        }
        let text = match each.len() {
            0 => "<none>".to_owned(),
            n if n > SHOWN => format!("{} + {} more...", each[..SHOWN].join(","), n - SHOWN),
            _ => each.join(","),
        };
        vec![name_of(&self.metadata), text.into(), age(self.metadata.creation_timestamp.as_ref(), now)]
    }
}
