//! Names: how the pod resolves them, and what it is called itself.

use super::super::checks::{ip, judged, list, one_of, optional, text};
use super::super::names;
use crate::ErrorList;
use k8s_openapi::api::core::v1::{PodDNSConfig, PodSpec};

const POLICIES: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
// what resolvers of C libraries bear, in upstream's generous reading
const MOST_SERVERS: usize = 3;
const MOST_SEARCHES: usize = 32;
const LONGEST_SEARCHES: usize = 2048;
const LONGEST_HOSTNAME: usize = 64; // the kernel's

pub(super) fn policy(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    one_of(text(&spec.dns_policy), &POLICIES, format_args!("{at}.dnsPolicy"), errors);
}

pub(super) fn config(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    dns_config(spec.dns_config.as_ref(), text(&spec.dns_policy), &format!("{at}.dnsConfig"), errors);
}

pub(super) fn own_name(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    optional(names::dns_label, text(&spec.hostname), format_args!("{at}.hostname"), errors);
    optional(names::dns_label, text(&spec.subdomain), format_args!("{at}.subdomain"), errors);
    hostname_override(spec, &format!("{at}.hostnameOverride"), errors);
}

pub(super) fn aliases(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    for (index, alias) in list(&spec.host_aliases).iter().enumerate() {
        let at = format!("{at}.hostAliases[{index}]");
        ip(&alias.ip, format_args!("{at}.ip"), errors);
        for (index, name) in list(&alias.hostnames).iter().enumerate() {
            judged(names::dns_subdomain, name, format_args!("{at}.hostnames[{index}]"), errors);
        }
    }
}

/// KEP-4762.
fn hostname_override(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    let Some(name) = spec.hostname_override.as_deref() else { return };
    judged(names::dns_subdomain, name, at, errors);
    if name.len() > LONGEST_HOSTNAME {
        errors.too_long(at, LONGEST_HOSTNAME);
    }
    for (field, is_set) in
        [("hostNetwork", spec.host_network), ("setHostnameAsFQDN", spec.set_hostname_as_fqdn)]
    {
        if is_set == Some(true) {
            errors.forbidden(at, format_args!("may not be specified when `{field}` is true"));
        }
    }
}

fn dns_config(config: Option<&PodDNSConfig>, policy: &str, at: &str, errors: &mut ErrorList) {
    let Some(config) = config else {
        if policy == "None" {
            errors.required(at, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        return;
    };
    let (servers, searches) = (list(&config.nameservers), list(&config.searches));
    if policy == "None" && servers.is_empty() {
        let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        return errors.required(format_args!("{at}.nameservers"), why);
    }
    if servers.len() > MOST_SERVERS {
        let why = format!("must not have more than {MOST_SERVERS} nameservers");
        errors.invalid(format_args!("{at}.nameservers"), servers.to_vec(), why);
    }
    for (index, server) in servers.iter().enumerate() {
        ip(server, format_args!("{at}.nameservers[{index}]"), errors);
    }
    if searches.len() > MOST_SEARCHES {
        let why = format!("must not have more than {MOST_SEARCHES} search paths");
        errors.invalid(format_args!("{at}.searches"), searches.to_vec(), why);
    }
    if searches.join(" ").len() > LONGEST_SEARCHES {
        let why = format!(
            "must not have more than {LONGEST_SEARCHES} characters (including spaces) in the search list"
        );
        errors.invalid(format_args!("{at}.searches"), searches.to_vec(), why);
    }
    for (index, search) in searches.iter().enumerate().filter(|(_, search)| *search != ".") {
        let name = search.strip_suffix('.').unwrap_or(search);
        judged(names::search_domain, name, format_args!("{at}.searches[{index}]"), errors);
    }
    for (index, option) in list(&config.options).iter().enumerate() {
        if text(&option.name).is_empty() {
            errors.required(format_args!("{at}.options[{index}]"), "must not be empty");
        }
    }
}
