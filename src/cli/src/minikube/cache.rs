//! `minikube cache`: what `minikube image` does, under an older name.

use super::image::{each, load};
use super::image_list::list;
use super::{Outcome, Session};
use clap::Subcommand;
use std::process::ExitCode;

#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Cache {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Subcommand)]
enum CacheCommand {
    /// Add an image into minikube as a local cache, or delete, reload the cached images
    Add {
        #[arg(required = true)]
        images: Vec<String>,
        #[arg(long, hide = true)]
        all: bool,
    },
    /// Delete an image from the local cache.
    Delete {
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// List all available images from the local cache.
    List {
        #[arg(long, hide = true)]
        format: Option<String>,
    },
    /// reload cached images.
    Reload { images: Vec<String> },
}

impl Cache {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let (setting, _) = session.running()?;
        match &self.command {
            CacheCommand::Add { images, .. } | CacheCommand::Reload { images } => {
                for image in images {
                    load(session.setting()?, image, false, false)?;
                }
                Ok(ExitCode::SUCCESS)
            }
            CacheCommand::Delete { images } => each(session, "rm", images),
            CacheCommand::List { .. } => list(&setting, "short"),
        }
    }
}
