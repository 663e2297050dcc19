//! From query parameters and bodies to what `cluster` takes.

use crate::negotiate::View;
use crate::request::Request;
use crate::table::Include;
use api::selector::{Operator, Requirement};
use api::{FieldSelector, Gvk, LabelSelector, ResourceVersion, Status};
use cluster::{DeleteOptions, ListParams, Propagation, VersionMatch, WatchParams, WriteOptions};
use http::Method;
use kinds::builtin::names;
use kinds::{ErrorList, FieldValidation, LONGEST_MANAGER, is_printable, validate_field_manager};
use serde::Deserialize;

/// The group of the options that all verbs take.
const META: &str = "meta.k8s.io/v1";

/// # Errors
/// `BadRequest` with the parameter that makes no sense; so do all of these.
pub(crate) fn list(request: &Request) -> Result<ListParams, Status> {
    let version_match = version_match(request, false)?;
    let continued = request.parameter("continue");
    if continued.is_some() && request.parameter("resourceVersion").is_some_and(|version| version != "0") {
        return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
    }
    Ok(ListParams {
        labels: labels(request)?,
        fields: fields(request)?,
        // as upstream, a negative limit is none
        limit: usize::try_from(request.number::<i64>("limit")?.unwrap_or(0)).unwrap_or(0),
        continue_token: continued.map(str::to_owned),
        resource_version: resource_version(request)?,
        version_match,
    })
}

/// Upstream's `ValidateListOptions`: which of these parameters make sense together.
fn version_match(request: &Request, watches: bool) -> Result<Option<VersionMatch>, Status> {
    let (given, initial) =
        (request.parameter("resourceVersionMatch"), request.parameter("sendInitialEvents"));
    let version = request.parameter("resourceVersion");
    let mut errors = ErrorList::default();
    let mut forbid = |why: &str| errors.forbidden("resourceVersionMatch", why);
    match given {
        Some(_) if !watches && version.is_none() => {
            forbid("resourceVersionMatch is forbidden unless resourceVersion is provided");
        }
        Some(_) if request.parameter("continue").is_some() => {
            forbid("resourceVersionMatch is forbidden when continue is provided");
        }
        Some("Exact") if version == Some("0") => {
            forbid("resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"");
        }
        Some(_) if watches && initial.is_none() => {
            forbid("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
        }
        _ if watches && initial.is_some() && given != Some("NotOlderThan") => {
            forbid("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
        }
        _ => {}
    }
    if initial.is_some() && !watches {
        errors.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
    }
    let matching = match given {
        None => None,
        Some("Exact") => Some(VersionMatch::Exact),
        Some("NotOlderThan") => Some(VersionMatch::NotOlderThan),
        Some(other) => {
            errors.not_supported("resourceVersionMatch", other, &["Exact", "NotOlderThan", ""]);
            None
        }
    };
    refuse("ListOptions", errors)?;
    Ok(matching)
}

pub(crate) fn watch(request: &Request) -> Result<WatchParams, Status> {
    version_match(request, true)?;
    let sends_initial = request.flag("sendInitialEvents")?;
    Ok(WatchParams {
        labels: labels(request)?,
        fields: fields(request)?,
        resource_version: resource_version(request)?,
        send_initial_events: sends_initial,
        from_now: request.parameter("sendInitialEvents").is_some() && !sends_initial,
    })
}

pub(crate) fn write(request: &Request) -> Result<WriteOptions, Status> {
    write_options(request, ErrorList::default())
}

/// For a patch of the apply kind, which alone may be forced and must say who it is.
pub(crate) fn apply(request: &Request) -> Result<(WriteOptions, bool), Status> {
    let mut errors = ErrorList::default();
    if request.parameter("fieldManager").is_none() {
        errors.required("fieldManager", "is required for apply patch");
    }
    Ok((write_options(request, errors)?, request.flag("force")?))
}

/// For every other patch.
pub(crate) fn patch(request: &Request) -> Result<WriteOptions, Status> {
    let mut errors = ErrorList::default();
    if request.parameter("force").is_some() {
        errors.forbidden("force", "may not be specified for non-apply patch");
    }
    write_options(request, errors)
}

/// Upstream's `ValidateCreateOptions` and its like tell all that is wrong at once.
fn write_options(request: &Request, mut errors: ErrorList) -> Result<WriteOptions, Status> {
    let field_manager = request.parameter("fieldManager");
    if let Some(given) = field_manager {
        validate_field_manager(given, "fieldManager", &mut errors);
    }
    let dry_run = dry_run(&request.values("dryRun"), &mut errors);
    if let Some(given) = request.parameter("fieldValidation").filter(|given| grade(given).is_none()) {
        errors.not_supported("fieldValidation", given, &["", "Ignore", "Strict", "Warn"]);
    }
    let options = match request.method {
        Method::POST => "CreateOptions",
        Method::PUT => "UpdateOptions",
        _ => "PatchOptions",
    };
    refuse(options, errors)?;
    let field_manager = match field_manager {
        Some(given) => given.to_owned(),
        None => user_agent(request.header(http::header::USER_AGENT)),
    };
    let given = |name: &'static str| request.parameter(name).map(|given| (name, given.to_owned()));
    let parameters = ["fieldManager", "fieldValidation"].into_iter().filter_map(given).collect();
    Ok(WriteOptions { dry_run, field_manager, parameters, ..WriteOptions::default() })
}

/// # Errors
/// `Invalid`, where there is any.
fn refuse(options: &str, errors: ErrorList) -> Result<(), Status> {
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid(&Gvk::parse(META, options), "", errors.into_causes())),
    }
}

/// There is one way not to write: up to storage, and no further. A parameter without a value says nothing.
fn dry_run(given: &[&str], errors: &mut ErrorList) -> bool {
    let given: Vec<&str> = given.iter().copied().filter(|one| !one.is_empty()).collect();
    if given.iter().any(|one| *one != "All") {
        errors.not_supported("dryRun", given.clone(), &["All"]);
    }
    !given.is_empty()
}

fn grade(given: &str) -> Option<FieldValidation> {
    match given {
        "Ignore" => Some(FieldValidation::Ignore),
        "Strict" => Some(FieldValidation::Strict),
        "Warn" => Some(FieldValidation::Warn),
        _ => None,
    }
}

/// What it can not be, [`write`] and its like have refused.
pub(crate) fn field_validation(request: &Request) -> FieldValidation {
    request.parameter("fieldValidation").and_then(grade).unwrap_or_default()
}

/// Upstream's word for who says neither.
const UNKNOWN_MANAGER: &str = "unknown";

/// Who names no manager is known by its program: `kubectl` of `kubectl/v1.34.0 (linux/amd64) …`.
fn user_agent(header: &str) -> String {
    let program = header.split('/').next().filter(|program| !program.is_empty()).unwrap_or(UNKNOWN_MANAGER);
    let mut manager = String::new();
    for c in program.chars().filter(|c| is_printable(*c)) {
        if manager.len() + c.len_utf8() > LONGEST_MANAGER {
            break;
        }
        manager.push(c);
    }
    manager
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
    let mut errors = ErrorList::default();
    let propagation = propagation(request, &body, &mut errors)?;
    let mut dry_runs = request.values("dryRun");
    dry_runs.extend(body.dry_run.iter().flatten().map(String::as_str));
    let dry_run = dry_run(&dry_runs, &mut errors);
    refuse("DeleteOptions", errors)?;
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
        dry_run,
        ..DeleteOptions::default()
    })
}

/// What becomes of what the object owns, said in one of two ways: not in both, and by what is a policy (upstream's
/// `ValidateDeleteOptions`).
///
/// # Errors
/// `BadRequest` for what is no boolean.
fn propagation(
    request: &Request,
    body: &DeleteBody,
    errors: &mut ErrorList,
) -> Result<Option<Propagation>, Status> {
    let (policy, orphan) = match (body.propagation_policy.as_deref(), body.orphan_dependents) {
        (None, None) => {
            let orphan = request.parameter("orphanDependents").map(|_| request.flag("orphanDependents"));
            (request.parameter("propagationPolicy"), orphan.transpose()?)
        }
        of_body => of_body,
    };
    if let (Some(policy), Some(_)) = (policy, orphan) {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        errors.invalid("propagationPolicy", policy, why);
    }
    Ok(match (policy, orphan) {
        (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
        (None, None) => None,
        (Some(other), _) => {
            errors.not_supported("propagationPolicy", other, &["Foreground", "Background", "Orphan", "nil"]);
            None
        }
    })
}

/// What rows carry; nobody looks at it where no table is asked for.
///
/// # Errors
/// `BadRequest` for what is none of the three.
pub(crate) fn include(request: &Request, view: View) -> Result<Include, Status> {
    match request.parameter("includeObject").filter(|_| view == View::Table) {
        None | Some("Metadata") => Ok(Include::Metadata),
        Some("Object") => Ok(Include::Object),
        Some("None") => Ok(Include::Nothing),
        Some(other) => Err(Status::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', 'Object', \
             'None', or empty"
        ))),
    }
}

fn labels(request: &Request) -> Result<LabelSelector, Status> {
    let text = request.parameter("labelSelector").unwrap_or_default();
    let selector = LabelSelector::parse(text).map_err(Status::bad_request)?;
    selector
        .requirements
        .iter()
        .try_for_each(possible)
        .map_err(|why| Status::bad_request(format!("unable to parse requirement: {why}")))?;
    Ok(selector)
}

/// # Errors
/// What no object's label can be, in upstream's words: a key has no path there, which it says.
fn possible(requirement: &Requirement) -> Result<(), String> {
    let key = &requirement.key;
    names::qualified(key).map_err(|why| format!("<nil>: Invalid value: {key:?}: {why}"))?;
    let (Operator::In(values) | Operator::NotIn(values)) = &requirement.operator else { return Ok(()) };
    values.iter().enumerate().try_for_each(|(index, value)| {
        let judged = names::label_value(value);
        judged.map_err(|why| format!("values[{index}][{key}]: Invalid value: {value:?}: {why}"))
    })
}

fn fields(request: &Request) -> Result<FieldSelector, Status> {
    FieldSelector::parse(request.parameter("fieldSelector").unwrap_or_default()).map_err(Status::bad_request)
}

fn resource_version(request: &Request) -> Result<Option<ResourceVersion>, Status> {
    let parse =
        |text: &str| text.parse().map_err(|e: api::ParseRevisionError| Status::bad_request(e.to_string()));
    request.parameter("resourceVersion").map(parse).transpose()
}

#[cfg(test)]
mod tests;
