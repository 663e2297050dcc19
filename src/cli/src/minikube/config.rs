//! `minikube config`: values that are defaults of the flags of the same name, in `~/.minikube/config/config.json`.

use super::reason::{self, Exit};
use super::{Outcome, Session, start_values};
use crate::user_files::{self, SudoUser};
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
const NUMBERS: &[&str] = &["v", "cpus", "ReminderWaitPeriodInHours", "MaxAuditEntries", "apiserver-port"];
const SWITCHES: &[&str] = &[
    "WantUpdateNotification",
    "WantBetaUpdateNotification",
    "WantNoneDriverWarning",
    "WantVirtualBoxDriverWarning",
    "disable-driver-mounts",
    "EmbedCerts",
    "native-ssh",
    "rootless",
    "interactive",
];
/// Those of the machine, which minikube makes once.
const OF_THE_MACHINE: &[&str] = &[
    "driver",
    "vm-driver",
    "container-runtime",
    "feature-gates",
    "cpus",
    "disk-size",
    "memory",
    "rootless",
    "static-ip",
];

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
                let value = checked(property, value)
                    .map_err(|why| reason::CONFIG_SET.because(format!("Set failed: {why}")))?;
                let mut settings = Settings::read_checked()?;
                settings.set(property, value)?;
                if OF_THE_MACHINE.contains(&property.as_str()) {
                    super::output::problem(
                        super::output::Mark::Warning,
                        "These changes will take effect upon a minikube delete and then a minikube start",
                    );
                }
            }
            ConfigCommand::Get { property } => match session.settings.text(property) {
                Some(value) => println!("{value}"),
                // scripts compare this line, which is cobra's and not one of minikube's refusals
                None => {
                    eprintln!("Error: specified key could not be found in config");
                    return Err(Exit::silent(reason::USAGE));
                }
            },
            ConfigCommand::Unset { property } => {
                // of whatever name: another release's setting can be taken back as well
                Settings::read_checked()?.unset(property)?;
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

/// The value as it is kept.
///
/// # Errors
/// What minikube says of a property that there is not, or of a value that no start would take.
fn checked(property: &str, value: &str) -> Result<Value, String> {
    if !KEYS.contains(&property) {
        return Err(format!(
            "find settings for {property:?} value of {value:?}: property name {property:?} not found"
        ));
    }
    let invalid = |why: String| format!("run validations for {property:?} with value of {value:?}: [{why}]");
    let is_bound = start_values::is_bound(value);
    match property {
        "driver" | "vm-driver" if !start_values::is_driver(value) => {
            return Err(invalid(format!("driver {value:?} is not supported")));
        }
        "container-runtime" if !start_values::is_runtime(value) => {
            return Err(invalid(format!("invalid runtime: unknown runtime type: {value:?}")));
        }
        "disk-size" => {
            start_values::mebibytes(value).map_err(|why| invalid(format!("invalid disk size: {why}")))?;
        }
        "memory" if is_bound => {
            start_values::mebibytes(value).map_err(|why| invalid(format!("invalid memory size: {why}")))?;
        }
        "cpus" if !is_bound => return Ok(value.into()),
        "v" | "cpus" => match value.parse::<i64>() {
            Ok(1..) => {}
            Ok(_) => return Err(invalid(format!("{property} must be > 0"))),
            Err(_) => {
                return Err(invalid(format!("{property}:strconv.Atoi: parsing {value:?}: invalid syntax")));
            }
        },
        _ => {}
    }
    if NUMBERS.contains(&property) {
        let number = value.parse::<i64>();
        return number
            .map(Value::from)
            .map_err(|_| format!("set: strconv.Atoi: parsing {value:?}: invalid syntax"));
    }
    if SWITCHES.contains(&property) {
        let invalid = || format!("set: strconv.ParseBool: parsing {value:?}: invalid syntax");
        return start_values::switch(value).map(Value::from).ok_or_else(invalid);
    }
    Ok(value.into())
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
        self.write().map_err(|why| reason::CONFIG_SET.because(why))
    }

    pub(super) fn unset(&mut self, key: &str) -> Result<(), Exit> {
        self.0.remove(key);
        self.write().map_err(|why| reason::CONFIG_UNSET.because(why))
    }

    /// Whole or not at all: a file beside it takes its place.
    fn write(&self) -> Result<(), String> {
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
        user_files::act_on(&path, write).map_err(|e| format!("{}: {e}", path.display()))
    }
}

/// `$MINIKUBE_HOME`, or `.minikube` in the home of whoever typed `sudo`.
pub(super) fn home() -> PathBuf {
    match std::env::var_os("MINIKUBE_HOME").filter(|home| !home.is_empty()) {
        Some(home) if PathBuf::from(&home).ends_with(".minikube") => home.into(),
        Some(home) => PathBuf::from(home).join(".minikube"),
        None => {
            // what they have configured without `sudo` is meant with it too; a service's account may have no home at all
            let theirs = SudoUser::of_environment().and_then(|user| user.home).filter(|home| home.is_dir());
            let home = theirs.or_else(|| std::env::var_os("HOME").map(PathBuf::from));
            home.unwrap_or_else(|| PathBuf::from("/root")).join(".minikube")
        }
    }
}

fn path() -> PathBuf {
    home().join("config/config.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_start_would_take_is_not_kept() {
        let cases = [
            (
                "nonsense",
                "1",
                "find settings for \"nonsense\" value of \"1\": property name \"nonsense\" not found",
            ),
            ("driver", "nosuch", "[driver \"nosuch\" is not supported]"),
            ("container-runtime", "rkt", "[invalid runtime: unknown runtime type: \"rkt\"]"),
            ("cpus", "many", "[cpus:strconv.Atoi: parsing \"many\": invalid syntax]"),
            ("cpus", "0", "[cpus must be > 0]"),
            ("v", "-1", "[v must be > 0]"),
            ("memory", "much", "[invalid memory size: invalid size: 'much']"),
            ("disk-size", "max", "[invalid disk size: invalid size: 'max']"),
            ("MaxAuditEntries", "x", "set: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("EmbedCerts", "maybe", "set: strconv.ParseBool: parsing \"maybe\": invalid syntax"),
        ];
        for (property, value, want) in cases {
            let said = checked(property, value).unwrap_err();
            assert!(said.ends_with(want), "{property} {value}: {said}");
        }
    }

    #[test]
    fn what_is_kept_has_its_type() {
        let cases: [(&str, &str, Value); 11] = [
            ("driver", "docker", "docker".into()),
            ("container-runtime", "CRI-O", "CRI-O".into()),
            ("cpus", "4", 4.into()),
            ("cpus", "max", "max".into()),
            ("memory", "no-limit", "no-limit".into()),
            ("memory", "4g", "4g".into()),
            ("disk-size", "20000mb", "20000mb".into()),
            ("apiserver-port", "8443", 8443.into()),
            ("rootless", "t", true.into()),
            ("WantUpdateNotification", "False", false.into()),
            ("kubernetes-version", "true", "true".into()),
        ];
        for (property, value, want) in cases {
            assert_eq!(checked(property, value), Ok(want), "{property} {value}");
        }
    }
}
