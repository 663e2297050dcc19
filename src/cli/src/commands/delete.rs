//! `monopod delete`: ends the daemon, and removes the profile from kernel, disk and kubeconfig. It needs no daemon, and goes
//! on where a part fails.

use super::Setting;
use crate::at_boot;
use crate::failures;
use crate::kubeconfig::Kubeconfig;
use anyhow::Result;
use appliance::Places;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Delete {}

impl Delete {
    /// Goes on where a part fails, and says at the end what is left: the next `delete` takes it up again.
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        delete_quietly(setting)?;
        println!("{} is gone: nothing of it is left on this machine", setting.places.profile);
        Ok(ExitCode::SUCCESS)
    }
}

/// # Errors
/// `NOT_ROOT`; what is left.
pub fn delete_quietly(setting: &Setting) -> Result<()> {
    let places = &setting.places;
    if !nix::unistd::geteuid().is_root() {
        return Err(failures::NOT_ROOT.because(format!("delete {}", places.profile)));
    }
    at_boot::end(places)?;
    at_boot::disable(&places.profile)?;
    // not those of a daemon of an older version, which has ended now
    let mut left = appliance::purge(&Places::of(&places.profile));
    if let Err(error) = Kubeconfig::of_user().remove(places.profile.as_str()) {
        left.push(format!("{error:#}"));
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(failures::OTHER.because(format!("delete {}: {}", places.profile, left.join("; "))))
}
