//! `metrics.k8s.io`: what nodes and pods use, as the metrics server shows it, for `kubectl top` and autoscalers.

use crate::negotiate::{self, Shape, Shown, View};
use crate::params;
use crate::request::Request;
use crate::request_info::RequestInfo;
use crate::responses;
use crate::responses::{method_not_allowed, not_found};
use crate::server_state::ServerState;
use api::selector::FieldRequirement;
use api::{FieldSelector, Gvk, LabelSelector, ObjectKey, Status, quantity};
use cluster::{Actor, METRICS_GROUP, NodeUsage, PodUsage, Usage, Window};
use http::Method;
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use warp::reply::Response;

type Labels = BTreeMap<String, String>;

/// One node or pod.
struct Item {
    name: String,
    namespace: Option<String>,
    labels: Labels,
    window: Window,
    /// All of it, for the columns.
    sum: Usage,
    /// `usage` of a node, `containers` of a pod.
    measured: (&'static str, Value),
}

pub(crate) async fn answer(
    state: &ServerState,
    actor: &Actor,
    request: &Request,
    info: &RequestInfo,
) -> Result<Response, Status> {
    let is_read = request.method == Method::GET || request.method == Method::HEAD;
    if !is_read || request.flag("watch")? {
        return Err(method_not_allowed());
    }
    let of_nodes = info.gvr.resource == "nodes";
    let whole = info.name.is_none() || of_nodes || info.namespace.is_some();
    if info.subresource.is_some() || !whole || (of_nodes && info.namespace.is_some()) {
        return Err(not_found());
    }
    let asked = params::list(request)?;
    let name = info.name.as_deref();
    let (kind, mut items) = if of_nodes {
        let nodes = state.cluster.node_metrics(actor, name, &asked).await?;
        let labels = |name: &str| {
            let node = state.cluster.informer::<Node>().get(&ObjectKey::cluster(name))?;
            node.metadata.labels.clone()
        };
        ("NodeMetrics", nodes.into_iter().map(|node| of_node(labels(&node.node), &node)).collect::<Vec<_>>())
    } else {
        let pods = state.cluster.pod_metrics(actor, info.namespace.as_deref(), name, &asked).await?;
        let known = state.cluster.informer::<Pod>();
        // what it used says nothing of a pod that is gone, or of the next one of that name
        let current = pods.into_iter().filter_map(|pod| {
            let now = known.get(&pod.pod).filter(|now| now.metadata.uid.as_ref() == Some(&pod.uid))?;
            Some(of_pod(now.metadata.labels.clone(), &pod))
        });
        ("PodMetrics", current.collect())
    };
    if name.is_none() {
        items.retain(|item| is_selected(item, &asked.labels, &asked.fields));
    }
    let api_version = format!("{METRICS_GROUP}/{}", info.gvr.version);
    let gvk = Gvk::parse(&api_version, kind);
    let shape = if name.is_some() { Shape::Object } else { Shape::List };
    let shown = Shown { shape, gvk: &gvk, is_custom: false };
    let chosen = negotiate::view(request.header(http::header::ACCEPT), &shown)?;
    let object = |item: &Item| item.object(&api_version, kind);
    let answer = match (chosen.view, name.is_some()) {
        (View::Table, _) => table(&items, object),
        (_, true) => items.first().map(object).ok_or_else(not_found)?,
        (_, false) => json!({
            "kind": format!("{kind}List"), "apiVersion": api_version, "metadata": {},
            "items": items.iter().map(object).collect::<Vec<_>>(),
        }),
    };
    Ok(chosen.format_of(responses::json(200, &answer)))
}

fn is_selected(item: &Item, labels: &LabelSelector, fields: &FieldSelector) -> bool {
    let field = |path: &str| match path {
        "metadata.name" => item.name.clone(),
        "metadata.namespace" => item.namespace.clone().unwrap_or_default(),
        _ => String::new(),
    };
    let holds = |asked: &FieldRequirement| (field(&asked.field) == asked.value) == asked.equal;
    labels.matches(&item.labels) && fields.requirements.iter().all(holds)
}

fn of_node(labels: Option<Labels>, node: &NodeUsage) -> Item {
    Item {
        name: node.node.clone(),
        namespace: None,
        labels: labels.unwrap_or_default(),
        window: node.window,
        sum: node.usage,
        measured: ("usage", usage(node.usage)),
    }
}

fn of_pod(labels: Option<Labels>, pod: &PodUsage) -> Item {
    let each = pod.containers.iter().map(|(name, used)| json!({"name": name, "usage": usage(*used)}));
    let sum = pod.containers.values().fold(Usage::default(), |sum, used| Usage {
        cpu_nanocores: sum.cpu_nanocores + used.cpu_nanocores,
        memory: sum.memory + used.memory,
    });
    Item {
        name: pod.pod.name.to_string(),
        namespace: pod.pod.namespace.as_ref().map(ToString::to_string),
        labels: labels.unwrap_or_default(),
        window: pod.window,
        sum,
        measured: ("containers", each.collect()),
    }
}

impl Item {
    fn object(&self, api_version: &str, kind: &str) -> Value {
        let end = kinds::whole_second(self.window.end).0.to_string();
        let mut metadata = json!({"name": self.name, "creationTimestamp": end});
        if let Some(namespace) = &self.namespace {
            metadata["namespace"] = namespace.as_str().into();
        }
        if !self.labels.is_empty() {
            metadata["labels"] = json!(self.labels);
        }
        let (field, measured) = &self.measured;
        json!({
            "kind": kind, "apiVersion": api_version, "metadata": metadata, "timestamp": end,
            "window": durations::print_millis(self.window.length), *field: measured,
        })
    }
}

/// As `kubectl get podmetrics` prints it.
fn table(items: &[Item], object: impl Fn(&Item) -> Value) -> Value {
    let column = |name: &str, format: &str, description: &str| json!({"name": name, "type": "string", "format": format, "description": description, "priority": 0});
    let columns = [
        column("Name", "name", "Name of the resource"),
        column("cpu", "quantity", "Resource metrics for cpu"),
        column("memory", "quantity", "Resource metrics for memory"),
        column("Window", "duration", "Over which time it was measured"),
    ];
    let row = |item: &Item| {
        let used = usage(item.sum);
        json!({
            "cells": [item.name, used["cpu"], used["memory"], durations::print_millis(item.window.length)],
            "object": object(item),
        })
    };
    let rows: Vec<Value> = items.iter().map(row).collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "columnDefinitions": columns, "rows": rows})
}

fn usage(used: Usage) -> Value {
    let written = |text: String| quantity::canonical(&text).unwrap_or(text);
    json!({
        "cpu": written(format!("{}n", used.cpu_nanocores)), "memory": written(format!("{}Ki", used.memory / 1024)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn item() -> Item {
        let end = "2026-05-01T10:00:00.5Z".parse().unwrap();
        let pod = PodUsage {
            pod: ObjectKey::namespaced("web", "shop"),
            uid: "u".into(),
            window: Window { end, length: Duration::from_millis(15_030) },
            containers: [
                ("a".to_owned(), Usage { cpu_nanocores: 250_000_001, memory: 3 << 20 }),
                ("b".to_owned(), Usage { cpu_nanocores: 250_000_000, memory: 5 << 10 }),
            ]
            .into(),
        };
        of_pod(Some([("app".to_owned(), "shop".to_owned())].into()), &pod)
    }

    #[test]
    fn a_pod_is_shown_as_the_metrics_server_shows_it() {
        let shown = |item: &Item| item.object("metrics.k8s.io/v1", "PodMetrics");
        let want = json!({
            "kind": "PodMetrics", "apiVersion": "metrics.k8s.io/v1",
            "metadata": {
                "name": "shop", "namespace": "web", "creationTimestamp": "2026-05-01T10:00:00Z", "labels": {"app": "shop"},
            },
            "timestamp": "2026-05-01T10:00:00Z", "window": "15.03s",
            "containers": [
                {"name": "a", "usage": {"cpu": "250000001n", "memory": "3Mi"}},
                {"name": "b", "usage": {"cpu": "250m", "memory": "5Ki"}},
            ],
        });
        assert_eq!(shown(&item()), want);
        let row = &table(&[item()], shown)["rows"][0];
        assert_eq!(row["cells"], json!(["shop", "500000001n", "3077Ki", "15.03s"]));
        assert_eq!(row["object"], want);
    }

    #[test]
    fn selectors_look_at_labels_and_names() {
        let labels = |text: &str| LabelSelector::parse(text).unwrap();
        let fields = |text: &str| FieldSelector::parse(text).unwrap();
        for (by_labels, by_fields, want) in [
            ("", "", true),
            ("app=shop", "metadata.name=shop", true),
            ("app!=shop", "", false),
            ("", "metadata.name=other", false),
            ("", "metadata.namespace=web", true),
        ] {
            let got = is_selected(&item(), &labels(by_labels), &fields(by_fields));
            assert_eq!(got, want, "{by_labels} {by_fields}");
        }
    }
}
