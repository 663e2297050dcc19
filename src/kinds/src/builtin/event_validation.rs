//! What events are asked (`pkg/apis/core/validation/events.go`): little by their old name, for the sake of old clients;
//! all by their new one.

use super::checks::{IMMUTABLE, judged, text};
use super::names;
use crate::ErrorList;
use k8s_openapi::api::core::v1::Event;
use serde::Serialize;

const LONGEST: usize = 128; // of what names a thing
const LONGEST_NOTE: usize = 1024;

/// By either name. Those that say when they happened are of the new kind, and say more.
pub(super) fn validate(event: &Event, errors: &mut ErrorList) {
    let about = text(&event.involved_object.namespace);
    let own = text(&event.metadata.namespace);
    let is_new = event.event_time.is_some();
    let fits = match (is_new, about) {
        (false, "") => own.is_empty() || own == "default",
        (false, about) => about == own,
        (true, "") => own == "default" || own == "kube-system",
        (true, _) => true,
    };
    if !fits {
        errors.invalid("involvedObject.namespace", about, "does not match event.namespace");
    }
    if is_new {
        says_who(event, errors);
    }
}

fn says_who(event: &Event, errors: &mut ErrorList) {
    let controller = text(&event.reporting_component);
    if controller.is_empty() {
        errors.required("reportingController", "");
    }
    judged(names::qualified, controller, "reportingController", errors);
    for (field, value) in [
        ("reportingInstance", &event.reporting_instance),
        ("action", &event.action),
        ("reason", &event.reason),
    ] {
        let value = text(value);
        if value.is_empty() {
            errors.required(field, "");
        }
        if value.len() > LONGEST {
            errors.invalid(field, "", format_args!("can have at most {LONGEST} characters"));
        }
    }
    if text(&event.message).len() > LONGEST_NOTE {
        errors.invalid("message", "", format_args!("can have at most {LONGEST_NOTE} characters"));
    }
}

/// By the new name.
pub(super) fn create(event: &Event, errors: &mut ErrorList) {
    series(event, errors);
    if event.event_time.is_none() {
        errors.required("eventTime", "");
    }
    let kind = text(&event.type_);
    if !["Normal", "Warning"].contains(&kind) {
        errors.invalid("type", "", format_args!("has invalid value: {kind}"));
    }
    let source = event.source.as_ref();
    let has_source = source.is_some_and(|s| !text(&s.component).is_empty() || !text(&s.host).is_empty());
    for (field, is_set) in [
        ("firstTimestamp", event.first_timestamp.is_some()),
        ("lastTimestamp", event.last_timestamp.is_some()),
        ("count", event.count.unwrap_or(0) != 0),
        ("source", has_source),
    ] {
        if is_set {
            errors.invalid(field, "", "needs to be unset");
        }
    }
}

/// By the new name: nothing but its series may grow.
pub(super) fn update(new: &Event, old: &Event, errors: &mut ErrorList) {
    if new.series != old.series {
        series(new, errors);
    }
    stays("involvedObject", &new.involved_object, &old.involved_object, errors);
    stays("reason", &new.reason, &old.reason, errors);
    stays("message", &new.message, &old.message, errors);
    stays("source", &new.source, &old.source, errors);
    stays("firstTimestamp", &new.first_timestamp, &old.first_timestamp, errors);
    stays("lastTimestamp", &new.last_timestamp, &old.last_timestamp, errors);
    stays("count", &new.count, &old.count, errors);
    stays("type", &new.type_, &old.type_, errors);
    stays("eventTime", &new.event_time, &old.event_time, errors);
    stays("action", &new.action, &old.action, errors);
    stays("related", &new.related, &old.related, errors);
    stays("reportingController", &new.reporting_component, &old.reporting_component, errors);
    stays("reportingInstance", &new.reporting_instance, &old.reporting_instance, errors);
}

/// Empty and left out are the same.
fn stays<T: Serialize + Default + PartialEq>(field: &str, new: &T, old: &T, errors: &mut ErrorList) {
    let value = |of: &T| match serde_json::json!(of) {
        serde_json::Value::Object(map) if map.is_empty() => serde_json::Value::Null,
        serde_json::Value::String(text) if text.is_empty() => serde_json::Value::Null,
        serde_json::Value::Number(number) if number.as_i64() == Some(0) => serde_json::Value::Null,
        other => other,
    };
    if value(new) != value(old) {
        errors.invalid(field, value(new), IMMUTABLE);
    }
}

fn series(event: &Event, errors: &mut ErrorList) {
    let Some(series) = &event.series else { return };
    if series.count.unwrap_or(0) < 2 {
        errors.invalid("series.count", "", "should be at least 2");
    }
    if series.last_observed_time.is_none() {
        errors.required("series.lastObservedTime", "");
    }
}
