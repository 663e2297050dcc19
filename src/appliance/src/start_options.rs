//! What is typed at a start, and what of it is kept for later ones.

use crate::daemon_memory::DaemonMemory;
use crate::datastore::{self, Datastore};
use crate::error::{StartError, failed};
use crate::settings::Settings;
use crate::{MaxPods, Paths, SettingsError};
use std::path::PathBuf;

/// What was typed at this start.
#[derive(Debug, Clone, Default)]
pub struct StartOptions {
    pub api_port: Option<u16>,
    /// Kept for later starts; checked by [`crate::is_server_name`].
    pub api_names: Vec<String>,
    pub insecure_registries: Vec<String>,
    /// Asked before docker.io.
    pub registry_mirrors: Vec<String>,
    /// `Some(None)`: nowhere but at the profile's own place.
    pub docker_socket: Option<Option<PathBuf>>,
    /// Go on where the store has lost something.
    pub accept_loss: bool,
    /// Kept for later starts.
    pub daemon_memory: Option<DaemonMemory>,
    /// Kept for later starts.
    pub max_pods: Option<MaxPods>,
    /// Kept for later starts; `Some(None)`: requests are not told of.
    pub audit_policy: Option<Option<PathBuf>>,
    /// The same; `Some(None)`: the profile's own place.
    pub audit_log: Option<Option<PathBuf>>,
    /// Kept for later starts; `Some(None)`: the cluster itself alone is believed.
    pub authentication_config: Option<Option<PathBuf>>,
    pub authorization_config: Option<Option<PathBuf>>,
    /// Kept for later starts; `Some(None)`: nothing is encrypted.
    pub encryption_provider_config: Option<Option<PathBuf>>,
    /// Kept for later starts; `Some(None)`: pods are placed as upstream does.
    pub scheduler_config: Option<Option<PathBuf>>,
    /// Kept for later starts: `false` is the Docker half alone.
    pub kubernetes: Option<bool>,
    /// Kept for later starts.
    pub datastore: Option<Datastore>,
    /// Go on with the state that a profile of the same name on another machine has left in the datastore.
    pub take_over: bool,
    /// Into the profile's own file instead of the terminal.
    pub log_to_file: bool,
}

/// What the profile was first started with, and what is typed now.
pub(crate) fn resolve_settings(paths: &Paths, options: &StartOptions) -> Result<Settings, StartError> {
    let damaged = |e: SettingsError| StartError::StateDamaged { what: e.to_string() };
    let known = Settings::load(paths).map_err(damaged)?;
    let went_on = known.is_none().then(|| store::newer_in_etcd(&paths.store())).flatten();
    let mut settings = known.unwrap_or_else(|| Settings::fresh(paths));
    if let Some(port) = options.api_port {
        settings.api_port = port;
    }
    if let Some(place) = &options.docker_socket {
        settings.docker_socket.clone_from(place);
    }
    if let Some(memory) = options.daemon_memory {
        settings.daemon_memory = memory;
    }
    if let Some(most) = options.max_pods {
        settings.max_pods = most;
    }
    let files = &mut settings.api_server_files;
    if let Some(policy) = &options.audit_policy {
        files.audit_policy.clone_from(policy);
    }
    if let Some(log) = &options.audit_log {
        files.audit_log.clone_from(log);
    }
    if let Some(config) = &options.authentication_config {
        files.authentication_config.clone_from(config);
    }
    if let Some(config) = &options.authorization_config {
        files.authorization_config.clone_from(config);
    }
    if let Some(config) = &options.encryption_provider_config {
        files.encryption_provider_config.clone_from(config);
    }
    if let Some(config) = &options.scheduler_config {
        settings.scheduler_config.clone_from(config);
    }
    if let Some(kubernetes) = options.kubernetes {
        settings.kubernetes = kubernetes;
    }
    if options.datastore.is_some() && !settings.kubernetes {
        let what =
            "the Docker half alone keeps nothing in a datastore: start it with `--no-kubernetes=false`";
        return Err(StartError::Datastore { what: what.to_owned() });
    }
    if options.encryption_provider_config.is_some() && !settings.kubernetes {
        let what =
            "the Docker half alone stores nothing that is encrypted: start it with `--no-kubernetes=false`";
        return Err(StartError::Failed { what: what.to_owned() });
    }
    let datastore = match (went_on, &options.datastore) {
        (Some(revision), None) if !options.accept_loss => {
            return Err(datastore::unnamed(paths, revision.0));
        }
        (Some(_), Some(asked)) => Some(asked.clone()),
        (_, asked) => datastore::resolve(paths, settings.datastore.as_ref(), asked.as_ref())?,
    };
    add_missing(&mut settings.api_names, &options.api_names);
    let registries = &mut settings.registries;
    add_missing(&mut registries.insecure, &options.insecure_registries);
    if !options.registry_mirrors.is_empty() {
        add_missing(registries.mirrors.entry("docker.io".to_owned()).or_default(), &options.registry_mirrors);
    }
    settings.datastore = datastore;
    Ok(settings)
}

/// For later starts: all but the datastore and the file with its keys, which are the profile's from when it was opened with them.
pub(crate) fn keep(paths: &Paths, settings: &Settings) -> Result<(), StartError> {
    let damaged = |e: SettingsError| StartError::StateDamaged { what: e.to_string() };
    let known = Settings::load(paths).map_err(damaged)?;
    let mut kept = settings.clone();
    kept.datastore = known.as_ref().and_then(|known| known.datastore.clone());
    kept.api_server_files.encryption_provider_config =
        known.as_ref().and_then(|known| known.api_server_files.encryption_provider_config.clone());
    match known.as_ref() == Some(&kept) {
        true => Ok(()),
        false => kept.save(paths).map_err(|e| failed("settings", &e)),
    }
}

fn add_missing(known: &mut Vec<String>, more: &[String]) {
    for item in more {
        if !known.contains(item) {
            known.push(item.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_state_is_opened_with_is_not_kept_before_that() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path(), &"shop".parse().unwrap());
        std::fs::create_dir_all(&paths.state).unwrap();
        let typed = |file: Option<&str>| StartOptions {
            encryption_provider_config: Some(file.map(PathBuf::from)),
            api_names: vec!["shop.example".to_owned()],
            ..StartOptions::default()
        };
        let kept = || {
            let settings = Settings::load(&paths).unwrap().unwrap();
            (settings.api_server_files.encryption_provider_config, settings.api_names)
        };
        let names = vec!["shop.example".to_owned()];
        let settings = resolve_settings(&paths, &typed(Some("/a.yaml"))).unwrap();
        keep(&paths, &settings).unwrap();
        assert_eq!(kept(), (None, names.clone()));
        settings.save(&paths).unwrap();
        let settings = resolve_settings(&paths, &typed(None)).unwrap();
        assert_eq!(settings.api_server_files.encryption_provider_config, None);
        keep(&paths, &settings).unwrap();
        assert_eq!(kept(), (Some("/a.yaml".into()), names));

        let alone = StartOptions { kubernetes: Some(false), ..typed(Some("/b.yaml")) };
        assert!(resolve_settings(&paths, &alone).is_err(), "it would not be kept");
    }

    /// As the store writes it.
    const IN_ETCD: &str = "monopod: the last acknowledged state in etcd\nrevision 7\nreserved 10007\nobjects 3\nsum 9\ncheck 4058476563\n";

    #[test]
    fn without_settings_a_state_that_is_in_etcd_is_not_begun_anew_in_a_file() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path(), &"shop".parse().unwrap());
        std::fs::create_dir_all(paths.store()).unwrap();
        std::fs::write(paths.store().join("etcd.seal"), IN_ETCD).unwrap();
        let datastore = Datastore::new(&["https://a:2379".parse().unwrap()], None, None).unwrap();
        let named = StartOptions { datastore: datastore.clone(), ..StartOptions::default() };
        let accepted = StartOptions { accept_loss: true, ..StartOptions::default() };
        let resolved =
            |options: &StartOptions| resolve_settings(&paths, options).map(|settings| settings.datastore);
        let refused = resolved(&StartOptions::default()).unwrap_err();
        let why = refused.to_string();
        assert!(matches!(refused, StartError::StateDamaged { .. }), "{why}");
        assert!(why.contains("settings.json is missing") && why.contains("revision 7"), "{why}");
        assert!(why.contains("`monopod -p shop start --datastore-endpoint"), "{why}");
        assert_eq!(resolved(&named), Ok(datastore));
        assert_eq!(resolved(&accepted), Ok(None));
        // settings that are there say where it is
        resolve_settings(&paths, &accepted).unwrap().save(&paths).unwrap();
        assert_eq!(resolved(&StartOptions::default()), Ok(None));
    }

    #[test]
    fn later_starts_take_as_many_pods() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path(), &"shop".parse().unwrap());
        std::fs::create_dir_all(&paths.state).unwrap();
        let start = |most: Option<u32>| {
            let max_pods = most.map(|most| MaxPods::try_from(most).unwrap());
            let options = StartOptions { max_pods, ..StartOptions::default() };
            let settings = resolve_settings(&paths, &options).unwrap();
            keep(&paths, &settings).unwrap();
            settings.max_pods.get()
        };
        assert_eq!(start(None), 110, "upstream's");
        assert_eq!((start(Some(300)), start(None)), (300, 300));
        let text = std::fs::read_to_string(paths.settings()).unwrap();
        assert!(text.contains("\"max_pods\": 300"), "{text}");
        std::fs::write(paths.settings(), text.replace("\"max_pods\": 300", "\"max_pods\": 9000")).unwrap();
        assert!(
            resolve_settings(&paths, &StartOptions::default()).is_err(),
            "there are no addresses for them"
        );
    }
}
