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
        #[command(flatten)]
        login: LoginArguments,
    },
    /// Send an image to the registry that its name says.
    Push {
        name: String,
        #[command(flatten)]
        login: LoginArguments,
    },
    /// Build an image from a Dockerfile.
    Build(build::Build),
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
    /// Read images from a docker-archive, an OCI archive, or the folder of an OCI layout.
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
            ImageCommand::Pull { name, login } => pull(setting, name, login)?,
            ImageCommand::Push { name, login } => push(setting, name, login)?,
            ImageCommand::Build(build) => build.run(setting)?,
            ImageCommand::Tag { image, name } => {
                let request = ControlRequest::TagImage { image: image.clone(), name: name.clone() };
                ask(&setting.places, &request, |_| {})?;
            }
            ImageCommand::Save { names, output } => save(setting, names, output)?,
            ImageCommand::Prune { all } => prune(setting, *all)?,
            ImageCommand::Load { path } => load(setting, path)?,
            ImageCommand::Ls { output } => list(setting, output.output)?,
            ImageCommand::Rm { names } => {
                for name in names {
                    ask(&setting.places, &ControlRequest::RemoveImage { name: name.clone() }, |_| {})?;
                    println!("Untagged: {name}");
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn pull(setting: &Setting, name: &str, login: &LoginArguments) -> Result<()> {
    let mut layers = Layers::default();
    let mut pulled = Vec::new();
    let request = ControlRequest::PullImage { name: name.to_owned(), logins: login.logins()? };
    ask(&setting.places, &request, |reply| match reply {
        ControlReply::Progress(progress) => layers.show(&progress),
        ControlReply::Images { images } => pulled = images,
        _ => {}
    })?;
    layers.bars.clear()?;
    for image in pulled {
        println!("{}", named(&image));
    }
    Ok(())
}

fn push(setting: &Setting, name: &str, login: &LoginArguments) -> Result<()> {
    let mut layers = Layers::default();
    let mut digest = String::new();
    let request = ControlRequest::PushImage { name: name.to_owned(), logins: login.logins()? };
    ask(&setting.places, &request, |reply| match reply {
        ControlReply::Progress(progress) => layers.show(&progress),
        ControlReply::Told { what } => digest = what,
        _ => {}
    })?;
    layers.bars.clear()?;
    println!("{name}: digest: {digest}");
    Ok(())
}

/// The daemon writes the file, and knows no working directory.
fn save(setting: &Setting, names: &[String], file: &Path) -> Result<()> {
    let path =
        std::path::absolute(file).map_err(|e| failures::IMAGE.because(format!("{}: {e}", file.display())))?;
    ask(&setting.places, &ControlRequest::SaveImages { names: names.to_vec(), path }, |_| {})
}

fn prune(setting: &Setting, all: bool) -> Result<()> {
    ask(&setting.places, &ControlRequest::PruneImages { all }, |reply| {
        if let ControlReply::Pruned { removed, freed } = reply {
            for gone in removed {
                let how = if gone.starts_with("sha256:") { "Deleted" } else { "Untagged" };
                println!("{how}: {gone}");
            }
            println!("Total reclaimed space: {}", indicatif::DecimalBytes(freed));
        }
    })
}

fn load(setting: &Setting, path: &Path) -> Result<()> {
    let path =
        path.canonicalize().map_err(|e| failures::IMAGE.because(format!("{}: {e}", path.display())))?;
    ask(&setting.places, &ControlRequest::LoadImage { path }, |reply| {
        if let ControlReply::Images { images } = reply {
            images.iter().for_each(|image| println!("Loaded image: {}", named(image)));
        }
    })
}

fn list(setting: &Setting, format: Format) -> Result<()> {
    let mut all = Vec::new();
    ask(&setting.places, &ControlRequest::Images, |reply| {
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

/// One line on the terminal for each layer under way.
#[derive(Default)]
struct Layers {
    bars: MultiProgress,
    known: HashMap<String, ProgressBar>,
}

impl Layers {
    fn show(&mut self, progress: &PullProgress) {
        let bar = self.known.entry(progress.layer.clone()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{prefix}: {msg:18} {bar:30} {bytes}/{total_bytes}");
            let bar = ProgressBar::new(0).with_prefix(progress.layer.clone());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.bars.add(bar)
        });
        bar.set_message(progress.state.clone());
        if progress.total > 0 {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        }
    }
}
