//! From query parameters and bodies to what `cluster` takes.

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
            errors.not_supported("resourceVersionMatch", other, &["Exact", "NotOlderThan"]);
            None
        }
    };
    match errors.is_empty() {
        true => Ok(matching),
        false => Err(Status::invalid(&Gvk::parse(META, "ListOptions"), "", errors.into_causes())),
    }
}

pub(crate) fn watch(request: &Request) -> Result<WatchParams, Status> {
    version_match(request, true)?;
    Ok(WatchParams {
        labels: labels(request)?,
        fields: fields(request)?,
        resource_version: resource_version(request)?,
        send_initial_events: request.flag("sendInitialEvents")?,
    })
}

pub(crate) fn write(request: &Request) -> Result<WriteOptions, Status> {
    let field_manager = match request.parameter("fieldManager") {
        Some(given) => checked_manager(given, request)?,
        None => user_agent(request.header(http::header::USER_AGENT)),
    };
    let dry_run = dry_run(request.parameter("dryRun"))?;
    Ok(WriteOptions { dry_run, field_manager, ..WriteOptions::default() })
}

/// For a patch of the apply kind, which alone may be forced and must say who it is.
pub(crate) fn apply(request: &Request) -> Result<(WriteOptions, bool), Status> {
    if request.parameter("fieldManager").is_none() {
        let mut errors = ErrorList::default();
        errors.required("fieldManager", "is required for apply patch");
        return Err(Status::invalid(&Gvk::parse(META, "PatchOptions"), "", errors.into_causes()));
    }
    Ok((write(request)?, request.flag("force")?))
}

/// For every other patch.
pub(crate) fn patch(request: &Request) -> Result<WriteOptions, Status> {
    if request.parameter("force").is_some() {
        let mut errors = ErrorList::default();
        errors.forbidden("force", "may not be specified for non-apply patch");
        return Err(Status::invalid(&Gvk::parse(META, "PatchOptions"), "", errors.into_causes()));
    }
    write(request)
}

fn checked_manager(given: &str, request: &Request) -> Result<String, Status> {
    let mut errors = ErrorList::default();
    validate_field_manager(given, "fieldManager", &mut errors);
    if errors.is_empty() {
        return Ok(given.to_owned());
    }
    let options = match request.method {
        Method::POST => "CreateOptions",
        Method::PUT => "UpdateOptions",
        _ => "PatchOptions",
    };
    Err(Status::invalid(&Gvk::parse(META, options), "", errors.into_causes()))
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
    let propagation = propagation(request, &body)?;
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
        ..DeleteOptions::default()
    })
}

/// What becomes of what the object owns, said in one of two ways.
///
/// # Errors
/// `Invalid` for both at once, and for what is no policy (upstream's `ValidateDeleteOptions`).
fn propagation(request: &Request, body: &DeleteBody) -> Result<Option<Propagation>, Status> {
    let (policy, orphan) = match (body.propagation_policy.as_deref(), body.orphan_dependents) {
        (None, None) => {
            let orphan = request.parameter("orphanDependents").map(|_| request.flag("orphanDependents"));
            (request.parameter("propagationPolicy"), orphan.transpose()?)
        }
        of_body => of_body,
    };
    let mut errors = ErrorList::default();
    if let (Some(policy), Some(_)) = (policy, orphan) {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        errors.invalid("propagationPolicy", policy, why);
    }
    let propagation = match (policy, orphan) {
        (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
        (None, None) => None,
        (Some(other), _) => {
            errors.not_supported("propagationPolicy", other, &["Foreground", "Background", "Orphan", "nil"]);
            None
        }
    };
    match errors.is_empty() {
        true => Ok(propagation),
        false => Err(Status::invalid(&Gvk::parse(META, "DeleteOptions"), "", errors.into_causes())),
    }
}

/// # Errors
/// `BadRequest` for what is none of the three.
pub(crate) fn include(request: &Request) -> Result<Include, Status> {
    match request.parameter("includeObject") {
        None | Some("Metadata") => Ok(Include::Metadata),
        Some("Object") => Ok(Include::Object),
        Some("None") => Ok(Include::Nothing),
        Some(other) => Err(Status::bad_request(format!(
            "includeObject: Unsupported value: {other:?}: supported values: \"Metadata\", \"None\", \"Object\""
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
mod tests {
    use super::*;

    fn asked(query: &str) -> Request {
        Request::for_tests("GET", "/api/v1/pods", query, Vec::new())
    }

    fn refused<T>(outcome: Result<T, Status>) -> (u16, String) {
        outcome.err().map(|status| (status.code, status.message)).unwrap_or_default()
    }

    #[test]
    fn who_names_no_manager_is_known_by_its_program() {
        for (header, want) in [
            ("kubectl/v1.34.0 (linux/amd64)", "kubectl"),
            ("curl", "curl"),
            ("", "unknown"),
            ("/x", "unknown"),
            ("a\u{200b}b\tc/1", "abc"),
        ] {
            assert_eq!(user_agent(header), want, "{header:?}");
        }
    }

    #[test]
    fn a_manager_is_checked_whatever_is_written() {
        let long = format!("fieldManager={}", "m".repeat(129));
        let words =
            |options: &str, why: &str| format!("{options}.meta.k8s.io \"\" is invalid: fieldManager: {why}");
        let too_long = "Too long: may not be more than 128 bytes";
        for (method, query, want) in [
            ("POST", "fieldManager=a%20b", String::new()),
            ("POST", long.as_str(), words("CreateOptions", too_long)),
            ("PUT", &long, words("UpdateOptions", too_long)),
            ("PATCH", &long, words("PatchOptions", too_long)),
            (
                "PATCH",
                "fieldManager=a%07b",
                words(
                    "PatchOptions",
                    "Invalid value: \"a\\u0007b\": invalid character U+0007 (at position 1)",
                ),
            ),
        ] {
            let asked = Request::for_tests(method, "/api/v1/pods", query, Vec::new());
            let code = if want.is_empty() { 0 } else { 422 };
            assert_eq!(refused(write(&asked)), (code, want), "{method} {query}");
        }
    }

    #[test]
    fn a_list_is_asked_for_in_a_way_that_makes_sense() {
        let cases = [
            ("resourceVersionMatch=Exact", 422, "unless resourceVersion is provided"),
            ("resourceVersion=0&resourceVersionMatch=Exact", 422, "is forbidden for resourceVersion \"0\""),
            ("resourceVersion=5&resourceVersionMatch=Newest", 422, "Unsupported value: \"Newest\""),
            ("continue=x&resourceVersion=5&resourceVersionMatch=Exact", 422, "when continue is provided"),
            ("sendInitialEvents=true", 422, "sendInitialEvents is forbidden for list"),
            ("continue=x&resourceVersion=5", 400, "not allowed when using continue"),
            ("limit=many", 400, "limit"),
            ("limit=-1", 0, ""),
            ("resourceVersion=5&resourceVersionMatch=NotOlderThan", 0, ""),
            ("continue=x&resourceVersion=0&limit=5", 0, ""),
        ];
        for (query, code, words) in cases {
            let (said, message) = refused(list(&asked(query)));
            assert!(said == code && message.contains(words), "{query}: {said} {message}");
        }
    }

    #[test]
    fn a_watch_that_begins_with_what_exists_says_from_when() {
        let cases = [
            ("sendInitialEvents=true", 422),
            ("sendInitialEvents=true&resourceVersionMatch=Exact", 422),
            ("resourceVersionMatch=NotOlderThan", 422),
            ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", 0),
            ("resourceVersion=5", 0),
        ];
        for (query, code) in cases {
            assert_eq!(refused(watch(&asked(query))).0, code, "{query}");
        }
    }

    #[test]
    fn what_becomes_of_the_owned_is_said_once() {
        let both = r#"{"orphanDependents": true, "propagationPolicy": "Orphan"}"#;
        let cases = [
            ("nothing", "", "", Ok(None)),
            ("by the query", "propagationPolicy=Foreground", "", Ok(Some(Propagation::Foreground))),
            ("by the query, the old way", "orphanDependents=true", "", Ok(Some(Propagation::Orphan))),
            (
                "by the body, the old way",
                "",
                r#"{"orphanDependents": false}"#,
                Ok(Some(Propagation::Background)),
            ),
            (
                "by the body before the query",
                "orphanDependents=true",
                r#"{"propagationPolicy": "Background"}"#,
                Ok(Some(Propagation::Background)),
            ),
            ("both in the body", "", both, Err((422, "cannot be both set"))),
            (
                "both in the query",
                "orphanDependents=true&propagationPolicy=Orphan",
                "",
                Err((422, "cannot be both set")),
            ),
            ("no policy", "propagationPolicy=Sideways", "", Err((422, "Unsupported value: \"Sideways\""))),
        ];
        for (name, query, body, want) in cases {
            match (delete(&asked(query), body.as_bytes()), want) {
                (Ok(options), Ok(want)) => assert_eq!(options.propagation, want, "{name}"),
                (Err(status), Err((code, words))) => {
                    assert!(
                        status.code == code && status.message.contains(words),
                        "{name}: {}",
                        status.message
                    );
                }
                (got, want) => {
                    panic!("{name}: {:?} and not {want:?}", got.map(|options| options.propagation))
                }
            }
        }
    }

    #[test]
    fn rows_carry_what_is_asked_for() {
        for (query, want) in [
            ("", Ok(Include::Metadata)),
            ("includeObject=Object", Ok(Include::Object)),
            ("includeObject=None", Ok(Include::Nothing)),
            ("includeObject=All", Err(400)),
        ] {
            assert_eq!(include(&asked(query)).map_err(|status| status.code), want, "{query}");
        }
    }
}
