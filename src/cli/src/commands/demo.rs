//! `monopod demo`: the daemon takes the tour, and each step is shown.

use super::Setting;
use crate::control_client::ask;
use anyhow::Result;
use appliance::{ControlReply, ControlRequest};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Demo {}

impl Demo {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        ask(&setting.paths, &ControlRequest::Demo, |reply| match reply {
            ControlReply::Step { command } => println!("\n$ {command}"),
            ControlReply::Told { what } => println!("{what}"),
            _ => {}
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
