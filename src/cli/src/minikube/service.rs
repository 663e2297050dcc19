//! `minikube service`, `service list` and `dashboard`.

use super::output::{self, Mark};
use super::reason::{self, Exit};
use super::{Outcome, Session};
use crate::commands::service::{Wanted, find, list};
use appliance::ServiceAddress;
use clap::Subcommand;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::process::ExitCode;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Service {
    #[command(subcommand)]
    command: Option<ServiceCommand>,
    /// The services' names.
    names: Vec<String>,
    /// The service namespace
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Forwards all services in a namespace (defaults to "false")
    #[arg(long)]
    all: bool,
    /// Display the Kubernetes service URL in the CLI instead of opening it in the default browser
    #[arg(long)]
    url: bool,
    /// Open the service URL with https instead of http
    #[arg(long)]
    https: bool,
    /// Amount of time to wait for a service in seconds
    #[arg(long, default_value_t = 2)]
    wait: u64,
    /// The initial time interval for each check that wait performs in seconds
    #[arg(long, default_value_t = 1)]
    interval: u64,
    /// Format to output service URL in. This format will be applied to each url individually and they will be printed one at
    /// a time.
    #[arg(long, default_value = "http://{{.IP}}:{{.Port}}")]
    format: String,
}

#[derive(Subcommand)]
enum ServiceCommand {
    /// Lists the URLs for the services in your local cluster
    List {
        /// The services namespace
        #[arg(short, long)]
        namespace: Option<String>,
        /// The output format. One of 'json', 'table'
        #[arg(short, long, default_value = "table")]
        output: String,
    },
}

impl Service {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let (setting, status) = session.running()?;
        if let Some(ServiceCommand::List { namespace, output }) = &self.command {
            let mut services = list(&setting)?;
            services.retain(|service| namespace.as_ref().is_none_or(|wanted| *wanted == service.namespace));
            return self.print_list(&services, status.node_ip, output);
        }
        if self.names.is_empty() && !self.all {
            return Err(reason::USAGE.because("You must specify service name(s) or --all flag"));
        }
        if self.all && !self.names.is_empty() {
            return Err(reason::USAGE.because("You cannot specify both --all flag and a list of services"));
        }
        let names = if self.all {
            let all = list(&setting)?.into_iter().filter(|service| service.namespace == self.namespace);
            let names: Vec<String> = all.map(|service| service.name).collect();
            if names.is_empty() {
                let namespace = &self.namespace;
                return Err(reason::SERVICE_NOT_FOUND.because(format!(
                    "No services were found in the '{namespace}' namespace.\nYou may select another namespace by using 'minikube service --all -n <namespace>'"
                )));
            }
            names
        } else {
            self.names.clone()
        };
        for name in names {
            let wanted = Wanted { namespace: &self.namespace, name: &name, wait_seconds: self.wait };
            let service = find(&setting, &wanted)?.ok_or_else(|| self.not_found(&name))?;
            self.open(&service, status.node_ip)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn not_found(&self, name: &str) -> Exit {
        let namespace = &self.namespace;
        reason::SERVICE_NOT_FOUND.because(format!(
            "Service '{name}' was not found in '{namespace}' namespace.\nYou may select another namespace by using 'minikube service {name} -n <namespace>'. Or list out all the services using 'minikube service list'"
        ))
    }

    fn open(&self, service: &ServiceAddress, node_ip: Ipv4Addr) -> Result<(), Exit> {
        if !service.ready {
            return Err(reason::SERVICE_UNREACHABLE.because(format!(
                "service not available: no running pod for service {} found",
                service.name
            )));
        }
        let urls = self.urls(service, node_ip)?;
        if urls.is_empty() {
            return Err(reason::SERVICE_UNREACHABLE
                .because(format!("service {}/{} has no node port", service.namespace, service.name)));
        }
        if self.url {
            urls.iter().for_each(|url| println!("{url}"));
            return Ok(());
        }
        print_table(std::slice::from_ref(service), |service| self.urls(service, node_ip).unwrap_or_default());
        output::step(
            Mark::Ready,
            &format!("Opening service {}/{} in default browser...", service.namespace, service.name),
        );
        urls.iter().for_each(|url| crate::browser::open(url));
        Ok(())
    }

    /// One for each TCP port: at the node's port where it has one, else where the service itself answers on this machine.
    fn urls(&self, service: &ServiceAddress, node_ip: Ipv4Addr) -> Result<Vec<String>, Exit> {
        let mut urls = Vec::new();
        for port in service.ports.iter().filter(|port| port.protocol == "TCP") {
            let (ip, number) =
                match (port.node_port, service.external_ip.as_ref().or(service.cluster_ip.as_ref())) {
                    (Some(node_port), _) => (node_ip.to_string(), node_port),
                    (None, Some(own)) if own != "None" => (own.clone(), port.port),
                    (None, _) => continue,
                };
            let url = super::template::render(&self.format, |name| match name {
                "IP" => Some(ip.clone()),
                "Port" => Some(number.to_string()),
                "Name" => Some(port.name.clone().unwrap_or_default()),
                _ => None,
            });
            let url = url.map_err(|e| {
                reason::FORMAT_USAGE.because(format!("The value passed to --format is invalid: {e}"))
            })?;
            urls.push(match url.strip_prefix("http://") {
                Some(rest) if self.https => format!("https://{rest}"),
                _ => url,
            });
        }
        Ok(urls)
    }

    fn print_list(&self, services: &[ServiceAddress], node_ip: Ipv4Addr, output: &str) -> Outcome {
        match output {
            "json" => {
                let all: Vec<Value> = services
                    .iter()
                    .map(|service| {
                        let names: Vec<String> = service.ports.iter().map(port_name).collect();
                        json!({
                            "Namespace": service.namespace, "Name": service.name,
                            "URLs": node_urls(service, node_ip), "PortNames": names,
                        })
                    })
                    .collect();
                println!("{}", Value::from(all));
            }
            "table" => print_table(services, |service| node_urls(service, node_ip)),
            other => {
                return Err(reason::USAGE
                    .because(format!("invalid output format: {other}. Valid values: 'table', 'json'")));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn port_name(port: &appliance::ServicePort) -> String {
    match &port.name {
        Some(name) => format!("{name}/{}", port.port),
        None => port.port.to_string(),
    }
}

fn node_urls(service: &ServiceAddress, node_ip: Ipv4Addr) -> Vec<String> {
    let ports = service.ports.iter().filter(|port| port.protocol == "TCP");
    ports.filter_map(|port| Some(format!("http://{node_ip}:{}", port.node_port?))).collect()
}

fn print_table(services: &[ServiceAddress], urls: impl Fn(&ServiceAddress) -> Vec<String>) {
    let rows: Vec<Vec<String>> = services
        .iter()
        .map(|service| {
            let found = urls(service);
            let (ports, where_it_is) = match found.is_empty() {
                true => ("No node port".to_owned(), String::new()),
                false => (service.ports.iter().map(port_name).collect::<Vec<_>>().join(","), found.join(" ")),
            };
            vec![service.namespace.clone(), service.name.clone(), ports, where_it_is]
        })
        .collect();
    output::boxed_table(&["NAMESPACE", "NAME", "TARGET PORT", "URL"], &rows);
}

#[derive(clap::Args)]
pub(super) struct Dashboard {
    /// Display dashboard URL instead of opening a browser
    #[arg(long)]
    url: bool,
    /// Exposed port of the proxyfied dashboard
    #[arg(long)]
    port: Option<u16>,
}

impl Dashboard {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let (setting, _) = session.running()?;
        if self.port.is_some_and(|port| port != 0) {
            output::problem(
                Mark::Note,
                "--port has no effect: the dashboard has a port of its own, on 127.0.0.1",
            );
        }
        let words: &[&str] = if self.url { &["dashboard", "--url"] } else { &["dashboard"] };
        super::monopod(setting, words)
    }
}
