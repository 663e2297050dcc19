//! `monopod status`: one word, with an exit code for each, and what is known of the daemon.

use super::{OutputArgument, Setting};
use crate::at_boot;
use crate::control_client::{Presence, presence};
use crate::duration;
use crate::failures;
use crate::output::{self, Format};
use anyhow::Result;
use appliance::Paused;
use std::process::ExitCode;

const STOPPED: u8 = 3; // as the Linux Standard Base has it for services
const BROKEN: u8 = 4;
const PAUSED: u8 = 5;

#[derive(clap::Args)]
pub struct Status {
    #[command(flatten)]
    output: OutputArgument,
}

impl Status {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        let profile = setting.paths.profile.as_str();
        let (word, code, detail) = match presence(&setting.paths) {
            Presence::Running(status) if status.paused.is_some() => ("Paused", PAUSED, Ok(status)),
            Presence::Running(status) if status.ready => ("Running", 0, Ok(status)),
            Presence::Running(status) => ("Starting", BROKEN, Ok(status)),
            Presence::Stopped => {
                let why = appliance::ended_for_memory(&setting.paths).unwrap_or_default();
                ("Stopped", STOPPED, Err(why))
            }
            Presence::Broken(why) => ("Broken", BROKEN, Err(why)),
            Presence::Forbidden(why) => return Err(failures::NOT_ROOT.because(why)),
        };
        match (self.output.output, &detail) {
            (Format::Json, Ok(status)) => {
                output::json(&serde_json::json!({"status": word, "detail": status}))?
            }
            (Format::Json, Err(why)) => {
                output::json(
                    &serde_json::json!({"status": word, "detail": {"profile": profile, "why": why}}),
                )?;
            }
            (Format::Text, Ok(status)) => {
                println!("{profile}: {word}");
                println!("  node:       {}", status.node_ip);
                if status.without_kubernetes {
                    println!("  kubernetes: none, the Docker half alone");
                } else {
                    println!("  api server: {}", status.api);
                    println!("  kubernetes: {}", status.kubernetes);
                }
                if let Some(paused) = &status.paused {
                    println!("  paused:     {}", which(paused));
                }
                if let Some(full) = status.store_full {
                    println!(
                        "  store:      full, with {} of {} MiB: nothing new is stored until something is deleted",
                        full.used >> 20,
                        full.limit >> 20
                    );
                }
                if let Some(at) = status.stops_at {
                    println!("  stops in:   {}", duration::until(at));
                }
                if at_boot::is_enabled(&setting.paths.profile) {
                    println!("  at boot:    yes, by {}", at_boot::unit_name(&setting.paths.profile));
                }
                println!("  process:    {}", status.pid);
            }
            (Format::Text, Err(why)) if why.is_empty() => println!("{profile}: {word}"),
            (Format::Text, Err(why)) => println!("{profile}: {word} ({why})"),
        }
        Ok(ExitCode::from(code))
    }
}

fn which(paused: &Paused) -> String {
    let list =
        |names: &std::collections::BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    match paused {
        Paused::Only(names) => format!("the pods of {}", list(names)),
        Paused::AllBut(names) if names.is_empty() => "all pods".to_owned(),
        Paused::AllBut(names) => format!("all pods but those of {}", list(names)),
    }
}
