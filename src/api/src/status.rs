//! Refusals: reasons, codes and words are upstream's (`apimachinery/pkg/api/errors`), and clients go by them.

use crate::GroupResource;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A refusal (or the outcome of a deletion) as every Kubernetes client understands it: the error type of everything
/// that a request can pass through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    pub code: u16,
    pub reason: Reason,
    pub message: String,
    pub kind: String,
    pub group: String,
    pub name: String,
    pub uid: String,
    pub causes: Vec<Cause>,
    pub retry_after_seconds: Option<i32>,
    /// Where a list that can not be gone on with as it was can be, as it is now.
    pub continue_token: Option<String>,
    /// What clients are told in the place of the reason's name, which may be nothing: the word of an admission webhook.
    pub reason_text: Option<String>,
}

/// One wrong field: `spec.replicas`, `FieldValueInvalid`, what is wrong with it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cause {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

/// Upstream's `metav1.StatusReason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    AlreadyExists,
    Conflict,
    Gone,
    Expired,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    Invalid,
    TooManyRequests,
    InternalError,
    ServiceUnavailable,
    Timeout,
    /// An error of the server that has no other name.
    Unknown,
}

impl Reason {
    pub fn code(self) -> u16 {
        match self {
            Reason::BadRequest => 400,
            Reason::Unauthorized => 401,
            Reason::Forbidden => 403,
            Reason::NotFound => 404,
            Reason::MethodNotAllowed => 405,
            Reason::NotAcceptable => 406,
            Reason::AlreadyExists | Reason::Conflict => 409,
            Reason::Gone | Reason::Expired => 410,
            Reason::RequestEntityTooLarge => 413,
            Reason::UnsupportedMediaType => 415,
            Reason::Invalid => 422,
            Reason::TooManyRequests => 429,
            Reason::InternalError | Reason::Unknown => 500,
            Reason::ServiceUnavailable => 503,
            Reason::Timeout => 504,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Status {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Status {
            code: reason.code(),
            reason,
            message: message.into(),
            kind: String::new(),
            group: String::new(),
            name: String::new(),
            uid: String::new(),
            causes: Vec::new(),
            retry_after_seconds: None,
            continue_token: None,
            reason_text: None,
        }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(Reason::InternalError, format!("Internal error occurred: {message}"))
    }

    pub fn not_found(resource: &GroupResource, name: &str) -> Self {
        Self::new(Reason::NotFound, format!("{resource} \"{name}\" not found")).about(resource, name)
    }

    pub fn already_exists(resource: &GroupResource, name: &str) -> Self {
        Self::new(Reason::AlreadyExists, format!("{resource} \"{name}\" already exists"))
            .about(resource, name)
    }

    pub fn conflict(resource: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        Self::new(Reason::Conflict, format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}"))
            .about(resource, name)
    }

    pub fn forbidden(resource: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        Self::new(Reason::Forbidden, format!("{resource} \"{name}\" is forbidden: {why}"))
            .about(resource, name)
    }

    /// `kind` is `Pod` or `Deployment.apps`; the causes' messages are joined as upstream's aggregate does.
    pub fn invalid(kind: &crate::Gvk, name: &str, causes: Vec<Cause>) -> Self {
        let each: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let what = match each.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut status = Self::new(Reason::Invalid, format!("{kind} \"{name}\" is invalid: {what}"));
        status.kind = kind.kind.to_string();
        status.group = kind.group.to_string();
        status.name = name.to_owned();
        status.causes = causes;
        status
    }

    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(Reason::Expired, message)
    }

    pub fn is(&self, reason: Reason) -> bool {
        self.reason == reason
    }

    fn about(mut self, resource: &GroupResource, name: &str) -> Self {
        self.kind = resource.resource.to_string();
        self.group = resource.group.to_string();
        self.name = name.to_owned();
        self
    }

    /// The `v1` `Status` object.
    pub fn to_json(&self) -> serde_json::Value {
        let mut details = serde_json::Map::new();
        let mut text = |key: &str, value: &str| {
            if !value.is_empty() {
                details.insert(key.to_owned(), value.into());
            }
        };
        text("name", &self.name);
        text("group", &self.group);
        text("kind", &self.kind);
        text("uid", &self.uid);
        if !self.causes.is_empty() {
            details.insert("causes".into(), serde_json::json!(self.causes));
        }
        if let Some(seconds) = self.retry_after_seconds {
            details.insert("retryAfterSeconds".into(), seconds.into());
        }
        let mut status = serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        let reason = match (&self.reason_text, self.reason) {
            (Some(text), _) => text.clone(),
            // upstream's `StatusReasonUnknown` is no text
            (None, Reason::Unknown) => String::new(),
            (None, reason) => reason.to_string(),
        };
        if !reason.is_empty() {
            status["reason"] = reason.into();
        }
        if let Some(token) = &self.continue_token {
            status["metadata"]["continue"] = token.as_str().into();
        }
        // kubectl debug reads the details of every 404 without looking whether there are any
        if !details.is_empty() || self.is(Reason::NotFound) {
            status["details"] = details.into();
        }
        status
    }
}
