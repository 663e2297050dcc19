use super::Setting;
use crate::control_client::{Presence, end, presence};
use anyhow::Result;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Stop {}

impl Stop {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        let places = &setting.places;
        if matches!(presence(places), Presence::Stopped) {
            println!("{} is stopped already", places.profile);
            return Ok(ExitCode::SUCCESS);
        }
        end(places)?;
        println!(
            "{} is stopped; its containers go on, and `monopod start` takes them up again",
            places.profile
        );
        Ok(ExitCode::SUCCESS)
    }
}
