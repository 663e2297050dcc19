//! A container's environment: services, envFrom, env, in upstream's order.

use crate::env_file;
use crate::expand::{Budget, TooLong, expand};
use crate::field_ref::{self, Facts};
use crate::pod;
use crate::sources::Sources;
use crate::volumes::{Mounted, MountedVolume};
use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, FileKeySelector, Pod, Service};
use std::collections::{BTreeMap, HashMap};

const SHOWN_OF_NAME: usize = 64;

/// Ordered as it was made; a later value replaces an earlier one in place.
#[derive(Debug, Default)]
struct Env {
    list: Vec<(String, String)>,
    /// Where in the list each name is: there may be very many.
    places: HashMap<String, usize>,
    /// Values that were replaced have taken of it as well: somebody made them.
    budget: Budget,
}

impl Env {
    fn get(&self, name: &str) -> Option<&str> {
        self.places.get(name).map(|at| self.list[*at].1.as_str())
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        // `name=value`
        self.budget.take(name.len() + 1 + value.len()).map_err(|why| of_variable(name, why))?;
        match self.places.get(name) {
            Some(at) => self.list[*at].1 = value,
            None => {
                self.places.insert(name.to_owned(), self.list.len());
                self.list.push((name.to_owned(), value));
            }
        }
        Ok(())
    }
}

fn of_variable(name: &str, why: TooLong) -> String {
    match why {
        // the name may be what is long
        TooLong::String => {
            let name: String = name.chars().take(SHOWN_OF_NAME).collect();
            format!("environment variable \"{name}\" is {why}")
        }
        TooLong::Together => why.to_string(),
    }
}

/// # Errors
/// The message of a `CreateContainerConfigError`.
pub fn environment(
    pod: &Pod,
    container: &Container,
    facts: &Facts,
    mounted: &Mounted,
    sources: &dyn Sources,
    service_environment: bool,
) -> Result<Vec<(String, String)>, String> {
    let namespace = pod::namespace(pod);
    let mut env = Env::default();
    let links = service_environment && pod::spec(pod).enable_service_links != Some(false);
    let services = if service_environment {
        service_variables(&sources.services(namespace), namespace, links).map_err(|why| why.to_string())?
    } else {
        BTreeMap::new()
    };
    env_from(&mut env, container, namespace, sources)?;
    for var in container.env.iter().flatten() {
        let value = match (&var.value, &var.value_from) {
            (_, Some(from)) => {
                let value = match &from.file_key_ref {
                    Some(file) => from_file(file, mounted)?,
                    None => from_source(pod, container, var, from, facts, sources)?,
                };
                match value {
                    Some(value) => value,
                    None => continue,
                }
            }
            (Some(value), None) => {
                let known =
                    expand(value, |name| env.get(name).or_else(|| services.get(name).map(String::as_str)));
                known.map_err(|why| of_variable(&var.name, why))?
            }
            (None, None) => String::new(),
        };
        env.set(&var.name, value)?;
    }
    for (name, value) in services {
        if env.get(&name).is_none() {
            env.set(&name, value)?;
        }
    }
    Ok(env.list)
}

fn env_from(
    env: &mut Env,
    container: &Container,
    namespace: &str,
    sources: &dyn Sources,
) -> Result<(), String> {
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        if let Some(reference) = &from.config_map_ref {
            match sources.config_map(namespace, &reference.name) {
                Some(map) => {
                    for (key, value) in map.data.iter().flatten() {
                        env.set(&format!("{prefix}{key}"), value.clone())?;
                    }
                }
                None if reference.optional == Some(true) => {}
                None => return Err(format!("configmap \"{}\" not found", reference.name)),
            }
        }
        if let Some(reference) = &from.secret_ref {
            match sources.secret(namespace, &reference.name) {
                Some(secret) => {
                    for (key, value) in secret.data.iter().flatten() {
                        env.set(&format!("{prefix}{key}"), String::from_utf8_lossy(&value.0).into_owned())?;
                    }
                }
                None if reference.optional == Some(true) => {}
                None => return Err(format!("secret \"{}\" not found", reference.name)),
            }
        }
    }
    Ok(())
}

fn from_source(
    pod: &Pod,
    container: &Container,
    var: &EnvVar,
    from: &EnvVarSource,
    facts: &Facts,
    sources: &dyn Sources,
) -> Result<Option<String>, String> {
    let namespace = pod::namespace(pod);
    if let Some(field) = &from.field_ref {
        return field_ref::field(pod, facts, &field.field_path).map(Some);
    }
    if let Some(resource) = &from.resource_field_ref {
        return field_ref::resource(pod, Some(container), facts, resource).map(Some);
    }
    if let Some(key) = &from.config_map_key_ref {
        let optional = key.optional == Some(true);
        let Some(map) = sources.config_map(namespace, &key.name) else {
            return missing(optional, format!("configmap \"{}\" not found", key.name));
        };
        return match map.data.as_ref().and_then(|d| d.get(&key.key)) {
            Some(value) => Ok(Some(value.clone())),
            None => missing(
                optional,
                format!("couldn't find key {} in ConfigMap {namespace}/{}", key.key, key.name),
            ),
        };
    }
    if let Some(key) = &from.secret_key_ref {
        let optional = key.optional == Some(true);
        let Some(secret) = sources.secret(namespace, &key.name) else {
            return missing(optional, format!("secret \"{}\" not found", key.name));
        };
        return match secret.data.as_ref().and_then(|d| d.get(&key.key)) {
            Some(value) => Ok(Some(String::from_utf8_lossy(&value.0).into_owned())),
            None => {
                missing(optional, format!("couldn't find key {} in Secret {namespace}/{}", key.key, key.name))
            }
        };
    }
    Err(format!("environment variable \"{}\": its source is not supported", var.name))
}

fn from_file(file: &FileKeySelector, mounted: &Mounted) -> Result<Option<String>, String> {
    let FileKeySelector { key, path, volume_name, optional } = file;
    let Some(MountedVolume::Path { path: volume, .. }) = mounted.get(volume_name) else {
        return Err(format!("cannot find volume \"{volume_name}\" with the file {path}"));
    };
    match env_file::value(volume, path, key)? {
        Some(value) => Ok(Some(value)),
        None => {
            let why = format!("couldn't find key {key} in file {path} of volume {volume_name}");
            missing(*optional == Some(true), why)
        }
    }
}

fn missing(optional: bool, why: String) -> Result<Option<String>, String> {
    if optional { Ok(None) } else { Err(why) }
}

/// The API server's service is known everywhere; those of the namespace where links are wanted.
fn service_variables(
    services: &[std::sync::Arc<Service>],
    namespace: &str,
    links: bool,
) -> Result<BTreeMap<String, String>, TooLong> {
    let mut variables = BTreeMap::new();
    let mut budget = Budget::default();
    for service in services {
        let meta = &service.metadata;
        let master =
            meta.namespace.as_deref() == Some("default") && meta.name.as_deref() == Some("kubernetes");
        if master || (links && meta.namespace.as_deref() == Some(namespace)) {
            for (name, value) in variables_of(service) {
                budget.take(name.len() + 1 + value.len())?;
                variables.insert(name, value);
            }
        }
    }
    Ok(variables)
}

fn variables_of(service: &Service) -> Vec<(String, String)> {
    let spec = service.spec.as_ref();
    let ip = spec.and_then(|s| s.cluster_ip.as_deref()).filter(|ip| !ip.is_empty() && *ip != "None");
    let ports = spec.and_then(|s| s.ports.as_deref()).unwrap_or_default();
    let (Some(ip), Some(first)) = (ip, ports.first()) else { return Vec::new() };
    let name = service.metadata.name.as_deref().unwrap_or_default().to_uppercase().replace('-', "_");
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    let protocol =
        |p: &k8s_openapi::api::core::v1::ServicePort| p.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
    let url = |p: &k8s_openapi::api::core::v1::ServicePort| {
        format!("{}://{host}:{}", protocol(p).to_lowercase(), p.port)
    };
    let mut variables = vec![
        (format!("{name}_SERVICE_HOST"), ip.to_owned()),
        (format!("{name}_SERVICE_PORT"), first.port.to_string()),
    ];
    for port in ports {
        if let Some(named) = port.name.as_deref().filter(|n| !n.is_empty()) {
            let named = named.to_uppercase().replace('-', "_");
            variables.push((format!("{name}_SERVICE_PORT_{named}"), port.port.to_string()));
        }
    }
    variables.push((format!("{name}_PORT"), url(first)));
    for port in ports {
        let prefix = format!("{name}_PORT_{}_{}", port.port, protocol(port).to_uppercase());
        variables.push((prefix.clone(), url(port)));
        variables.push((format!("{prefix}_PROTO"), protocol(port).to_lowercase()));
        variables.push((format!("{prefix}_PORT"), port.port.to_string()));
        variables.push((format!("{prefix}_ADDR"), ip.to_owned()));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::tests::Fixed;
    use serde_json::json;

    fn pod(container: serde_json::Value) -> Pod {
        let made = testkit::objects::pod("web").namespace("shop").uid("u1").label("app", "web").on("n1");
        made.spec(&json!({"serviceAccountName": "sa", "containers": [container]})).build()
    }

    fn sources() -> Fixed {
        Fixed::default()
            .config_map("shop", "settings", json!({"COLOR": "blue"}))
            .secret("shop", "login", json!({"password": "aHVudGVyMg=="}))
            .service(json!({"metadata": {"name": "kubernetes", "namespace": "default"},
                "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443}]}}))
            .service(json!({"metadata": {"name": "the-db", "namespace": "shop"},
                "spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 5432, "protocol": "TCP"}]}}))
            .service(json!({"metadata": {"name": "headless", "namespace": "shop"},
                "spec": {"clusterIP": "None", "ports": [{"port": 1}]}}))
    }

    fn resolve(container: serde_json::Value) -> Result<BTreeMap<String, String>, String> {
        let volume = tempfile::tempdir().unwrap();
        std::fs::write(volume.path().join("made.env"), "TOKEN='abc'\n").unwrap();
        let made = MountedVolume::Path { path: volume.path().to_owned(), read_only: false };
        let mounted = Mounted::from([("made".to_owned(), made)]);
        let pod = pod(container);
        let facts = Facts {
            pod_ip: Some("10.244.0.7".into()),
            host_ip: "192.0.2.1".into(),
            cpus: 2,
            memory_bytes: 1 << 30,
            disk_bytes: 1 << 40,
        };
        environment(&pod, &pod.spec.as_ref().unwrap().containers[0], &facts, &mounted, &sources(), true)
            .map(|e| e.into_iter().collect())
    }

    #[test]
    fn every_form_of_value() {
        let env = resolve(json!({"name": "c", "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}},
            "envFrom": [{"prefix": "S_", "configMapRef": {"name": "settings"}}, {"secretRef": {"name": "gone", "optional": true}}],
            "env": [
                {"name": "PLAIN", "value": "x"},
                {"name": "BOTH", "value": "$(PLAIN)-$(S_COLOR)-$(THE_DB_SERVICE_HOST)-$(NOT_YET)-$$(PLAIN)"},
                {"name": "NOT_YET", "value": "late"},
                {"name": "EMPTY"},
                {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "COLOR"}}},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}},
                {"name": "MAYBE", "valueFrom": {"secretKeyRef": {"name": "login", "key": "no", "optional": true}}},
                {"name": "TOKEN", "valueFrom": {"fileKeyRef": {"volumeName": "made", "path": "made.env", "key": "TOKEN"}}},
                {"name": "NONE", "valueFrom": {"fileKeyRef": {"volumeName": "made", "path": "no.env", "key": "A", "optional": true}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
            ]}))
        .unwrap();
        let want = [
            ("BOTH", "x-blue-10.96.0.9-$(NOT_YET)-$(PLAIN)"),
            ("EMPTY", ""),
            ("KEY", "blue"),
            ("PASSWORD", "hunter2"),
            ("TOKEN", "abc"),
            ("IP", "10.244.0.7"),
            ("APP", "web"),
            ("CPU", "2"),
            ("MEM", "64"),
            ("KUBERNETES_SERVICE_PORT_HTTPS", "443"),
            ("THE_DB_PORT_5432_TCP", "tcp://10.96.0.9:5432"),
            ("THE_DB_PORT_5432_TCP_ADDR", "10.96.0.9"),
        ];
        for (name, value) in want {
            assert_eq!(env.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(!env.contains_key("MAYBE") && !env.contains_key("HEADLESS_SERVICE_HOST"));
    }

    #[test]
    fn an_environment_that_no_program_can_begin_with_is_refused() {
        let mut doubling = vec![json!({"name": "A0", "value": "x".repeat(1000)})];
        doubling.extend(
            (1..7).map(|i| json!({"name": format!("A{i}"), "value": format!("$(A{})", i - 1).repeat(10)})),
        );
        let why = resolve(json!({"name": "c", "env": doubling})).unwrap_err();
        assert_eq!(
            why,
            "environment variable \"A3\" is longer than 128 KiB, and no program can be started with it"
        );
        let together = "environment, command and arguments have more than 2 MiB together, and no program can be started with them";
        let many: Vec<_> =
            (0..21).map(|i| json!({"name": format!("A{i}"), "value": "x".repeat(100_000)})).collect();
        assert_eq!(resolve(json!({"name": "c", "env": many[..20]})).unwrap()["A19"].len(), 100_000);
        assert_eq!(resolve(json!({"name": "c", "env": many})).unwrap_err(), together);
        let prefixes: Vec<_> = (0..100_000)
            .map(|i| json!({"prefix": format!("P{i}_"), "configMapRef": {"name": "settings"}}))
            .collect();
        assert_eq!(resolve(json!({"name": "c", "envFrom": prefixes})).unwrap_err(), together);
    }

    #[test]
    fn what_is_missing_is_named() {
        let cases = [
            (json!({"configMapKeyRef": {"name": "no", "key": "k"}}), "configmap \"no\" not found"),
            (
                json!({"configMapKeyRef": {"name": "settings", "key": "k"}}),
                "couldn't find key k in ConfigMap shop/settings",
            ),
            (
                json!({"secretKeyRef": {"name": "login", "key": "k"}}),
                "couldn't find key k in Secret shop/login",
            ),
        ];
        for (from, want) in cases {
            let got = resolve(json!({"name": "c", "env": [{"name": "X", "valueFrom": from}]}));
            assert_eq!(got.unwrap_err(), want);
        }
        let got = resolve(json!({"name": "c", "envFrom": [{"secretRef": {"name": "no"}}]}));
        assert_eq!(got.unwrap_err(), "secret \"no\" not found");
    }
}
