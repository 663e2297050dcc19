use super::Setting;
use crate::control_client::{Presence, ask, presence};
use crate::failures;
use anyhow::Result;
use appliance::ControlRequest;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Stop {}

impl Stop {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        let places = &setting.places;
        match presence(places) {
            Presence::Stopped => {
                println!("{} is stopped already", places.profile);
                return Ok(ExitCode::SUCCESS);
            }
            Presence::Broken(why) => return Err(failures::NO_ANSWER.because(why)),
            Presence::Running(_) => {}
        }
        ask(places, &ControlRequest::Stop, |_| {})?;
        wait_for_lock(places)?;
        println!("{} is stopped; `monopod start` brings everything back", places.profile);
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns when the daemon has let go of its lock: then it has ended.
///
/// # Errors
/// Where the lock file can not be read.
pub fn wait_for_lock(places: &appliance::Places) -> Result<()> {
    use nix::fcntl::{Flock, FlockArg};
    match std::fs::File::open(places.lock()) {
        Ok(file) => {
            Flock::lock(file, FlockArg::LockShared).map_err(|(_, e)| failures::NO_ANSWER.because(e))?;
            Ok(())
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(failures::NO_ANSWER.because(format!("{}: {e}", places.lock().display()))),
    }
}
