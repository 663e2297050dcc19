//! Published ports: which one is chosen where that is left open, and those that somebody has already, in Docker's words.

use crate::error::ApiError;
use crate::model::HostConfig;
use crate::plan;
use crate::record::Record;
use cri::{HostPort, Protocol};
use std::collections::BTreeSet;
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};

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

/// What a container has, or will have when it is started.
pub(crate) fn published(record: &Record) -> Vec<(Protocol, u16)> {
    let ports = plan::host_ports(record).unwrap_or_default();
    ports.into_iter().map(|port| (port.protocol, port.host_port)).collect()
}

/// Any that nobody listens on, or the first of a range (`8000-8010`) that neither a program nor a container has.
pub(crate) fn choose(
    protocol: Protocol,
    said: &str,
    taken: &BTreeSet<(Protocol, u16)>,
) -> Result<u16, ApiError> {
    let Some((first, last)) = said.split_once('-') else {
        return free_port(protocol).map_err(|e| ApiError::failed("find a free port", e));
    };
    let number = |text: &str| text.parse::<u16>();
    let (Ok(first), Ok(last)) = (number(first), number(last)) else {
        return Err(ApiError::bad(format_args!("invalid published port: {said:?}")));
    };
    let at = |host_port| HostPort { protocol, host_ip: None, host_port, container_port: 0 };
    let is_free = |port: &u16| !taken.contains(&(protocol, *port)) && !is_in_use(&at(*port));
    let none = || ApiError::internal(format_args!("all ports of {said}/{} are allocated", name(protocol)));
    (first..=last).find(is_free).ok_or_else(none)
}

fn free_port(protocol: Protocol) -> std::io::Result<u16> {
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
