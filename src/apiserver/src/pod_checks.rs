//! What upstream's API server and kubelet say before they connect to a pod.

use crate::connect_options::AttachOptions;
use crate::request::Request;
use api::{Cause, Gvk, Status};
use cri::{AttachStreams, LogOptions};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodSpec};

/// The named container, or the only one.
///
/// # Errors
/// `BadRequest`, with the names that there are.
pub(crate) fn container(pod: &Pod, asked: Option<&str>) -> Result<String, Status> {
    let (name, none) = (pod.metadata.name.as_deref().unwrap_or_default(), PodSpec::default());
    let spec = pod.spec.as_ref().unwrap_or(&none);
    let regular = || spec.containers.iter().map(|c| c.name.as_str());
    let init = || spec.init_containers.iter().flatten().map(|c| c.name.as_str());
    let ephemeral = || spec.ephemeral_containers.iter().flatten().map(|c| c.name.as_str());
    if let Some(asked) = asked {
        return match regular().chain(init()).chain(ephemeral()).any(|known| known == asked) {
            true => Ok(asked.to_owned()),
            false => Err(Status::bad_request(format!("container {asked} is not valid for pod {name}"))),
        };
    }
    if let [only] = spec.containers.as_slice() {
        return Ok(only.name.clone());
    }
    let joined = |names: Vec<&str>| names.join(" ");
    let mut message = format!(
        "a container name must be specified for pod {name}, choose one of: [{}]",
        joined(regular().collect())
    );
    if init().next().is_some() {
        message += &format!(" or one of the init containers: [{}]", joined(init().collect()));
    }
    Err(Status::bad_request(message))
}

/// # Errors
/// `BadRequest` for a pod that no node has.
pub(crate) fn assigned(pod: &Pod) -> Result<(), Status> {
    match has_node(pod) {
        true => Ok(()),
        false => {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            Err(Status::bad_request(format!("pod {name} does not have a host assigned")))
        }
    }
}

pub(crate) fn has_node(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).is_some_and(|node| !node.is_empty())
}

/// Whether the container has, or had, something to print.
///
/// # Errors
/// `BadRequest`, in the kubelet's words.
pub(crate) fn has_log(pod: &Pod, container: &str, previous: bool) -> Result<(), Status> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let refuse =
        |what: &str| Err(Status::bad_request(format!("container {container:?} in pod {name:?} {what}")));
    let Some(status) = status_of(pod, container) else { return refuse("is not available") };
    let ran = |state: &Option<ContainerState>| {
        let ended = state.as_ref().and_then(|state| state.terminated.as_ref());
        ended.map(|ended| ended.container_id.as_deref().is_some_and(|id| !id.is_empty()))
    };
    if previous {
        return match ran(&status.last_state) {
            Some(true) => Ok(()),
            _ => Err(Status::bad_request(format!(
                "previous terminated container {container:?} in pod {name:?} not found"
            ))),
        };
    }
    let running = status.state.as_ref().is_some_and(|state| state.running.is_some());
    match (running, ran(&status.state), ran(&status.last_state)) {
        (true, ..) | (false, Some(true), _) | (false, _, Some(_)) => Ok(()),
        (false, Some(false), None) => refuse("is terminated"),
        (false, None, None) => refuse(&why_waiting(status.state.as_ref())),
    }
}

fn status_of<'p>(pod: &'p Pod, container: &str) -> Option<&'p ContainerStatus> {
    let status = pod.status.as_ref()?;
    let all =
        [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    all.into_iter().flatten().flatten().find(|status| status.name == container)
}

fn why_waiting(state: Option<&ContainerState>) -> String {
    let waiting = state.and_then(|state| state.waiting.as_ref());
    let why = match waiting.map(|waiting| waiting.reason.as_deref().unwrap_or_default()) {
        None => return "is waiting to start - no logs yet".to_owned(),
        Some("ErrImagePull") => "image can't be pulled",
        Some("ImagePullBackOff") => "trying and failing to pull image",
        Some(reason) => reason,
    };
    format!("is waiting to start: {why}")
}

/// # Errors
/// `BadRequest` for what can not be read, `Invalid` for what makes no sense.
pub(crate) fn log_options(request: &Request, pod: &str, now: jiff::Timestamp) -> Result<LogOptions, Status> {
    let since_time: Option<jiff::Timestamp> = request
        .parameter("sinceTime")
        .map(str::parse)
        .transpose()
        .map_err(|e| Status::bad_request(format!("parameter sinceTime: {e}")))?;
    let since_seconds = request.number::<i64>("sinceSeconds")?;
    let tail_lines = request.number::<i64>("tailLines")?;
    let limit_bytes = request.number::<i64>("limitBytes")?;
    let mut causes = Vec::new();
    let mut invalid = |field: &str, reason: &str, message: String| {
        causes.push(Cause { reason: reason.to_owned(), message, field: field.to_owned() });
    };
    let value = |given: i64, must: &str| format!("Invalid value: {given}: {must}");
    if let Some(given @ ..0) = tail_lines {
        invalid("tailLines", "FieldValueInvalid", value(given, "must be greater than or equal to 0"));
    }
    if let Some(given @ ..1) = limit_bytes {
        invalid("limitBytes", "FieldValueInvalid", value(given, "must be greater than 0"));
    }
    match (since_seconds, since_time) {
        (Some(_), Some(_)) => {
            let why = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified";
            invalid("", "FieldValueForbidden", why.to_owned());
        }
        (Some(given @ ..1), None) => {
            invalid("sinceSeconds", "FieldValueInvalid", value(given, "must be greater than 0"));
        }
        _ => {}
    }
    if !causes.is_empty() {
        let kind = Gvk { group: "".into(), version: "v1".into(), kind: "PodLogOptions".into() };
        return Err(Status::invalid(&kind, pod, causes));
    }
    // further back than time reaches is from the beginning
    let ago = |seconds| now.checked_sub(jiff::SignedDuration::from_secs(seconds)).ok();
    Ok(LogOptions {
        follow: request.flag("follow")?,
        previous: request.flag("previous")?,
        timestamps: request.flag("timestamps")?,
        since: since_time.or_else(|| since_seconds.and_then(ago)),
        tail_lines: tail_lines.and_then(|lines| u64::try_from(lines).ok()),
        limit_bytes: limit_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
    })
}

/// Which streams of a process are wanted.
///
/// # Errors
/// `BadRequest` where none is.
pub(crate) fn streams(options: &AttachOptions) -> Result<AttachStreams, Status> {
    let AttachOptions { stdin, stdout, stderr, tty, .. } = *options;
    // a terminal has one output
    let wanted = AttachStreams { stdin, stdout, stderr: stderr && !tty, tty };
    match wanted.stdin || wanted.stdout || wanted.stderr {
        true => Ok(wanted),
        false => Err(Status::bad_request("you must specify at least 1 of stdin, stdout, stderr")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(containers: &[&str], statuses: Value) -> Pod {
        let containers: Vec<Value> = containers.iter().map(|name| json!({"name": name})).collect();
        serde_json::from_value(json!({
            "metadata": {"name": "web"}, "spec": {"containers": containers, "initContainers": [{"name": "init"}]},
            "status": {"containerStatuses": statuses},
        }))
        .unwrap()
    }

    #[test]
    fn a_container_is_found_or_the_choice_is_told() {
        let (one, two) = (pod(&["a"], json!([])), pod(&["a", "b"], json!([])));
        let choice = "a container name must be specified for pod web, choose one of: [a b] or one of the init containers: [init]";
        let cases = [
            (&one, None, Ok("a")),
            (&two, None, Err(choice)),
            (&two, Some("b"), Ok("b")),
            (&two, Some("init"), Ok("init")),
            (&two, Some("c"), Err("container c is not valid for pod web")),
        ];
        for (pod, asked, want) in cases {
            let got = container(pod, asked);
            assert_eq!(got.as_deref().map_err(|e| e.message.as_str()), want, "{asked:?}");
        }
    }

    #[test]
    fn a_container_without_a_log_says_why() {
        let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
        let ended = |id: &str| json!({"terminated": {"exitCode": 1, "containerID": id}});
        let running = json!({"running": {}});
        let none = json!({});
        let at = |what: &str| format!("container \"a\" in pod \"web\" {what}");
        let cases = [
            ("running", &running, &none, false, String::new()),
            (
                "creating",
                &waiting("ContainerCreating"),
                &none,
                false,
                at("is waiting to start: ContainerCreating"),
            ),
            (
                "no image",
                &waiting("ErrImagePull"),
                &none,
                false,
                at("is waiting to start: image can't be pulled"),
            ),
            (
                "never an image",
                &waiting("ImagePullBackOff"),
                &none,
                false,
                at("is waiting to start: trying and failing to pull image"),
            ),
            ("crashed before", &waiting("CrashLoopBackOff"), &ended("x"), false, String::new()),
            ("ended", &ended("x"), &none, false, String::new()),
            ("never ran", &ended(""), &none, false, at("is terminated")),
            ("no state", &none, &none, false, at("is waiting to start - no logs yet")),
            ("before the last", &running, &ended("x"), true, String::new()),
            (
                "no last",
                &running,
                &none,
                true,
                "previous terminated container \"a\" in pod \"web\" not found".to_owned(),
            ),
        ];
        for (name, state, last, previous, want) in cases {
            let status = json!([{
                "name": "a", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state, "lastState": last,
            }]);
            let got = has_log(&pod(&["a"], status), "a", previous).err();
            assert_eq!(got.map(|e| e.message).unwrap_or_default(), want, "{name}");
        }
        let missing = has_log(&pod(&["a"], json!([])), "a", false).unwrap_err();
        assert_eq!(missing.message, at("is not available"));
    }
}
