//! The `monopod` binary: one file for each command.
//!
//! It parses, asks and prints; what a cluster is it leaves to `appliance`. Read [`commands`] for the list, [`failures`] for
//! what can go wrong and what the user is told.

#![forbid(unsafe_code)]

mod browser;
mod commands;
mod control_client;
mod failures;
mod kubeconfig;
mod logins;
mod output;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let line = commands::CommandLine::parse();
    match commands::run(line) {
        Ok(code) => code,
        Err(error) => failures::report(&error),
    }
}
