//! `minikube stop` and `delete`.

use super::config::Settings;
use super::output::{self, Mark};
use super::{Outcome, Session, profiles, reason, setting_of};
use crate::at_boot;
use crate::control_client::{self, Presence, presence};
use crate::failures;
use crate::kubeconfig::Kubeconfig;
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(clap::Args)]
pub(super) struct Stop {
    /// Set flag to stop all profiles (clusters)
    #[arg(long)]
    all: bool,
    /// keep the kube-context active after cluster is stopped. Defaults to false.
    #[arg(long)]
    keep_context_active: bool,
    /// Set flag to stop cluster after a set amount of time (e.g. --schedule=5m)
    #[arg(long)]
    schedule: Option<String>,
    /// cancel any existing scheduled stop requests
    #[arg(long)]
    cancel_scheduled: bool,
    /// Format to print stdout in. Options include: [text,json]
    #[arg(short, long, default_value = "text")]
    output: String,
}

impl Stop {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let as_json = json_asked(&self.output)?;
        let after = self.schedule.as_deref().map(scheduled).transpose()?;
        let names = if self.all { profiles()? } else { vec![session.profile().to_owned()] };
        if !self.all {
            session.existing()?;
        }
        if self.cancel_scheduled {
            return cancel(&names, as_json);
        }
        if let Some(after) = after {
            return schedule(&names, after, as_json);
        }
        let mut stopped = 0;
        for name in &names {
            let setting = setting_of(name)?;
            if !matches!(presence(&setting.paths), Presence::Stopped) {
                say(as_json, "Stopping", Mark::Waiting, &format!("Stopping node \"{name}\"  ..."));
                at_boot::end(&setting.paths)?;
                stopped += 1;
            }
            if !self.keep_context_active {
                match Kubeconfig::of_user().leave_context(name) {
                    // the machines that are left have to stop all the same
                    Err(error) if failures::is(&error, failures::KUBECONFIG_OWNER) => {
                        output::problem(Mark::Warning, &format!("{error:#}"));
                    }
                    left => left?,
                }
            }
        }
        say(
            as_json,
            "Done",
            Mark::Stopped,
            &format!("{stopped} node{} stopped.", if stopped == 1 { "" } else { "s" }),
        );
        Ok(ExitCode::SUCCESS)
    }
}

fn scheduled(text: &str) -> Result<Duration, reason::Exit> {
    durations::parse_unsigned(text).filter(|after| *after >= Duration::from_secs(1)).ok_or_else(|| {
        reason::USAGE.because(format!(
            "invalid argument {text:?} for \"--schedule\" flag: a time of a second or more is needed (90s, 5m, 1h30m)"
        ))
    })
}

fn schedule(names: &[String], after: Duration, as_json: bool) -> Outcome {
    for name in names {
        let setting = setting_of(name)?;
        if let Presence::Running(_) = presence(&setting.paths) {
            control_client::schedule_stop(&setting.paths, after)?;
            let line =
                format!("\"{name}\" stops in {}", durations::print(Duration::from_secs(after.as_secs())));
            say(as_json, "Done", Mark::Waiting, &line);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn cancel(names: &[String], as_json: bool) -> Outcome {
    for name in names {
        let setting = setting_of(name)?;
        if let Presence::Running(_) = presence(&setting.paths) {
            control_client::cancel_stop(&setting.paths)?;
        }
    }
    say(as_json, "Done", Mark::Stopped, "All existing scheduled stops cancelled");
    Ok(ExitCode::SUCCESS)
}

#[derive(clap::Args)]
pub(super) struct Delete {
    /// Set flag to delete all profiles
    #[arg(long)]
    all: bool,
    /// Set this flag to delete the '.minikube' directory from your user directory.
    #[arg(long)]
    purge: bool,
    /// Format to print stdout in. Options include: [text,json]
    #[arg(short, long, default_value = "text")]
    output: String,
}

impl Delete {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let as_json = json_asked(&self.output)?;
        let all = profiles()?;
        if self.purge && !self.all && all.len() > 1 {
            return Err(reason::USAGE
                .because("Multiple minikube profiles were found - ")
                .advise("run minikube delete --all --purge"));
        }
        let names = if self.all { all.clone() } else { vec![session.profile().to_owned()] };
        for name in &names {
            if !all.contains(name) {
                say(
                    as_json,
                    "Deleting",
                    Mark::Deleted,
                    &format!("\"{name}\" profile does not exist, trying anyways."),
                );
            }
            let setting = setting_of(name)?;
            if !nix::unistd::geteuid().is_root() {
                return Err(reason::DRIVER_ROOT
                    .because(format!("delete {name}: only root may write where the cluster's state lies"))
                    .advise("run it again with `sudo`"));
            }
            say(as_json, "Deleting", Mark::Waiting, &format!("Deleting \"{name}\" ..."));
            if let Some(note) = crate::commands::delete_quietly(&setting)? {
                output::problem(Mark::Warning, &note);
            }
            forget(name)?;
            say(as_json, "Done", Mark::Deleted, &format!("Removed all traces of the \"{name}\" cluster."));
        }
        if self.purge {
            purge_home(as_json)?;
        }
        if self.all {
            say(as_json, "Done", Mark::Ready, "Successfully deleted all profiles");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Commands are about minikube's own profile again, where they were about the one that is gone.
fn forget(name: &str) -> Result<(), reason::Exit> {
    let mut settings = Settings::read();
    match settings.text("profile") {
        Some(current) if current == name => settings.unset("profile"),
        _ => Ok(()),
    }
}

/// Only what this program wrote there: another minikube may have its machines in the same directory.
fn purge_home(as_json: bool) -> Result<(), reason::Exit> {
    let home = super::config::home();
    crate::user_files::act_on(&home, || remove_own(&home))
        .map_err(|e| reason::HOST_CONFIG.because(format!("{}: {e}", config_of(&home).display())))?;
    let what = match home.exists() {
        true => format!("{} stays: there is more in it than this program wrote", home.display()),
        false => format!("Successfully purged minikube directory located at - [{}]", home.display()),
    };
    say(as_json, "Purging", Mark::Deleted, &what);
    Ok(())
}

fn config_of(home: &Path) -> PathBuf {
    home.join("config/config.json")
}

fn remove_own(home: &Path) -> io::Result<()> {
    match std::fs::remove_file(config_of(home)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let _ = std::fs::remove_file(home.join(super::audit::FILE));
    let _ = std::fs::remove_dir(home.join("logs"));
    // these fail where others have something in them, and that is right
    let _ = std::fs::remove_dir(home.join("config"));
    let _ = std::fs::remove_dir(home);
    Ok(())
}

pub(super) fn json_asked(output: &str) -> Result<bool, reason::Exit> {
    match output {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err(reason::USAGE.because(
            "Sorry, please set the --output flag to one of the following valid options: [text,json]",
        )),
    }
}

pub(super) fn say(as_json: bool, name: &str, mark: Mark, line: &str) {
    if as_json {
        let data = json!({"currentstep": "0", "totalsteps": "1", "message": line, "name": name});
        super::cloud_events::cloud_event("step", &data);
    } else {
        output::step(mark, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purge_removes_what_is_ours_and_leaves_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join(".minikube");
        let file = |name: &str| {
            let path = home.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}").unwrap();
        };
        file("config/config.json");
        file(super::super::audit::FILE);
        remove_own(&home).unwrap();
        assert!(!home.exists());
        remove_own(&home).unwrap();
        file("config/config.json");
        file("logs/audit.json");
        file("machines/minikube/config.json");
        remove_own(&home).unwrap();
        assert!(!home.join("config").exists() && home.join("logs/audit.json").exists());
        assert!(home.join("machines/minikube/config.json").exists());
    }
}
