use super::Setting;
use crate::browser;
use crate::control_client::ask;
use crate::failures;
use anyhow::Result;
use appliance::{ControlReply, ControlRequest};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Dashboard {
    /// Print the address instead of opening it.
    #[arg(long)]
    url: bool,
}

impl Dashboard {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        let mut found = None;
        ask(&setting.places, &ControlRequest::Dashboard, |reply| {
            if let ControlReply::Url { url } = reply {
                found = Some(url);
            }
        })?;
        let url = found.ok_or_else(|| failures::NO_ANSWER.because("the daemon gave no address"))?;
        println!("{url}");
        if !self.url {
            eprintln!("the link opens one browser, within five minutes; `monopod dashboard` gives another");
            browser::open(&url);
        }
        Ok(ExitCode::SUCCESS)
    }
}
