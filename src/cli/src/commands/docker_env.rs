//! `monopod docker-env`: what a shell evaluates so that `docker` asks this cluster.

use super::Setting;
use crate::control_client::status;
use anyhow::Result;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct DockerEnv {
    /// Print what takes it back instead.
    #[arg(short, long)]
    unset: bool,
}

impl DockerEnv {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        if self.unset {
            println!("unset DOCKER_HOST");
            return Ok(ExitCode::SUCCESS);
        }
        status(&setting.paths)?;
        println!("export DOCKER_HOST=\"unix://{}\"", setting.paths.docker_socket().display());
        println!("# to point this shell at it: eval $({} docker-env)", setting.typed());
        Ok(ExitCode::SUCCESS)
    }
}
