//! The `monopod` binary: one file for each command.
//!
//! It parses, asks and prints; what a cluster is it leaves to `appliance`. Read [`commands`] for the list, [`failures`] for
//! what can go wrong and what the user is told.

#![forbid(unsafe_code)]

mod at_boot;
mod browser;
mod commands;
mod control_client;
mod duration;
mod failures;
mod interruption;
mod kubeconfig;
mod logins;
mod minikube;
mod output;
mod thread_caches;
mod user_files;

use clap::Parser;
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    // what it is called where it is a container's first process
    if Path::new(&name).file_name() == Some(OsStr::new(shim::INIT)) {
        return shim::init(words);
    }
    leave_nothing_to_write();
    if let Some(called) = minikube::Name::of(&name) {
        return minikube::run(called, std::env::args_os().collect());
    }
    let line = commands::CommandLine::parse();
    let typed = line.typed();
    match commands::run(line) {
        Ok(code) => code,
        Err(error) => failures::report(&error, &typed),
    }
}

/// A shell of root's may have no mask at all: a unit that systemd runs, or the directory of a socket, would be everybody's to write.
/// A stricter one than this stays.
fn leave_nothing_to_write() {
    if geteuid().is_root() {
        let of_others = Mode::S_IWGRP | Mode::S_IWOTH;
        let before = umask(of_others);
        umask(before | of_others);
    }
}
