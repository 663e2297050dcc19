//! `monopod service`: where a Service answers; it waits until something does, and opens a browser.

use super::{OutputArgument, Setting};
use crate::browser;
use crate::control_client::{ask, status};
use crate::failures;
use crate::output::{self, Format};
use anyhow::Result;
use appliance::{ControlReply, ControlRequest, ServiceAddress};
use clap::Subcommand;
use std::net::Ipv4Addr;
use std::process::ExitCode;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct Service {
    #[command(subcommand)]
    command: Option<ServiceCommand>,
    /// The service's name.
    #[arg(required = true)]
    name: Option<String>,
    /// The service's namespace.
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Print the address alone, one for each port.
    #[arg(long)]
    url: bool,
    /// How many seconds to wait until a ready pod stands behind it.
    #[arg(long, default_value_t = 2)]
    wait: u64,
    #[command(flatten)]
    output: OutputArgument,
}

#[derive(Subcommand)]
enum ServiceCommand {
    /// List the services and where they can be reached.
    List(List),
}

#[derive(clap::Args)]
struct List {
    /// Only this namespace.
    #[arg(short, long)]
    namespace: Option<String>,
    #[command(flatten)]
    output: OutputArgument,
}

impl Service {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        if let Some(ServiceCommand::List(list)) = &self.command {
            return list.run(setting);
        }
        let node_ip = status(&setting.paths)?.node_ip;
        let name = self.name.clone().unwrap_or_default();
        let wanted = format!("{}/{name}", self.namespace);
        let request =
            ControlRequest::Service { namespace: self.namespace.clone(), name, wait_seconds: self.wait };
        let services = services(setting, &request)?;
        let service = services
            .first()
            .ok_or_else(|| failures::SERVICE_NOT_FOUND.because(format!("service {wanted}: not found")))?;
        let urls = urls(service, node_ip);
        if urls.is_empty() {
            let what = format!("service {wanted} has the type {} and no node port", service.kind);
            return Err(failures::SERVICE_UNREACHABLE.because(what));
        }
        if !service.ready {
            let what = format!("service {wanted}: no pod was ready within {} s", self.wait);
            return Err(failures::SERVICE_NOT_READY.because(what));
        }
        match (self.output.output, self.url) {
            (Format::Json, _) => output::json(&described(service, &urls))?,
            (Format::Text, true) => urls.iter().for_each(|url| println!("{url}")),
            (Format::Text, false) => {
                print(&services, node_ip);
                browser::open(&urls[0]);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(&self, setting: &Setting) -> Result<ExitCode> {
        let node_ip = status(&setting.paths)?.node_ip;
        let mut services = services(setting, &ControlRequest::Services)?;
        services.retain(|s| self.namespace.as_ref().is_none_or(|wanted| *wanted == s.namespace));
        match self.output.output {
            Format::Json => {
                let all: Vec<_> = services.iter().map(|s| described(s, &urls(s, node_ip))).collect();
                output::json(&all)?;
            }
            Format::Text => print(&services, node_ip),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One service that somebody asks for.
pub(crate) struct Wanted<'w> {
    pub(crate) namespace: &'w str,
    pub(crate) name: &'w str,
    /// How long to wait until a ready pod stands behind it.
    pub(crate) wait_seconds: u64,
}

/// # Errors
/// `NOT_RUNNING`, `NO_ANSWER`.
pub(crate) fn find(setting: &Setting, wanted: &Wanted<'_>) -> Result<Option<ServiceAddress>> {
    let request = ControlRequest::Service {
        namespace: wanted.namespace.to_owned(),
        name: wanted.name.to_owned(),
        wait_seconds: wanted.wait_seconds,
    };
    match services(setting, &request) {
        Ok(found) => Ok(found.into_iter().next()),
        Err(error) if failures::is(&error, failures::SERVICE_NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Every service that has ports.
///
/// # Errors
/// `NOT_RUNNING`, `NO_ANSWER`.
pub(crate) fn list(setting: &Setting) -> Result<Vec<ServiceAddress>> {
    services(setting, &ControlRequest::Services)
}

fn services(setting: &Setting, request: &ControlRequest) -> Result<Vec<ServiceAddress>> {
    let mut found = Vec::new();
    ask(&setting.paths, request, |reply| {
        if let ControlReply::Services { services } = reply {
            found = services;
        }
    })?;
    Ok(found)
}

/// One for each port: at the address of its own where it has one, else at the node's. Only TCP has an address that a browser opens.
fn urls(service: &ServiceAddress, node_ip: Ipv4Addr) -> Vec<String> {
    let ports = service.ports.iter().filter(|port| port.protocol == "TCP");
    let url = |port: &appliance::ServicePort| {
        let scheme = if port.port == 443 || port.name.as_deref() == Some("https") { "https" } else { "http" };
        match (&service.external_ip, port.node_port) {
            (Some(ip), _) if scheme == "http" && port.port == 80 => Some(format!("http://{ip}")),
            (Some(ip), _) => Some(format!("{scheme}://{ip}:{}", port.port)),
            (None, Some(node_port)) => Some(format!("{scheme}://{node_ip}:{node_port}")),
            (None, None) => None,
        }
    };
    ports.filter_map(url).collect()
}

fn print(services: &[ServiceAddress], node_ip: Ipv4Addr) {
    let rows: Vec<[String; 4]> = services
        .iter()
        .map(|service| {
            let urls = urls(service, node_ip);
            let ports = service.ports.iter().map(|port| match &port.name {
                Some(name) => format!("{name}/{}", port.port),
                None => port.port.to_string(),
            });
            [
                service.namespace.clone(),
                service.name.clone(),
                ports.collect::<Vec<_>>().join(","),
                if urls.is_empty() { "No node port".to_owned() } else { urls.join(",") },
            ]
        })
        .collect();
    output::table(["NAMESPACE", "NAME", "TARGET PORT", "URL"], &rows);
}

fn described(service: &ServiceAddress, urls: &[String]) -> serde_json::Value {
    serde_json::json!({
        "namespace": service.namespace,
        "name": service.name,
        "type": service.kind,
        "ready": service.ready,
        "urls": urls,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use appliance::ServicePort;

    #[test]
    fn where_a_service_is_reached() {
        let port = |port, node_port| ServicePort { name: None, protocol: "TCP".into(), port, node_port };
        let service = |external_ip: Option<&str>, ports| ServiceAddress {
            namespace: "default".into(),
            name: "web".into(),
            kind: "NodePort".into(),
            cluster_ip: None,
            external_ip: external_ip.map(str::to_owned),
            ports,
            ready: true,
        };
        let udp = ServicePort { protocol: "UDP".into(), ..port(53, Some(30053)) };
        let cases = [
            ("cluster only", service(None, vec![port(80, None)]), vec![]),
            ("node port", service(None, vec![port(80, Some(30080))]), vec!["http://192.0.2.1:30080"]),
            (
                "its own address",
                service(Some("198.51.100.7"), vec![port(8080, Some(30080))]),
                vec!["http://198.51.100.7:8080"],
            ),
            (
                "the usual port",
                service(Some("198.51.100.7"), vec![port(80, None), port(443, None)]),
                vec!["http://198.51.100.7", "https://198.51.100.7:443"],
            ),
            ("no browser speaks it", service(None, vec![udp]), vec![]),
        ];
        for (name, service, want) in cases {
            assert_eq!(urls(&service, Ipv4Addr::new(192, 0, 2, 1)), want, "{name}");
        }
    }
}
