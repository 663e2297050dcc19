//! `monopod update-context`: the context that the daemon wrote goes into the user's kubeconfig; `start` ends with the same.

use super::Setting;
use crate::control_client::status;
use crate::failures;
use crate::kubeconfig::Kubeconfig;
use anyhow::Result;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct UpdateContext {}

impl UpdateContext {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        status(&setting.paths)?;
        let user = Kubeconfig::of_user();
        merge(setting, &user)?;
        println!(
            "context \"{}\" is in {} and is the current one",
            setting.paths.profile,
            user.path().display()
        );
        Ok(ExitCode::SUCCESS)
    }
}

/// Puts the context into the user's kubeconfig and makes it the current one.
///
/// # Errors
/// As [`merge`].
pub fn point_kubectl(setting: &Setting) -> Result<()> {
    merge(setting, &Kubeconfig::of_user())
}

/// From the profile's own kubeconfig, which the daemon writes, into the user's.
///
/// # Errors
/// `NOT_RUNNING` where there was no start yet, `KUBECONFIG`.
pub fn merge(setting: &Setting, into: &Kubeconfig) -> Result<()> {
    let own = Kubeconfig::at(setting.paths.admin_kubeconfig());
    if !own.path().exists() {
        return Err(failures::NOT_RUNNING.because(format!("{} was never started", setting.paths.profile)));
    }
    into.merge(&own.find(setting.paths.profile.as_str())?)
}
