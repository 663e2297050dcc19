//! `minikube version`.

use super::{MINIKUBE_VERSION, Outcome, reason};
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(super) struct Version {
    /// One of 'yaml' or 'json'
    #[arg(short, long, default_value = "")]
    output: String,
    /// Print just the version number
    #[arg(long)]
    short: bool,
    /// list versions of all components included with minikube
    #[arg(long)]
    components: bool,
}

impl Version {
    pub(super) fn run(&self) -> Outcome {
        if self.short {
            println!("{MINIKUBE_VERSION}");
            return Ok(ExitCode::SUCCESS);
        }
        match self.output.as_str() {
            "" => {
                println!("minikube version: {MINIKUBE_VERSION}");
                println!("commit: {}", commit());
                if self.components {
                    self.parts().into_iter().for_each(|(name, version)| println!("\n{name}:\n{version}"));
                }
            }
            "json" => println!("{}", self.described()),
            "yaml" => {
                for (key, value) in self.described().as_object().into_iter().flatten() {
                    println!("{key}: {}", value.as_str().unwrap_or_default());
                }
            }
            _ => return Err(reason::USAGE.because("--output must be 'yaml' or 'json'")),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn parts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("monopod", env!("CARGO_PKG_VERSION").to_owned()),
            ("kubernetes", appliance::KUBERNETES.to_owned()),
        ]
    }

    fn described(&self) -> Value {
        let mut version = json!({"commit": commit(), "minikubeVersion": MINIKUBE_VERSION});
        if self.components {
            self.parts().into_iter().for_each(|(name, text)| version[name] = text.into());
        }
        version
    }
}

/// What stands behind the name.
fn commit() -> String {
    format!("monopod-{}", env!("CARGO_PKG_VERSION"))
}
