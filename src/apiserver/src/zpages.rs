//! `/statusz` and `/flagz` (KEP-4827, KEP-4828): what a component is, since when it runs, where more of it is shown, and how it is
//! set. Text for people; an object of `config.k8s.io` for who names its kind. The API server's are at its own paths, the kubelet's
//! at those of its server.

use crate::metrics::process_started;
use crate::negotiate::{Format, PageForm, page_form};
use crate::{responses, yaml};
use api::{KUBERNETES_VERSION, Status};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use warp::reply::Response;

const GROUP: &str = "config.k8s.io";
const WARNING: &str = "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.";
/// First segments of paths that help nobody who looks for what is wrong.
const NOT_FOR_DEBUGGING: [&str; 5] = [".well-known", "api", "apis", "openapi", "openid"];
/// Who still asks in it is told so.
const DEPRECATED: &str = "v1alpha1";

/// `paths` are all that the component serves.
///
/// # Errors
/// `NotAcceptable` for a client that takes neither text nor the object.
pub(crate) fn statusz<P: AsRef<str>>(accept: &str, component: &str, paths: &[P]) -> Result<Response, Status> {
    let form = page_form(accept, "Statusz")?;
    let now = Timestamp::now();
    let status = ComponentStatus {
        component,
        started: process_started().unwrap_or(now),
        now,
        paths: roots(paths.iter().map(|path| path.as_ref())),
    };
    Ok(answer("statusz", form, &status.text(), status.object()))
}

/// `flags` are those by which upstream's component is told how it is set, with their values.
///
/// # Errors
/// `NotAcceptable`, as above.
pub(crate) fn flagz(
    accept: &str,
    component: &str,
    flags: &BTreeMap<&'static str, String>,
) -> Result<Response, Status> {
    let form = page_form(accept, "Flagz")?;
    let mut text = format!("\n{component} flagz\n{WARNING}\n");
    for (flag, value) in flags {
        let _ = writeln!(text, "{flag}={value}");
    }
    let mut object = json!({"kind": "Flagz", "metadata": {"name": component}});
    if !flags.is_empty() {
        object["flags"] = json!(flags);
    }
    Ok(answer("flagz", form, &text, object))
}

struct ComponentStatus<'c> {
    component: &'c str,
    started: Timestamp,
    now: Timestamp,
    paths: Vec<String>,
}

impl ComponentStatus<'_> {
    /// Whole seconds; a clock that was put back makes nothing younger than new.
    fn uptime(&self) -> i64 {
        (self.now.as_second() - self.started.as_second()).max(0)
    }

    fn text(&self) -> String {
        let uptime = self.uptime();
        let (hours, minutes, seconds) = (uptime / 3600, uptime / 60 % 60, uptime % 60);
        let started = self.started.strftime("%a %b %e %H:%M:%S UTC %Y");
        let (binary, emulated) = versions();
        let (component, paths) = (self.component, self.paths.join(" "));
        format!(
            "\n{component} statusz\n{WARNING}\n\nStarted: {started}\nUp: {hours} hr {minutes:02} min {seconds:02} sec\nGo version: \n\
             Binary version: {binary}\nEmulation version: {emulated}\nPaths: {paths}\n"
        )
    }

    fn object(&self) -> Value {
        let (binary, emulated) = versions();
        json!({
            "kind": "Statusz", "metadata": {"name": self.component},
            "startTime": kinds::whole_second(self.started).0.to_string(), "uptimeSeconds": self.uptime(),
            "goVersion": "", "binaryVersion": binary, "emulationVersion": emulated, "paths": self.paths,
        })
    }
}

/// Of the binary, as far as Kubernetes has a number for it, and of the API that it serves.
fn versions() -> (&'static str, String) {
    let of = KUBERNETES_VERSION;
    (of.git.trim_start_matches('v'), format!("{}.{}", of.major, of.minor))
}

/// The first segments, each once.
fn roots<'p>(paths: impl Iterator<Item = &'p str>) -> Vec<String> {
    let firsts = paths.filter_map(|path| path.split('/').nth(1));
    let firsts: BTreeSet<&str> = firsts.filter(|first| !first.is_empty()).collect();
    firsts
        .into_iter()
        .filter(|first| !NOT_FOR_DEBUGGING.contains(first))
        .map(|first| format!("/{first}"))
        .collect()
}

fn answer(page: &str, form: PageForm, text: &str, mut object: Value) -> Response {
    let PageForm::Object { format, version } = form else { return responses::text(200, text.to_owned()) };
    object["apiVersion"] = format!("{GROUP}/{version}").into();
    let body = match format {
        Format::Yaml => yaml::text(&object),
        Format::Json | Format::Protobuf => object.to_string(),
    };
    let kind = object["kind"].as_str().unwrap_or_default();
    let response = responses::of_kind(200, format.media(), (GROUP, version, kind), body);
    let old = format!("This version of the {page} endpoint is deprecated. Please use a newer version.");
    let warnings = if version == DEPRECATED { vec![old] } else { Vec::new() };
    responses::with_warnings(response, &warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_since_when_and_where_more_is_shown() {
        let paths = ["/", "/api/v1", "/livez", "/livez/etcd", "/openapi/v2", "/metrics", "/.well-known/x"];
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let paths = roots(paths.into_iter());
        assert_eq!(paths, ["/livez", "/metrics"]);
        let (component, started) = ("kube-apiserver", at(1_728_939_843));
        let status = ComponentStatus { component, started, now: at(1_728_939_843 + 90_061), paths };
        let lines = [
            "",
            "kube-apiserver statusz",
            WARNING,
            "",
            "Started: Mon Oct 14 21:04:03 UTC 2024",
            "Up: 25 hr 01 min 01 sec",
            "Go version: ",
            "Binary version: 1.37.0",
            "Emulation version: 1.37",
            "Paths: /livez /metrics",
            "",
        ];
        assert_eq!(status.text(), lines.join("\n"));
        let want = json!({
            "kind": "Statusz", "metadata": {"name": "kube-apiserver"}, "startTime": "2024-10-14T21:04:03Z",
            "uptimeSeconds": 90_061, "goVersion": "", "binaryVersion": "1.37.0", "emulationVersion": "1.37",
            "paths": ["/livez", "/metrics"],
        });
        assert_eq!(status.object(), want);
        let set_back = ComponentStatus { now: at(0), ..status };
        assert_eq!(set_back.uptime(), 0);
    }
}
