//! Events: stored as the core's, written without waiting for the disk, and shown in `events.k8s.io/v1` by a conversion that
//! is here as well.

use super::event_validation;
use crate::typed::with_facts_of;
use crate::{
    Cell, Column, Decoded, Durability, ErrorList, FieldValidation, Instance, ResourceInfo, SchemaRef,
    Strategy, TypedKind, Version, age, decode,
};
use api::{Gvk, Gvr, Object, Status};
use bytes::Bytes;
use k8s_openapi::api::core::v1::{Event, EventSeries, EventSource};
use k8s_openapi::api::events::v1 as events;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::sync::Arc;

impl TypedKind for Event {
    const SINGULAR: &'static str = "event";
    const PLURAL: &'static str = "events";
    const CREATED_BY_UPDATE: bool = true;
    const SHORT_NAMES: &'static [&'static str] = &["ev"];
    const DURABILITY: Durability = Durability::Lazy;
    const FIELDS: &'static [&'static str] = &[
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ];
    const COLUMNS: &'static [Column] = &[
        Column::new("Last Seen", "string", "Time since it was last seen"),
        Column::new("Type", "string", "Normal or Warning"),
        Column::new("Reason", "string", "Why it was generated"),
        Column::new("Object", "string", "What it is about"),
        Column::wide("Subobject", "string", "Which part of it"),
        Column::wide("Source", "string", "Who says so"),
        Column::new("Message", "string", "What happened"),
        Column::wide("First Seen", "string", "Time since it was first seen"),
        Column::wide("Count", "string", "How often"),
        Column { priority: 1, ..Column::NAME },
    ];

    fn validate(&self, errors: &mut ErrorList) {
        event_validation::validate(self, errors);
    }
    fn field(&self, path: &str) -> String {
        let object = &self.involved_object;
        // events.k8s.io has other names for the same fields
        let old_name = path
            .replace("regarding.", "involvedObject.")
            .replace("reportingController", "reportingComponent");
        let value = match old_name.as_str() {
            "involvedObject.kind" => &object.kind,
            "involvedObject.namespace" => &object.namespace,
            "involvedObject.name" => &object.name,
            "involvedObject.uid" => &object.uid,
            "involvedObject.apiVersion" => &object.api_version,
            "involvedObject.resourceVersion" => &object.resource_version,
            "involvedObject.fieldPath" => &object.field_path,
            "reason" => &self.reason,
            "reportingComponent" => &self.reporting_component,
            // events of the newer face name their source there
            "source" => {
                let source = self.source.as_ref().and_then(|source| source.component.clone());
                let source = source.filter(|component| !component.is_empty());
                return source.or_else(|| self.reporting_component.clone()).unwrap_or_default();
            }
            "type" => &self.type_,
            _ => &None,
        };
        value.clone().unwrap_or_default()
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let first = self.first_timestamp.clone().or_else(|| self.event_time.as_ref().map(|t| Time(t.0)));
        let last = self.last_timestamp.clone().or_else(|| first.clone());
        let object = &self.involved_object;
        let kind = object.kind.as_deref().unwrap_or_default().to_lowercase();
        let source = self.source.as_ref();
        let says = [source.and_then(|s| s.component.clone()), source.and_then(|s| s.host.clone())];
        let says: Vec<String> = says.into_iter().flatten().filter(|s| !s.is_empty()).collect();
        vec![
            age(last.as_ref(), now),
            self.type_.clone().unwrap_or_default().into(),
            self.reason.clone().unwrap_or_default().into(),
            format!("{kind}/{}", object.name.as_deref().unwrap_or_default()).into(),
            object.field_path.clone().unwrap_or_default().into(),
            says.join(", ").into(),
            self.message.clone().unwrap_or_default().trim().into(),
            age(first.as_ref(), now),
            self.count.unwrap_or(1).into(),
            self.metadata.name.clone().unwrap_or_default().into(),
        ]
    }
}

const SELECTABLE_IN_EVENTS: &[&str] = &[
    "reason",
    "reportingController",
    "type",
    "regarding.kind",
    "regarding.name",
    "regarding.namespace",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
];

/// The conversion between `events.k8s.io/v1`, as clients have it, and the core's events, as they are stored.
struct EventsV1(Gvk);

pub(super) fn events_v1() -> Arc<Version> {
    let gvk = Gvk::new("events.k8s.io", "v1", "Event");
    let gvr = Gvr::new("events.k8s.io", "v1", "events");
    let (schema, strategy) = (SchemaRef::of(&gvk), Box::new(EventsV1(gvk.clone())));
    let info = ResourceInfo { gvk, gvr, ..Event::info() };
    Arc::new(with_facts_of::<Event>(info, schema, SELECTABLE_IN_EVENTS, strategy))
}

impl Strategy for EventsV1 {
    fn validate_name(&self, name: &str) -> Result<(), String> {
        <Event as TypedKind>::validate_name(name)
    }
    fn validate_version(&self, new: &dyn Instance, old: Option<&dyn Instance>, errors: &mut ErrorList) {
        let event = |of: &dyn Instance| of.downcast_ref::<Event>().cloned();
        match (event(new), old.map(event)) {
            (Some(new), None) => event_validation::create(&new, errors),
            (Some(new), Some(Some(old))) => event_validation::update(&new, &old, errors),
            _ => {}
        }
    }
    fn decode(&self, json: &[u8], strictness: FieldValidation) -> Result<Decoded, Status> {
        let (event, warnings) =
            decode::decode::<events::Event>(&self.0, &SchemaRef::of(&self.0), json, strictness)?;
        Ok(Decoded { instance: Box::new(to_core(event)), warnings })
    }
    fn decode_stored(&self, object: &Object) -> Result<Box<dyn Instance>, Status> {
        let event: Event = object.decode().map_err(Status::internal)?;
        Ok(Box::new(event))
    }
    fn present(&self, bytes: &Bytes) -> Bytes {
        let shown =
            serde_json::from_slice::<Event>(bytes).and_then(|event| serde_json::to_vec(&from_core(event)));
        shown.map_or_else(|_| bytes.clone(), Bytes::from)
    }
}

fn to_core(event: events::Event) -> Event {
    Event {
        metadata: event.metadata,
        involved_object: event.regarding.unwrap_or_default(),
        related: event.related,
        reason: event.reason,
        message: event.note,
        type_: event.type_,
        action: event.action,
        event_time: event.event_time,
        reporting_component: event.reporting_controller,
        reporting_instance: event.reporting_instance,
        series: event
            .series
            .map(|s| EventSeries { count: Some(s.count), last_observed_time: Some(s.last_observed_time) }),
        source: event.deprecated_source.or_else(|| Some(EventSource::default())),
        first_timestamp: event.deprecated_first_timestamp,
        last_timestamp: event.deprecated_last_timestamp,
        count: event.deprecated_count,
    }
}

fn from_core(event: Event) -> events::Event {
    let series = event.series.and_then(|s| {
        Some(events::EventSeries { count: s.count.unwrap_or(0), last_observed_time: s.last_observed_time? })
    });
    events::Event {
        metadata: event.metadata,
        regarding: Some(event.involved_object),
        related: event.related,
        reason: event.reason,
        note: event.message,
        type_: event.type_,
        action: event.action,
        event_time: event.event_time,
        reporting_controller: event.reporting_component,
        reporting_instance: event.reporting_instance,
        series,
        deprecated_source: event.source,
        deprecated_first_timestamp: event.first_timestamp,
        deprecated_last_timestamp: event.last_timestamp,
        deprecated_count: event.count,
    }
}
