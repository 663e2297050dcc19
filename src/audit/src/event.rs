//! What is told of one request, as `audit.k8s.io/v1` has it.

use crate::{Level, Stage};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    pub level: Level,
    #[serde(rename = "auditID")]
    pub audit_id: String,
    pub stage: Stage,
    /// Path and query, as the client wrote them.
    #[serde(rename = "requestURI")]
    pub request_uri: String,
    pub verb: String,
    pub user: UserInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impersonated_user: Option<UserInfo>,
    /// The client last, those that passed it on before.
    #[serde(rename = "sourceIPs", skip_serializing_if = "Vec::is_empty")]
    pub source_ips: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_ref: Option<ObjectReference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_status: Option<ResponseStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_object: Option<Value>,
    #[serde(serialize_with = "micros")]
    pub request_received_timestamp: Timestamp,
    #[serde(serialize_with = "micros")]
    pub stage_timestamp: Timestamp,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UserInfo {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    pub resource: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    pub api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
}

/// Of a refusal all that a `Status` says; else its code alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResponseStatus(Value);

impl ResponseStatus {
    pub fn of_code(code: u16) -> Self {
        ResponseStatus(json!({"metadata": {}, "code": code}))
    }

    /// `None` for what is no `Status`.
    pub fn of_status(body: &Value) -> Option<Self> {
        let fields =
            body.as_object().filter(|fields| fields.get("kind").is_some_and(|kind| kind == "Status"))?;
        let kept = fields.iter().filter(|(key, _)| !matches!(key.as_str(), "kind" | "apiVersion"));
        Some(ResponseStatus(kept.map(|(key, value)| (key.clone(), value.clone())).collect()))
    }
}

impl Event {
    /// One line of the log, with its end.
    pub fn line(&self) -> Vec<u8> {
        /// Its kind stands first.
        #[derive(Serialize)]
        struct Line<'e> {
            kind: &'static str,
            #[serde(rename = "apiVersion")]
            api_version: &'static str,
            #[serde(flatten)]
            event: &'e Event,
        }
        let line = Line { kind: "Event", api_version: "audit.k8s.io/v1", event: self };
        let mut line = serde_json::to_vec(&line).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// Upstream's `MicroTime`.
fn micros<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_as_upstream_writes_it() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let event = Event {
            level: Level::Metadata,
            audit_id: "6f1c".into(),
            stage: Stage::ResponseComplete,
            request_uri: "/api/v1/namespaces/shop/pods/web?dryRun=All".into(),
            verb: "delete".into(),
            user: UserInfo { username: "jane".into(), groups: vec!["dev".into()], ..UserInfo::default() },
            impersonated_user: None,
            source_ips: vec!["127.0.0.1".into()],
            user_agent: "kubectl".into(),
            object_ref: Some(ObjectReference {
                resource: "pods".into(),
                namespace: "shop".into(),
                name: "web".into(),
                api_version: "v1".into(),
                ..ObjectReference::default()
            }),
            response_status: ResponseStatus::of_status(
                &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 404}),
            ),
            request_object: None,
            response_object: None,
            request_received_timestamp: at("2026-01-02T03:04:05Z"),
            stage_timestamp: at("2026-01-02T03:04:05.0123456Z"),
            annotations: BTreeMap::from([("authorization.k8s.io/decision".into(), "allow".into())]),
        };
        let want = "{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"Metadata\",\"auditID\":\"6f1c\",\
            \"stage\":\"ResponseComplete\",\"requestURI\":\"/api/v1/namespaces/shop/pods/web?dryRun=All\",\"verb\":\"delete\",\
            \"user\":{\"username\":\"jane\",\"groups\":[\"dev\"]},\"sourceIPs\":[\"127.0.0.1\"],\"userAgent\":\"kubectl\",\
            \"objectRef\":{\"resource\":\"pods\",\"namespace\":\"shop\",\"name\":\"web\",\"apiVersion\":\"v1\"},\
            \"responseStatus\":{\"code\":404,\"metadata\":{},\"status\":\"Failure\"},\
            \"requestReceivedTimestamp\":\"2026-01-02T03:04:05.000000Z\",\"stageTimestamp\":\"2026-01-02T03:04:05.012345Z\",\
            \"annotations\":{\"authorization.k8s.io/decision\":\"allow\"}}\n";
        assert_eq!(String::from_utf8(event.line()).unwrap(), want);
        assert_eq!(ResponseStatus::of_status(&json!({"kind": "Pod"})), None);
    }
}
