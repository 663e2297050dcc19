//! `monopod image`: the image store of the daemon, asked over the control socket. Paths are made absolute first, as the
//! daemon knows no working directory.

mod build;

use super::{OutputArgument, Setting};
use crate::control_client::ask;
use crate::failures;
use crate::logins::LoginArguments;
use crate::output::{self, Format};
use anyhow::Result;
use appliance::{ControlReply, ControlRequest, ImageInfo, PullProgress};
use clap::Subcommand;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Image {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Subcommand)]
enum ImageCommand {
    /// Fetch an image from its registry.
    Pull {
        name: String,
        /// For another machine than this one, like linux/arm64.
        #[arg(long)]
        platform: Option<String>,
        /// Every tag that the registry has of it.
        #[arg(short, long)]
        all_tags: bool,
        #[command(flatten)]
        login: LoginArguments,
    },
    /// Send an image to the registry that its name says.
    Push {
        name: String,
        /// Every tag that is here of it.
        #[arg(short, long)]
        all_tags: bool,
        #[command(flatten)]
        login: LoginArguments,
    },
    /// Build an image from a Dockerfile.
    Build(Box<build::Build>),
    /// Give an image one more name.
    Tag { image: String, name: String },
    /// Write images into one docker-archive.
    Save {
        #[arg(required = true)]
        names: Vec<String>,
        /// The file.
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Remove images without a name, and what builds keep for the next one.
    Prune {
        /// Also those that have a name and no container.
        #[arg(short, long)]
        all: bool,
    },
    /// Read images from a docker-archive, an OCI archive, or the directory of an OCI layout.
    Load { path: PathBuf },
    /// List the images.
    #[command(alias = "list")]
    Ls {
        #[command(flatten)]
        output: OutputArgument,
    },
    /// Remove an image's name, and with its last name the image.
    #[command(alias = "remove")]
    Rm {
        #[arg(required = true)]
        names: Vec<String>,
    },
}

impl Image {
    pub fn run(&self, setting: &Setting) -> Result<ExitCode> {
        match &self.command {
            ImageCommand::Pull { name, platform, all_tags, login } => {
                let (name, platform, logins) = (name.clone(), platform.clone(), login.logins()?);
                transfer(
                    setting,
                    &ControlRequest::PullImage { name, platform, all_tags: *all_tags, logins },
                )?;
            }
            ImageCommand::Push { name, all_tags, login } => {
                let (name, logins) = (name.clone(), login.logins()?);
                transfer(setting, &ControlRequest::PushImage { name, all_tags: *all_tags, logins })?;
            }
            ImageCommand::Build(build) => build.run(setting)?,
            ImageCommand::Tag { image, name } => {
                let request = ControlRequest::TagImage { image: image.clone(), name: name.clone() };
                ask(&setting.paths, &request, |_| {})?;
            }
            ImageCommand::Save { names, output } => save(setting, names, output)?,
            ImageCommand::Prune { all } => prune(setting, *all)?,
            ImageCommand::Load { path } => load(setting, path)?,
            ImageCommand::Ls { output } => list(setting, output.output)?,
            ImageCommand::Rm { names } => {
                for name in names {
                    ask(&setting.paths, &ControlRequest::RemoveImage { name: name.clone() }, |reply| {
                        if let ControlReply::Pruned { removed, .. } = reply {
                            tell_removed(&removed);
                        }
                    })?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A pull or a push, with a line for each layer while it goes.
fn transfer(setting: &Setting, request: &ControlRequest) -> Result<()> {
    let mut layers = Layers::new();
    let mut names = Vec::new();
    let asked = ask(&setting.paths, request, |reply| match reply {
        ControlReply::Progress(progress) => layers.show(&progress),
        ControlReply::Told { what } => layers.tell(&what),
        ControlReply::Images { images } => names = images.iter().map(named).collect(),
        _ => {}
    });
    layers.finish();
    asked?;
    names.iter().for_each(|name| println!("{name}"));
    Ok(())
}

/// The daemon writes the file, and knows no working directory.
fn save(setting: &Setting, names: &[String], file: &Path) -> Result<()> {
    let path =
        std::path::absolute(file).map_err(|e| failures::IMAGE.because(format!("{}: {e}", file.display())))?;
    ask(&setting.paths, &ControlRequest::SaveImages { names: names.to_vec(), path }, |_| {})
}

fn prune(setting: &Setting, all: bool) -> Result<()> {
    ask(&setting.paths, &ControlRequest::PruneImages { all }, |reply| {
        if let ControlReply::Pruned { removed, freed } = reply {
            tell_removed(&removed);
            println!("Total reclaimed space: {}", indicatif::DecimalBytes(freed));
        }
    })
}

fn tell_removed(removed: &[String]) {
    for gone in removed {
        let how = if gone.starts_with("sha256:") { "Deleted" } else { "Untagged" };
        println!("{how}: {gone}");
    }
}

fn load(setting: &Setting, path: &Path) -> Result<()> {
    let path =
        path.canonicalize().map_err(|e| failures::IMAGE.because(format!("{}: {e}", path.display())))?;
    ask(&setting.paths, &ControlRequest::LoadImage { path }, |reply| {
        if let ControlReply::Images { images } = reply {
            images.iter().for_each(|image| println!("Loaded image: {}", named(image)));
        }
    })
}

fn list(setting: &Setting, format: Format) -> Result<()> {
    let mut all = Vec::new();
    ask(&setting.paths, &ControlRequest::Images, |reply| {
        if let ControlReply::Images { images } = reply {
            all = images;
        }
    })?;
    if format == Format::Json {
        return output::json(&all);
    }
    let rows: Vec<[String; 3]> = all.iter().flat_map(rows).collect();
    output::table(["IMAGE", "IMAGE ID", "SIZE"], &rows);
    Ok(())
}

/// One row for each name.
fn rows(image: &ImageInfo) -> Vec<[String; 3]> {
    let id = image.id.trim_start_matches("sha256:").chars().take(12).collect::<String>();
    let size = indicatif::DecimalBytes(image.size).to_string();
    let row = |name: &String| [name.clone(), id.clone(), size.clone()];
    match image.repo_tags.is_empty() {
        true => vec![row(&"<none>".to_owned())],
        false => image.repo_tags.iter().map(row).collect(),
    }
}

fn named(image: &ImageInfo) -> String {
    image.repo_tags.first().or(image.repo_digests.first()).unwrap_or(&image.id).clone()
}

/// One line on the terminal for each layer; elsewhere a line for each thing that happens to one, as docker prints them.
struct Layers {
    bars: MultiProgress,
    on_terminal: bool,
    known: HashMap<String, (ProgressBar, String)>,
}

impl Layers {
    fn new() -> Self {
        let on_terminal = std::io::stderr().is_terminal() && std::io::stdout().is_terminal();
        Layers { bars: MultiProgress::new(), on_terminal, known: HashMap::new() }
    }

    fn show(&mut self, progress: &PullProgress) {
        let known = self.known.entry(progress.layer.clone());
        let (bar, state) =
            known.or_insert_with(|| (self.bars.add(layer_bar(&progress.layer)), String::new()));
        if *state != progress.state {
            state.clone_from(&progress.state);
            // numbers only: a download that goes on is no news where no bar can show it
            let is_news = !matches!(progress.state.as_str(), "Downloading" | "Extracting" | "Pushing");
            if !self.on_terminal && is_news {
                println!("{}: {}", progress.layer, progress.state);
            }
        }
        let is_moving = progress.total > 0;
        bar.set_style(style(is_moving));
        if is_moving {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        }
        bar.set_message(progress.state.clone());
    }

    /// What is about the whole image stands below the layers that were before it.
    fn tell(&mut self, what: &str) {
        self.finish();
        println!("{what}");
    }

    /// The lines stay as they are, and what comes begins anew.
    fn finish(&mut self) {
        self.known.drain().for_each(|(_, (bar, _))| bar.abandon());
        self.bars = MultiProgress::new();
    }
}

fn layer_bar(layer: &str) -> ProgressBar {
    ProgressBar::new(0).with_prefix(layer.to_owned()).with_style(style(false))
}

/// Docker's own form: a bar while something moves, else only what happens.
fn style(is_moving: bool) -> ProgressStyle {
    let template = match is_moving {
        true => "{prefix}: {msg} [{bar:50}] {bytes}/{total_bytes}",
        false => "{prefix}: {msg}",
    };
    let style = ProgressStyle::with_template(template);
    style.map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("=> "))
}
