//! `monopod addons`: which manifests, under which name; the daemon applies and remembers them.

use super::{OutputArgument, Setting};
use crate::control_client::{ask, status};
use crate::failures;
use crate::output::{self, Format};
use anyhow::Result;
use appliance::{Addon, AddonObject, ControlReply, ControlRequest};
use clap::Subcommand;
use std::path::Path;
use std::process::ExitCode;

/// Software of your own in the cluster: manifests that are applied together, remembered, and removed together.
#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Addons {
    #[command(subcommand)]
    command: AddonsCommand,
}

#[derive(Subcommand)]
enum AddonsCommand {
    /// Apply the manifests of a directory, a file or an http(s) URL, and remember them. Nothing is applied where something
    /// is wrong with one of them. `volumesnapshots` comes with the program: the kinds of snapshots, and a class of them.
    Enable {
        source: String,
        /// What it is called; the last part of the path without it.
        #[arg(long)]
        name: Option<String>,
    },
    /// Remove what an add-on's manifests made.
    Disable { name: String },
    /// What is enabled.
    List {
        #[command(flatten)]
        output: OutputArgument,
    },
}

impl Addons {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        match &self.command {
            AddonsCommand::Enable { source, name } => {
                let name = name.clone().unwrap_or_else(|| name_of(source));
                let objects = enable(setting, source, &name)?;
                println!("{name} is enabled: {}", listed(&objects));
                println!("  `{} addons disable {name}` removes it", setting.typed());
            }
            AddonsCommand::Disable { name } => {
                let objects = disable(setting, name)?;
                println!("{name} is disabled; removed: {}", listed(&objects));
            }
            AddonsCommand::List { output } => list(setting, output.output)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(setting: &Setting, format: Format) -> Result<()> {
    let all = appliance::addons(&setting.paths).map_err(|e| failures::MANIFEST.because(e))?;
    if format == Format::Json {
        return output::json(&all);
    }
    let row = |(name, addon): (&String, &Addon)| {
        let state = if addon.incomplete { "incomplete" } else { "enabled" };
        [name.clone(), state.to_owned(), addon.objects.len().to_string(), addon.source.clone()]
    };
    output::table(["NAME", "STATE", "OBJECTS", "SOURCE"], &all.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn listed(objects: &[AddonObject]) -> String {
    objects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// Whether it is meant as a place of manifests, not as a name.
pub fn is_place(word: &str) -> bool {
    is_url(word) || word.contains('/') || word.starts_with('.') || Path::new(word).exists()
}

/// The last part of a path or a URL without what a file's name ends with.
pub fn name_of(source: &str) -> String {
    let path = source.split(['?', '#']).next().unwrap_or_default();
    let absolute = std::path::absolute(path).ok().filter(|_| !is_url(source));
    let path = absolute.as_deref().and_then(Path::to_str).unwrap_or(path);
    let last = path.trim_end_matches("/.").trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let stem = [".yaml", ".yml", ".json"].into_iter().find_map(|end| last.strip_suffix(end)).unwrap_or(last);
    let name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "addon".to_owned() } else { name.to_owned() }
}

/// What was applied.
///
/// # Errors
/// `NOT_RUNNING`, `MANIFEST`, `NO_KUBERNETES`.
pub fn enable(setting: &Setting, source: &str, name: &str) -> Result<Vec<AddonObject>> {
    status(&setting.paths)?;
    let source = match is_url(source) || appliance::is_bundled_addon(source) {
        true => source.to_owned(),
        // the daemon knows no working directory
        false => {
            let path = Path::new(source).canonicalize();
            path.map_err(|e| failures::MANIFEST.because(format!("{source}: {e}")))?.display().to_string()
        }
    };
    objects(setting, &ControlRequest::EnableAddon { name: name.to_owned(), source })
}

/// What was removed.
///
/// # Errors
/// As [`enable`].
pub fn disable(setting: &Setting, name: &str) -> Result<Vec<AddonObject>> {
    status(&setting.paths)?;
    objects(setting, &ControlRequest::DisableAddon { name: name.to_owned() })
}

fn objects(setting: &Setting, request: &ControlRequest) -> Result<Vec<AddonObject>> {
    let mut found = Vec::new();
    ask(&setting.paths, request, |reply| {
        if let ControlReply::Objects { objects } = reply {
            found = objects;
        }
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_places() {
        let cases = [
            ("/a/my-addon", "my-addon"),
            ("/a/My_Addon/", "my-addon"),
            ("/a/b.yaml", "b"),
            ("https://host/x/install.yaml?ref=v1#top", "install"),
            ("https://host/", "host"),
            ("/", "addon"),
        ];
        for (source, want) in cases {
            assert_eq!(name_of(source), want, "{source}");
        }
        assert!(is_place("./x") && is_place("https://host/a") && is_place("/") && !is_place("no-such-addon"));
    }
}
