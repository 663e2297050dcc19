use super::Setting;
use crate::control_client::{Presence, cancel_stop, end, presence, schedule_stop};
use crate::duration;
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
}

fn positive(text: &str) -> Result<Duration, String> {
    duration::parse(text)
        .filter(|duration| *duration >= Duration::from_secs(1))
        .ok_or_else(|| "give a time of a second or more: 90s, 5m, 1h30m".to_owned())
}

impl Stop {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        let places = &setting.places;
        if matches!(presence(places), Presence::Stopped) {
            println!("{} is stopped already", places.profile);
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(after) = self.schedule {
            let at = schedule_stop(places, after)?;
            println!("{} stops in {}", places.profile, duration::until(at));
            println!("  `{} stop --cancel-scheduled` takes that back", setting.typed());
            return Ok(ExitCode::SUCCESS);
        }
        if self.cancel_scheduled {
            cancel_stop(places)?;
            println!("{} goes on: no stop is scheduled", places.profile);
            return Ok(ExitCode::SUCCESS);
        }
        end(places)?;
        println!(
            "{} is stopped; its containers go on, and `{} start` takes them up again",
            places.profile,
            setting.typed()
        );
        Ok(ExitCode::SUCCESS)
    }
}
