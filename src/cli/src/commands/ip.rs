//! `monopod ip`: the node's address.

use super::Setting;
use crate::control_client::status;
use anyhow::Result;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Ip {}

impl Ip {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        println!("{}", status(&setting.paths)?.node_ip);
        Ok(ExitCode::SUCCESS)
    }
}
