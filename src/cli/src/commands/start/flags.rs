//! What was typed as what the daemon is told: the options of one that runs here, and the words for one in the background.

use super::Start;
use super::values::{DockerSocket, KeptFile};
use crate::commands::CommandLine;
use anyhow::Result;
use appliance::{Datastore, StartOptions};
use clap::CommandFactory;
use clap::error::ErrorKind;
use std::ffi::{OsStr, OsString};
use std::path::Path;

impl Start {
    /// What was given of what the daemon looks at when it starts.
    pub(super) fn read_at_start(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            ("--apiserver-port", self.apiserver_port.is_some()),
            ("--apiserver-name", !self.apiserver_name.is_empty()),
            ("--insecure-registry", !self.insecure_registry.is_empty()),
            ("--registry-mirror", !self.registry_mirror.is_empty()),
            ("--docker-socket", self.docker_socket.is_some()),
            ("--daemon-memory", self.daemon_memory.is_some()),
            ("--max-pods", self.max_pods.is_some()),
        ];
        let given = given.into_iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| flag);
        given.chain(self.kept_files().map(|(flag, _)| flag))
    }

    pub(super) fn kept_files(&self) -> impl Iterator<Item = (&'static str, &KeptFile)> {
        let all = [
            ("--audit-policy", &self.audit_policy),
            ("--audit-log", &self.audit_log),
            ("--authentication-config", &self.authentication_config),
            ("--authorization-config", &self.authorization_config),
            ("--encryption-provider-config", &self.encryption_provider_config),
            ("--scheduler-config", &self.scheduler_config),
        ];
        all.into_iter().filter_map(|(flag, file)| Some((flag, file.as_ref()?)))
    }

    pub(super) fn datastore(&self) -> Result<Option<Datastore>> {
        if self.datastore_endpoint.is_empty() && self.datastore_files.are_given() {
            let what = "the files of a datastore need its --datastore-endpoint <URL> beside them";
            CommandLine::command().error(ErrorKind::MissingRequiredArgument, what).exit();
        }
        self.datastore_files.datastore(&self.datastore_endpoint)
    }

    /// Of a daemon that runs in this process.
    pub(super) fn options(&self) -> Result<StartOptions> {
        Ok(StartOptions {
            api_port: self.apiserver_port,
            api_names: self.apiserver_name.clone(),
            insecure_registries: self.insecure_registry.clone(),
            registry_mirrors: self.registry_mirror.clone(),
            docker_socket: self.docker_socket.clone().map(|DockerSocket(place)| place),
            accept_loss: self.accept_loss,
            daemon_memory: self.daemon_memory,
            max_pods: self.max_pods,
            audit_policy: self.audit_policy.clone().map(|KeptFile(path)| path),
            audit_log: self.audit_log.clone().map(|KeptFile(path)| path),
            authentication_config: self.authentication_config.clone().map(|KeptFile(path)| path),
            authorization_config: self.authorization_config.clone().map(|KeptFile(path)| path),
            encryption_provider_config: self.encryption_provider_config.clone().map(|KeptFile(path)| path),
            scheduler_config: self.scheduler_config.clone().map(|KeptFile(path)| path),
            datastore: self.datastore()?,
            take_over: self.datastore_take_over,
            kubernetes: self.no_kubernetes.map(|no| !no),
            log_to_file: self.report,
        })
    }

    /// Of the command that is the daemon in the background.
    pub(super) fn daemon_words(&self) -> Result<Vec<OsString>> {
        let mut words: Vec<OsString> = ["start", "--foreground", "--report"].map(OsString::from).into();
        let mut add = |flag: &str, value: &OsStr| words.extend([OsString::from(flag), value.to_owned()]);
        if let Some(port) = self.apiserver_port {
            add("--apiserver-port", port.to_string().as_ref());
        }
        for name in &self.apiserver_name {
            add("--apiserver-name", name.as_ref());
        }
        for host in &self.insecure_registry {
            add("--insecure-registry", host.as_ref());
        }
        if let Some(DockerSocket(place)) = &self.docker_socket {
            add("--docker-socket", place.as_deref().unwrap_or(Path::new("own")).as_os_str());
        }
        if let Some(memory) = &self.daemon_memory {
            add("--daemon-memory", memory.to_string().as_ref());
        }
        if let Some(most) = &self.max_pods {
            add("--max-pods", most.to_string().as_ref());
        }
        for (flag, file) in self.kept_files() {
            add(flag, file.word());
        }
        for url in &self.registry_mirror {
            add("--registry-mirror", url.as_ref());
        }
        if let Some(datastore) = self.datastore()? {
            add("--datastore-endpoint", datastore.endpoints().as_ref());
            if let Some(file) = datastore.cafile() {
                add("--datastore-cafile", file.as_ref());
            }
            if let Some((certificate, key)) = datastore.identity() {
                add("--datastore-certfile", certificate.as_ref());
                add("--datastore-keyfile", key.as_ref());
            }
        }
        words.extend(self.no_kubernetes.map(|no| format!("--no-kubernetes={no}").into()));
        words.extend(self.accept_loss.then(|| "--accept-loss".into()));
        words.extend(self.datastore_take_over.then(|| "--datastore-take-over".into()));
        Ok(words)
    }
}
