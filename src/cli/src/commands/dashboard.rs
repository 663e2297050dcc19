//! `monopod dashboard`: a link that opens one browser, of the user who asked and of nobody else.

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
        let (user, mut found) = (browser::user(), None);
        ask(&setting.paths, &ControlRequest::Dashboard { user }, |reply| {
            if let ControlReply::Url { url } = reply {
                found = Some(url);
            }
        })?;
        let url = found.ok_or_else(|| failures::NO_ANSWER.because("the daemon gave no address"))?;
        println!("{url}");
        if !self.url {
            eprintln!("the link opens one browser, within five minutes; ask again for another");
            // a link that is nobody's would be good for whoever is first to read it on the command line
            match user {
                Some(_) => browser::open(&url),
                None => {
                    eprintln!("open it yourself: only with `sudo` it is known whose browser is to be opened")
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
