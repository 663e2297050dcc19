//! Scale: what is sent and answered at `…/scale` of those kinds that have one. No object of it is stored. A version of it is there for
//! those who are asked about such requests.

use super::binding::unserved;
use crate::{Durability, ResourceInfo, Scope, Version};
use api::{Gvk, Gvr};
use std::sync::{Arc, LazyLock};

static SCALE: LazyLock<Arc<Version>> = LazyLock::new(|| {
    let gvr = Gvr::new("autoscaling", "v1", "scales");
    unserved(ResourceInfo {
        storage: gvr.group_resource(),
        gvk: Gvk::new("autoscaling", "v1", "Scale"),
        gvr,
        singular: "scale".into(),
        short_names: Vec::new(),
        categories: Vec::new(),
        scope: Scope::Namespaced,
        verbs: &[],
        subresources: Vec::new(),
        durability: Durability::Sync,
    })
});

/// No registry has it.
pub fn scale() -> &'static Arc<Version> {
    &SCALE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FieldValidation;

    #[test]
    fn a_scale_is_read_by_its_fields() {
        let cases = [
            ("a good one", r#"{"metadata": {"name": "d"}, "spec": {"replicas": 3}}"#, true),
            ("an unknown field", r#"{"metadata": {"name": "d"}, "spec": {"paused": true}}"#, false),
            ("no number", r#"{"metadata": {"name": "d"}, "spec": {"replicas": "3"}}"#, false),
        ];
        for (name, json, want) in cases {
            let read = scale().decode(json.as_bytes(), FieldValidation::Strict);
            assert_eq!(read.is_ok(), want, "{name}");
        }
    }
}
