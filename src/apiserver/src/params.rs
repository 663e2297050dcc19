//! From query parameters and bodies to what `cluster` takes.

use crate::request::Request;
use api::{FieldSelector, LabelSelector, ResourceVersion, Status};
use cluster::{DeleteOptions, ListParams, Propagation, VersionMatch, WatchParams, WriteOptions};
use kinds::FieldValidation;
use serde::Deserialize;

/// # Errors
/// `BadRequest` with the parameter that makes no sense; so do all of these.
pub(crate) fn list(request: &Request) -> Result<ListParams, Status> {
    let version_match = match request.parameter("resourceVersionMatch") {
        None => None,
        Some("Exact") => Some(VersionMatch::Exact),
        Some("NotOlderThan") => Some(VersionMatch::NotOlderThan),
        Some(other) => {
            return Err(Status::bad_request(format!(
                "resourceVersionMatch: Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\""
            )));
        }
    };
    Ok(ListParams {
        labels: labels(request)?,
        fields: fields(request)?,
        limit: request.number("limit")?.unwrap_or(0),
        continue_token: request.parameter("continue").map(str::to_owned),
        resource_version: resource_version(request)?,
        version_match,
    })
}

pub(crate) fn watch(request: &Request) -> Result<WatchParams, Status> {
    Ok(WatchParams {
        labels: labels(request)?,
        fields: fields(request)?,
        resource_version: resource_version(request)?,
        send_initial_events: request.flag("sendInitialEvents")?,
    })
}

pub(crate) fn write(request: &Request) -> Result<WriteOptions, Status> {
    Ok(WriteOptions { dry_run: dry_run(request.parameter("dryRun"))? })
}

fn dry_run(value: Option<&str>) -> Result<bool, Status> {
    match value {
        None => Ok(false),
        Some("All") => Ok(true),
        Some(other) => Err(Status::bad_request(format!(
            "dryRun: Unsupported value: {other:?}: supported values: \"All\""
        ))),
    }
}

pub(crate) fn field_validation(request: &Request) -> Result<FieldValidation, Status> {
    match request.parameter("fieldValidation") {
        None | Some("Warn") => Ok(FieldValidation::Warn),
        Some("Ignore") => Ok(FieldValidation::Ignore),
        Some("Strict") => Ok(FieldValidation::Strict),
        Some(other) => Err(Status::bad_request(format!(
            "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\""
        ))),
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DeleteBody {
    grace_period_seconds: Option<i64>,
    propagation_policy: Option<String>,
    orphan_dependents: Option<bool>,
    preconditions: Option<Preconditions>,
    dry_run: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

/// The body wins over the query.
pub(crate) fn delete(request: &Request, body: &[u8]) -> Result<DeleteOptions, Status> {
    let body: DeleteBody = match body {
        [] => DeleteBody::default(),
        body => {
            serde_json::from_slice(body).map_err(|e| Status::bad_request(format!("DeleteOptions: {e}")))?
        }
    };
    let policy = body.propagation_policy.as_deref().or(request.parameter("propagationPolicy"));
    let orphan = match request.parameter("orphanDependents") {
        Some(_) => Some(request.flag("orphanDependents")?),
        None => body.orphan_dependents,
    };
    let propagation = match (policy, orphan) {
        (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
        (None, None) => None,
        (Some(other), _) => {
            return Err(Status::bad_request(format!(
                "propagationPolicy: Unsupported value: {other:?}: supported values: \"Foreground\", \"Background\", \"Orphan\""
            )));
        }
    };
    let conditions = body.preconditions.unwrap_or_default();
    let parse =
        |text: String| text.parse::<ResourceVersion>().map_err(|e| Status::bad_request(e.to_string()));
    Ok(DeleteOptions {
        grace_period_seconds: match body.grace_period_seconds {
            Some(seconds) => Some(seconds),
            None => request.number("gracePeriodSeconds")?,
        },
        propagation,
        uid: conditions.uid,
        resource_version: conditions.resource_version.map(parse).transpose()?,
        dry_run: dry_run(request.parameter("dryRun"))? || body.dry_run.is_some_and(|d| !d.is_empty()),
    })
}

fn labels(request: &Request) -> Result<LabelSelector, Status> {
    LabelSelector::parse(request.parameter("labelSelector").unwrap_or_default()).map_err(Status::bad_request)
}

fn fields(request: &Request) -> Result<FieldSelector, Status> {
    FieldSelector::parse(request.parameter("fieldSelector").unwrap_or_default()).map_err(Status::bad_request)
}

fn resource_version(request: &Request) -> Result<Option<ResourceVersion>, Status> {
    let parse =
        |text: &str| text.parse().map_err(|e: api::ParseRevisionError| Status::bad_request(e.to_string()));
    request.parameter("resourceVersion").map(parse).transpose()
}
