//! `monopod delete`: ends the daemon, and removes the profile from kernel, disk and kubeconfig. It needs no daemon, and goes
//! on where a part fails.

use super::Setting;
use crate::at_boot;
use crate::failures;
use crate::kubeconfig::Kubeconfig;
use anyhow::Result;
use appliance::Paths;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Delete {}

impl Delete {
    /// Goes on where a part fails, and says at the end what is left: the next `delete` takes it up again.
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        let profile = &setting.paths.profile;
        let had_context = Kubeconfig::of_user().current_context().is_some();
        match delete_quietly(setting)? {
            None => println!("{profile} is gone: nothing of it is left on this machine"),
            Some(note) => {
                eprintln!("! {note}");
                println!("{profile} is gone");
            }
        }
        let kubeconfig = Kubeconfig::of_user();
        if had_context && kubeconfig.lacks_current_context() {
            println!("  kubectl points at no cluster now: `kubectl config use-context NAME` chooses one of");
            println!("  those that `kubectl config get-contexts` lists");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// How often a daemon is ended that has begun between the end of the one before and the removal.
const TRIES: usize = 5;

/// Ends the daemon, whoever would start it again, and what is in its place meanwhile; what is left of the profile then.
fn purged(paths: &Paths) -> Result<Vec<String>> {
    for _ in 0..TRIES {
        at_boot::end(paths)?;
        at_boot::disable(&paths.profile)?;
        // not those of a daemon of an older version, which has ended now
        if let Some(left) = appliance::purge(&Paths::of(&paths.profile)) {
            return Ok(left);
        }
    }
    Err(failures::OTHER
        .because(format!("delete {}: somebody starts it again as often as it is ended", paths.profile)))
}

/// Gives what was not looked at: a kubeconfig that is not the user's, as `sudo kubectl` leaves it behind, is none that `start`
/// has written.
///
/// # Errors
/// `NOT_ROOT`; what is left.
pub fn delete_quietly(setting: &Setting) -> Result<Option<String>> {
    let paths = &setting.paths;
    if !nix::unistd::geteuid().is_root() {
        return Err(failures::NOT_ROOT.because(format!("delete {}", paths.profile)));
    }
    let mut left = purged(paths)?;
    let mut note = None;
    match Kubeconfig::of_user().remove(paths.profile.as_str()) {
        Err(error) if failures::is(&error, failures::KUBECONFIG_OWNER) => {
            note = Some(format!("{error:#}: a context {} would be there still", paths.profile));
        }
        Err(error) => left.push(format!("{error:#}")),
        Ok(()) => {}
    }
    if left.is_empty() {
        return Ok(note);
    }
    Err(failures::OTHER.because(format!("delete {}: {}", paths.profile, left.join("; "))))
}
