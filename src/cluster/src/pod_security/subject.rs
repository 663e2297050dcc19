//! What is judged, and what is found; and the phrases that all checks are worded with.

use k8s_openapi::api::core::v1::{
    ContainerPort, Lifecycle, PodSecurityContext, PodSpec, Probe, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(super) reason: String,
    pub(super) detail: String,
}

/// A pod, or a template of pods.
pub(super) struct Subject<'s> {
    pub(super) annotations: &'s BTreeMap<String, String>,
    pub(super) spec: &'s PodSpec,
    /// Init containers first, ephemeral ones last.
    pub(super) containers: Vec<AnyContainer<'s>>,
}

/// What containers of every sort have.
pub(super) struct AnyContainer<'s> {
    pub(super) name: &'s str,
    pub(super) security: Option<&'s SecurityContext>,
    pub(super) ports: &'s [ContainerPort],
    pub(super) probes: [Option<&'s Probe>; 3],
    pub(super) lifecycle: Option<&'s Lifecycle>,
}

macro_rules! any_container {
    ($container:expr) => {
        AnyContainer {
            name: &$container.name,
            security: $container.security_context.as_ref(),
            ports: $container.ports.as_deref().unwrap_or_default(),
            probes: [
                $container.liveness_probe.as_ref(),
                $container.readiness_probe.as_ref(),
                $container.startup_probe.as_ref(),
            ],
            lifecycle: $container.lifecycle.as_ref(),
        }
    };
}

impl<'s> Subject<'s> {
    pub(super) fn new(metadata: &'s ObjectMeta, spec: &'s PodSpec) -> Self {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        let plain = spec.init_containers.iter().flatten().chain(&spec.containers);
        let containers = plain.map(|container| any_container!(container));
        let ephemeral = spec.ephemeral_containers.iter().flatten();
        let containers = containers.chain(ephemeral.map(|container| any_container!(container))).collect();
        Subject { annotations: metadata.annotations.as_ref().unwrap_or(&NONE), spec, containers }
    }

    pub(super) fn pod_security(&self) -> Option<&'s PodSecurityContext> {
        self.spec.security_context.as_ref()
    }

    /// The names of the containers that are bad.
    pub(super) fn containers_that(&self, bad: impl FnMut(&&AnyContainer<'s>) -> bool) -> Vec<&'s str> {
        self.containers.iter().filter(bad).map(|container| container.name).collect()
    }

    pub(super) fn is_windows(&self) -> bool {
        self.spec.os.as_ref().is_some_and(|os| os.name == "windows")
    }
}

pub(super) fn violation(reason: &str, detail: String) -> Option<Violation> {
    Some(Violation { reason: reason.to_owned(), detail })
}

/// `"a", "b"`
pub(super) fn join_quoted<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let texts: Vec<&str> = texts.into_iter().collect();
    format!("\"{}\"", texts.join("\", \""))
}

pub(super) fn plural<'w>(one: &'w str, many: &'w str, count: usize) -> &'w str {
    if count == 1 { one } else { many }
}

/// `container "a"`, `containers "a", "b"`
pub(super) fn containers(names: &[&str]) -> String {
    format!("{} {}", plural("container", "containers", names.len()), join_quoted(names.iter().copied()))
}

/// `pod and container "a"`: who sets something that must not be set; `None` for nobody.
pub(super) fn setters(pod: bool, names: &[&str]) -> Option<String> {
    let pod = pod.then(|| "pod".to_owned());
    let named = (!names.is_empty()).then(|| containers(names));
    let all: Vec<String> = pod.into_iter().chain(named).collect();
    (!all.is_empty()).then(|| all.join(" and "))
}

/// A field that a pod sets for its containers, and each container for itself: who sets it to what is not allowed, and the
/// values.
pub(super) struct Setting<'s> {
    pub(super) setters: Option<String>,
    pub(super) values: BTreeSet<&'s str>,
    /// The pod sets it to something that is allowed.
    pub(super) pod_is_fine: bool,
    /// Those that leave it to the pod.
    pub(super) silent: Vec<&'s str>,
}

impl<'s> Setting<'s> {
    pub(super) fn of(
        subject: &Subject<'s>,
        of_pod: impl Fn(&'s PodSecurityContext) -> Option<&'s str>,
        of_container: impl Fn(&'s SecurityContext) -> Option<&'s str>,
        allowed: impl Fn(&str) -> bool,
    ) -> Self {
        let mut values = BTreeSet::new();
        let of_pod = subject.pod_security().and_then(of_pod);
        let pod_is_bad = of_pod.is_some_and(|value| !allowed(value));
        values.extend(of_pod.filter(|_| pod_is_bad));
        let (mut bad, mut silent) = (Vec::new(), Vec::new());
        for container in &subject.containers {
            match container.security.and_then(&of_container) {
                Some(value) if !allowed(value) => {
                    bad.push(container.name);
                    values.insert(value);
                }
                Some(_) => {}
                None => silent.push(container.name),
            }
        }
        Setting {
            setters: setters(pod_is_bad, &bad),
            values,
            pod_is_fine: of_pod.is_some() && !pod_is_bad,
            silent,
        }
    }
}
