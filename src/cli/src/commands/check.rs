//! `monopod check`: what this machine has and lacks, with the cure, before anything is started.

use super::{OutputArgument, Setting};
use crate::failures::Failure;
use crate::output::{self, Format};
use anyhow::Result;
use appliance::State;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Check {
    #[command(flatten)]
    output: OutputArgument,
}

impl Check {
    /// Ends with the exit code of the first thing that `start` would refuse for.
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        let findings = appliance::check(&setting.paths);
        let missing = findings.iter().find_map(|finding| match finding.state {
            State::Missing { what } => Some(Failure::from(what)),
            _ => None,
        });
        let code = missing.map_or(ExitCode::SUCCESS, |failure| ExitCode::from(failure.exit_code));
        let told = findings.iter().map(|finding| match &finding.state {
            State::Good { what } => (finding.name, "ok", what.as_str(), None),
            State::Poor { what, cure } => (finding.name, "poor", what.as_str(), Some(cure.as_str())),
            State::Missing { what } => {
                let failure = Failure::from(*what);
                (finding.name, "missing", failure.cause, Some(failure.cure))
            }
        });
        if self.output.output == Format::Json {
            let told: Vec<_> = told
                .map(|(name, state, what, cure)| serde_json::json!({"name": name, "state": state, "what": what, "cure": cure}))
                .collect();
            output::json(&told)?;
            return Ok(code);
        }
        for (name, state, what, cure) in told {
            println!("{state:<8} {name}: {what}");
            if let Some(cure) = cure {
                println!("         cure: {cure}");
            }
        }
        Ok(code)
    }
}
