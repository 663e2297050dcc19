//! `minikube completion`.

use super::{Outcome, reason};
use clap::Command;
use clap_complete::Shell;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(super) struct Completion {
    /// bash, zsh, fish or powershell
    shell: String,
}

impl Completion {
    pub(super) fn run(&self, mut command: Command) -> Outcome {
        let shell: Shell = self.shell.parse().map_err(|_| {
            reason::USAGE.because("Sorry, completion support is not yet implemented for this shell: say bash, zsh, fish or powershell")
        })?;
        // it panics where nobody reads on (`| head`); what is printed ends as all of our output does then
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, "minikube", &mut script);
        print!("{}", String::from_utf8_lossy(&script));
        Ok(ExitCode::SUCCESS)
    }
}
