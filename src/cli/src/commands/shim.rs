//! `monopod shim`: the process beside each pod, which the daemon starts.

use anyhow::Result;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Shim {}

impl Shim {
    pub fn run(&self) -> Result<ExitCode> {
        Ok(shim::main())
    }
}
