//! /etc/resolv.conf and /etc/hosts of a pod, as text.

use crate::pod;
use k8s_openapi::api::core::v1::{HostAlias, Pod, PodDNSConfigOption};
use std::collections::HashSet;
use std::net::IpAddr;

const MOST_NAMESERVERS: usize = 3; // glibc reads no more
const MOST_SEARCHES: usize = 32; // upstream's limit since 1.26

/// What a resolv.conf says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolv {
    pub nameservers: Vec<String>,
    pub searches: Vec<String>,
    pub options: Vec<String>,
}

impl Resolv {
    /// The machine's own. Where that only leads to a resolver on its loopback, which no pod reaches, what stands behind it.
    pub fn of_host() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok().map(|text| Resolv::parse(&text));
        let own = read("/etc/resolv.conf").unwrap_or_default();
        match read("/run/systemd/resolve/resolv.conf").filter(|_| own.is_local()) {
            Some(behind) => behind,
            None => own,
        }
    }

    fn is_local(&self) -> bool {
        let local = |server: &String| server.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        !self.nameservers.is_empty() && self.nameservers.iter().all(local)
    }

    pub fn parse(text: &str) -> Self {
        let mut resolv = Resolv::default();
        for line in text.lines() {
            let mut words = line.split_whitespace().map(str::to_owned);
            match words.next().as_deref() {
                Some("nameserver") => resolv.nameservers.extend(words.next()),
                Some("search") => resolv.searches = words.collect(),
                Some("options") => resolv.options = words.collect(),
                _ => {}
            }
        }
        resolv
    }

    fn render(&self) -> String {
        let mut text = String::new();
        if !self.searches.is_empty() {
            text += &format!("search {}\n", self.searches.join(" "));
        }
        for server in &self.nameservers {
            text += &format!("nameserver {server}\n");
        }
        if !self.options.is_empty() {
            text += &format!("options {}\n", self.options.join(" "));
        }
        text
    }
}

/// By dnsPolicy and dnsConfig. `host` is the machine's own file.
pub fn resolv_conf(pod: &Pod, host: &Resolv, cluster_dns: IpAddr, domain: &str) -> String {
    let spec = pod::spec(pod);
    let mut resolv = match spec.dns_policy.as_deref() {
        Some("None") => Resolv::default(),
        Some("Default") => host.clone(),
        Some("ClusterFirstWithHostNet") => cluster_first(pod, host, cluster_dns, domain),
        // on the host's network, ClusterFirst means the host's file, as upstream does
        _ if pod::host_network(spec) => host.clone(),
        _ => cluster_first(pod, host, cluster_dns, domain),
    };
    if let Some(config) = &spec.dns_config {
        append_new(&mut resolv.nameservers, config.nameservers.iter().flatten().cloned());
        append_new(&mut resolv.searches, config.searches.iter().flatten().cloned());
        set_options(&mut resolv.options, config.options.as_deref().unwrap_or_default());
    }
    resolv.nameservers.truncate(MOST_NAMESERVERS);
    resolv.searches.truncate(MOST_SEARCHES);
    resolv.render()
}

fn cluster_first(pod: &Pod, host: &Resolv, cluster_dns: IpAddr, domain: &str) -> Resolv {
    let mut searches =
        vec![format!("{}.svc.{domain}", pod::namespace(pod)), format!("svc.{domain}"), domain.to_owned()];
    append_new(&mut searches, host.searches.iter().cloned());
    Resolv { nameservers: vec![cluster_dns.to_string()], searches, options: vec!["ndots:5".to_owned()] }
}

/// The last one of a name counts, at its place.
fn set_options(options: &mut Vec<String>, given: &[PodDNSConfigOption]) {
    let mut names = HashSet::new();
    let mut last = Vec::new();
    for option in given.iter().rev() {
        let name = option.name.as_deref().unwrap_or_default();
        if names.insert(name) {
            last.push(match &option.value {
                Some(value) => format!("{name}:{value}"),
                None => name.to_owned(),
            });
        }
    }
    options.retain(|option| !names.contains(option.split(':').next().unwrap_or_default()));
    options.extend(last.into_iter().rev());
}

fn append_new(list: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

/// The file that upstream's kubelet writes; `host` is the machine's own, for pods on its network.
pub fn hosts_file(pod: &Pod, ip: Option<&str>, domain: &str, host: &str) -> String {
    let spec = pod::spec(pod);
    let aliases = spec.host_aliases.as_deref().unwrap_or_default();
    let mut text = String::new();
    if pod::host_network(spec) {
        text += "# Kubernetes-managed hosts file (host network).\n";
        text += host;
        if !text.ends_with('\n') {
            text.push('\n');
        }
        return text + &alias_lines(aliases);
    }
    text += "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
             fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";
    if let Some(ip) = ip {
        let (hostname, domain) = pod::hostname(pod, domain);
        text += &match domain {
            Some(domain) => format!("{ip}\t{hostname}.{domain}\t{hostname}\n"),
            None => format!("{ip}\t{hostname}\n"),
        };
    }
    text + &alias_lines(aliases)
}

fn alias_lines(aliases: &[HostAlias]) -> String {
    if aliases.is_empty() {
        return String::new();
    }
    let mut text = "\n# Entries added by HostAliases.\n".to_owned();
    for alias in aliases {
        let names = alias.hostnames.as_deref().unwrap_or_default().join("\t");
        text += &format!("{}\t{names}\n", alias.ip);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(spec: serde_json::Value) -> Pod {
        testkit::objects::pod("web").namespace("shop").spec(&spec).build()
    }

    #[test]
    fn resolv_conf_by_policy() {
        let host = Resolv::parse("# x\nnameserver 192.0.2.53\nsearch corp.example\noptions timeout:1\n");
        let cluster = "search shop.svc.cluster.local svc.cluster.local cluster.local corp.example\nnameserver 10.96.0.10\noptions ndots:5\n";
        let own = "search corp.example\nnameserver 192.0.2.53\noptions timeout:1\n";
        let cases = [
            ("cluster first", json!({"dnsPolicy": "ClusterFirst"}), cluster),
            ("default", json!({"dnsPolicy": "Default"}), own),
            ("host network", json!({"dnsPolicy": "ClusterFirst", "hostNetwork": true}), own),
            (
                "with host network",
                json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true}),
                cluster,
            ),
            (
                "none",
                json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.2.3.4"], "searches": ["a.b"],
                    "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}}),
                "search a.b\nnameserver 1.2.3.4\noptions ndots:2 edns0\n",
            ),
            (
                "an option replaced",
                json!({"dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}}),
                &cluster.replace("ndots:5", "ndots:1"),
            ),
            (
                "the last one of a name",
                json!({"dnsConfig": {"options": [{"name": "timeout", "value": "1"}, {"name": "edns0"},
                    {"name": "timeout", "value": "2"}, {"name": "edns0"}]}}),
                &cluster.replace("ndots:5", "ndots:5 timeout:2 edns0"),
            ),
        ];
        for (name, spec, want) in cases {
            let mut spec = spec;
            spec["containers"] = json!([]);
            let got = resolv_conf(&pod(spec), &host, "10.96.0.10".parse().unwrap(), "cluster.local");
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn a_resolver_on_the_loopback_is_of_no_use_to_pods() {
        for (text, local) in [
            ("nameserver 127.0.0.53\n", true),
            ("nameserver ::1\nnameserver 127.0.0.1", true),
            ("nameserver 127.0.0.1\nnameserver 192.0.2.53", false),
            ("", false),
        ] {
            assert_eq!(Resolv::parse(text).is_local(), local, "{text}");
        }
    }

    #[test]
    fn hosts_files() {
        let plain = pod(json!({"containers": [], "hostname": "h", "subdomain": "s",
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a", "b"]}]}));
        let text = hosts_file(&plain, Some("10.244.0.7"), "cluster.local", "");
        assert!(text.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"), "{text}");
        assert!(text.contains("\n10.244.0.7\th.s.shop.svc.cluster.local\th\n"), "{text}");
        assert!(text.ends_with("\n\n# Entries added by HostAliases.\n10.0.0.1\ta\tb\n"), "{text}");
        let host = pod(json!({"containers": [], "hostNetwork": true}));
        let text = hosts_file(&host, None, "cluster.local", "127.0.0.1 me");
        assert_eq!(text, "# Kubernetes-managed hosts file (host network).\n127.0.0.1 me\n");
    }
}
