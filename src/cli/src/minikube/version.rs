//! `minikube version`.

use super::reason::{self, Exit};
use super::{MINIKUBE_VERSION, Outcome};
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
        print!("{}", self.text()?);
        Ok(ExitCode::SUCCESS)
    }

    /// `--short` is about the text alone: who asks for JSON reads it as such.
    fn text(&self) -> Result<String, Exit> {
        Ok(match (self.output.as_str(), self.short) {
            ("", true) => format!("{MINIKUBE_VERSION}\n"),
            ("", false) => {
                let parts = self.parts().into_iter().map(|(name, version)| format!("\n{name}:\n{version}\n"));
                let parts: String = parts.collect();
                format!("minikube version: {MINIKUBE_VERSION}\ncommit: {}\n{parts}", commit())
            }
            ("json", _) => format!("{}\n", self.described()),
            ("yaml", _) => {
                let described = self.described();
                let pairs = described.as_object().into_iter().flatten();
                pairs.map(|(key, value)| format!("{key}: {}\n", value.as_str().unwrap_or_default())).collect()
            }
            _ => return Err(reason::OUTPUT_USAGE.because("error: --output must be 'yaml' or 'json'")),
        })
    }

    /// None where they are not asked for.
    fn parts(&self) -> Vec<(&'static str, String)> {
        if !self.components || self.short {
            return Vec::new();
        }
        vec![
            ("monopod", env!("CARGO_PKG_VERSION").to_owned()),
            ("kubernetes", appliance::KUBERNETES.to_owned()),
        ]
    }

    fn described(&self) -> Value {
        let mut version = json!({"commit": commit(), "minikubeVersion": MINIKUBE_VERSION});
        self.parts().into_iter().for_each(|(name, text)| version[name] = text.into());
        version
    }
}

/// What stands behind the name.
fn commit() -> String {
    format!("monopod-{}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_is_about_the_text_alone() {
        let text = |output: &str, short: bool, components: bool| {
            let version = Version { output: output.to_owned(), short, components };
            version.text().map_err(|exit| (exit.reason.id, exit.reason.code))
        };
        let long = text("", false, false).unwrap();
        assert_eq!(text("", true, false).unwrap(), format!("{MINIKUBE_VERSION}\n"));
        assert_eq!(text("", true, true).unwrap(), format!("{MINIKUBE_VERSION}\n"));
        assert!(long.starts_with(&format!("minikube version: {MINIKUBE_VERSION}\ncommit: ")), "{long}");
        assert!(!long.contains(appliance::KUBERNETES), "{long}");
        let whole = text("", false, true).unwrap();
        assert!(whole.ends_with(&format!("\nkubernetes:\n{}\n", appliance::KUBERNETES)), "{whole}");
        for short in [false, true] {
            let read: Value = serde_json::from_str(&text("json", short, false).unwrap()).unwrap();
            assert_eq!(read["minikubeVersion"], MINIKUBE_VERSION);
            let yaml = text("yaml", short, false).unwrap();
            assert!(yaml.contains(&format!("minikubeVersion: {MINIKUBE_VERSION}\n")), "{yaml}");
            assert_eq!(text("xml", short, false), Err(("MK_OUTPUT_USAGE", 10)));
        }
    }
}
