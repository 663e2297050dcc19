//! `minikube config`: values that are defaults of the flags of the same name, in `~/.minikube/config/config.json`.

use super::reason::{self, Exit};
use super::{Outcome, Session};
use crate::user_files;
use clap::Subcommand;
use serde_json::{Map, Value};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What may be set: minikube's own list.
const KEYS: &[&str] = &[
    "driver",
    "vm-driver",
    "container-runtime",
    "feature-gates",
    "v",
    "cpus",
    "disk-size",
    "host-only-cidr",
    "memory",
    "log_dir",
    "kubernetes-version",
    "iso-url",
    "WantUpdateNotification",
    "WantBetaUpdateNotification",
    "ReminderWaitPeriodInHours",
    "WantNoneDriverWarning",
    "WantVirtualBoxDriverWarning",
    "profile",
    "bootstrapper",
    "insecure-registry",
    "hyperv-virtual-switch",
    "disable-driver-mounts",
    "cache",
    "EmbedCerts",
    "native-ssh",
    "rootless",
    "MaxAuditEntries",
    "interactive",
    "static-ip",
    "addons",
    "registry-mirror",
    "apiserver-port",
];
const NUMBERS: &[&str] = &["cpus", "ReminderWaitPeriodInHours", "MaxAuditEntries", "apiserver-port"];

#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Config {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Sets an individual value in a minikube config file
    Set { property: String, value: String },
    /// Gets the value of PROPERTY_NAME from the minikube config file
    Get { property: String },
    /// unsets an individual value in a minikube config file
    Unset { property: String },
    /// Display values currently set in the minikube config file
    View {
        /// Go template format string for the config view output
        #[arg(long)]
        format: Option<String>,
    },
    /// Lists all valid default values for PROPERTY_NAME
    Defaults {
        property: String,
        #[arg(long, default_value = "")]
        output: String,
    },
}

impl Config {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        match &self.command {
            ConfigCommand::Set { property, value } => {
                known(property, reason::CONFIG_SET)?;
                let mut settings = Settings::read_checked()?;
                settings.set(property, typed(property, value)?)?;
                if !matches!(
                    property.as_str(),
                    "profile"
                        | "insecure-registry"
                        | "registry-mirror"
                        | "apiserver-port"
                        | "addons"
                        | "kubernetes-version"
                ) {
                    super::output::step(
                        super::output::Mark::Warning,
                        "These changes will take effect upon a minikube delete and then a minikube start",
                    );
                }
            }
            ConfigCommand::Get { property } => match session.settings.text(property) {
                Some(value) => println!("{value}"),
                None => {
                    return Err(reason::CONFIG_GET
                        .because(format!("specified key {property:?} could not be found in config")));
                }
            },
            ConfigCommand::Unset { property } => {
                known(property, reason::CONFIG_SET)?;
                let mut settings = Settings::read_checked()?;
                settings.unset(property)?;
            }
            ConfigCommand::View { format } => {
                for (key, value) in &session.settings.0 {
                    let shown = text_of(value);
                    let template = format.as_deref().unwrap_or("- {{.ConfigKey}}: {{.ConfigValue}}\n");
                    let line = super::template::render(template, |name| match name {
                        "ConfigKey" => Some(key.clone()),
                        "ConfigValue" => Some(shown.clone()),
                        _ => None,
                    });
                    print!("{}", line.map_err(|e| reason::INTERNAL.because(e))?);
                }
            }
            ConfigCommand::Defaults { property, output } => {
                let values: &[&str] = match property.as_str() {
                    "driver" => &["none"],
                    "kubernetes-version" => &[appliance::KUBERNETES],
                    other => {
                        return Err(reason::USAGE
                            .because(format!("{other} is not a valid option for the `defaults` command")));
                    }
                };
                match output.as_str() {
                    "json" => println!("{}", serde_json::json!(values)),
                    _ => values.iter().for_each(|value| println!("* {value}")),
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn known(property: &str, reason: reason::Reason) -> Result<(), Exit> {
    if KEYS.contains(&property) {
        return Ok(());
    }
    Err(reason.because(format!(
        "Set failed: find settings for {property:?} value: property name {property:?} not found"
    )))
}

fn typed(property: &str, value: &str) -> Result<Value, Exit> {
    if NUMBERS.contains(&property) {
        let number: i64 = value.parse().map_err(|_| {
            reason::CONFIG_SET.because(format!("Set failed: strconv.Atoi: parsing {value:?}: invalid syntax"))
        })?;
        return Ok(number.into());
    }
    Ok(match value {
        "true" => true.into(),
        "false" => false.into(),
        text => text.into(),
    })
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What is kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings(Map<String, Value>);

impl Settings {
    /// Nothing where it can not be read: `config` itself says why.
    pub(super) fn read() -> Settings {
        Self::read_checked().unwrap_or_default()
    }

    fn read_checked() -> Result<Settings, Exit> {
        let path = path();
        let text = match user_files::act_on(&path, || user_files::read(&path)) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Settings::default()),
            Err(e) => return Err(reason::HOST_CONFIG.because(format!("{}: {e}", path.display()))),
        };
        match serde_json::from_str(&text) {
            Ok(Value::Object(values)) => Ok(Settings(values)),
            Ok(_) => Err(reason::HOST_CONFIG.because(format!("{}: it is no JSON object", path.display()))),
            Err(e) => Err(reason::HOST_CONFIG.because(format!("{}: {e}", path.display()))),
        }
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.0.get(key).map(text_of)
    }

    pub(super) fn set(&mut self, key: &str, value: Value) -> Result<(), Exit> {
        self.0.insert(key.to_owned(), value);
        self.write()
    }

    fn unset(&mut self, key: &str) -> Result<(), Exit> {
        self.0.remove(key);
        self.write()
    }

    /// Whole or not at all: a file beside it takes its place.
    fn write(&self) -> Result<(), Exit> {
        let path = path();
        let write = || -> std::io::Result<()> {
            let directory = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(directory)?;
            let text = serde_json::to_string_pretty(&self.0).map_err(std::io::Error::other)?;
            let mut fresh = tempfile::Builder::new()
                .prefix(".config-")
                .permissions(Permissions::from_mode(0o644))
                .tempfile_in(directory)?;
            fresh.write_all(text.as_bytes())?;
            fresh.persist(&path).map(|_| ()).map_err(|failed| failed.error)
        };
        user_files::act_on(&path, write)
            .map_err(|e| reason::CONFIG_SET.because(format!("{}: {e}", path.display())))
    }
}

/// `$MINIKUBE_HOME`, or `.minikube` in the home of whoever typed `sudo`.
pub(super) fn home() -> PathBuf {
    match std::env::var_os("MINIKUBE_HOME").filter(|home| !home.is_empty()) {
        Some(home) if PathBuf::from(&home).ends_with(".minikube") => home.into(),
        Some(home) => PathBuf::from(home).join(".minikube"),
        None => {
            let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
            home.join(".minikube")
        }
    }
}

fn path() -> PathBuf {
    home().join("config/config.json")
}
