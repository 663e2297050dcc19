//! DeviceTaintRules: a taint for every device that fits, whoever published it. No allocator is part of the cluster: they wait
//! for one.

use super::checks::{among, judged, text};
use super::csi_driver::driver_name;
use super::{conditions, name_of, names};
use crate::{Cell, Column, ErrorList, Scope, Subresource, TypedKind, age};
use k8s_openapi::api::resource::v1::{DeviceTaintRule, DeviceTaintRuleStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "None"];
const MOST_CONDITIONS: usize = 8;

impl TypedKind for DeviceTaintRule {
    const SINGULAR: &'static str = "devicetaintrule";
    const PLURAL: &'static str = "devicetaintrules";
    const SCOPE: Scope = Scope::Cluster;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const COLUMNS: &'static [Column] = &[Column::NAME, Column::AGE];

    fn prepare_create(&mut self) {
        self.metadata.generation = Some(1);
        self.status = Some(DeviceTaintRuleStatus::default());
        self.spec.taint.time_added.get_or_insert_with(now);
    }
    /// The time is that of the effect.
    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
        let (taint, before) = (&mut self.spec.taint, &old.spec.taint);
        if taint.effect != before.effect && taint.time_added == before.time_added {
            taint.time_added = None;
        }
        taint.time_added.get_or_insert_with(now);
    }
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
    }
    fn generation_changes(&self, old: &Self) -> bool {
        self.spec != old.spec
    }
    fn validate(&self, errors: &mut ErrorList) {
        if let Some(selector) = &self.spec.device_selector {
            let at = "spec.deviceSelector";
            if let Some(driver) = &selector.driver {
                driver_name(driver, &format!("{at}.driver"), errors);
            }
            if let Some(pool) = &selector.pool {
                super::resource_devices::pool_name(pool, &format!("{at}.pool"), errors);
            }
            if let Some(device) = &selector.device {
                judged(names::dns_label, device, format_args!("{at}.device"), errors);
            }
        }
        let taint = &self.spec.taint;
        judged(names::qualified, &taint.key, "spec.taint.key", errors);
        judged(names::label_value, text(&taint.value), "spec.taint.value", errors);
        if taint.effect.is_empty() {
            errors.required("spec.taint.effect", "");
        }
    }
    fn validate_create(&self, errors: &mut ErrorList) {
        effect(&self.spec.taint.effect, errors);
    }
    /// One that a later release knows may have been stored.
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        if self.spec.taint.effect != old.spec.taint.effect {
            effect(&self.spec.taint.effect, errors);
        }
    }
    fn validate_status_update(&self, _old: &Self, errors: &mut ErrorList) {
        let all = self.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        conditions::validate(all, "status.conditions", errors);
        if all.len() > MOST_CONDITIONS {
            errors.too_many("status.conditions", all.len(), MOST_CONDITIONS);
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        vec![name_of(&self.metadata), age(self.metadata.creation_timestamp.as_ref(), now)]
    }
}

fn effect(effect: &str, errors: &mut ErrorList) {
    if !effect.is_empty() {
        among(effect, &EFFECTS, "spec.taint.effect", errors);
    }
}

fn now() -> Time {
    crate::whole_second(jiff::Timestamp::now())
}
