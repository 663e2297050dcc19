//! Ports of containers, and those of the host that they ask for.

use super::super::checks::{PROTOCOLS, ip, judged, list, one_of, port_number, text};
use super::super::names;
use super::Of;
use crate::ErrorList;
use k8s_openapi::api::core::v1::{Container, ContainerPort, PodSpec};
use std::collections::BTreeSet;

pub(super) fn ports(ports: &[ContainerPort], at: &str, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let name = text(&port.name);
        if !name.is_empty() {
            match names::port_name(name) {
                Ok(()) if !seen.insert(name) => errors.duplicate(format_args!("{at}.name"), name),
                _ => judged(names::port_name, name, format_args!("{at}.name"), errors),
            }
        }
        match port.container_port {
            0 => errors.required(format_args!("{at}.containerPort"), ""),
            number => port_number(number, format_args!("{at}.containerPort"), errors),
        }
        if let Some(number) = port.host_port.filter(|number| *number != 0) {
            port_number(number, format_args!("{at}.hostPort"), errors);
        }
        // what can not be understood must not become "every address"
        if !text(&port.host_ip).is_empty() {
            ip(text(&port.host_ip), format_args!("{at}.hostIP"), errors);
        }
        one_of(text(&port.protocol), &PROTOCOLS, format_args!("{at}.protocol"), errors);
    }
}

/// No two containers that run at the same time ask for the same port of the host.
pub(super) fn host_ports(containers: &[Container], at: &str, errors: &mut ErrorList) {
    let mut taken = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        host_ports_of(container, at, index, &mut taken, errors);
    }
}

pub(super) fn host_ports_of(
    container: &Container,
    at: &str,
    index: usize,
    taken: &mut BTreeSet<String>,
    errors: &mut ErrorList,
) {
    for (position, port) in list(&container.ports).iter().enumerate() {
        let Some(number) = port.host_port.filter(|number| *number != 0) else { continue };
        let what = format!("{}/{}/{number}", text(&port.protocol), text(&port.host_ip));
        if taken.contains(&what) {
            errors.duplicate(format_args!("{at}[{index}].ports[{position}].hostPort"), what);
        } else {
            taken.insert(what);
        }
    }
}

/// In the host's network a container's port is the host's. A template may leave it to the pod that is made of it.
pub(super) fn host_network(spec: &PodSpec, at: &str, of: Of, errors: &mut ErrorList) {
    if spec.host_network != Some(true) {
        return;
    }
    for (index, container) in spec.containers.iter().enumerate() {
        for (position, port) in list(&container.ports).iter().enumerate() {
            let number = port.host_port.unwrap_or(0);
            if (of == Of::Pod || number != 0) && number != port.container_port {
                errors.invalid(
                    format_args!("{at}.containers[{index}].ports[{position}].hostPort"),
                    number,
                    "must match `containerPort` when `hostNetwork` is true",
                );
            }
        }
    }
}
