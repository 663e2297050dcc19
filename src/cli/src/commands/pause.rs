//! `monopod pause` and `monopod unpause`: which namespaces, and how many containers were held or let go on.

use super::Setting;
use crate::control_client;
use anyhow::Result;
use std::process::ExitCode;

/// Which pods.
#[derive(clap::Args)]
struct Which {
    /// Only the pods of these namespaces; all without it.
    #[arg(short, long, value_delimiter = ',', value_name = "NAMESPACE")]
    namespaces: Vec<String>,
}

impl Which {
    fn namespaces(&self) -> Option<Vec<String>> {
        (!self.namespaces.is_empty()).then(|| self.namespaces.clone())
    }

    fn said(&self) -> String {
        match self.namespaces.is_empty() {
            true => "all namespaces".to_owned(),
            false => self.namespaces.join(", "),
        }
    }
}

#[derive(clap::Args)]
pub struct Pause {
    #[command(flatten)]
    which: Which,
}

impl Pause {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        let count = control_client::pause(&setting.paths, self.which.namespaces())?;
        println!("paused {count} containers of pods in {}", self.which.said());
        println!("  they go on with `{} unpause`, or `{0} start`", setting.typed());
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(clap::Args)]
pub struct Unpause {
    #[command(flatten)]
    which: Which,
}

impl Unpause {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        let count = control_client::unpause(&setting.paths, self.which.namespaces())?;
        println!("{count} containers of pods in {} go on", self.which.said());
        Ok(ExitCode::SUCCESS)
    }
}
