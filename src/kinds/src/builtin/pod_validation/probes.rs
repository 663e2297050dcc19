//! Probes, hooks, and the actions that they take.

use super::super::checks::{judged, list, not_negative, port, port_number, text};
use super::super::names;
use crate::ErrorList;
use k8s_openapi::api::core::v1::{
    ExecAction, GRPCAction, HTTPGetAction, Lifecycle, LifecycleHandler, Probe, SleepAction, TCPSocketAction,
};

const SCHEMES: [&str; 2] = ["HTTP", "HTTPS"];

/// Startup probes are asked the same.
pub(super) fn liveness(probe: &Probe, at: &str, errors: &mut ErrorList) {
    self::probe(probe, at, errors);
    if probe.success_threshold.unwrap_or(0) != 1 {
        errors.invalid(
            format_args!("{at}.successThreshold"),
            probe.success_threshold.unwrap_or(0),
            "must be 1",
        );
    }
}

pub(super) fn readiness(probe: &Probe, at: &str, errors: &mut ErrorList) {
    self::probe(probe, at, errors);
    if let Some(seconds) = probe.termination_grace_period_seconds {
        let why = "must not be set for readinessProbes";
        errors.invalid(format_args!("{at}.terminationGracePeriodSeconds"), seconds, why);
    }
}

fn probe(probe: &Probe, at: &str, errors: &mut ErrorList) {
    let action = Action {
        exec: probe.exec.as_ref(),
        http_get: probe.http_get.as_ref(),
        tcp_socket: probe.tcp_socket.as_ref(),
        grpc: probe.grpc.as_ref(),
        sleep: None,
    };
    action.validate(None, at, errors);
    for (field, number) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        not_negative(number.unwrap_or(0).into(), format_args!("{at}.{field}"), errors);
    }
    if let Some(seconds) = probe.termination_grace_period_seconds.filter(|seconds| *seconds <= 0) {
        let why = "must be greater than 0";
        errors.invalid(format_args!("{at}.terminationGracePeriodSeconds"), seconds, why);
    }
}

pub(super) fn lifecycle(lifecycle: &Lifecycle, grace: Option<i64>, at: &str, errors: &mut ErrorList) {
    for (field, hook) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
        if let Some(hook) = hook {
            Action::of(hook).validate(grace, &format!("{at}.{field}"), errors);
        }
    }
}

/// Exactly one of them.
struct Action<'s> {
    exec: Option<&'s ExecAction>,
    http_get: Option<&'s HTTPGetAction>,
    tcp_socket: Option<&'s TCPSocketAction>,
    grpc: Option<&'s GRPCAction>,
    sleep: Option<&'s SleepAction>,
}

impl<'s> Action<'s> {
    fn of(hook: &'s LifecycleHandler) -> Self {
        Action {
            exec: hook.exec.as_ref(),
            http_get: hook.http_get.as_ref(),
            tcp_socket: hook.tcp_socket.as_ref(),
            grpc: None,
            sleep: hook.sleep.as_ref(),
        }
    }

    fn validate(&self, grace: Option<i64>, at: &str, errors: &mut ErrorList) {
        let all = [
            ("exec", self.exec.is_some()),
            ("httpGet", self.http_get.is_some()),
            ("tcpSocket", self.tcp_socket.is_some()),
            ("grpc", self.grpc.is_some()),
            ("sleep", self.sleep.is_some()),
        ];
        let mut set = all.iter().filter(|(_, is_set)| *is_set).map(|(field, _)| *field);
        let first = set.next();
        for second in set {
            errors.forbidden(format_args!("{at}.{second}"), "may not specify more than 1 handler type");
        }
        match first {
            None => errors.required(at, "must specify a handler type"),
            Some("exec") => {
                if self.exec.is_some_and(|exec| list(&exec.command).is_empty()) {
                    errors.required(format_args!("{at}.exec.command"), "");
                }
            }
            Some("httpGet") => {
                self.http_get.iter().for_each(|get| http_get(get, &format!("{at}.httpGet"), errors));
            }
            Some("tcpSocket") => {
                let port_at = format!("{at}.tcpSocket.port");
                self.tcp_socket.iter().for_each(|tcp| port(&tcp.port, &port_at, errors));
            }
            Some("grpc") => {
                let port_at = format!("{at}.grpc.port");
                self.grpc.iter().for_each(|grpc| port_number(grpc.port, &port_at, errors));
            }
            Some(_) => self.sleep.iter().for_each(|nap| sleep(nap, grace, &format!("{at}.sleep"), errors)),
        }
    }
}

fn http_get(get: &HTTPGetAction, at: &str, errors: &mut ErrorList) {
    if text(&get.path).is_empty() {
        errors.required(format_args!("{at}.path"), "");
    }
    port(&get.port, format_args!("{at}.port"), errors);
    let scheme = text(&get.scheme);
    if !SCHEMES.contains(&scheme) {
        errors.not_supported(format_args!("{at}.scheme"), scheme, &SCHEMES);
    }
    for header in list(&get.http_headers) {
        judged(names::http_header, &header.name, format_args!("{at}.httpHeaders"), errors);
    }
}

fn sleep(sleep: &SleepAction, grace: Option<i64>, at: &str, errors: &mut ErrorList) {
    let Some(grace) = grace else { return };
    if sleep.seconds < 0 || sleep.seconds > grace {
        let why = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        errors.invalid(at, sleep.seconds, why);
    }
}
