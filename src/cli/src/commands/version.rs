//! `monopod version`: the program's own, and the one of Kubernetes.

use super::{OutputArgument, Setting};
use crate::output::{self, Format};
use anyhow::Result;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Version {
    #[command(flatten)]
    output: OutputArgument,
}

impl Version {
    pub fn run(&self, _setting: &Setting) -> Result<ExitCode> {
        let own = env!("CARGO_PKG_VERSION");
        match self.output.output {
            Format::Json => {
                output::json(&serde_json::json!({"version": own, "kubernetes": appliance::KUBERNETES}))?;
            }
            Format::Text => println!("monopod v{own} (Kubernetes {})", appliance::KUBERNETES),
        }
        Ok(ExitCode::SUCCESS)
    }
}
