//! Published ports: which one is chosen where that is left open, and those that somebody has already, in Docker's words.

use crate::error::ApiError;
use crate::model::{Config, HostConfig, PortBinding};
use crate::plan;
use crate::record::Record;
use cri::{HostPort, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};

/// Of the kernel's choice, before all are gone through in their order.
const TRIES: usize = 64;

/// A program of the machine's own that listens there would lose its clients to the container: Docker binds the port for as
/// long as the container runs, and so finds out.
///
/// # Errors
/// The first port that can not be bound because it is in use.
pub(crate) fn check_free(record: &Record, ports: &[HostPort]) -> Result<(), ApiError> {
    let fault = |port: &HostPort| {
        let why = match bind(port).err()?.kind() {
            ErrorKind::AddrInUse => "address already in use",
            // nobody would ever come there
            ErrorKind::AddrNotAvailable => "cannot assign requested address",
            // what can not be bound for another reason is said by who opens it
            _ => return None,
        };
        let (place, protocol) = (place(port), name(port.protocol));
        Some(refused(record, format_args!("failed to bind host port {place}/{protocol}: {why}")))
    };
    ports.iter().find_map(fault).map_or(Ok(()), Err)
}

/// Whether a port is to be chosen that no other container has.
pub(crate) fn has_range(host: &HostConfig) -> bool {
    host.port_bindings.values().flatten().flatten().any(|binding| binding.host_port.contains('-'))
}

/// # Errors
/// More ports are to be published anywhere than this machine has for that, as of an image with `EXPOSE 1-65535`.
pub(crate) fn check_count(config: &Config, host: &HostConfig) -> Result<(), ApiError> {
    let is_anywhere = |binding: &&PortBinding| matches!(binding.host_port.as_str(), "" | "0");
    let mut counts: BTreeMap<Protocol, usize> = BTreeMap::new();
    for (port, bindings) in &host.port_bindings {
        let bindings = bindings.as_deref().unwrap_or_default();
        let count = if bindings.is_empty() { 1 } else { bindings.iter().filter(is_anywhere).count() };
        *counts.entry(plan::port(port)?.1).or_default() += count;
    }
    if host.publish_all_ports {
        for port in config.exposed_ports.keys().filter(|port| !host.port_bindings.contains_key(*port)) {
            *counts.entry(plan::port(port)?.1).or_default() += 1;
        }
    }
    let (first, last) = local_range();
    let most = usize::from(last - first) + 1;
    match counts.into_iter().find(|(_, count)| *count > most) {
        Some((protocol, count)) => Err(ApiError::bad(format_args!(
            "all ports are allocated: {count} {} ports are to be published, and this machine has {most} to choose from \
             (net.ipv4.ip_local_port_range)",
            name(protocol)
        ))),
        None => Ok(()),
    }
}

/// What the kernel gives out, both within.
fn local_range() -> (u16, u16) {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse::<u16>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) if first <= last => (first, last),
        _ => (32_768, 60_999), // the kernel's own
    }
}

/// What a container has, or will have when it is started.
pub(crate) fn published(record: &Record) -> Vec<(Protocol, u16)> {
    let ports = plan::host_ports(record).unwrap_or_default();
    ports.into_iter().map(|port| (port.protocol, port.host_port)).collect()
}

/// What a container that is made names itself: none of them is chosen for another of its ports.
pub(crate) fn said(host: &HostConfig) -> impl Iterator<Item = (Protocol, u16)> {
    host.port_bindings.iter().flat_map(|(text, bindings)| {
        let protocol = plan::port(text).ok().map(|(_, protocol)| protocol);
        let ports = bindings.iter().flatten().filter_map(|binding| binding.host_port.parse::<u16>().ok());
        ports.filter(|port| *port != 0).filter_map(move |port| Some((protocol?, port)))
    })
}

/// Any, or the first of a range (`8000-8010`), that neither a program nor a container has.
pub(crate) fn choose(
    protocol: Protocol,
    said: &str,
    taken: &BTreeSet<(Protocol, u16)>,
) -> Result<u16, ApiError> {
    let Some((first, last)) = said.split_once('-') else {
        return free_port(protocol, taken);
    };
    let number = |text: &str| text.parse::<u16>();
    let (Ok(first), Ok(last)) = (number(first), number(last)) else {
        return Err(ApiError::bad(format_args!("invalid published port: {said:?}")));
    };
    let none = || ApiError::internal(format_args!("all ports of {said}/{} are allocated", name(protocol)));
    first_free(protocol, (first, last), taken).ok_or_else(none)
}

fn first_free(
    protocol: Protocol,
    (first, last): (u16, u16),
    taken: &BTreeSet<(Protocol, u16)>,
) -> Option<u16> {
    let at = |host_port| HostPort { protocol, host_ip: None, host_port, container_port: 0 };
    (first..=last).find(|port| !taken.contains(&(protocol, *port)) && !is_in_use(&at(*port)))
}

fn free_port(protocol: Protocol, taken: &BTreeSet<(Protocol, u16)>) -> Result<u16, ApiError> {
    for _ in 0..TRIES {
        let port = any_port(protocol).map_err(|e| ApiError::failed("find a free port", e))?;
        if !taken.contains(&(protocol, port)) {
            return Ok(port);
        }
    }
    let none = || ApiError::internal("all ports are allocated");
    first_free(protocol, local_range(), taken).ok_or_else(none)
}

/// The kernel knows of those that are bound only: it may be one that another container has.
fn any_port(protocol: Protocol) -> std::io::Result<u16> {
    let any = (Ipv4Addr::UNSPECIFIED, 0);
    match protocol {
        Protocol::Udp => UdpSocket::bind(any)?.local_addr(),
        Protocol::Tcp | Protocol::Sctp => TcpListener::bind(any)?.local_addr(),
    }
    .map(|address| address.port())
}

fn is_in_use(port: &HostPort) -> bool {
    bind(port).is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

fn bind(port: &HostPort) -> Result<(), Error> {
    let at = (port.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), port.host_port);
    match port.protocol {
        Protocol::Tcp => TcpListener::bind(at).map(drop),
        Protocol::Udp => UdpSocket::bind(at).map(drop),
        Protocol::Sctp => Ok(()),
    }
}

fn place(port: &HostPort) -> String {
    match port.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into()) {
        IpAddr::V4(ip) => format!("{ip}:{}", port.host_port),
        IpAddr::V6(ip) => format!("[{ip}]:{}", port.host_port),
    }
}

fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

/// What the runtime said, where it is that another container has one of these ports.
pub(crate) fn in_dockers_words(refusal: ApiError, record: &Record, ports: &[HostPort]) -> ApiError {
    let is_taken = |port: &&HostPort| {
        let text = format!("host port {}/{} is already taken", port.host_port, name(port.protocol));
        refusal.message.contains(&text)
    };
    match ports.iter().find(is_taken) {
        Some(port) => {
            refused(record, format_args!("Bind for {} failed: port is already allocated", place(port)))
        }
        None => refusal,
    }
}

fn refused(record: &Record, why: std::fmt::Arguments<'_>) -> ApiError {
    ApiError::internal(format_args!(
        "failed to set up container networking: driver failed programming external connectivity on endpoint {} ({}): {why}",
        record.name, record.id
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    #[test]
    fn of_a_range_the_first_that_nobody_has() {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let first = listener.local_addr().unwrap().port();
        let choose = |range: String, taken: &[u16]| {
            choose(Protocol::Tcp, &range, &taken.iter().map(|port| (Protocol::Tcp, *port)).collect())
        };
        assert!(choose(format!("{first}-{first}"), &[]).unwrap_err().message.contains("are allocated"));
        drop(listener);
        assert_eq!(choose(format!("{first}-{first}"), &[]).unwrap(), first);
        assert!(choose(format!("{first}-{first}"), &[first]).is_err());
        assert!(choose("1-x".to_owned(), &[]).unwrap_err().message.contains("invalid published port"));
        assert!(choose(String::new(), &[]).unwrap() > 0);
    }

    #[test]
    fn what_is_chosen_anywhere_is_no_other_containers() {
        let free = any_port(Protocol::Udp).unwrap();
        let (first, last) = local_range();
        let taken = (first..=last).filter(|port| *port != free).map(|port| (Protocol::Udp, port)).collect();
        assert_eq!(choose(Protocol::Udp, "", &taken).unwrap(), free);
        let all = (first..=last).map(|port| (Protocol::Udp, port)).collect();
        assert_eq!(choose(Protocol::Udp, "0", &all).unwrap_err().message, "all ports are allocated");
    }

    #[test]
    fn what_a_container_names_itself() {
        let binding = |port: &str| PortBinding { host_port: port.to_owned(), ..Default::default() };
        let bindings = ["80", "", "0", "8000-8010", "81"].map(binding).to_vec();
        let host = HostConfig {
            port_bindings: [("53/udp".to_owned(), Some(bindings)), ("54/tcp".to_owned(), None)].into(),
            ..Default::default()
        };
        assert_eq!(said(&host).collect::<Vec<_>>(), [(Protocol::Udp, 80), (Protocol::Udp, 81)]);
    }

    #[test]
    fn more_ports_than_there_are_are_refused_at_once() {
        let exposing = |last: u16| {
            let ports = (1..=last).map(|port| (format!("{port}/tcp"), serde_json::json!({})));
            Config { exposed_ports: ports.collect(), ..Default::default() }
        };
        let all = |publish_all_ports| HostConfig { publish_all_ports, ..Default::default() };
        assert!(check_count(&exposing(100), &all(true)).is_ok());
        assert!(check_count(&exposing(65_535), &all(false)).is_ok(), "they are exposed only");
        let why = check_count(&exposing(65_535), &all(true)).unwrap_err().message;
        assert!(why.starts_with("all ports are allocated: 65535 tcp ports are to be published"), "{why}");
    }

    #[test]
    fn a_port_that_somebody_has_is_said_to_be_taken() {
        let web = record("web");
        let port = |host_port, protocol| HostPort {
            protocol,
            host_ip: Some(Ipv4Addr::LOCALHOST.into()),
            host_port,
            container_port: 80,
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = port(listener.local_addr().unwrap().port(), Protocol::Tcp);
        let why = check_free(&web, std::slice::from_ref(&taken)).unwrap_err().message;
        assert!(
            why.ends_with(&format!("127.0.0.1:{}/tcp: address already in use", taken.host_port)),
            "{why}"
        );
        drop(listener);
        assert!(check_free(&web, std::slice::from_ref(&taken)).is_ok());
        // of the range for documentation, RFC 5737: nobody's
        let nowhere = HostPort { host_ip: Some(Ipv4Addr::new(192, 0, 2, 1).into()), ..taken };
        let why = check_free(&web, &[nowhere]).unwrap_err().message;
        assert!(why.ends_with("/tcp: cannot assign requested address"), "{why}");

        let ports = [port(53, Protocol::Udp)];
        let said = ApiError::internal("attach: host port 53/udp is already taken by sandbox x");
        let why = in_dockers_words(said, &web, &ports).message;
        assert!(why.ends_with("Bind for 127.0.0.1:53 failed: port is already allocated"), "{why}");
        assert_eq!(in_dockers_words(ApiError::internal("other"), &web, &ports).message, "other");
    }
}
