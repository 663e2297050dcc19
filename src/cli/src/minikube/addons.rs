//! `minikube addons`: what is built in is on, or comes with the program and is on when somebody wants it; what is not is
//! installed as any other software of the cluster.

use super::output::{self, Mark};
use super::reason::{self, Exit, Reason};
use super::{Outcome, Session};
use crate::commands::{Setting, addon_name, disable_addon, enable_addon, is_place};
use clap::Subcommand;
use serde_json::{Map, json};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// One of minikube's add-ons, and what it is here.
struct Addon {
    name: &'static str,
    is: Is,
}

enum Is {
    /// Always there.
    BuiltIn { what: &'static str, instead: &'static str },
    /// On when somebody enables it.
    Bundled(&'static str),
    /// How it is installed.
    Elsewhere(&'static str),
}
use Is::{Bundled, Elsewhere};

/// What it is; and, since it stays on, what there is for whoever would rather do without it.
const fn built_in(what: &'static str, instead: &'static str) -> Is {
    Is::BuiltIn { what, instead }
}

const HELM: &str = "install its chart with helm, or its manifests with kubectl apply";
const NO_DEVICES: &str = "devices are not given to pods yet";
const DRIVER: &str = "install its manifests with kubectl apply: storage drivers register here as anywhere";
const SNAPSHOTS: &str = "snapshots of the volumes of the class `standard`, and of drivers that take some";
const NO_MACHINE: &str = "there is no virtual machine to be set up";

const ADDONS: &[Addon] = &[
    Addon { name: "ambassador", is: Elsewhere(HELM) },
    Addon { name: "amd-gpu-device-plugin", is: Elsewhere(NO_DEVICES) },
    Addon { name: "auto-pause", is: Elsewhere("nothing pauses by itself: at idle there is nothing to save") },
    Addon { name: "cloud-spanner", is: Elsewhere(HELM) },
    Addon { name: "csi-hostpath-driver", is: Elsewhere(DRIVER) },
    Addon {
        name: "dashboard",
        is: built_in("`minikube dashboard` opens it", "nobody sees it without a link from there"),
    },
    Addon {
        name: "default-storageclass",
        is: built_in(
            "the class `standard` is the default one",
            "for another default set storageclass.kubernetes.io/is-default-class to false there, and to true at the other",
        ),
    },
    Addon { name: "efk", is: Elsewhere(HELM) },
    Addon { name: "freshpod", is: Elsewhere(HELM) },
    Addon { name: "gcp-auth", is: Elsewhere("put the credentials into a Secret") },
    Addon { name: "gvisor", is: Elsewhere("pods have one runtime here, and no other can be added to it") },
    Addon { name: "headlamp", is: Elsewhere(HELM) },
    Addon { name: "inaccel", is: Elsewhere(NO_DEVICES) },
    Addon {
        name: "ingress",
        is: built_in(
            "Ingresses answer at this machine's ports 80 and 443, and there is no pod of its own to wait for",
            "the ports are taken only while there is one, and those whose class names another controller are left to it",
        ),
    },
    Addon { name: "ingress-dns", is: Elsewhere("name the hosts of your Ingresses in /etc/hosts") },
    Addon { name: "inspektor-gadget", is: Elsewhere(HELM) },
    Addon { name: "istio", is: Elsewhere(HELM) },
    Addon { name: "istio-provisioner", is: Elsewhere(HELM) },
    Addon { name: "kong", is: Elsewhere(HELM) },
    Addon { name: "kubeflow", is: Elsewhere(HELM) },
    Addon { name: "kubetail", is: Elsewhere(HELM) },
    Addon { name: "kubevirt", is: Elsewhere(NO_MACHINE) },
    Addon { name: "logviewer", is: Elsewhere("`minikube dashboard` shows logs, live") },
    Addon {
        name: "metallb",
        is: built_in(
            "a LoadBalancer service has an address that answers",
            "services with a loadBalancerClass are left to others",
        ),
    },
    Addon {
        name: "metrics-server",
        is: built_in(
            "`kubectl top` shows what pods and nodes use",
            "nothing is measured until somebody asks",
        ),
    },
    Addon { name: "nvidia-device-plugin", is: Elsewhere(NO_DEVICES) },
    Addon { name: "nvidia-driver-installer", is: Elsewhere(NO_DEVICES) },
    Addon { name: "nvidia-gpu-device-plugin", is: Elsewhere(NO_DEVICES) },
    Addon { name: "olm", is: Elsewhere(HELM) },
    Addon { name: "pod-security-policy", is: Elsewhere("use the labels of Pod Security on a namespace") },
    Addon { name: "portainer", is: Elsewhere(HELM) },
    Addon {
        name: "registry",
        is: Elsewhere("an image that is built is at once one that runs: no registry is needed between"),
    },
    Addon { name: "registry-aliases", is: Elsewhere("no registry is needed between building and running") },
    Addon {
        name: "registry-creds",
        is: Elsewhere("make a Secret with `kubectl create secret docker-registry`"),
    },
    Addon {
        name: "storage-provisioner",
        is: built_in(
            "claims of the class `standard` are given a directory at once",
            "claims of other classes are left to their provisioners",
        ),
    },
    Addon { name: "storage-provisioner-gluster", is: Elsewhere(HELM) },
    Addon { name: "storage-provisioner-rancher", is: Elsewhere(HELM) },
    Addon { name: "volcano", is: Elsewhere(HELM) },
    Addon { name: "volumesnapshots", is: Bundled(SNAPSHOTS) },
    Addon { name: "yakd", is: Elsewhere(HELM) },
];

#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Addons {
    #[command(subcommand)]
    command: AddonsCommand,
}

#[derive(Subcommand)]
enum AddonsCommand {
    /// Lists all available minikube addons as well as their current statuses (enabled/disabled)
    List {
        /// minikube addons list --output OUTPUT. json, list
        #[arg(short, long, default_value = "list")]
        output: String,
        /// If true, print web links to addons' documentation if using --output=list (default).
        #[arg(short, long)]
        docs: bool,
    },
    /// Enables the addon w/ADDON_NAME within minikube
    Enable {
        #[arg(required = true)]
        names: Vec<String>,
        #[arg(long, hide = true)]
        images: Option<String>,
        #[arg(long, hide = true)]
        registries: Option<String>,
        #[arg(long, hide = true)]
        force: bool,
        #[arg(long, hide = true)]
        refresh: bool,
    },
    /// Disables the addon w/ADDON_NAME within minikube
    Disable {
        #[arg(required = true)]
        name: String,
    },
    /// List image names the addon w/ADDON_NAME used
    Images {
        name: String,
        #[arg(short, long, hide = true)]
        output: Option<String>,
    },
    /// Opens the addon w/ADDON_NAME within minikube
    Open {
        name: String,
        #[arg(long)]
        url: bool,
    },
    /// Configures the addon w/ADDON_NAME within minikube
    Configure { name: String },
}

impl Addons {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        match &self.command {
            AddonsCommand::List { output, docs } => list(session, output, *docs),
            AddonsCommand::Enable { names, .. } => {
                let (setting, status) = session.running()?;
                if status.without_kubernetes {
                    return Err(reason::USAGE
                        .because("You cannot enable addons on a cluster without Kubernetes")
                        .advise("minikube start --kubernetes-version=stable"));
                }
                for name in names {
                    match is_named(name) || !is_place(name) {
                        true => enable(session, name, &output::step)?,
                        false => enable_place(&setting, name)?,
                    }
                }
                Ok(ExitCode::SUCCESS)
            }
            AddonsCommand::Disable { name } => {
                if (!is_named(name) || is_bundled(name)) && own(session)?.contains_key(name) {
                    let (setting, _) = session.running()?;
                    disable_addon(&setting, name)?;
                    output::step(Mark::Disabled, &format!("\"The '{name}' addon is disabled\""));
                    return Ok(ExitCode::SUCCESS);
                }
                session.existing()?;
                match addon(name).ok_or_else(|| invalid(reason::ADDON_DISABLE, "disable", name))?.is {
                    // Not done, and said; yet nothing that a script should end at: what it sets up next works beside it.
                    Is::BuiltIn { what, instead } => {
                        output::problem(Mark::Warning, &format!("{name} is built in and stays on: {what}"));
                        output::problem(Mark::Tip, instead);
                    }
                    Bundled(_) | Elsewhere(_) => {
                        output::step(Mark::Disabled, &format!("\"The '{name}' addon is disabled\""))
                    }
                }
                Ok(ExitCode::SUCCESS)
            }
            AddonsCommand::Images { name, .. } => {
                known(name)?;
                output::step(Mark::Note, &format!("the addon {name} has no images of its own here"));
                Ok(ExitCode::SUCCESS)
            }
            AddonsCommand::Open { name, url } => match name.as_str() {
                "dashboard" => {
                    let (setting, _) = session.running()?;
                    super::monopod(setting, if *url { &["dashboard", "--url"] } else { &["dashboard"] })
                }
                name => {
                    known(name)?;
                    Err(reason::ADDON_ENABLE.because(format!("the addon {name} has no page to open")))
                }
            },
            AddonsCommand::Configure { name } => {
                known(name)?;
                output::step(Mark::Note, &format!("{name} has no available configuration options"));
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn is_named(name: &str) -> bool {
    addon(name).is_some()
}

fn is_bundled(name: &str) -> bool {
    addon(name).is_some_and(|addon| matches!(addon.is, Bundled(_)))
}

/// Those that were enabled from manifests.
fn own(session: &Session) -> Result<BTreeMap<String, appliance::Addon>, Exit> {
    let setting = session.setting()?;
    appliance::addons(&setting.paths).map_err(|e| super::unseen("what is enabled", &e))
}

/// A directory, a file or a URL of manifests.
fn enable_place(setting: &Setting, source: &str) -> Result<(), Exit> {
    let name = addon_name(source);
    if is_named(&name) {
        return Err(reason::ADDON_ENABLE
            .because(format!("enable failed: {name} is the name of one of minikube's own addons"))
            .advise("give the directory or the file another name"));
    }
    let objects = enable_addon(setting, source, &name)?;
    for object in &objects {
        output::step(Mark::Note, &object.to_string());
    }
    output::step(Mark::Enabled, &format!("The '{name}' addon is enabled"));
    Ok(())
}

fn addon(name: &str) -> Option<&'static Addon> {
    ADDONS.iter().find(|addon| addon.name == name)
}

fn known(name: &str) -> Result<&'static Addon, Exit> {
    addon(name).ok_or_else(|| invalid(reason::ADDON_ENABLE, "enable", name))
}

fn invalid(reason: Reason, verb: &str, name: &str) -> Exit {
    reason.because(format!("{verb} failed: {name} is not a valid addon")).advise("see `minikube addons list`")
}

/// Says that it is there, or how it is installed.
pub(super) fn enable(session: &Session, name: &str, say: &dyn Fn(Mark, &str)) -> Result<(), Exit> {
    match known(name)?.is {
        Is::BuiltIn { what, .. } => {
            say(Mark::Note, &format!("{name} is built in: {what}"));
            say(Mark::Enabled, &format!("The '{name}' addon is enabled"));
            Ok(())
        }
        Bundled(what) => {
            let (setting, _) = session.running()?;
            enable_addon(&setting, name, name)?;
            say(Mark::Note, what);
            say(Mark::Enabled, &format!("The '{name}' addon is enabled"));
            Ok(())
        }
        Elsewhere(how) => Err(reason::ADDON_ENABLE
            .because(format!("enable failed: {name} is not a part of this program"))
            .advise(format!("{how} (context \"{}\")", session.profile()))),
    }
}

/// A row of the list.
struct Row {
    enabled: bool,
    maintainer: &'static str,
    /// What it is, or how it is installed.
    how: String,
}

impl Row {
    fn of(addon: &Addon) -> Row {
        match addon.is {
            Is::BuiltIn { what, .. } => Row { enabled: true, maintainer: "monopod", how: what.to_owned() },
            Bundled(what) => Row { enabled: false, maintainer: "monopod", how: what.to_owned() },
            Elsewhere(how) => Row { enabled: false, maintainer: "3rd party", how: how.to_owned() },
        }
    }

    fn of_own(addon: &appliance::Addon) -> Row {
        Row { enabled: !addon.incomplete, maintainer: "yourself", how: addon.source.clone() }
    }

    fn status(&self) -> &'static str {
        if self.enabled { "enabled" } else { "disabled" }
    }
}

fn list(session: &Session, format: &str, docs: bool) -> Outcome {
    let mut rows: BTreeMap<String, Row> =
        ADDONS.iter().map(|addon| (addon.name.to_owned(), Row::of(addon))).collect();
    for (name, addon) in own(session)? {
        match rows.get_mut(&name).filter(|_| is_bundled(&name)) {
            Some(row) => row.enabled = !addon.incomplete,
            None => drop(rows.insert(name, Row::of_own(&addon))),
        }
    }
    match format {
        "json" => {
            let all: Map<_, _> = rows
                .into_iter()
                .map(|(name, row)| (name, json!({"Profile": session.profile(), "Status": row.status()})))
                .collect();
            println!("{}", serde_json::Value::Object(all));
        }
        "list" => {
            let columns = if docs { 5 } else { 4 };
            let cells: Vec<Vec<String>> = rows
                .into_iter()
                .map(|(name, row)| {
                    let status = format!("{}{}", row.status(), if row.enabled { " ✅" } else { "" });
                    let profile = session.profile().to_owned();
                    let cells = [name, profile, status, row.maintainer.to_owned(), row.how];
                    cells.into_iter().take(columns).collect()
                })
                .collect();
            output::boxed_table(
                &["ADDON NAME", "PROFILE", "STATUS", "MAINTAINER", "DOCS"][..columns],
                &cells,
            );
        }
        other => {
            return Err(reason::USAGE
                .because(format!("invalid output format: {other}. Valid values: 'list', 'json'")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_addon_is_there_once_and_in_order() {
        let names: Vec<&str> = ADDONS.iter().map(|addon| addon.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
        let bundled = names.iter().filter(|name| is_bundled(name));
        assert!(bundled.clone().count() > 0);
        bundled.for_each(|name| assert!(appliance::is_bundled_addon(name), "{name}"));
    }
}
