//! `monopod stop`: now or later, the daemon alone or its pods as well. The unit stops with it too, when the machine goes
//! down.

use super::Setting;
use crate::control_client::{Presence, cancel_stop, presence, schedule_stop};
use crate::{at_boot, control_client, duration, failures};
use anyhow::Result;
use std::process::ExitCode;
use std::time::Duration;

#[derive(clap::Args)]
pub struct Stop {
    /// Stop after this time (5m, 1h30m) instead of at once; it replaces what was scheduled before.
    #[arg(long, value_name = "DURATION", value_parser = positive)]
    schedule: Option<Duration>,
    /// Take a scheduled stop back.
    #[arg(long, conflicts_with = "schedule")]
    cancel_scheduled: bool,
    /// End pods and containers too, as the machine's own end would: they are asked to, and have ten seconds for it. The next
    /// `start` brings back those that are to run.
    #[arg(long, conflicts_with_all = ["schedule", "cancel_scheduled"])]
    pods: bool,
    /// `--pods` where the machine goes down, and nothing where it does not: how the unit is stopped.
    #[arg(long, hide = true, conflicts_with_all = ["schedule", "cancel_scheduled", "pods"])]
    with_machine: bool,
}

fn positive(text: &str) -> Result<Duration, String> {
    durations::parse_unsigned(text)
        .filter(|duration| *duration >= Duration::from_secs(1))
        .ok_or_else(|| "give a time of a second or more: 90s, 5m, 1h30m".to_owned())
}

impl Stop {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        let paths = &setting.paths;
        if self.with_machine {
            return match at_boot::machine_ends() {
                // by systemd, which waits for us before it ends the daemon otherwise
                true => control_client::end(paths).and_then(|()| switch_off(setting)),
                false => Ok(ExitCode::SUCCESS),
            };
        }
        if self.pods {
            if !nix::unistd::geteuid().is_root() {
                return Err(failures::NOT_ROOT.because(format!("stop {} with its pods", paths.profile)));
            }
            at_boot::end(paths)?;
            return switch_off(setting);
        }
        // in this order: systemd ends one that hangs as well, without waiting for its answer
        if !at_boot::is_active(&paths.profile) && matches!(presence(paths), Presence::Stopped) {
            println!("{} is stopped already", paths.profile);
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(after) = self.schedule {
            let at = schedule_stop(paths, after)?;
            println!("{} stops in {}", paths.profile, duration::until(at));
            println!("  `{} stop --cancel-scheduled` takes that back", setting.typed());
            return Ok(ExitCode::SUCCESS);
        }
        if self.cancel_scheduled {
            cancel_stop(paths)?;
            println!("{} goes on: no stop is scheduled", paths.profile);
            return Ok(ExitCode::SUCCESS);
        }
        at_boot::end(paths)?;
        println!(
            "{} is stopped; its containers go on, and `{} start` takes them up again",
            paths.profile,
            setting.typed()
        );
        Ok(ExitCode::SUCCESS)
    }
}

fn switch_off(setting: &Setting) -> Result<ExitCode> {
    let paths = &setting.paths;
    let Some(left) = appliance::switch_off(paths) else {
        let what = format!("stop {}: somebody has started it again meanwhile, or removes it", paths.profile);
        return Err(failures::OTHER.because(what));
    };
    if !left.is_empty() {
        return Err(failures::OTHER.because(format!("stop {}: {}", paths.profile, left.join("; "))));
    }
    println!(
        "{} is stopped, and its pods and containers with it; `{} start` brings back those that are to run",
        paths.profile,
        setting.typed()
    );
    Ok(ExitCode::SUCCESS)
}
